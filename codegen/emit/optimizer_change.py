"""Where an optimiser's functions are called: what a step does once it has the gradients."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from codegen.emit.penalty import penalty_lines, penalty_sums, penalty_work
from codegen.emit.shards import adding_lines
from codegen.emit.values import tuple_text
from codegen.optimizer_programs import Optimizer

INDENT = "    "


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a kernel of loops does once it has the gradients.

    Attributes
    ----------
    arguments
        What it is given for that.
    by_input
        What is kept by input beside the weights, where inputs are sparse.
    work
        Lengths of the arrays that it needs beside its buffers, by name.
    head, lines
        Its first lines, which name the state, and its last.
    """

    arguments: tuple[str, ...]
    by_input: tuple[str, ...]
    work: Mapping[str, int]
    head: tuple[str, ...]
    lines: tuple[str, ...]


def change(
    optimizer: Optimizer,
    parameters: Mapping[str, tuple[int, ...]],
    gradients: Mapping[str, str],
    sparse_weights: str | None,
    *,
    penalty: bool = False,
    shards: bool = False,
) -> Change:
    """Return how a kernel of loops changes the parameters, once it has their gradients.

    A thread changes those rows of a parameter whose gradient it has computed, or the weights of
    its inputs where these are sparse. Before that all meet: the others may still read them.

    Parameters
    ----------
    parameters, gradients
        Shape of each parameter, and name of its gradient.
    sparse_weights
        The parameter that is kept by input where inputs are sparse, if one is.
    penalty
        Whether weights are decayed by an argument ``l2`` as well, whose share of the loss
        is then added: see `codegen.emit.penalty`.
    shards
        Whether the gradients are added up over the shards of a batch: see `codegen.emit.shards`.
    """
    states = optimizer.entry_state
    groups = [f"({', '.join(f'{kept}_{name}' for name in parameters)})" for kept in states]
    lines = adding_lines(gradients, parameters, sparse_weights) if shards else []
    clip = ""
    work = {}
    if optimizer.recipe.clips:
        clip = ", clip"
        work = {f"squares_{name}": shape[0] for name, shape in parameters.items()}
        if sparse_weights is not None:
            work[f"squares_{sparse_weights}"] = max(parameters[sparse_weights])
        lines.append("# the gradients of all parameters, as one vector, are clipped by its length")
        for name, shape in parameters.items():
            lines += _squares(name, gradients[name], shape, is_sparse=name == sparse_weights)
        first, *others = (f"_total({array})" for array in work)
        lines += ["_meet(team)", f"squares = {first}"]
        lines += [f"squares += {other}" for other in others]
        lines.append("clip = _clipping(squares, numbers)")
    else:
        if penalty:
            work = penalty_work(parameters, sparse_weights)
            lines += penalty_sums(parameters, sparse_weights)
        lines.append("_meet(team)")
        lines += penalty_lines(parameters, optimizer.numbers) if penalty else []
    lines.append(f"# {optimizer.recipe.title}, for this thread's rows of every parameter")
    for name, shape in parameters.items():
        arrays = [name, gradients[name], *(f"{kept}_{name}" for kept in states)]
        own = ", ".join(f"{array}[first:last].reshape(-1)" for array in arrays)
        lines.append(f"first, last = _share({name}.shape[0], 1, team)")
        numbers = "decaying" if penalty and len(shape) == 2 else "numbers"
        call = f"_update({own}, {numbers}{clip})"
        if name == sparse_weights:
            inputs = ", ".join(f"{array}_by_input[own]" for array in arrays)
            lines += [
                "if chosen.size:",
                f"{INDENT}own = slice(first_input * ROW, end_input * ROW)",
                f"{INDENT}_update({inputs}, {numbers}{clip})",
                "else:",
                f"{INDENT}{call}",
            ]
        else:
            lines.append(call)
    beside: list[str] = []
    if sparse_weights is not None:
        beside = [gradients[sparse_weights], *(f"{kept}_{sparse_weights}" for kept in states)]
    return Change(
        arguments=(
            *(["shards"] if shards else []),
            *(["l2"] if penalty else []),
            "numbers",
            *(["state"] if states else []),
        ),
        by_input=tuple(beside),
        work=work,
        head=(f"{tuple_text(groups)} = state",) if states else (),
        lines=tuple(lines),
    )


def _squares(name: str, gradient: str, shape: tuple[int, ...], *, is_sparse: bool) -> list[str]:
    """Return the lines that sum the squares of each row of a gradient, this thread's."""
    row = f"{gradient}[j]" if len(shape) == 2 else f"{gradient}[j : j + 1]"
    dense = [
        "for j in range(first, last):",
        f"{INDENT}squares_{name}[j] = _squares({row})",
    ]
    lines = [f"first, last = _share({gradient}.shape[0], 1, team)"]
    if not is_sparse:
        return lines + dense
    of_input = f"{gradient}_by_input[k * ROW : (k + 1) * ROW]"
    return [
        *lines,
        "if chosen.size:",
        f"{INDENT}for k in range(first_input, end_input):",
        f"{INDENT * 2}squares_{name}[k] = _squares({of_input})",
        "else:",
        *(INDENT + line for line in dense),
    ]


def lane_change(optimizer: Optimizer) -> str:
    """Return how a step of vectors changes the parameters, once it has their gradients."""
    clip = ""
    lines = []
    if optimizer.recipe.clips:
        clip = ", clip"
        lines = [
            "# the gradients of all parameters, as one vector, are clipped by its length",
            "clip = _clipping(_squares(memory), numbers)",
        ]
    lines.append(f"_update(memory, numbers{clip})")
    return textwrap.indent("\n".join(lines), INDENT)
