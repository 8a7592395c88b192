"""The order in which an epoch takes the blocks: at random, some at a time, shuffled together.

To read single rows at random takes a disk, or a decompression, for each. So blocks of rows are
taken in a random order, as many together as fit into a buffer, and the rows of a buffer are
shuffled. With n of N blocks in a buffer the error that is left beside a full shuffle shrinks with
(n - 1)/(N - 1), and with how alike the blocks are: theorem 1 of CorgiPile.

References
----------
L. Xu, S. Qiu, B. Yuan, J. Jiang, C. Renggli, S. Gan, K. Kara, G. Li, J. Liu, W. Wu, J. Ye,
C. Zhang: In-database machine learning with CorgiPile: stochastic gradient descent without full
data shuffle. SIGMOD 2022. doi:10.1145/3514221.3526150
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def buffers_of_epoch(
    counts: NDArray[np.int64], buffer: int, batch: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Return which blocks each buffer of an epoch holds.

    Everything depends on the seed and the epoch alone. Buffers are about equally full. If one
    holds all blocks they stay in their order, and the epoch is that of a set in memory.

    Parameters
    ----------
    counts
        Rows of each block.
    buffer, batch
        Rows that a buffer holds, less than `batch` of which may come from the one before.
    seed, epoch
        Draw the order.
    """
    blocks = np.flatnonzero(counts)
    if counts.sum() <= buffer:
        return [blocks]
    order = generator(seed, epoch).permutation(blocks)
    # buffers of one size: a small one at the end would be of few blocks, and the last to be learnt
    ends = np.cumsum(counts[order])
    number = -(-int(ends[-1]) // max(1, buffer - batch - int(counts.max())))
    wanted = np.arange(1, number) * int(ends[-1]) // number
    cuts = np.searchsorted(ends, wanted, side="right")
    return [group for group in np.split(order, cuts) if len(group)]


def seed_of_buffer(seed: int, epoch: int, number: int) -> int:
    """Return the seed that shuffles the rows of a buffer; the first has the run's own."""
    if number == 0:
        return seed
    return int(np.random.SeedSequence((seed, epoch, number)).generate_state(1, np.uint64)[0])


def set_aside(X: NDArray[Any], Y: NDArray[Any], number: int, rng: np.random.Generator) -> None:
    """Bring so many rows, drawn at random, to the end.

    They are what is left of a buffer when its batches are full, and begin the next one.
    """
    rows = len(X)
    drawn = np.sort(rng.choice(rows, number, replace=False, shuffle=False))
    low = drawn[drawn < rows - number]
    ends = np.setdiff1d(np.arange(rows - number, rows), drawn, assume_unique=True)
    for array in (X, Y):
        kept = array[low].copy()
        array[low] = array[ends]
        array[ends] = kept


def generator(*key: int) -> np.random.Generator:
    """Return a generator that some whole numbers decide."""
    # the bit generator by name, so that a new default in NumPy changes nothing here
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))
