"""The emitted module in the lab's form: its functions, its names, plain NumPy.

The lines of ``forward``, ``backward`` and of the loss are printed from the derived
programme, statement by statement. Nothing is fused and nothing is compiled: it is there to
be read beside one's own.
"""

from importlib import resources
from string import Template

from codegen.kernel import Dtype
from derive.printing import shape_text
from derive.program import ONE_HOT, Program

_TOLERANCE = {"float32": "2e-3", "float64": "1e-6"}
_SIZES_NAMES = ("nx", "ny")


def lab_source(
    *,
    header: str,
    spec: str,
    sizes: tuple[int, ...],
    output: str,
    dtype: Dtype,
    printed: Program,
    stable: Program,
) -> str:
    """Return the module's text; the same for the same input.

    Parameters
    ----------
    header
        The module's docstring.
    spec, sizes, output
        What the module says of its network; `output` is the last activation's name.
    dtype
        Type of the parameters that the module makes.
    printed
        The gradient programme under the lab's names, as a person reads it.
    stable
        The same in sound forms.

    Raises
    ------
    InputError
        If the loss depends on more than the output and the targets, which is all that the
        lab's ``loss_accuracy`` is given.
    InternalError
        If a statement has no form in NumPy.
    """
    functions = _Functions(printed, stable)
    forward, backward = functions.forward_lines(), functions.backward_lines()
    loss = functions.loss_lines()
    names = _size_names(len(sizes))
    one_hot = ONE_HOT in stable.assumptions
    uses_log = any("_times_log(" in line for line in (*forward, *backward, *loss))
    values = {
        "header": header,
        "spec": repr(spec),
        "dtype": dtype,
        "sizes": repr(sizes),
        "n_in": str(sizes[0]),
        "n_out": str(sizes[-1]),
        "parameters": _entries((n, shape_text(functions.shapes[n])) for n in printed.parameters),
        "outputs": _entries((n, functions.shapes[n][1]) for n in ("X", *functions.kept)),
        "init_signature": _signature(names),
        "size_names": _folded(names),
        "sizes_meaning": _meaning(sizes),
        "size_pairs": _folded([f'"{name}": {name}' for name in names], hanging=4),
        "init_lines": _indented(_init_lines(names)),
        "forward_errors": _OVERFLOWS if functions.may_overflow(functions.forward) else "",
        "forward_batch": "    B = X.shape[0]\n" if _mentions_batch(forward) else "",
        "forward_lines": _indented(forward),
        "loss_lines": _indented(loss),
        "loss_note": _LOSS_OF_ZERO if uses_log else "",
        **_accuracy(sizes[-1], output),
        "backward_errors": _OVERFLOWS if functions.may_overflow(functions.backward) else "",
        "backward_lines": _indented(backward),
        "if_one_hot": ", or a row of Y does not sum to 1" if one_hot else "",
        "check_rows": "    _rows_sum_to_one(Y)\n" if one_hot else "",
        "times_log": _TIMES_LOG if uses_log else "",
        "rows_function": _ROWS_SUM_TO_ONE if one_hot else "",
        "check_targets": _check_targets(sizes[-1], one_hot=one_hot),
        "tolerance": _TOLERANCE[dtype],
    }
    template = resources.files("codegen") / "templates" / "lab.txt"
    return _tidy(Template(template.read_text("utf-8")).substitute(values))
