"""An optimiser in C: what a step does once it has the gradients, and its interface.

The numbers of a step are made in double; the update runs over all parameters together, which
lie in a row of vectors, as the optimiser's arrays do. The loops are those of the optimiser's
kernel programmes.
"""

from collections.abc import Sequence

from codegen.emit.c_blocks import function_head
from codegen.emit.c_functions import literal
from codegen.emit.c_values import Writer, in_numbers
from codegen.emit.optimizer import formulas_of, loops_of
from codegen.emit.values import named_parts
from codegen.errors import InternalError
from codegen.kernel import (
    Argument,
    Binary,
    Dtype,
    Load,
    Reduce,
    Value,
    loads,
    parts,
    rebuild,
)
from codegen.optimizer_programs import Optimizer
from codegen.optimizers import OPTIONS

INDENT = "    "
_VECTORS = "PARAMETERS / LANES"
_BAD_OPTIONS = """;
                             or options is NULL, or holds a number out of range"""
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


def c_placeholders(optimizer: Optimizer, prefix: str, updates: Sequence[str]) -> dict[str, str]:
    """Return what the templates in C leave open for an optimiser.

    Parameters
    ----------
    prefix
        What every public name begins with.
    updates
        The formulas of a step that changes each parameter by a rate times its gradient.
    """
    recipe = optimizer.recipe
    options = f"const {prefix}_options *options"
    plain = optimizer.rate is not None
    listed = "\n".join(f" *   {formula}" for formula in updates)
    functions = [_FOLDED_STEP.format(updates=listed)] if plain else _functions(optimizer, options)
    rate, make_rate = "eta", ""
    if "schedule" in optimizer.programs:
        functions.insert(0, _schedule(optimizer))
        rate = "(T)rate" if plain else "rate"
        scheduled = "scheduled((double)eta, (double)(start + epoch), run)"
        make_rate = f"{INDENT * 2}const double rate = {scheduled};\n"
    kept = optimizer.entry_state
    state = bool(kept or optimizer.step_state)
    more = [] if recipe.is_plain else ["size_t start", options]
    more += [f"{prefix}_state *state"] if state else []
    main = [] if recipe.is_plain else ["0", "&options", *(["NULL"] if state else [])]
    return {
        "method": recipe.title,
        "step_function": "\n".join(functions).rstrip("\n"),
        "epoch_takes": " T eta" if plain else f"\n{INDENT}double eta, {options}",
        "make_step": "step(room->params, room->grads, eta)"
        if plain
        else "step(room, eta, options)",
        "make_rate": make_rate,
        "epoch_gives": rate if plain else f"{rate}, options",
        "epoch": "epoch" if recipe.is_plain else "start + epoch",
        "kept_member": ", *kept" if kept else "",
        "step_members": "".join(f"{INDENT}double {name};\n" for name in optimizer.step_state),
        "rows": str(2 + len(kept)),
        "place_kept": f"\n{INDENT}room->kept = next, next += {_times(len(kept))};" if kept else "",
        "more_parameters": f",\n{INDENT}{', '.join(more)}" if more else "",
        "check_options": _check(optimizer, prefix) if more else "",
        "run": _run(optimizer),
        "take_state": _copies(optimizer, to_caller=False),
        "keep_state": _copies(optimizer, to_caller=True),
        "includes": "#include <float.h>\n" if _needs_largest(optimizer) else "",
        "bad_options": _BAD_OPTIONS if more else "",
        "optimizer_types": _types(optimizer, prefix) if more else "",
        "more_documented": _documented(optimizer, prefix) if more else "",
        "main_options": _main_options(optimizer, prefix) if more else "",
        "main_gives": "".join(f", {one}" for one in main),
    }


def values_of_step(optimizer: Optimizer) -> list[Value]:
    """Return the values that a step computes for each entry."""
    if optimizer.rate is not None:
        return []
    program = optimizer.programs["update"]
    return [store.value for node in loops_of(program) for store in node.stores]


# ------------------------------------------------------------------ functions


def _schedule(optimizer: Optimizer) -> str:
    program = optimizer.programs["schedule"]
    ((store,),) = [node.stores for node in loops_of(program)]
    return _function(
        "Return the learning rate of an epoch, in double",
        formulas_of(program),
        "static double scheduled",
        ["double eta", "double epoch", "double epochs"],
        [f"return {in_numbers(store.value, 'float64', _by_name)};"],
    )


def _functions(optimizer: Optimizer, options: str) -> list[str]:
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
            f"lanes *{name} = room->kept{f' + {_times(number)}' if number else ''};"
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


def _times(number: int) -> str:
    return _VECTORS if number == 1 else f"{number} * ({_VECTORS})"


# ------------------------------------------------------------------ interface


def _largest(name: str, dtype: Dtype) -> str:
    if OPTIONS[name].below == 1:
        return "< 1"
    return f"<= {'FLT_MAX' if dtype == 'float32' else 'DBL_MAX'}"


def _needs_largest(optimizer: Optimizer) -> bool:
    return any(OPTIONS[name].below != 1 for name in optimizer.recipe.options)


