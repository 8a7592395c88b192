"""Which rows are held out for test, drawn while the labels go by.

The rows of a class, in their order, are cut into as many stretches of equal length as rows of it
are wanted, and of every stretch one row is drawn. So each class is represented in its share, the
test part comes from all over the file, and nothing but a bit for each row has to be kept. Rows and
seed alone decide: neither the size of the blocks that are read nor that of memory does.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

_STEP = np.uint64(0x9E3779B97F4A7C15)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldOut:
    """A bit for each row: whether it is for test.

    Attributes
    ----------
    bits
        Eight rows a byte, the first in the highest bit.
    rows, chosen
        How many rows there are, and how many are for test.
    """

    bits: NDArray[np.uint8]
    rows: int
    chosen: int

    def mask(self, first: int, last: int) -> NDArray[np.bool_]:
        """Return for the rows from one to another whether they are for test."""
        start = first // 8
        bits = np.unpackbits(self.bits[start : (last + 7) // 8])
        return bits[first - 8 * start : last - 8 * start].view(np.bool_)


def hold_out(
    codes: Iterable[NDArray[np.int64]],
    sizes: NDArray[np.int64],
    wanted: NDArray[np.int64],
    seed: int,
) -> HeldOut:
    """Draw rows for test.

    Parameters
    ----------
    codes
        The class of each row, block by block.
    sizes, wanted
        Rows of each class, and how many of them are held out.
    seed
        Draws them.
    """
    rows = int(sizes.sum())
    bits = np.zeros(-(-rows // 8), np.uint8)
    seen = np.zeros(len(sizes), np.int64)
    key = _mixed(np.array([seed % 2**64], np.uint64) + _STEP)[0]
    start = 0
    for block in codes:
        ranks, counts = _ranks(block, len(sizes))
        row_of_class = seen[block] + ranks
        size, number = sizes[block], wanted[block]
        stretch = row_of_class * number // size
        first = -(-stretch * size // np.maximum(number, 1))
        last = -(-(stretch + 1) * size // np.maximum(number, 1))
        with np.errstate(over="ignore"):  # arithmetic modulo 2**64
            drawn = _mixed(
                key ^ _mixed(stretch.astype(np.uint64) * _STEP + block.astype(np.uint64))
            )
        at = first + (drawn % np.maximum(last - first, 1).astype(np.uint64)).astype(np.int64)
        chosen = start + np.flatnonzero((row_of_class == at) & (number > 0))
        np.bitwise_or.at(bits, chosen >> 3, (128 >> (chosen & 7)).astype(np.uint8))
        seen += counts
        start += len(block)
    return HeldOut(bits=bits, rows=rows, chosen=int(wanted.sum()))


def _ranks(codes: NDArray[np.int64], classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many rows of its class stand before each row, and how many each class has."""
    counts = np.bincount(codes, minlength=classes).astype(np.int64)
    order = np.argsort(codes, kind="stable")
    begin = np.cumsum(counts) - counts
    ranks = np.empty(len(codes), np.int64)
    ranks[order] = np.arange(len(codes)) - np.repeat(begin, counts)
    return ranks, counts


def _mixed(x: NDArray[Any]) -> NDArray[np.uint64]:
    """Return 64 well mixed bits of each x (SplitMix64: G. L. Steele, D. Lea, C. H. Flood, 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)), np.uint64)
