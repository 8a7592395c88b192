"""Which rows are held out for test: the same ones for the same seed."""

import math

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError

TEST_FRACTION = 0.2


def checked_fraction(value: float | None) -> float:
    """Return the share of the rows to hold out, or the default for None.

    Raises
    ------
    InputError
        If it does not lie between 0 and 1.
    """
    if value is None:
        return TEST_FRACTION
    if isinstance(value, bool) or not math.isfinite(value) or not 0 < value < 1:
        raise InputError(f"test_fraction: {value}. Expected a number between 0 and 1, such as 0.2.")
    return float(value)


def held_out(
    rows: int, codes: NDArray[np.int64] | None, fraction: float, seed: int, where: str
) -> NDArray[np.bool_]:
    """Return which rows are for test.

    Parameters
    ----------
    rows
        How many there are.
    codes
        The class of each row, from 0: each class is then represented in both parts as in
        the whole, to the nearest row (largest remainders), and keeps a row for training.
        None: the rows are drawn without regard to anything.
    fraction
        Share of the rows to hold out, as `checked_fraction` gives it.
    seed
        Draws them.
    where
        What messages call the data.

    Raises
    ------
    InputError
        If one of the parts would be empty.
    """
    groups = [np.arange(rows)]
    if codes is not None:
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes))
        groups = [group for group in np.split(order, ends[:-1]) if len(group)]
    counts = held_out_counts(np.array([len(group) for group in groups]), fraction, where)
    # the bit generator by name, so that a new default in NumPy changes nothing here
    rng = np.random.Generator(np.random.PCG64(seed))
    chosen = np.zeros(rows, np.bool_)
    for group, count in zip(groups, counts, strict=True):
        chosen[rng.permutation(group)[:count]] = True
    return chosen


def held_out_counts(sizes: NDArray[np.int64], fraction: float, where: str) -> NDArray[np.int64]:
    """Return how many rows of each class are held out, by largest remainders.

    Parameters
    ----------
    sizes
        Rows of each class; one number where classes do not matter.
    fraction, where
        As for `held_out`.

    Raises
    ------
    InputError
        If one of the parts would be empty.
    """
    rows = int(sizes.sum())
    shares = fraction * sizes
    counts = np.floor(shares).astype(np.int64)
    most = np.maximum(sizes - 1, 0)
    wanted = min(max(1, round(fraction * rows)), int(most.sum()))
    # the largest remainders first; among equal ones the larger class
    for group in np.lexsort([-most, counts - shares]):
        if counts.sum() < wanted and counts[group] < most[group]:
            counts[group] += 1
    if not 0 < counts.sum() < rows:
        raise InputError(
            f"{where}: {rows} rows are too few to hold some out for test. Give more, or a test "
            "part of its own."
        )
    return np.asarray(counts, np.int64)
