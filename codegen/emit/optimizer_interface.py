"""What the templates of training and of the interface leave open for an optimiser."""

import textwrap
from collections.abc import Mapping

from codegen.emit.optimizer import kept_row
from codegen.emit.values import tuple_text
from codegen.optimizer_programs import Optimizer
from codegen.optimizers import OPTIONS

INDENT = "    "

# of a module that trains by stochastic gradient descent and nothing else
PLAIN = {
    "method": "stochastic gradient descent",
    "keywords": "",
    "state_text": "The optimiser's arrays. Plain SGD has none.",
    "keyword_text": "",
    "check_options": "",
    "check_state": (
        "    if state:\n"
        '        raise ValueError(f"state has {sorted(state)}; plain SGD keeps none, so expected '
        '{{}}")'
    ),
    "give_state": "",
    "given": "eta",
    "given_arrays": "",
    "train_takes": "eta",
    "train_arrays": "",
    "begin_epoch": "",
    "step_given": "eta",
    "placed_step": "T(0)",
    "step_takes": "eta",
    "take_state": "",
    "keep_state": "",
    "count_apart": "",
}


# each thread of a team counts for itself what is one number in all
_COUNT_APART = f"""\
{INDENT}counted = [{{}}]  # the steps, by each thread for itself
{INDENT}counted += [tuple(map(np.copy, counted[0])) for _ in range(1, members)]
"""


