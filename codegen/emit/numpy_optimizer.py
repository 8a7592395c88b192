"""An optimiser in plain NumPy: one function, which makes a whole step.

Its lines are those of the optimiser's kernel programmes, one a store, for all entries of a
parameter at once; the formulas stand above them. Numbers of a step are made in float64.
"""

import textwrap
from collections.abc import Iterable

from codegen.emit.numpy_text import value_text
from codegen.emit.optimizer import formulas_of, in_float64, loops_of, schedule_function
from codegen.emit.optimizer_interface import optimizer_placeholders
from codegen.emit.values import named_parts, tuple_text
from codegen.errors import InternalError
from codegen.kernel import Binary, Load, Reduce, Value
from codegen.optimizer_programs import Optimizer

INDENT = "    "
LONGEST = 92  # characters of a line, without its indentation


def numpy_placeholders(optimizer: Optimizer, folded: Iterable[str]) -> dict[str, str]:
    """Return what the templates leave open for an optimiser.

    Parameters
    ----------
    folded
        The lines of a step that changes parameters by a rate times their gradients and does
        nothing else, which take the parameters and gradients by name.
    """
    values = optimizer_placeholders(optimizer, lanes=False)
    functions = []
    if "schedule" in optimizer.programs:
        functions.append(schedule_function(optimizer.programs["schedule"], optimizer, ""))
    rate = "rate" if functions else "eta"
    if optimizer.rate is None:
        states = _states(optimizer)
        functions.append(_step(optimizer, states))
        values["step_given"] = ", ".join((rate, "options", *states))
    else:
        functions.append(_folded_step(folded))
        values["step_given"] = rate if optimizer.recipe.is_plain else f"DTYPE({rate})"
    return values | {"step": "\n\n".join(functions).rstrip()}


def _states(optimizer: Optimizer) -> list[str]:
    named = {"steps": optimizer.step_state, "state": optimizer.entry_state}
    return [name for name, kept in named.items() if kept]


def _folded_step(lines: Iterable[str]) -> str:
    body = '"""Change the parameters, in place, by the gradients of a batch."""\n'
    body += "\n".join(lines)
    return f"def _step(params, X, Y, w, eta):\n{textwrap.indent(body, INDENT)}\n"


def _step(optimizer: Optimizer, states: list[str]) -> str:
    """Return the function of a step."""
    formulas = [
        formula
        for name in ("numbers", "clip", "update")
        if name in optimizer.programs
        for formula in formulas_of(optimizer.programs[name])
    ]
    lines = [
        f'"""Change the parameters, in place, by a step of {optimizer.recipe.title}.',
        "",
        *(INDENT + formula for formula in formulas),
        '"""',
        "gradients = _gradients(params, X, Y, w)",
        *_numbers(optimizer),
        *_clipping(optimizer),
        *_update(optimizer),
    ]
    head = f"@_quiet\ndef _step({', '.join(('params', 'X', 'Y', 'w', 'eta', 'options', *states))}):"
    return f"{head}\n{textwrap.indent(chr(10).join(lines), INDENT)}\n"


def _numbers(optimizer: Optimizer) -> list[str]:
    """Return the lines that make the numbers of a step, then round them."""
    options = [*optimizer.recipe.options]
    if optimizer.recipe.schedule != "constant":
        options.append("_")
    lines = [f"{tuple_text(options)} = options"] if set(options) - {"_"} else []
    if optimizer.step_state:
        lines.append(f"{tuple_text(optimizer.step_state)} = steps")
    for node in loops_of(optimizer.programs["numbers"]):
        for store in node.stores:
            target = store.buffer + ("[...]" if store.buffer in optimizer.step_state else "")
            lines.append(f"{target} = {in_float64(store.value, {})}")
    names = tuple_text(optimizer.numbers)
    given = f"[DTYPE(x) for x in ({names})]"
    lines.append("# made in float64, and used in the parameters' type")
    if len(names) + len(given) + 3 <= LONGEST:
        return [*lines, f"{names} = {given}"]
    wrapped = textwrap.wrap(f"({names})", LONGEST - len(INDENT), break_long_words=False)
    lines += ["numbers = [", f"{INDENT}DTYPE(x) for x in {wrapped[0]}"]
    lines += [*(f"{INDENT}{line}" for line in wrapped[1:]), "]"]
    return [*lines, f"{names} = numbers"]


def _clipping(optimizer: Optimizer) -> list[str]:
    """Return the lines that make one factor of all gradients, if they are clipped."""
    if not optimizer.recipe.clips:
        return []
    (node,) = optimizer.programs["squares"].nodes
    if not isinstance(node, Reduce) or node.op != "sum":
        raise InternalError(f"{node} is no sum over entries")
    lines = [
        "# the gradients of all parameters, as one vector, are clipped by its length",
        f"{node.out} = sum(np.sum({value_text(node.value, (node.axis,))}) for g in gradients)",
    ]
    for loop in loops_of(optimizer.programs["clip"]):
        for store in loop.stores:
            names, value = named_parts(store.value, "part")
            lines += [f"{name} = {_number(part)}" for name, part in names]
            lines.append(f"{store.buffer} = {_number(value)}")
    return lines


def _number(value: Value) -> str:
    """Return a value of numbers in the parameters' type, which NumPy's scalars keep."""
    return in_float64(value, {}).replace("math.", "np.")


def _update(optimizer: Optimizer) -> list[str]:
    """Return the loop over the parameters that changes each."""
    program, kept = optimizer.programs["update"], optimizer.entry_state
    arrays = ", ".join(("W", "g", *kept))
    given = ", ".join(("params", "gradients", *(["*state"] if kept else [])))
    lines = [f"for {arrays} in zip({given}, strict=True):"]
    for node in loops_of(program):
        for store in node.stores:
            name, written = store.buffer, value_text(store.value, store.axes)
            match store.value:
                case Binary(op="-", left=Load(buffer=first), right=taken) if first == name:
                    line = f"{name} -= {value_text(taken, store.axes)}"
                case _ if name in program.outputs:
                    line = f"{name}[...] = {written}"
                case _:
                    line = f"{name} = {written}"
            lines.append(INDENT + line)
    return lines
