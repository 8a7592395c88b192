"""The emitted module in the lab's form: its functions, its names, plain NumPy.

The lines of ``forward``, ``backward`` and of the loss are printed from the derived
programme, statement by statement. Nothing is fused and nothing is compiled: it is there to
be read beside one's own.
"""

import re
import textwrap
from collections.abc import Iterable
from importlib import resources
from itertools import pairwise
from string import Template
from typing import final

from codegen.emit.matrix_text import Place
from codegen.emit.statements import needed, statement_value
from codegen.errors import InputError
from codegen.kernel import Dtype
from derive.printing import shape_text, statement_text
from derive.program import ONE_HOT, Program, Statement

_TOLERANCE = {"float32": "2e-3", "float64": "1e-6"}  # of the self-check
_WIDTH = 100


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
    network = _Network(printed, stable)
    forward, backward = network.forward_lines(), network.backward_lines()
    loss = network.loss_lines()
    one_hot = ONE_HOT in stable.assumptions
    has_logs = any("_times_log(" in line for line in (*forward, *backward, *loss))
    has_erf = any("_erf(" in line for line in (*forward, *backward, *loss))
    names = _size_names(len(sizes))
    values = {
        "header": header,
        "spec": repr(spec),
        "dtype": dtype,
        "sizes": repr(sizes),
        "n_in": str(sizes[0]),
        "n_out": str(sizes[-1]),
        "parameters": _entries((n, shape_text(network.shape(n))) for n in printed.parameters),
        "outputs": _entries((n, str(network.shape(n)[1])) for n in ("X", *network.kept)),
        "init_params": _call("def init_params(", names, "):"),
        "size_names": _folded(names),
        "hidden_units": ", hidden units" if len(sizes) > 2 else "",
        "check_sizes": _indented([_call("_check_sizes(", [f"{n}={n}" for n in names], ")")]),
        "init_lines": _indented(_init_lines(names)),
        "forward_errors": _OVERFLOWS if _overflows(forward) else "",
        "forward_batch": "    B = X.shape[0]\n" if _mentions_batch(forward) else "",
        "forward_lines": _indented(forward),
        "loss_note": _LOSS_NOTE if has_logs else "",
        "loss_lines": _indented(loss),
        **_hits(sizes[-1], output),
        "backward_errors": _OVERFLOWS if _overflows(backward) else "",
        "backward_lines": _indented(backward),
        "if_one_hot": ", or a row of Y does not sum to 1" if one_hot else "",
        "check_rows": "    _rows_sum_to_one(Y)\n" if one_hot else "",
        "rows_function": _ROWS_SUM_TO_ONE if one_hot else "",
        "times_log": (_TIMES_LOG if has_logs else "") + (_ERF if has_erf else ""),
        "check_targets": _check_targets(sizes[-1], one_hot=one_hot),
        "tolerance": _TOLERANCE[dtype],
    }
    template = resources.files("codegen") / "templates" / "lab.txt"
    return Template(template.read_text("utf-8")).substitute(values)


@final
class _Network:
    """The statements of each function, and how they are written."""

    def __init__(self, printed: Program, stable: Program) -> None:
        self.printed = printed
        self.stable = stable
        self.tensors = printed.tensors() | stable.tensors()
        self.shapes = {name: tuple(map(str, tensor.shape)) for name, tensor in self.tensors.items()}
        gradients = {gradient: name for name, gradient in stable.gradients.items()}
        self.grads = {gradient: f'grads["{name}"]' for gradient, name in gradients.items()}
        self.forward = needed(stable, {"yhat"})
        computed = {statement.name for statement in self.forward}
        self.backward = tuple(s for s in needed(stable, set(gradients)) if s.name not in computed)
        read = {name for statement in self.backward for name in statement.reads()}
        # what sound forms added is of this function only, unless the gradients need it
        self.kept = tuple(
            s.name for s in self.forward if s.name in printed.tensors() or s.name in read
        )
        self.places = {name: f'params["{name}"]' for name in printed.parameters}
        self.places |= {name: f'outputs["{name}"]' for name in self.kept}

    def shape(self, name: str) -> tuple[object, ...]:
        """Return a tensor's shape; one with one axis is held as a column."""
        shape = self.tensors[name].shape
        return (*shape, 1) if len(shape) == 1 else shape

    def forward_lines(self) -> list[str]:
        return self.lines(self.forward, self.places | {"X": "X"})

    def backward_lines(self) -> list[str]:
        return self.lines(self.backward, self.places | {"X": 'outputs["X"]'} | self.grads)

    def loss_lines(self) -> list[str]:
        loss = self.printed.statement("loss")  # not the sound form, which reads ytilde
        if more := sorted(set(loss.reads()) - {"yhat", "Y"}):
            raise InputError(
                f"names: the lab's loss_accuracy(Yhat, Y) is given the output and the targets, "
                f"and this loss depends on {', '.join(more)} too. Use --names plain."
            )
        return self.lines((loss,), {"yhat": "Yhat"})

    def lines(self, statements: Iterable[Statement], places: dict[str, str]) -> list[str]:
        """Return each statement as NumPy, its formula and shape above it."""
        lines = []
        for statement in statements:
            formula = statement_text(statement, form="matrix")
            target = places.get(statement.name, statement.name)
            value = self.value(statement, lambda name: places.get(name, name))
            lines += [
                f"# {formula}    {shape_text(statement.target.shape)}",
                f"{target} = {value}",
            ]
        return lines

    def value(self, statement: Statement, place: Place) -> str:
        return statement_value(statement, shapes=self.shapes, place=place)


