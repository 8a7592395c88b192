"""A module in plain NumPy for networks of any sizes: derived once, with sizes that are names.

A matrix product reads its sizes from its arrays, so the same text serves every size. It is for
fits so small that compiling a kernel for their sizes would take longer than they do.
"""

from codegen.emit.numpy_functions import erf_source
from codegen.emit.numpy_module import function_text
from codegen.emit.numpy_text import value_text
from codegen.emit.optimizer import in_float64, loops_of
from codegen.emit.optimizer_interface import keyword_text
from codegen.emit.penalty import KEYWORD_TEXT
from codegen.emit.pieces import docstring, fill, indented, tidy
from codegen.emit.values import tuple_text
from codegen.kernel import Dtype
from codegen.optimizer_programs import Optimizer
from codegen.optimizers import OPTIONS
from derive.program import Program

INDENT = "    "


def any_size_source(
    *, header: str, spec: str, dtype: Dtype, gradient: Program, optimizer: Optimizer
) -> str:
    """Return the module's text; the same for the same input.

    Parameters
    ----------
    header
        The module's docstring.
    spec
        What the module says of its network; sizes are named n0, n1, … in it.
    dtype
        Type in whose accuracy the error function is written; arrays may be of another.
    gradient
        Loss and gradients in sound forms, with samples' weights ``w`` and a penalty ``l2``.
    optimizer
        What ``train`` does with the gradients.
    """
    names = gradient.parameters
    sizes: dict[str, str] = {}
    for tensor in gradient.inputs:
        if tensor.name in names and len(tensor.shape) == 2:
            for axis, extent in enumerate(tensor.shape):
                sizes.setdefault(str(extent), f"{tensor.name}.shape[{axis}]")
    wanted = ("loss", *(gradient.gradients[name] for name in names))
    kernels = [
        function_text(
            "_forward", "the output P of every sample", gradient, ("P",), names, ("X",), sizes
        ),
        function_text(
            "_gradients",
            "the loss and its gradient in each parameter",
            gradient,
            wanted,
            names,
            ("X", "Y", "w", "l2"),
            sizes,
        ),
    ]
    recipe = optimizer.recipe
    values = {
        "method": recipe.title,
        "keywords": "".join(
            f"{INDENT}{name}={OPTIONS[name].default!r},\n" for name in recipe.options
        ),
        "keyword_text": KEYWORD_TEXT + keyword_text(recipe.options, recipe.schedule),
        "options": tuple_text(list(recipe.options)),
        "steps": f", ({', '.join(f'state[{n!r}]' for n in optimizer.step_state)},)"
        if optimizer.step_state
        else "",
    }
    sections = [
        docstring(header),
        "import math\n\nimport numpy as np\n",
        f"SPEC = {spec!r}\nPARAMETERS = {tuple(names)!r}\n"
        f"KEPT = {optimizer.entry_state!r}  # arrays of the optimiser, one for each parameter\n"
        f"COUNTED = {optimizer.step_state!r}  # numbers of the optimiser\n\n"
        '_quiet = np.errstate(all="ignore")  # inf and NaN are values like others\n',
        erf_source(dtype) if any("_erf(" in kernel for kernel in kernels) else "",
        *kernels,
        _numbers(optimizer),
        _update(optimizer),
        fill("numpy_any_size", values),
    ]
    return tidy("\n".join(section for section in sections if section))


def _numbers(optimizer: Optimizer) -> str:
    """Return the function of what a step is given: options, and what is made of them."""
    program = optimizer.programs["numbers"]
    lines = [f"{tuple_text(list(optimizer.recipe.options))} = options"]
    if optimizer.step_state:
        lines.append(f"{tuple_text(list(optimizer.step_state))} = steps")
    places = {name: f"{name}[()]" for name in optimizer.step_state}
    told = [formula for node in program.nodes for formula in node.origin]
    lines += [f"# {formula}" for formula in dict.fromkeys(told)]
    for node in loops_of(program):
        for store in node.stores:
            target = places.get(store.buffer, store.buffer)
            lines.append(f"{target} = {in_float64(store.value, places)}")
    lines.append(f"return {tuple_text(list(optimizer.numbers))}")
    steps = ", steps" if optimizer.step_state else ""
    return _function(f"_numbers(eta, options{steps})", "Return the numbers of a step.", lines)


def _update(optimizer: Optimizer) -> str:
    """Return the function that changes a parameter and the optimiser's arrays, in place."""
    program = optimizer.programs["update"]
    lines = [f"{tuple_text(list(optimizer.numbers))} = numbers"]
    told = [formula for node in program.nodes for formula in node.origin]
    lines += [f"# {formula}" for formula in dict.fromkeys(told)]
    for node in loops_of(program):
        for store in node.stores:
            target = store.buffer + ("[...]" if store.buffer in program.outputs else "")
            lines.append(f"{target} = {value_text(store.value, store.axes)}")
    kept = "".join(f"{name}, " for name in optimizer.entry_state)
    what = f"A step of {optimizer.recipe.title} for a parameter W with gradient g."
    return _function(f"_update(W, g, {kept}numbers)", what, lines)


def _function(head: str, purpose: str, lines: list[str]) -> str:
    return f'def {head}:\n    """{purpose}"""\n{indented(lines, 4)}\n\n'


__all__ = ["any_size_source"]
