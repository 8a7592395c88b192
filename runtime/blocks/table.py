"""Rows that stay where they are, of which any block can be read at any time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.data.source import refuse_extent

UNIT = 1 << 18  # entries that are looked at together; sums do not depend on anything else


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelColumn:
    """Labels that stay where they are.

    Attributes
    ----------
    where
        What messages call it.
    read
        Gives the labels of the rows from one to another: numbers (rows,) or (rows, k), or texts.
    place
        What messages call the label of a row, counted from 0.
    """

    where: str
    read: Callable[[int, int], NDArray[Any]]
    place: Callable[[int], str]


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockTable:
    """Inputs (rows, columns) that stay where they are, and their labels.

    Attributes
    ----------
    where
        What messages call it.
    rows, columns
        Its size.
    dtype
        Type of the numbers as they are stored.
    read
        Gives the rows from one to another, (rows, columns). The array is the caller's.
    place
        What messages call an input, by row and column counted from 0.
    labels
        None if it has none.
    names
        Names of the columns; empty if they have none.
    read_into
        Writes the rows from one on into an array (rows, columns) of `dtype`, in C order; None: that
        saves nothing.
    edges
        Where the blocks begin and end that can be read alone, from 0 to `rows`; None: any rows
        can.
    blocks
        What such blocks are called: ``row groups``, ``chunks``; and how smaller ones are had.
    """

    where: str
    rows: int
    columns: int
    dtype: np.dtype[Any]
    read: Callable[[int, int], NDArray[Any]]
    place: Callable[[int, int], str]
    labels: LabelColumn | None
    names: tuple[str, ...] = ()
    read_into: Callable[[int, NDArray[Any]], None] | None = None
    edges: NDArray[np.int64] | None = None
    blocks: tuple[str, str] = ("rows", "")

    def __post_init__(self) -> None:
        refuse_extent(self.rows, self.columns, self.where)

    @property
    def unit(self) -> int:
        """Rows that are looked at together."""
        return max(1, UNIT // self.columns)

    @property
    def largest(self) -> int:
        """Rows of the largest block that can only be read whole; 1 if any can be read."""
        return 1 if self.edges is None else int(np.diff(self.edges).max())

    def spans(self) -> Iterator[tuple[int, int]]:
        """Give the rows block by block, in their order."""
        if self.edges is None:
            for first in range(0, self.rows, self.unit):
                yield first, min(first + self.unit, self.rows)
        else:
            for first, last in zip(self.edges[:-1].tolist(), self.edges[1:].tolist(), strict=True):
                if last > first:
                    yield first, last


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockParts:
    """What was found in a place: a table, or one for training and one for test."""

    train: BlockTable
    test: BlockTable | None = None