def _check(optimizer: Optimizer, prefix: str) -> str:
    """Return the lines that refuse numbers out of range; NaN fails every comparison."""
    dtype = optimizer.programs["update"].dtype
    tests = ["!options"]
    for name in optimizer.recipe.options:
        each = f"options->{name}"
        tests.append(f"!({each} >= 0 && {each} {_largest(name, dtype)})")
    if optimizer.recipe.schedule != "constant":
        given = "options->schedule_epochs"
        tests.append(f"({given} && {given} < start + epochs)")
    joined = f"\n{INDENT * 2}|| ".join(tests)
    return f"{INDENT}if ({joined})\n{INDENT * 2}return {prefix.upper()}_BAD_ARGUMENT;\n"


def _run(optimizer: Optimizer) -> str:
    if optimizer.recipe.schedule == "constant":
        return ""
    return (
        f"{INDENT}const size_t last = options->schedule_epochs;\n"
        f"{INDENT}const double run = (double)(last ? last : start + epochs);\n"
    )


def _copies(optimizer: Optimizer, *, to_caller: bool) -> str:
    """Return the lines that take the caller's state, or give it back."""
    lines = []
    for number, name in enumerate(optimizer.entry_state):
        ours = f"room.kept{f' + {_times(number)}' if number else ''}"
        theirs = f"state->{name}"
        both = f"{theirs}, {ours}" if to_caller else f"{ours}, {theirs}"
        lines.append(f"memcpy({both}, sizeof {theirs});")
    for name in optimizer.step_state:
        sides = [f"state->{name}", f"room.{name}"]
        lines.append(" = ".join(sides if to_caller else sides[::-1]) + ";")
    if not lines:
        return ""
    body = "".join(f"{INDENT * 2}{line}\n" for line in lines)
    return f"{INDENT}if (state) {{\n{body}{INDENT}}}\n"


def _types(optimizer: Optimizer, prefix: str) -> str:
    """Return the structures of the header: numbers that training takes, and what it keeps."""
    PREFIX, T = prefix.upper(), _c_type(optimizer)
    lines = [f"/* The numbers that {prefix}_train takes beside the learning rate. */"]
    lines += ["typedef struct {"]
    defaults = []
    for name in optimizer.recipe.options:
        option = OPTIONS[name]
        end = ", and below 1" if option.below == 1 else ""
        lines.append(f"{INDENT}double {name}; /* {option.meaning} From 0{end}. */")
        defaults.append(name if option.default is None else literal(option.default, "float64"))
    if optimizer.recipe.schedule != "constant":
        lines += [
            f"{INDENT}/* Epochs of the whole run, from epoch 0 on, over which the learning rate",
            f"{INDENT} * goes from eta down; 0 is start + epochs. */",
            f"{INDENT}size_t schedule_epochs;",
        ]
        defaults.append("0")
    given = "(clip_norm)" if "clip_norm" in optimizer.recipe.options else ""
    example = "(1.0)" if given else ""
    lines += [
        f"}} {prefix}_options;",
        "",
        f"/* Their usual values{', but clip_norm, which has none' if given else ''}:",
        f" * {prefix}_options options = {PREFIX}_DEFAULTS{example}; */",
        f"#define {PREFIX}_DEFAULTS{given} {{{', '.join(defaults)}}}",
        "",
    ]
    kept = optimizer.entry_state
    if kept or optimizer.step_state:
        arrays = ", ".join(f"{name}[{PREFIX}_PARAMETERS]" for name in kept)
        lines += [
            "/* What the optimiser keeps from step to step, its arrays laid out as params; all 0",
            f" * at first: {prefix}_state state = {{0}}; or from calloc, where it is large. */",
            "typedef struct {",
            *([f"{INDENT}{T} {arrays};"] if kept else []),
            *(f"{INDENT}double {name};" for name in optimizer.step_state),
            f"}} {prefix}_state;",
            "",
        ]
    return "\n".join(["", *lines])


def _c_type(optimizer: Optimizer) -> str:
    return "float" if optimizer.programs["update"].dtype == "float32" else "double"


def _documented(optimizer: Optimizer, prefix: str) -> str:
    lines = [
        "start   number of the first epoch, which is counted from 0",
        f"options its numbers, for example {prefix.upper()}_DEFAULTS",
    ]
    if optimizer.entry_state or optimizer.step_state:
        lines += [
            "state   what the optimiser keeps, changed as params is: with it start continues a run",
            "        bit for bit; or NULL, which starts at 0 and is not given back",
        ]
    return "".join(f" * {line}\n" for line in lines)


def main_eta(optimizer: Optimizer) -> float:
    """Return a learning rate that trains Circles."""
    falls = optimizer.recipe.schedule != "constant" and optimizer.recipe.optimizer in (None, "sgd")
    return 0.1 if falls else 0.03


def _main_options(optimizer: Optimizer, prefix: str) -> str:
    given = "(1.0)" if "clip_norm" in optimizer.recipe.options else ""
    return f"{INDENT}const {prefix}_options options = {prefix.upper()}_DEFAULTS{given};\n"
