"""An optimiser as functions of the emitted module, and what the templates leave open for it.

One function changes a parameter by its gradient, entry by entry; it is the same for all, so its
formulas stand in the text once. In the vectors of a small network all parameters lie in a row,
and it runs over them together.
"""

import re
import textwrap
from collections.abc import Mapping

from codegen.emit.values import named_parts, text, tuple_text
from codegen.errors import InternalError
from codegen.kernel import (
    Binary,
    Call,
    Elementwise,
    KernelProgram,
    Load,
    Reduce,
    Value,
    loads,
    parts,
    rebuild,
)
from codegen.optimizer_programs import Optimizer

INDENT = "    "
LONGEST = 92  # characters of a line, without its indentation
_TYPED = re.compile(r"\bT\((-?[0-9.e+-]+)\)")  # a constant of the module's type
_TAKEN = {"p", "numbers", "memory", "rows", "lanes", "total", "where"}


def kept_row(number: int) -> str:
    """Return where, in the memory of vectors, the optimiser's array of a number begins."""
    times = "" if number == 1 else f"{number} * "
    return "KEPT" if number == 0 else f"KEPT + {times}PARAMETER_ROWS"


def optimizer_functions(optimizer: Optimizer, *, lanes: bool) -> str:
    """Return the functions of an optimiser, of numbers or of vectors."""
    programs = optimizer.programs
    made = [f"# {'-' * 66} optimiser\n"]
    if "schedule" in programs:
        made.append(schedule_function(programs["schedule"], optimizer))
    if optimizer.rate is None:
        made.append(_numbers(programs["numbers"], optimizer))
        if optimizer.recipe.clips:
            made += [_squares(programs["squares"], lanes=lanes), _clipping(optimizer)]
        made.append(_update(programs["update"], optimizer, lanes=lanes))
    return "\n\n".join(made)


def schedule_function(
    program: KernelProgram, optimizer: Optimizer, decorator: str = "_inlined"
) -> str:
    """Return the function of the learning rate of an epoch, which Python can run too."""
    options = tuple_text([*("_" for _ in optimizer.recipe.options), "epochs"])
    ((value,),) = [[store.value for store in node.stores] for node in loops_of(program)]
    return _function(
        "_scheduled(eta, options, epoch)",
        "Return the learning rate of an epoch, in float64.",
        formulas_of(program),
        [f"{options} = options", f"return {in_float64(value, {})}"],
        decorator,
    )


def _numbers(program: KernelProgram, optimizer: Optimizer) -> str:
    """Return the function of what a step is given: options, and what is made of them."""
    steps = ", steps" if optimizer.step_state else ""
    options = [*optimizer.recipe.options]
    if optimizer.recipe.schedule != "constant":
        options.append("_")
    lines = [f"{tuple_text(options)} = options"] if set(options) - {"_"} else []
    if optimizer.step_state:
        lines.append(f"{tuple_text(list(optimizer.step_state))} = steps")
    places = {name: f"{name}[()]" for name in optimizer.step_state}
    for node in loops_of(program):
        for store in node.stores:
            target = places.get(store.buffer, store.buffer)
            lines.append(f"{target} = {in_float64(store.value, places)}")
    result = f"return {tuple_text([f'T({name})' for name in optimizer.numbers])}"
    if len(result) > LONGEST:
        result = f"return (\n{_wrapped([f'T({name})' for name in optimizer.numbers])}\n)"
    lines.append(result)
    purpose = "Return the numbers of a step, in the parameters' type"
    purpose += "; they are made in float64." if program.nodes else "."
    head = f"_numbers(eta, options{steps})"
    return _function(head, purpose, formulas_of(program), lines)


def _squares(program: KernelProgram, *, lanes: bool) -> str:
    (node,) = program.nodes
    if not isinstance(node, Reduce) or node.op != "sum":
        raise InternalError(f"{node} is no sum over entries")
    summand = text(node.value, lambda load: f"{load.buffer}[p]", lanes=lanes)
    if lanes:
        lines = [
            "g = rows(memory, GRADIENT, 1)",
            "squares = lanes(T(0))",
            "for p in range(PARAMETER_ROWS):",
            f"{INDENT}squares += {summand}",
            "return total(squares, LANES)",
        ]
        purpose = "Return the sum of the squares of all gradients' entries."
        return _function("_squares(memory)", purpose, [], lines)
    lines = [
        "squares = T(0)",
        "for p in range(g.size):",
        f"{INDENT}squares += {summand}",
        "return squares",
    ]
    purpose = "Return the sum of the squares of a gradient's entries."
    return _function("_squares(g)", purpose, [], lines, decorator="_sum")


