"""A data set of which a part at a time is in memory."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.blocks.holding_out import HeldOut
from runtime.blocks.label_codes import LabelCodes
from runtime.blocks.memory import Plan, make_plan
from runtime.blocks.table import BlockTable
from runtime.data.dataset import Dataset, Option
from runtime.data.scaling import Scaling
from runtime.data.sparse_rows import ArrayInTurn, Inputs, InTurn, RowsInTurn, most_kept
from runtime.errors import InputError

Array = NDArray[np.floating[Any]]
Pair = tuple[Array, Array]  # inputs, targets


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """The training part of a table, the test part, or all of it.

    Attributes
    ----------
    table, labels
        Where it comes from.
    held
        Which rows are for test; None: the whole table is this part.
    is_test
        Which of the two this part is.
    scaling
        How its inputs are scaled.
    dtype
        The type that it is given in.
    """

    table: BlockTable
    labels: LabelCodes
    held: HeldOut | None
    is_test: bool
    scaling: Scaling | None
    dtype: np.dtype[Any]

    @property
    def rows(self) -> int:
        """How many there are."""
        if self.held is None:
            return self.table.rows
        return self.held.chosen if self.is_test else self.table.rows - self.held.chosen

    def mask(self, first: int, last: int) -> NDArray[np.bool_] | None:
        """Return which rows of a block belong to it; None: all."""
        if self.held is None:
            return None
        held = self.held.mask(first, last)
        return held if self.is_test else ~held

    def counts(self, edges: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many of its rows each block has."""
        sizes = np.diff(edges)
        if self.held is None:
            return sizes
        ends = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        held = np.array([np.count_nonzero(self.held.mask(a, b)) for a, b in ends], np.int64)
        return held if self.is_test else sizes - held

    def fill(self, first: int, last: int, to: Pair, rest: Pair | None = None) -> int:
        """Write its rows among those from `first` to `last` to the beginning of X and Y.

        Parameters
        ----------
        first, last
            Rows of the table.
        to
            X and Y.
        rest
            Takes the rows of the table that are not of this part; None: nobody wants them.

        Returns
        -------
        int
            How many of them are of this part.
        """
        mask = self.mask(first, last)
        targets = self.labels.matrix(first, last, self.dtype)
        places = [(to, None if mask is None else np.flatnonzero(mask))]
        if rest is not None and mask is not None:
            places.append((rest, np.flatnonzero(~mask)))
        step = self.table.unit if self.table.edges is None else last - first
        direct = mask is None and self.table.read_into and self.table.dtype == self.dtype
        for begin in range(0, last - first, step):  # a piece stays in the processor's cache
            end = min(begin + step, last - first)
            if direct and self.table.read_into:
                self.table.read_into(first + begin, to[0][begin:end])
                continue
            raw = self.table.read(first + begin, first + end)
            for (X, _), rows in places:
                here = slice(begin, end)
                if rows is not None:
                    here = slice(*np.searchsorted(rows, [begin, end]).tolist())
                chosen = None if rows is None else rows[here] - begin
                _put(raw, chosen, X[here])
        for (X, Y), rows in places:
            count = last - first if rows is None else len(rows)
            if self.scaling is not None:
                self.scaling.apply(X[:count])
            Y[:count] = targets if rows is None else targets[rows]
        return last - first if mask is None else int(np.count_nonzero(mask))

    def blocks(self) -> Iterator[tuple[Array, Array]]:
        """Give all of its rows in their order, block by block."""
        for first, last in self.table.spans():
            X = np.empty((last - first, self.table.columns), self.dtype)
            Y = np.empty((last - first, self.labels.outputs), self.dtype)
            if count := self.fill(first, last, (X, Y)):
                yield X[:count], Y[:count]


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class StreamedDataset:
    """Samples and their targets, read block by block; what is not told is as in `Dataset`.

    Attributes
    ----------
    name, classes, sources, scaling, options
        As in `Dataset`. The checksums are of the numbers as they are stored, row by row.
    train, test
        The two parts.
    memory
        What data may take, in bytes.
    sample
        A few rows of each part, evenly spread, for pictures.
    """

    name: str
    train: Part
    test: Part
    classes: tuple[str | int, ...]
    sources: Mapping[str, str]
    scaling: Scaling | None
    options: Mapping[str, Option]
    memory: int
    sample: Dataset

    def __repr__(self) -> str:
        return (
            f"StreamedDataset({self.name}: {self.train_rows} + {self.test_rows} samples, "
            f"{self.input_text}, {self.target_text}, {self.train.dtype})"
        )

    @property
    def is_regression(self) -> bool:
        """Whether the targets are numbers to come close to, not classes."""
        return not self.classes

    @property
    def input_text(self) -> str:
        """How many inputs there are, for a message."""
        return self.sample.input_text

    @property
    def target_text(self) -> str:
        """What the targets are, for a message."""
        return self.sample.target_text

    @property
    def train_rows(self) -> int:
        """Training samples."""
        return self.train.rows

    @property
    def test_rows(self) -> int:
        """Test samples."""
        return self.test.rows

    @property
    def inputs(self) -> int:
        """Columns of the inputs."""
        return self.train.table.columns

    @property
    def outputs(self) -> int:
        """Columns of the targets."""
        return self.train.labels.outputs

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that it is trained in."""
        return self.train.dtype

    @property
    def plan(self) -> Plan:
        """How it goes through memory.

        Raises
        ------
        InputError
            If there is too little.
        """
        table, test = self.train.table, self.test.table
        return make_plan(
            memory=self.memory,
            where=table.where,
            rows=max(table.rows, test.rows),
            row_bytes=self.dtype.itemsize * (self.inputs + self.outputs),
            stored_bytes=max(table.dtype.itemsize, self.dtype.itemsize) * self.inputs,
            natural=table.edges,
            largest=max(table.largest, test.largest),
            blocks=table.blocks,
        )

    def refuse_batch(self, batch: int) -> None:
        """Raise `InputError` if batches are too large for the buffers."""
        buffer = self.plan.buffer
        if self.train_rows > buffer < 4 * batch:
            raise InputError(
                f"--batch: {batch} rows are too many for buffers of {buffer}. Use smaller batches, "
                "or give more --memory."
            )

    @property
    def fits(self) -> bool:
        """Whether all of it may be in memory."""
        row = (self.inputs + self.outputs) * self.dtype.itemsize
        return (self.train_rows + self.test_rows) * row <= self.memory

    def blocks(self, part: str) -> Iterator[tuple[Array, Array]]:
        """Give the samples of ``"train"`` or ``"test"``, block by block."""
        return (self.train if part == "train" else self.test).blocks()

    def in_memory(self, sparse: str = "never") -> Dataset:
        """Return the same set with all of its samples in memory, `sparse` as in `DataOptions`.

        Raises
        ------
        InputError
            If a scaled input is beyond the type.
        """
        X_train, Y_train = self._whole(self.train, sparse)
        X_test, Y_test = self._whole(self.test, sparse)
        return Dataset(
            name=self.name,
            X_train=X_train,
            Y_train=Y_train,
            X_test=X_test,
            Y_test=Y_test,
            classes=self.classes,
            grid=None,
            sources=self.sources,
            scaling=self.scaling,
            options=self.options,
        )

    def _whole(self, part: Part, sparse: str) -> tuple[Inputs, Array]:
        """Return all inputs and targets of a part."""
        most = most_kept(sparse, part.rows, self.inputs, part.dtype)
        found = None
        if most:
            found = self._read(part, RowsInTurn(part.rows, self.inputs, part.dtype, most))
        found = found or self._read(part, ArrayInTurn(part.rows, self.inputs, part.dtype))
        assert found is not None
        return found

    def _read(self, part: Part, X: InTurn) -> tuple[Inputs, Array] | None:
        """Return all inputs and targets of a part; None: there was too little room for X."""
        Y = np.empty((part.rows, self.outputs), part.dtype)
        at = 0
        for some_X, some_Y in part.blocks():
            begin, at = at, at + len(some_X)
            if at > part.rows:
                break
            if not X.put(begin, slice(None), some_X):
                return None
            Y[begin:at] = some_Y
        if at != part.rows:
            raise InputError(f"{self.name}: it was changed while it was read. Start again.")
        return X.all(), Y


def _put(raw: NDArray[Any], rows: NDArray[np.intp] | None, to: Array) -> None:
    """Write rows of a block, or all of it, to an array of another type perhaps."""
    with np.errstate(over="ignore"):  # such values were refused by the survey
        if rows is None:
            to[...] = raw
        elif raw.dtype == to.dtype:
            np.take(raw, rows, axis=0, out=to, mode="clip")  # "raise" would copy it twice
        else:
            to[...] = raw[rows]


AnyDataset = Dataset | StreamedDataset
