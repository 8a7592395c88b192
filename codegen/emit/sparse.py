"""The products over inputs that are not 0: what the template of their functions leaves open."""

import textwrap
from collections.abc import Mapping

from codegen.emit.loop_lines import LANES
from codegen.emit.values import tuple_text
from codegen.kernel import Buffer

# Vectors of sums that stay in registers: 7 of 16 numbers, with what they are multiplied by,
# are what 16 registers of 256 bits, or half of 32 of 512, hold.
MOST_SUMS = {"float32": 7, "float64": 4}

# Of weights that are read together: about what the nearest cache holds, of 48 KiB here. In C,
# a product of MNIST's took 32 µs with as much, 38 with 28 KiB.
NEAR_BYTES = 50 * 1024

_NOTHING = dict.fromkeys(
    (
        "nonzeros_argument",
        "or_sparse",
        "begin_shared",
        "shared_sparse",
        "name_shared",
        "begin_sparse",
        "end_sparse",
        "sparse_batch",
        "sparse_block",
        "own_arguments",
        "own_values",
        "cut_block",
        "own_sparse",
        "name_own",
        "test_sparse",
        "sparse",
        "block_sparse",
        "keep_nonzeros",
        "find_nonzeros",
        "give_nonzeros",
        "no_nonzeros",
        "room_values",
        "place_sparse",
        "place_sparse_products",
        "placed_room",
        "placed_own",
    ),
    "",
) | {
    "room_arguments": "size, rest",
    "inputs": "",
    "rows_text": "",
    "data": "X",
    "test_data": "test_X",
}

_FIND = (
    'nonzeros = _once(reuse, "nonzeros", _nonzeros, X, sparse, ${batch_room}, members)',
    "test_nonzeros = _nonzeros(_some(test_X, slice(0)), sparse)",
    "if evaluate:",
    '    kind = "always" if nonzeros[0].size else "never"',
    "    test_nonzeros = _once(",
    '        reuse, "test_nonzeros", _nonzeros, test_X, kind, ${batch_room}, members',
    "    )",
    "is_sparse = nonzeros[0].size > 0",
    'data = _once(reuse, "inputs", _array, X, is_sparse)',
    'test_data = _once(reuse, "test_inputs", _array, test_X, is_sparse or not evaluate)',
)
_ROWS_TEXT = """\
        X also as compressed sparse rows: SciPy's `csr_array`, or anything with its `data`,
        `indices`, `indptr` and `shape`. Numbers of this module's type are not copied.
"""

_ONE_WAY = "This module multiplies by every input, whatever is asked for."
_TWO_WAYS = (
    "Whether the products over X run over the inputs that are not 0 alone: where these are\n"
    "        few, always, or never. What is computed is the same, but for rounding."
)