def _clipping(optimizer: Optimizer) -> str:
    program = optimizer.programs["clip"]
    lines = [f"{_unpacked(program, optimizer)} = numbers"]
    for node in loops_of(program):
        for store in node.stores:
            names, value = named_parts(store.value, "part")
            lines += [f"{name} = {_of_type(part)}" for name, part in names]
            lines.append(f"{store.buffer} = T({_of_type(value)})")
    lines.append(f"return {program.outputs[0]}")
    return _function(
        "_clipping(squares, numbers)",
        "Return the factor that makes the gradient of all parameters short enough.",
        formulas_of(program),
        lines,
    )


def _update(program: KernelProgram, optimizer: Optimizer, *, lanes: bool) -> str:
    """Return the function that changes a parameter, or all of them in one row of memory."""
    clip = ", clip" if optimizer.recipe.clips else ""
    kept = optimizer.entry_state
    numbers = f"{_unpacked(program, optimizer)} = numbers"
    if lanes:
        head = f"_update(memory, numbers{clip})"
        begin = [
            "W, g = rows(memory, 0, 1), rows(memory, GRADIENT, 1)",
            *(f"{name} = rows(memory, {kept_row(n)}, 1)" for n, name in enumerate(kept)),
            numbers,
            "for p in range(PARAMETER_ROWS):",
        ]
        what = f"A step of {optimizer.recipe.title} for all parameters, LANES entries at a time."
    else:
        head = f"_update({', '.join(('W', 'g', *kept))}, numbers{clip})"
        begin = [numbers, "for p in range(W.size):"]
        what = f"A step of {optimizer.recipe.title} for a parameter W with gradient g."
    body = []
    known: dict[str, str] = {}  # what this turn of the loop has in a variable

    def place(load: Load) -> str:
        return known.get(load.buffer, f"{load.buffer}[p]")

    stores = [store for node in loops_of(program) for store in node.stores]
    for number, store in enumerate(stores):
        prefix = "part" if number == 0 else f"part{number}_"
        names, value = named_parts(store.value, prefix)
        body += [f"{name} = {text(part, place, lanes=lanes)}" for name, part in names]
        read_later = any(
            load.buffer == store.buffer
            for later in stores[number + 1 :]
            for load in loads(later.value)
        )
        target = f"{store.buffer}[p]"
        is_kept = store.buffer in program.outputs
        if not is_kept or read_later:
            variable = f"{store.buffer}_here" if is_kept else store.buffer
            body.append(f"{variable} = {text(value, place, lanes=lanes)}")
            known[store.buffer] = variable
            body += [f"{target} = {variable}"] if is_kept else []
            continue
        match value:
            case Binary(op="-", left=Load(buffer=name), right=taken) if name == store.buffer:
                body.append(f"{target} -= {text(taken, place, lanes=lanes)}")
            case _:
                body.append(f"{target} = {text(value, place, lanes=lanes)}")
    return _function(head, what, formulas_of(program), [*begin, *(INDENT + line for line in body)])


def _function(
    head: str, purpose: str, formulas: list[str], lines: list[str], decorator: str = "_inlined"
) -> str:
    told = [f'"""{purpose}"""']
    if formulas:
        told = [f'"""{purpose}', "", *(f"{INDENT}{line}" for line in formulas), '"""']
    body = textwrap.indent("\n".join([*told, *lines]), INDENT)
    above = f"@{decorator}\n" if decorator else ""
    return f"{above}def {head}:\n{body}\n"


def loops_of(program: KernelProgram) -> list[Elementwise]:
    """Return the nodes of a programme that has nothing but loops over entries."""
    loops = [node for node in program.nodes if isinstance(node, Elementwise)]
    if len(loops) != len(program.nodes):
        raise InternalError(f"{program.name} has other nodes than loops over entries")
    return loops


def _wrapped(words: list[str]) -> str:
    return textwrap.fill(
        ", ".join(words) + ",", LONGEST, initial_indent=INDENT, subsequent_indent=INDENT
    )


def formulas_of(program: KernelProgram) -> list[str]:
    """Return the formulas that a programme computes."""
    return list(dict.fromkeys(formula for node in program.nodes for formula in node.origin))


def in_float64(value: Value, places: Mapping[str, str]) -> str:
    """Return a value of numbers as Python has it, which for Numba is float64."""
    written = text(_by_math(value), lambda load: places.get(load.buffer, load.buffer))
    return _TYPED.sub(r"\1", written).replace("3.141592653589793", "math.pi")


def _of_type(value: Value) -> str:
    return text(_by_math(value), lambda load: load.buffer)


def _by_math(value: Value) -> Value:
    """Call functions of numbers: in a module of vectors the short names are those of vectors."""
    inner = tuple(_by_math(part) for part in parts(value))
    if isinstance(value, Call):
        return Call(f"math.{value.function}", inner)
    return rebuild(value, inner)


def _unpacked(program: KernelProgram, optimizer: Optimizer) -> str:
    """Return the numbers' names, ``_`` for those that a programme does not read."""
    shown = repr(program.nodes)
    return tuple_text(
        [name if f"Argument(name='{name}')" in shown else "_" for name in optimizer.numbers]
    )
