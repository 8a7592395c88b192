"""Training shared by several processes, each with a shard of every batch.

``train`` is given which shard is its own, of how many, and a function that adds an array up over
all of them. It calls that once a step, with one contiguous array: the gradients of all parameters,
and a last number that tells whether a process asks for an end. The weight of a sample is its share
of the whole batch, so that the sums over the shards are the gradients over the batch, whatever
sizes the shards have; a penalty on the weights counts in each shard as its samples weigh
(`derive.network`). The optimiser then makes one and the same step everywhere.

Evaluation is shared by blocks of samples, whose figures are added up once an epoch.
"""

import textwrap
from collections.abc import Mapping
from math import prod

INDENT = "    "

_ROOM = f"""\
{INDENT}parts, test_parts = (
{INDENT * 2}np.zeros((-(-of.shape[0] // EVALUATED) if evaluate else 0, 3)) for of in (X, test_X)
{INDENT})
"""

NO_SHARDS = dict.fromkeys(
    (
        "shard_taken",
        "whole_block",
        "shards_argument",
        "begin_shards",
        "shard_given",
        "batch_shard",
        "clear_figures",
        "sum_figures",
        "make_buffer",
        "give_shards",
        "raise_failure",
    ),
    "",
) | {
    "gathered": "_fewer(i, count - 1)",
    "gathered_count": "count",
    "batch_room": "size",
    "batch_count": "count",
    "shard_begin": "",
    "batches": "_batches(order, first, read)",
    "everyone": "team",
    "request": "_load(stop)",
    "make_parts": _ROOM,
    "held_by": "size, X.shape[0] % size",
}

_KEYWORD_TEXT = f"""\
{INDENT}shard, shards : int
{INDENT * 2}Which shard of each batch is this process', counted from 0, and of how many.
{INDENT}reduce : callable, optional
{INDENT * 2}Given an array, replaces it in place by its sum over all shards, the same for all. It is
{INDENT * 2}called in the thread that trains: in each step once, with all gradients, and after an
{INDENT * 2}epoch that is evaluated. All processes must give the same data, numbers and parameters.
{INDENT * 2}If one stops, all do, after the same epoch. What it raises, `train` does after the
{INDENT * 2}epoch, and the parameters are then of no use.
"""

_CHECK = f"""\
{INDENT}shards = _whole("shards", shards, 1)
{INDENT}shard = _whole("shard", shard, 0)
{INDENT}if shard >= shards:
{INDENT * 2}raise ValueError(f"shard is {{shard}}; expected less than shards, {{shards}}")
{INDENT}if shards > 1 and not callable(reduce):
{INDENT * 2}raise ValueError(f"reduce is {{reduce!r}}; expected a function that adds an array up")
"""

_PARTS = f"""\
{INDENT}counts = [-(-of.shape[0] // EVALUATED) if evaluate else 0 for of in (X, test_X)]
{INDENT}figures = np.zeros(3 * sum(counts))
{INDENT}parts, test_parts = np.split(figures.reshape(-1, 3), counts[:1])
{INDENT}held = _shard_room(size, shard, shards)
{INDENT}failures = []
"""


