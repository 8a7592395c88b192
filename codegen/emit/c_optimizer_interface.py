"""What the templates in C leave open for an optimiser: numbers, state, what is told of them."""

from collections.abc import Sequence

from codegen.emit.c_functions import literal
from codegen.emit.c_optimizer import folded_step, rows_of, schedule_function, step_functions
from codegen.kernel import Dtype
from codegen.optimizer_programs import Optimizer
from codegen.optimizers import OPTIONS

INDENT = "    "
_BAD_OPTIONS = """;
                             or options is NULL, or holds a number out of range"""

_ADD_AT_ONCE = """\
        const T *params = (const T *)room->params;
        if (total <= AT_ONCE) { /* -eta times the gradients is what the parameters change by */
            add_gradients(
                params, room->here, count, total, -eta, room->sums, room->work, room->params);
        } else {
            add_gradients(params, room->here, count, total, 1, room->sums, room->work, room->grads);
            if (next == past)
                step(room->params, room->grads, eta);
        }
"""
_ADD_AND_STEP = """\
        add_gradients(
            (const T *)room->params, room->here, count, total, 1, room->sums, room->work,
            room->grads);
        if (next == past)
            step(room, eta, options);
"""


def c_placeholders(
    optimizer: Optimizer, prefix: str, updates: Sequence[str], *, turned: bool = False
) -> dict[str, str]:
    """Return what the templates in C leave open for an optimiser.

    Parameters
    ----------
    prefix
        What every public name begins with.
    updates
        The formulas of a step that changes each parameter by a rate times its gradient.
    turned
        Whether some parameters lie in columns in a room.
    """
    recipe = optimizer.recipe
    options = f"const {prefix}_options *options"
    plain = optimizer.rate is not None
    functions = [folded_step(updates)] if plain else step_functions(optimizer, options)
    rate, make_rate = "eta", ""
    if "schedule" in optimizer.programs:
        functions.insert(0, schedule_function(optimizer))
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
        "add_and_step": _ADD_AT_ONCE if plain else _ADD_AND_STEP,
        "make_rate": make_rate,
        "epoch_gives": rate if plain else f"{rate}, options",
        "epoch": "epoch" if recipe.is_plain else "start + epoch",
        "kept_member": ", *kept" if kept else "",
        "step_members": "".join(f"{INDENT}double {name};\n" for name in optimizer.step_state),
        "rows": str(2 + len(kept)),
        "place_kept": f"\n{INDENT}room->kept = next, next += {rows_of(len(kept))};" if kept else "",
        "more_parameters": f",\n{INDENT}{', '.join(more)}" if more else "",
        "check_options": _check(optimizer, prefix) if more else "",
        "run": _run(optimizer),
        "take_state": _copies(optimizer, to_caller=False, turned=turned),
        "keep_state": _copies(optimizer, to_caller=True, turned=turned),
        "includes": "#include <float.h>\n" if _needs_largest(optimizer) else "",
        "bad_options": _BAD_OPTIONS if more else "",
        "optimizer_types": _types(optimizer, prefix) if more else "",
        "more_documented": _documented(optimizer, prefix) if more else "",
        "main_options": _main_options(optimizer, prefix) if more else "",
        "main_gives": "".join(f", {one}" for one in main),
    }


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


def _copies(optimizer: Optimizer, *, to_caller: bool, turned: bool) -> str:
    """Return the lines that take the caller's state, or give it back."""
    lines = []
    for number, name in enumerate(optimizer.entry_state):
        ours = f"room.kept{f' + {rows_of(number)}' if number else ''}"
        theirs = f"state->{name}"
        lines.append(copied(ours, theirs, f"sizeof {theirs}", to_caller=to_caller, turned=turned))
    for name in optimizer.step_state:
        sides = [f"state->{name}", f"room.{name}"]
        lines.append(" = ".join(sides if to_caller else sides[::-1]) + ";")
    if not lines:
        return ""
    body = "".join(f"{INDENT * 2}{line}\n" for line in lines)
    return f"{INDENT}if (state) {{\n{body}{INDENT}}}\n"


def copied(ours: str, theirs: str, size: str, *, to_caller: bool, turned: bool) -> str:
    """Return the line that copies what has an entry for each parameter from or to a room."""
    if turned and to_caller:
        return f"from_room({theirs}, (const T *)({ours}));"
    if turned:
        return f"to_room((T *)({ours}), {theirs});"
    both = f"{theirs}, {ours}" if to_caller else f"{ours}, {theirs}"
    return f"memcpy({both}, {size});"


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
