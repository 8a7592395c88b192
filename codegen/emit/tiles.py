"""The products of our own: how large the tiles are in which they are computed."""

from collections.abc import Mapping
from itertools import pairwise

# Of 32 registers, as many vectors of sums as are busy while others are on their way: a
# multiply-add takes 4 cycles, and two begin in each. More rows share what is read.
ROWS = range(8, 13)
VECTORS = {"float32": 2, "float64": 1}  # of 16 numbers each: at most 24 registers of sums


def tile_placeholders(sizes: tuple[int, ...], dtype: str) -> Mapping[str, str]:
    """Return how many rows and vectors a tile has, for layers of these sizes."""
    return {"tile_rows": str(tile_rows(sizes)), "tile_vectors": str(VECTORS[dtype])}


def tile_rows(sizes: tuple[int, ...]) -> int:
    """Return with how many rows a tile computes the least in vain; the fewest of equal ones.

    Each layer is multiplied three times: forward and for the weights over its units, and back
    over those of the layer before, which the first does not need.
    """

    def work(rows: int) -> int:
        def covered(units: int) -> int:
            return -(-units // rows) * rows

        forward = sum(2 * covered(units) * before for before, units in pairwise(sizes))
        return forward + sum(covered(before) * units for before, units in pairwise(sizes[1:]))

    return min(ROWS, key=work)