def shards_placeholders(
    values: Mapping[str, str],
    parameters: Mapping[str, tuple[int, ...]],
    sparse_weights: str | None,
) -> dict[str, str]:
    """Return the changes of what is put into the templates, for training shared by processes."""
    sizes = {name: prod(shape) for name, shape in parameters.items()}
    entries = str(sum(sizes.values()) + 1)
    if sparse_weights is not None:
        others = sum(size for name, size in sizes.items() if name != sparse_weights) + 1
        inputs = parameters[sparse_weights][1]
        entries = f"{inputs} * ROW + {others} if nonzeros[0].size else {entries}"
    buffer = [
        f"buffer = np.zeros({entries}, T)",
        "add_up = _adding(reduce, (buffer, figures), progress, failures)",
        "address = ctypes.cast(add_up, ctypes.c_void_p).value",
        "of_all = (shard, shards, turns, address, buffer, progress), add_up",
    ]
    begin = [
        "shard, of, turns, address, buffer, _ = shards",
        "everyone = shard * team[1] + team[0], of * team[1], team[2]",
    ]
    summed = ["if figures.size and of > 1:", f"{INDENT}_call(address, 1)"]
    clear = ["if team[0] == 0:", f"{INDENT}figures[:] = 0.0"]
    of_batch = ["at, here = _shard(count, shards)", "held = max(here, 1)"]
    following = "order[first + at + count : first + at + count + read]"
    return {
        "keywords": f"{values['keywords']}{INDENT}shard=0,\n{INDENT}shards=1,\n"
        f"{INDENT}reduce=None,\n",
        "keyword_text": values["keyword_text"] + _KEYWORD_TEXT,
        "check_options": values["check_options"] + _CHECK,
        "step_given": f"shards, {values['step_given']}",
        "placed_step": "(0, 1, turns, 0, np.zeros(1, T), turns), " + values["placed_step"],
        "place_own": f"{INDENT}turns = np.zeros(LINE, np.int64)\n{values['place_own']}",
        "shard_taken": ", at, here",
        "gathered": "at + max(0, min(i, here - 1))",
        "gathered_count": "here",
        "whole_block": ", np.int64(0), count",
        "shards_argument": " shards, figures,",
        "begin_shards": textwrap.indent("\n".join(begin), INDENT) + "\n",
        "batch_room": "held",
        "batch_count": "held",
        "batch_shard": textwrap.indent("\n".join(of_batch), INDENT * 3) + "\n",
        "shard_given": ", at, here",
        "shard_begin": "at + ",
        "batches": f"(order[first + at : first + at + read], {following})",
        "clear_figures": textwrap.indent("\n".join(clear), INDENT * 2) + "\n",
        "sum_figures": textwrap.indent("\n".join(summed), INDENT * 3) + "\n",
        "everyone": "everyone",
        "request": "np.int64(buffer[-1] > T(0))",
        "make_parts": _PARTS,
        "held_by": "held, _shard_room(X.shape[0] % size, shard, shards)",
        "make_buffer": textwrap.indent("\n".join(buffer), INDENT * 2) + "\n",
        "keep_nonzeros": f"{values['keep_nonzeros']}, of_all",
        "give_shards": " of_all[0], figures,",
        "raise_failure": f"{INDENT * 2}if failures:\n{INDENT * 3}raise failures[0]\n",
    }


def adding_lines(
    gradients: Mapping[str, str],
    parameters: Mapping[str, tuple[int, ...]],
    sparse_weights: str | None,
) -> list[str]:
    """Return the lines of a step that replace the gradients by their sums over all shards."""
    parts = {}
    begin = []
    for name, gradient in gradients.items():
        parts[name] = f"{gradient}.reshape(-1)"
        if name == sparse_weights:
            parts[name] = f"{gradient}_part"
            begin += [
                "if chosen.size:",
                f"{INDENT}{gradient}_part = {gradient}_by_input[: {parameters[name][1]} * ROW]",
                "else:",
                f"{INDENT}{gradient}_part = {gradient}.reshape(-1)",
            ]
    places = ["0", *["place"] * (len(parts) - 1)]
    return [
        "# every shard's gradients, added up; the last number tells whether one asks for an end",
        "_meet(team)",
        "_, of, _, address, buffer, progress = shards",
        "if team[0] == 0:",
        *(
            INDENT + line
            for line in [
                *begin,
                *(
                    f"place = _put_part(buffer, {place}, {part})"
                    for place, part in zip(places, parts.values(), strict=True)
                ),
                "buffer[place] = T(_load(progress.ctypes.data + 8))",
                "if of > 1:",
                f"{INDENT}_call(address, 0)",
                *(
                    f"place = _take_part(buffer, {place}, {part})"
                    for place, part in zip(places, parts.values(), strict=True)
                ),
            ]
        ),
        "_meet(team)",
    ]
