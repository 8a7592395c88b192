"""An optimiser in C: what a step does once it has the gradients.

The numbers of a step are made in double; the update runs over all parameters together, which
lie in a row of vectors, as the optimiser's arrays do. The loops are those of the optimiser's
kernel programmes.
"""

from collections.abc import Sequence

from codegen.emit.c_blocks import function_head
from codegen.emit.c_values import Writer, in_numbers
from codegen.emit.optimizer import formulas_of, loops_of
from codegen.emit.values import named_parts
from codegen.errors import InternalError
from codegen.kernel import (
    Argument,
    Binary,
    Load,
    Reduce,
    Value,
    loads,
    parts,
    rebuild,
)
from codegen.optimizer_programs import Optimizer

INDENT = "    "
_VECTORS = "PARAMETERS / LANES"
_FOLDED_STEP = """\
/* Change every parameter by its gradient, LANES entries at a time, and let these start from 0:
 *
{updates}
 */
PRIVATE void step(lanes *params, lanes *grads, T eta)
{{
    for (size_t p = 0; p < PARAMETERS / LANES; p++) {{
        params[p] -= eta * grads[p];
        grads[p] = v_all(0);
    }}
}}
"""


def folded_step(updates: Sequence[str]) -> str:
    """Return the function of a step by a rate times the gradients, whose formulas are given."""
    return _FOLDED_STEP.format(updates="\n".join(f" *   {formula}" for formula in updates))


def values_of_step(optimizer: Optimizer) -> list[Value]:
    """Return the values that a step computes for each entry."""
    if optimizer.rate is not None:
        return []
    program = optimizer.programs["update"]
    return [store.value for node in loops_of(program) for store in node.stores]


def schedule_function(optimizer: Optimizer) -> str:
    """Return the function of the learning rate of an epoch."""
    program = optimizer.programs["schedule"]
    ((store,),) = [node.stores for node in loops_of(program)]
    return _function(
        "Return the learning rate of an epoch, in double",
        formulas_of(program),
        "static double scheduled",
        ["double eta", "double epoch", "double epochs"],
        [f"return {in_numbers(store.value, 'float64', _by_name)};"],
    )


def step_functions(optimizer: Optimizer, options: str) -> list[str]:
    """Return the functions that make a step; `options` declares the numbers it is given."""
    members = ", ".join(optimizer.numbers)
    record = f"/* What the numbers of a step are, in T. */\ntypedef struct {{\n    T {members};\n"
    made = [record + "} Numbers;\n", _numbers(optimizer, options)]
    if optimizer.recipe.clips:
        made += [_squares(optimizer), _clipping(optimizer)]
    return [*made, _step(optimizer, options)]


def _numbers(optimizer: Optimizer, options: str) -> str:
    program = optimizer.programs["numbers"]
    known = set(optimizer.recipe.options)
    lines = []
    for node in loops_of(program):
        for store in node.stores:
            value = in_numbers(_of_options(store.value, known), "float64", _by_pointer)
            counts = store.buffer in optimizer.step_state
            lines.append(f"{'*' if counts else 'const double '}{store.buffer} = {value};")
    given = [f"options->{name}" if name in known else name for name in optimizer.numbers]
    lines += [
        "return (Numbers){",
        *(f"{INDENT}.{n} = (T){v}," for n, v in zip(optimizer.numbers, given, strict=True)),
        "};",
    ]
    return _function(
        "Return the numbers of a step, which are made in double",
        formulas_of(program),
        "static Numbers numbers_of",
        ["double eta", options, *(f"double *{name}" for name in optimizer.step_state)],
        [*(f"(void){name};" for name in ("eta",) if not _reads_eta(optimizer)), *lines],
    )


def _reads_eta(optimizer: Optimizer) -> bool:
    return "eta" in optimizer.numbers or "name='eta'" in repr(optimizer.programs["numbers"].nodes)


def _squares(optimizer: Optimizer) -> str:
    program = optimizer.programs["squares"]
    (node,) = program.nodes
    if not isinstance(node, Reduce) or node.op != "sum":
        raise InternalError(f"{node} is no sum over entries")
    summand = Writer(program, lambda load: f"{load.buffer}[p]").vector(node.value)
    return _function(
        "Return the sum of the squares of all gradients' entries",
        [],
        "static T squares_of",
        ["const lanes *g"],
        [
            f"lanes {node.out} = v_all(0);",
            f"for (size_t p = 0; p < {_VECTORS}; p++)",
            f"{INDENT}{node.out} += {summand};",
            f"return v_total({node.out}, LANES);",
        ],
    )