def state_shapes(
    optimizer: Optimizer, parameters: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the optimiser's arrays by their names in ``state``."""
    entries = {
        f"{kept}.{name}": shape
        for kept in optimizer.entry_state
        for name, shape in parameters.items()
    }
    return {**entries, **dict.fromkeys(optimizer.step_state, ())}


def state_constant(optimizer: Optimizer, parameters: Mapping[str, tuple[int, ...]]) -> str:
    """Return what a module says of the optimiser's arrays."""
    if optimizer.recipe.is_plain:
        return ""
    kept = state_shapes(optimizer, parameters).items()
    entries = "".join(f"    {name!r}: {shape},\n" for name, shape in kept)
    return f"STATE = {{  # the optimiser's arrays\n{entries}}}\n\n"


def optimizer_placeholders(
    optimizer: Optimizer, *, lanes: bool, team: bool = False
) -> dict[str, str]:
    """Return what is put into the templates of training and of the interface.

    `lanes` are those of a small network's kernels; a `team` of threads may train another one.
    """
    recipe = optimizer.recipe
    if recipe.is_plain:
        return dict(PLAIN)
    scheduled = recipe.schedule != "constant"
    states = _state_arguments(optimizer)
    taken, given = ["eta", "options"], ["exact_eta", "options"]
    values = _state_values(optimizer, team=team)
    if not team:  # of which arrays are handed over in one
        taken, given = taken + states, given + values
    rate = "eta"
    begin_epoch = ""
    if scheduled:
        rate = "rate"
        begin_epoch = f"{INDENT * 2}rate = _scheduled(eta, options, first_epoch + epoch)\n"
    if optimizer.rate is not None:  # a step folded into the products
        step_given, step_takes = f"T({rate})", "eta"
        placed_step = "T(0)"
    else:
        steps = ", steps" if optimizer.step_state else ""
        state = ", state" if optimizer.entry_state and not lanes else ""
        step_given = f"_numbers({rate}, options{steps}){state}"
        placed_step = f"(T(0),) * {len(optimizer.numbers)}"
        if state:
            placed_step += f", (params,) * {len(optimizer.entry_state)}"
        step_takes = "numbers"
    keywords = []
    for name in recipe.options:
        default = OPTIONS[name].default
        keywords.append(f"{INDENT}{name}," if default is None else f"{INDENT}{name}={default!r},")
    if scheduled:
        keywords.append(f"{INDENT}schedule_epochs=None,")
    return {
        "method": recipe.title,
        "keywords": "".join(f"{line}\n" for line in keywords),
        "state_text": _state_text(optimizer),
        "keyword_text": keyword_text(recipe.options, recipe.schedule),
        "check_options": _check_options(recipe.options, scheduled=scheduled),
        "check_state": _check_state(states),
        "give_state": f"{INDENT * 2}_give_state(state, kept)\n" if states else "",
        "given": ", ".join(given),
        "given_arrays": "".join(f" {value}," for value in values),
        "train_takes": ", ".join(taken),
        "train_arrays": "".join(f" {state}," for state in states),
        "begin_epoch": begin_epoch,
        "step_given": step_given,
        "placed_step": placed_step,
        "step_takes": step_takes,
        **(_lane_state(optimizer) if lanes else {"take_state": "", "keep_state": ""}),
        "count_apart": _COUNT_APART.format(_steps(optimizer)) if optimizer.step_state else "",
    }


def _state_arguments(optimizer: Optimizer) -> list[str]:
    return [
        *(["steps"] if optimizer.step_state else []),
        *(["state"] if optimizer.entry_state else []),
    ]


def _steps(optimizer: Optimizer) -> str:
    """Return the numbers that an optimiser counts, as a tuple."""
    each = [f'kept["{name}"]' for name in optimizer.step_state]
    return f"({', '.join(each)},)"


def _state_values(optimizer: Optimizer, *, team: bool) -> list[str]:
    """Return what training is given of the optimiser's arrays, in tuples."""
    values = []
    if optimizer.step_state:
        values.append("counted[member]" if team else _steps(optimizer))
    if optimizer.entry_state:
        each = [f'_of_parameters(kept, "{name}")' for name in optimizer.entry_state]
        values.append(f"({', '.join(each)},)")
    return values


def _check_state(states: list[str]) -> str:
    if states:
        return f"{INDENT}state, kept = _state(state, values)"
    return (
        f"{INDENT}if state:\n"
        f'{INDENT * 2}raise ValueError(f"state has {{sorted(state)}}; this optimiser keeps none, '
        'so expected {{}}")'
    )


def _lane_state(optimizer: Optimizer) -> dict[str, str]:
    if not optimizer.entry_state:
        return {"take_state": "", "keep_state": ""}
    names = tuple_text(optimizer.entry_state)
    take, keep = [f"{names} = state"], []
    for number, name in enumerate(optimizer.entry_state):
        row = kept_row(number)
        start = f"({row}) * LANES" if number else f"{row} * LANES"
        take.append(f"_take(room, {start}, *{name})")
        keep.append(f"_give(room, {start}, *{name})")
    return {
        "take_state": "".join(f"{INDENT}{line}\n" for line in take),
        "keep_state": "".join(f"\n{INDENT}{line}" for line in keep),
    }


def _state_text(optimizer: Optimizer) -> str:
    if not _state_arguments(optimizer):
        return "The optimiser's arrays. This one has none."
    names = [f'"{name}.W1", …' for name in optimizer.entry_state]
    names += [f'"{name}"' for name in optimizer.step_state]
    return (
        f"The optimiser's arrays, as `STATE` has them: {', '.join(names)}.\n"
        "        They are updated in place; an empty one is filled, and starts at 0. With it\n"
        "        `start` continues a run bit for bit."
    )


def keyword_text(options: tuple[str, ...], schedule: str) -> str:
    """Return what the docstring of ``train`` says of an optimiser's numbers."""
    lines = []
    for name in options:
        option = OPTIONS[name]
        end = ", and below 1" if option.below == 1 else ""
        lines += [f"{name} : float", f"{INDENT}{option.meaning} From 0{end}."]
    if schedule != "constant":
        lines += [
            "schedule_epochs : int, optional",
            f"{INDENT}Epochs of the whole run, from epoch 0 on, over which the learning rate goes",
            f"{INDENT}from `eta` down; by default `start + epochs`.",
        ]
    return textwrap.indent("\n".join(lines), INDENT) + "\n" if lines else ""


def _check_options(options: tuple[str, ...], *, scheduled: bool) -> str:
    lines = ["exact_eta = float(eta)"]
    if scheduled:
        lines += [
            "if schedule_epochs is None:",
            f"{INDENT}schedule_epochs = start + epochs",
            'schedule_epochs = _whole("schedule_epochs", schedule_epochs, start + epochs)',
        ]
    checked = []
    for name in options:
        below = ", 1" if OPTIONS[name].below == 1 else ""
        checked.append(f'_option("{name}", {name}{below})')
    if scheduled:
        checked.append("float(max(schedule_epochs, 1))")
    lines += ["options = (", *(f"{INDENT}{line}," for line in checked), ")"]
    return textwrap.indent("\n".join(lines), INDENT) + "\n"