def sparse_placeholders(
    weights: Buffer | None,
    parameters: tuple[str, ...],
    gradient: str | None = None,
    states: tuple[str, ...] = (),
) -> Mapping[str, str]:
    """Return what is put into the templates for the first layer's weights, or for none.

    Where the optimiser needs the weights' `gradient` itself, that is kept by input too, and so
    are its `states`.
    """
    if weights is None:
        return _NOTHING | {"sparse_text": _ONE_WAY}
    units, inputs = map(int, weights.shape)
    size = 4 if weights.dtype == "float32" else 8
    vectors, together = _vectors(units, weights.dtype)
    last = 1 if vectors == together else f"v == VECTORS - {together}"  # read again until then
    # whole vectors of inputs, and no more than two words have bits for
    near = min(max(NEAR_BYTES // (vectors * LANES * size) // LANES, 1) * LANES, 128)
    name, by_input = weights.name, f"{weights.name}_by_input"
    beside = [f"{state}_{name}" for state in states]
    kept = [gradient, *beside] if gradient else []
    all_by_input = ", ".join(f"{each}_by_input" for each in (name, *kept))
    shared = [
        *(
            f"{each}_by_input = _room_for({inputs} * VECTORS if is_sparse else 0)"
            for each in (name, *kept)
        ),
        "totals = _room_for(members * size * VECTORS if is_sparse else 0)",
        "if is_sparse:",
        *(f"    _weights_by_input({each}, {each}_by_input)" for each in (name, *beside)),
    ]
    begin = [
        f"{', '.join(parameters)} = params",
        f"# sparse inputs are read where they are, and {name} is kept by input until an epoch ends",
        "is_sparse = nonzeros[0].size > 0",
    ]
    own = [
        "chosen = np.zeros(evaluated if is_sparse else 0, np.int64)",
        "sparse_room = _sparse_room(size if is_sparse else 0, totals, team)",
        "totals = _room_for(evaluated * VECTORS if is_sparse else 0)",
        "evaluating = _sparse_room(0, totals, (0, 1, np.zeros(LINE, np.int64)))",
    ]
    block = [
        "_choose(order, first, count, chosen)",
        f"block_sparse = nonzeros, (chosen, chosen[:0]), {by_input}, evaluating",
    ]
    give = [
        "if is_sparse:",
        f"    first_unit, end_unit = _share({name}.shape[0], 1, team)",
        *(
            f"    _weights_by_unit({each}_by_input, {each}, first_unit, end_unit)"
            for each in (name, *beside)
        ),
    ]
    by_step = f"({all_by_input})" if kept else by_input
    placed = [
        f'nonzeros = _nonzeros(np.zeros((0, {inputs}), T), "never")',
        f"sparse = nonzeros, (order, order), {by_step}, sparse_room",
        f"block_sparse = nonzeros, (order, order), {by_input}, evaluating",
    ]
    place = parameters.index(name)
    if beside:
        begin[1:1] = [f"{tuple_text(states)} = state"]
        begin[2:2] = [f"{each} = {s}[{place}]" for each, s in zip(beside, states, strict=True)]
    return {
        "sparse_text": _TWO_WAYS,
        "units": str(units),
        "last_input": str(inputs - 1),
        **_marking(inputs),
        "whole_units": str(units - units % LANES),
        "vectors": str(vectors),
        "row": str(vectors * LANES),
        "near": str(near),
        "product": _sums(
            vectors,
            together,
            "total[i, {v}]",
            [
                "for p in range(first, past):",
                "    k, x = np.uint64(columns[p]), values[p]",
                "    mark = np.uint64(1) << (k % np.uint64(WORD))",
                "    if k < np.uint64(WORD):",
                "        low |= mark",
                "    else:",
                "        high |= mark",
                "    {sum} += x * W[k, {v}]",
            ],
            "total[i, {v}] = {sum}",
            12,
        ),
        "step": _sums(
            vectors,
            together,
            "lanes(T(0))",
            [
                "word, of = low, np.uint64(first)",
                "if word == 0:",
                "    word, of = high, np.uint64(first + WORD)",
                "for _ in range(_ones(low) + _ones(high)):",
                "    i = of + _lowest(word)",
                "    word &= word - np.uint64(1)",
                "    if word == 0:  # at the end: at the start it would be a jump",
                "        word, of = high, np.uint64(first + WORD)",
                "    p = np.uint64(nexts[i])",
                f"    nexts[i] = p + np.uint64({last})",
                "    x = values[p]",
                "    {sum} += x * D[i, {v}]",
            ],
            "W[k, {v}] += rate * {sum}",
            20,
        ),
        "nonzeros_argument": " nonzeros, test_nonzeros,",
        "or_sparse": ", is_sparse",
        "room_arguments": ", ".join(["size, rest", name, *beside, "is_sparse, members"]),
        "room_values": ", ".join(
            [
                f", values[{place}]",
                *(f'kept["{state}.{name}"]' for state in states),
                "nonzeros[0].size > 0",
                "members",
            ]
        ),
        "begin_shared": textwrap.indent("\n".join(shared), " " * 4) + "\n",
        "shared_sparse": f", {all_by_input}, totals",
        "name_shared": f", {all_by_input}, _",
        "sparse_block": textwrap.indent("\n".join(block), " " * 8) + "\n",
        "test_sparse": f"{' ' * 8}nonzeros = test_nonzeros\n",
        "own_arguments": ", size, is_sparse, totals, team",
        "own_values": ", ${batch_room}, nonzeros[0].size > 0, shared[-1], (member, members, turns)",
        "cut_block": textwrap.indent("\n".join(own), " " * 4) + "\n",
        "own_sparse": ", chosen, sparse_room, evaluating",
        "name_own": ", chosen, sparse_room, evaluating",
        "begin_sparse": textwrap.indent("\n".join(begin), " " * 4) + "\n",
        "end_sparse": textwrap.indent("\n".join(give), " " * 8) + "\n",
        "sparse_batch": _batch("${batches}", by_step),
        "sparse": ", sparse",
        "block_sparse": ", block_sparse",
        "no_nonzeros": ", _no_nonzeros(X)",
        "place_sparse": textwrap.indent("\n".join(placed), " " * 4) + "\n",
        "place_sparse_products": f"if nonzeros[0].size:\n{' ' * 12}_place_sparse()\n{' ' * 8}",
        "placed_room": f", {', '.join([f'params[{place}]'] * (1 + len(beside)))}, False, 1",
        "placed_own": ", 0, False, _room_for(0), team",
        "find_nonzeros": textwrap.indent("\n".join(_FIND), " " * 8) + "\n",
        "give_nonzeros": " nonzeros, test_nonzeros,",
        "inputs": ", _inputs",
        "rows_text": _ROWS_TEXT,
        "data": "data",
        "test_data": "test_data",
        "keep_nonzeros": ", nonzeros, test_nonzeros, data, test_data",
    }


def _batch(batches: str, by_input: str) -> str:
    """Return the lines that say of a step which samples are its own, and which the next's."""
    lines = [
        "read = ${batch_count} if is_sparse else 0  # samples whose inputs are read where they are",
        f"sparse = nonzeros, {batches}, {by_input}, sparse_room",
    ]
    return textwrap.indent("\n".join(lines), " " * 12) + "\n"


def _marking(inputs: int) -> dict[str, str]:
    """Return up to where inputs are marked by groups, and the lines that mark those beyond."""
    if inputs % LANES == 0:
        return {"end_of_groups": "beyond", "mark_rest": ""}
    whole = inputs - inputs % LANES
    rest = [
        f"for k in range(first if first > {whole} else {whole}, beyond):",
        "    marks |= np.uint64(data[sample, k] != T(0)) << np.uint64(k - first)",
    ]
    return {
        "end_of_groups": f"_fewer(beyond, {whole})",
        "mark_rest": textwrap.indent("\n".join(rest), " " * 16) + "\n",
    }


def _vectors(units: int, dtype: str) -> tuple[int, int]:
    """Return how many vectors hold the units, and how many of them are summed together."""
    least = -(-units // LANES)
    turns = -(-least // MOST_SUMS[dtype])
    together = -(-least // turns)
    return turns * together, together


def _sums(vectors: int, together: int, begin: str, loop: list[str], result: str, depth: int) -> str:
    """Return the lines that sum some vectors in variables, and then the next ones.

    A line about one vector, ``{v}``, and its sum is repeated for each.
    """
    names = [f"sum{v}" for v in range(together)]
    places = [str(v) for v in range(together)]
    lines = []
    if vectors > together:
        lines.append(f"for v in range(0, VECTORS, {together}):")
        places = ["v", *(f"v + {v}" for v in range(1, together))]

    def repeated(line: str) -> list[str]:
        if "{sum}" not in line:
            return [line]
        return [line.format(v=v, sum=name) for name, v in zip(names, places, strict=True)]

    start = repeated("{sum} = " + begin)
    inner = [*start, *(each for line in [*loop, result] for each in repeated(line))]
    indent = "    " if vectors > together else ""
    return textwrap.indent("\n".join([*lines, *(indent + line for line in inner)]), " " * depth)