# an exponential that is not that of `… - row's largest`
_UNSHIFTED = re.compile(r"np\.exp\((?![^()]* - \w+_max\))")


def _overflows(lines: list[str]) -> bool:
    return any(_UNSHIFTED.search(line) for line in lines)


def _mentions_batch(lines: list[str]) -> bool:
    return any(re.search(r"\bB\b", line) for line in lines if not line.startswith("#"))


def _size_names(count: int) -> list[str]:
    """Return ``nx, nh, ny``; with several hidden layers ``nx, nh1, nh2, …, ny``."""
    hidden = range(1, count - 1)
    return ["nx", *(f"nh{n}" if len(hidden) > 1 else "nh" for n in hidden), "ny"]


def _init_lines(names: list[str]) -> list[str]:
    lines = []
    for columns, rows in pairwise(names):
        normal = f"0.3 * np.random.standard_normal(({rows}, {columns}))"
        lines += [
            f'params["W{rows[1:]}"] = ({normal}).astype(DTYPE)',
            f'params["b{rows[1:]}"] = np.zeros(({rows}, 1), DTYPE)',
        ]
    return lines


def _hits(n_out: int, output: str) -> dict[str, str]:
    """Return how a right answer is told, for one output and for several."""
    if n_out > 1:
        return {
            "hits_comment": "# the largest output is the answer; NaN is none",
            "hits": "(Yhat.argmax(axis=1) == Y.argmax(axis=1))",
        }
    threshold = "0" if output == "identity" else "0.5"
    return {
        "hits_comment": f"# an output above {threshold} says 1; NaN says nothing",
        "hits": f"((Yhat[:, 0] > {threshold}) == (Y[:, 0] > 0.5))",
    }


def _check_targets(n_out: int, *, one_hot: bool) -> str:
    if one_hot:
        return f"np.eye({n_out})[generator.integers(0, {n_out}, count)]"
    return f"generator.random((count, {n_out}))"


def _entries(pairs: Iterable[tuple[str, str]]) -> str:
    return _indented([f'"{name}": {value},' for name, value in pairs])


def _call(head: str, arguments: list[str], tail: str) -> str:
    """Return a call, or the head of a function, on one line if it fits."""
    line = f"{head}{', '.join(arguments)}{tail}"
    if len(line) <= _WIDTH - 4:
        return line
    return f"{head}\n    {_folded(arguments, ', ', 4)},\n{tail}"


def _folded(words: list[str], between: str = ", ", indent: int = 4) -> str:
    """Return words on lines that are not too long, all but the first indented."""
    text = textwrap.fill(between.join(words), _WIDTH - indent, break_long_words=False)
    return textwrap.indent(text, " " * indent).lstrip()


def _indented(lines: list[str]) -> str:
    return textwrap.indent("\n".join(lines), "    ")


_OVERFLOWS = """@np.errstate(over="ignore")  # 1 / (1 + exp(…)) is 0 there, as it should be
"""

_LOSS_NOTE = """ The loss is inf where
        an output that should be positive has underflowed to 0."""

_TIMES_LOG = '''
@np.errstate(divide="ignore")  # log 0 is -inf
def _times_log(factor, x):
    """Return factor * log(x), entry by entry, with 0 * log(0) = 0."""
    return factor * np.log(np.where((factor == 0) & (x == 0), 1, x))

'''

_ERF = '''
def _erf(x):
    """Return the error function, entry by entry: NumPy has none."""
    from math import erf

    return np.vectorize(erf, otypes=[x.dtype])(x)

'''

_ROWS_SUM_TO_ONE = '''
def _rows_sum_to_one(Y):
    """Check what the derivation takes for granted: every row of Y sums to 1."""
    totals = Y.sum(axis=1, dtype=np.float64)
    wrong = np.flatnonzero(~(np.abs(totals - 1) <= 1e-6))
    if wrong.size:
        raise ValueError(
            f"Y[{wrong[0]}] sums to {totals[wrong[0]]:g}; expected 1, as in a one-hot row"
        )

'''
