"""The products over inputs that are not 0: what the template of their functions leaves open."""

import textwrap
from collections.abc import Mapping

from codegen.emit.loops import LANES
from codegen.kernel import Buffer

# Vectors of sums that stay in registers: 7 of 16 numbers, with what they are multiplied by,
# are what 16 registers of 256 bits, or half of 32 of 512, hold.
MOST_SUMS = {"float32": 7, "float64": 4}

# Of weights that are read together: about what the nearest cache holds, of 48 KiB here. For
# MNIST a step took 107 µs, 127 with 28 KiB, and 107 with 70.
NEAR_BYTES = 50 * 1024

_NOTHING = dict.fromkeys(
    (
        "nonzeros_argument",
        "begin_sparse",
        "end_sparse",
        "sparse_batch",
        "sparse_last",
        "sparse",
        "give_nonzeros",
    ),
    "",
)


_ONE_WAY = "This module multiplies by every input, whatever is asked for."
_TWO_WAYS = (
    "Whether the products over X run over the inputs that are not 0 alone: where these are\n"
    "        few, always, or never. What is computed is the same, but for rounding."
)


def sparse_placeholders(weights: Buffer | None, parameters: tuple[str, ...]) -> Mapping[str, str]:
    """Return what is put into the templates for the first layer's weights, or for none."""
    if weights is None:
        return _NOTHING | {"sparse_text": _ONE_WAY}
    units, inputs = map(int, weights.shape)
    size = 4 if weights.dtype == "float32" else 8
    vectors, together = _vectors(units, weights.dtype)
    # whole vectors of inputs, and no more than a byte can count
    near = min(max(NEAR_BYTES // (vectors * LANES * size) // LANES, 1), 16) * LANES
    name, by_input = weights.name, f"{weights.name}_by_input"
    begin = [
        f"{', '.join(parameters)} = params",
        f"# sparse inputs are read where they are, and {name} is kept by input until an epoch ends",
        "room = _sparse_room(size if nonzeros[0].size else 0)",
        f"{by_input} = _room_for({inputs} * VECTORS if nonzeros[0].size else 0)",
        "sparse_size, sparse_rest = 0, 0  # how many samples of a batch are sparse: none, or all",
        "if nonzeros[0].size:",
        "    sparse_size, sparse_rest = size, rest",
        "    X, last_X = X[:0], last_X[:0]",
        f"    _weights_by_input({name}, {by_input})",
    ]
    give = [
        "if sparse_size:",
        f"    _weights_by_unit({by_input}, {name})",
    ]
    return {
        "sparse_text": _TWO_WAYS,
        "units": str(units),
        "whole_inputs": str(inputs - inputs % LANES),
        "whole_units": str(units - units % LANES),
        "vectors": str(vectors),
        "row": str(vectors * LANES),
        "near": str(near),
        "blocks": str(-(-inputs // near)),
        "product": _sums(
            vectors,
            together,
            "total[i, {v}]",
            [
                "for p in range(starts[start], starts[start + 1]):",
                "    k = np.int64(columns[p])",
                "    x = values[p]",
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
                "for part in range(0, width - LANES, 64):",
                "    left = _not_0(batch, k * width + part)",
                "    while left:",
                "        i = part + _lowest(left)",
                "        left &= left - np.uint64(1)",
                "        x = batch[k * width + i]",
                "        {sum} += x * D[first + i, {v}]",
            ],
            "W[k, {v}] += rate * {sum}",
            16,
        ),
        "nonzeros_argument": " nonzeros,",
        "begin_sparse": textwrap.indent("\n".join(begin), " " * 4) + "\n",
        "end_sparse": textwrap.indent("\n".join(give), " " * 8) + "\n",
        "sparse_batch": _batch("sparse_size", by_input),
        "sparse_last": _batch("sparse_rest", by_input),
        "sparse": ", sparse",
        "give_nonzeros": " _nonzeros(X, sparse),",
    }


def _batch(size: str, by_input: str) -> str:
    """Return the line that says of a step which samples are its own, and which the next's."""
    batches = f"_batches(order, first, {size})"
    return f"{' ' * 12}sparse = nonzeros, {batches}, {by_input}, room\n"


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