def _clipping(optimizer: Optimizer) -> str:
    program = optimizer.programs["clip"]
    lines = _read(
        optimizer, [store.value for n in loops_of(program) for store in n.stores], "numbers->"
    )
    for node in loops_of(program):
        for store in node.stores:
            names, value = named_parts(store.value, "part")
            for name, part in [*names, (store.buffer, value)]:
                lines.append(f"const T {name} = {in_numbers(part, program.dtype, _by_name)};")
    return _function(
        "Return the factor that makes the gradient of all parameters short enough",
        formulas_of(program),
        "static T clipping",
        ["T squares", "const Numbers *numbers"],
        [*lines, f"return {program.outputs[0]};"],
    )


def _step(optimizer: Optimizer, options: str) -> str:
    """Return the function that changes all parameters, which lie in a row."""
    program = optimizer.programs["update"]
    stores = [store for node in loops_of(program) for store in node.stores]
    known: dict[str, str] = {}  # what this turn of the loop has in a variable

    def place(load: Load) -> str:
        return known.get(load.buffer, f"{load.buffer}[p]")

    writer = Writer(program, place)
    body = []
    for number, store in enumerate(stores):
        names, value = named_parts(store.value, f"part{number + 1}_")
        for name, part in names:
            is_vector = writer.is_vector(part)
            kind = "lanes" if is_vector else "T"
            body.append(f"const {kind} {name} = {writer.text(part)};")
            if is_vector:
                writer.by_sample.add(name)
        target = f"{store.buffer}[p]"
        is_kept = store.buffer in program.outputs
        later = [load.buffer for after in stores[number + 1 :] for load in loads(after.value)]
        if not is_kept or store.buffer in later:
            variable = f"{store.buffer}_here" if is_kept else store.buffer
            body.append(f"const lanes {variable} = {writer.vector(value)};")
            known[store.buffer] = variable
            body += [f"{target} = {variable};"] if is_kept else []
            continue
        match value:
            case Binary(op="-", left=Load(buffer=name), right=taken) if name == store.buffer:
                body.append(f"{target} -= {writer.text(taken)};")
            case _:
                body.append(f"{target} = {writer.vector(value)};")
    counts = "".join(f", &room->{name}" for name in optimizer.step_state)
    lines = [f"const Numbers numbers = numbers_of(exact_eta, options{counts});"]
    if optimizer.recipe.clips:
        lines.append("const T clip = clipping(squares_of(room->grads), &numbers);")
    lines += [
        *_read(optimizer, [store.value for store in stores], "numbers."),
        "lanes *W = room->params, *g = room->grads;",
        *(
            f"lanes *{name} = room->kept{f' + {rows_of(number)}' if number else ''};"
            for number, name in enumerate(optimizer.entry_state)
        ),
        f"for (size_t p = 0; p < {_VECTORS}; p++) {{",
        *(INDENT + line for line in [*body, "g[p] = v_all(0); /* the next sum starts from 0 */"]),
        "}",
    ]
    return _function(
        f"A step of {optimizer.recipe.title} for all parameters, LANES entries at a time",
        formulas_of(program),
        "PRIVATE void step",
        ["Room *room", "double exact_eta", options],
        lines,
    )


def _function(
    purpose: str, formulas: Sequence[str], head: str, parameters: list[str], lines: Sequence[str]
) -> str:
    told = [f"/* {purpose}. */"]
    if formulas:
        told = [f"/* {purpose}:", " *", *(f" *   {formula}" for formula in formulas), " */"]
    return "\n".join(
        [*told, *function_head(head, parameters), *(INDENT + line for line in lines), "}", ""]
    )


def _read(optimizer: Optimizer, values: list[Value], where: str) -> list[str]:
    """Return the line that names the numbers which some values read."""
    read = {name for value in values for name in _arguments(value)}
    named = [f"{name} = {where}{name}" for name in optimizer.numbers if name in read]
    lines: list[str] = []
    for start in range(0, len(named), 3):
        lines.append(f"const T {', '.join(named[start : start + 3])};")
    return lines


def _arguments(value: Value) -> set[str]:
    own = {value.name} if isinstance(value, Argument) else set()
    return own.union(*map(_arguments, parts(value)))


def _of_options(value: Value, known: set[str]) -> Value:
    """Read the options where they lie."""
    if isinstance(value, Argument) and value.name in known:
        return Argument(f"options->{value.name}")
    return rebuild(value, tuple(_of_options(part, known) for part in parts(value)))


def _by_name(load: Load) -> str:
    return load.buffer


def _by_pointer(load: Load) -> str:
    return f"*{load.buffer}"


def rows_of(number: int) -> str:
    """Return how many vectors so many rows of all parameters are."""
    return _VECTORS if number == 1 else f"{number} * ({_VECTORS})"
