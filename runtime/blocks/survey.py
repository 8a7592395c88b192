"""One reading of data before training: what can be refused is refused here, and all is counted."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.blocks.column_statistics import ColumnStatistics
from runtime.blocks.holding_out import HeldOut, hold_out
from runtime.blocks.label_codes import LabelCodes, blocks_of, learn_labels
from runtime.blocks.streamed import Part, StreamedDataset
from runtime.blocks.table import BlockParts, BlockTable
from runtime.data.dataset import Dataset, Option
from runtime.data.options import DataOptions
from runtime.data.scaling import Scaling
from runtime.data.split import checked_fraction, held_out_counts
from runtime.errors import InputError

SAMPLE = 1_000  # rows of each part that are kept for pictures

Tell = Callable[[float], object]


def survey(
    name: str,
    parts: BlockParts,
    options: DataOptions,
    memory: int,
    more: Mapping[str, Option] | None = None,
    tell: Tell | None = None,
) -> StreamedDataset:
    """Read a set once, and return it, ready to be read block by block.

    Parameters
    ----------
    name
        What it is called.
    parts
        Where it is.
    options
        How it is to be read.
    memory
        What data may take, in bytes.
    more
        Further options to record.
    tell
        Called with the share that has been read.

    Raises
    ------
    InputError
        Naming the first thing that cannot be used.
    """
    train, test = parts.train, parts.test
    dtype = np.dtype(options.dtype or "float64")
    record: dict[str, Option] = {**(more or {}), "memory": memory}
    labels = learn_labels(train, options.aim)
    held, tested, tested_table = None, labels, train
    if test is None:
        fraction = checked_fraction(options.test_fraction)
        counts = held_out_counts(labels.sizes, fraction, train.where)
        codes = (labels.codes_of(b, first) for first, b in blocks_of(train, labels.column))
        held = hold_out(codes, labels.sizes, counts, options.data_seed)
        record["test_fraction"] = fraction
    else:
        if test.columns != train.columns:
            raise InputError(
                f"{test.where}: {test.columns} columns, and {train.where} has {train.columns}: "
                "training and test need the same inputs."
            )
        tested, tested_table = learn_labels(test, options.aim, labels.classes), test
        if tested.outputs != labels.outputs:
            raise InputError(
                f"{tested.column.where}: {tested.outputs} targets, and {labels.column.where} has "
                f"{labels.outputs}."
            )
    total = train.rows + (0 if test is None else test.rows)
    read_so_far = 0

    def report(rows: int) -> None:
        nonlocal read_so_far
        read_so_far += rows
        if tell is not None:
            tell(read_so_far / total)

    statistics = ColumnStatistics.of_nothing(train.columns) if options.scale != "none" else None
    chosen = 0 if held is None else held.chosen
    sample = _Sample(labels, dtype, held, (train.rows - chosen, chosen))
    sources = {"X": _read_inputs(train, statistics, sample, report), "y": labels.sha256}
    rest = sample if test is None else _Sample(tested, dtype, None, (0, test.rows))
    if test is not None:
        sources["X_test"] = _read_inputs(test, None, rest, report)
        sources["y_test"] = tested.sha256
    scaling = None if statistics is None else statistics.scaling(options.scale)
    if scaling is not None:
        record["scale"] = options.scale
    if train.names:
        record["columns"] = train.names
    train_part = Part(
        table=train, labels=labels, held=held, is_test=False, scaling=scaling, dtype=dtype
    )
    test_part = replace(train_part, table=tested_table, labels=tested, is_test=True)
    (X_train, Y_train), (X_test, Y_test) = sample.part(0, scaling), rest.part(1, scaling)
    few = Dataset(
        name=name,
        X_train=X_train,
        Y_train=Y_train,
        X_test=X_test,
        Y_test=Y_test,
        classes=labels.classes,
        grid=None,
        sources=sources,
        scaling=scaling,
        options=record,
    )
    return StreamedDataset(
        name=name,
        train=train_part,
        test=test_part,
        classes=labels.classes,
        sources=sources,
        scaling=scaling,
        options=record,
        memory=memory,
        sample=few,
    )


def refuse_unusable(
    table: BlockTable, first: int, block: NDArray[Any], dtype: np.dtype[Any]
) -> None:
    """Raise `InputError` for the first input of a block that is not finite in a type."""
    with np.errstate(over="ignore"):
        finite = np.isfinite(block.astype(dtype, copy=False))
    if finite.all():
        return
    row, column = (int(n) for n in np.unravel_index(int(finite.argmin()), finite.shape))
    place, value = table.place(first + row, column), float(block[row, column])
    if np.isfinite(value):
        raise InputError(f"{place}: {value} is too large for {dtype}. Use --dtype float64.")
    raise InputError(f"{place}: {value}, expected a finite number. Remove or replace such values.")


@final
class _Sample:
    """Takes rows of both parts, evenly spread, from what goes by."""

    def __init__(
        self,
        labels: LabelCodes,
        dtype: np.dtype[Any],
        held: HeldOut | None,
        sizes: tuple[int, int],
    ) -> None:
        """Prepare for parts of these sizes; without `held` one of them is 0."""
        self.labels, self.dtype, self.held = labels, dtype, held
        self.is_test = sizes[0] == 0
        wanted = [min(size, SAMPLE) for size in sizes]
        self.rows = [
            np.arange(n) * size // max(n, 1) for n, size in zip(wanted, sizes, strict=True)
        ]
        self.seen = [0, 0]
        self.found: list[list[tuple[NDArray[Any], NDArray[Any]]]] = [[], []]

    def add(self, first: int, block: NDArray[Any]) -> None:
        """Look at a block that begins at row `first`."""
        here = np.full(len(block), self.is_test)
        if self.held is not None:
            here = self.held.mask(first, first + len(block))
        Y: NDArray[Any] | None = None
        for part in (0, 1):
            rows = np.flatnonzero(here == part)
            begin = self.seen[part]
            self.seen[part] += len(rows)
            wanted = self.rows[part]
            at = wanted[(wanted >= begin) & (wanted < self.seen[part])] - begin
            if at.size:
                if Y is None:
                    Y = self.labels.matrix(first, first + len(block), self.dtype)
                self.found[part].append((block[rows[at]].astype(self.dtype), Y[rows[at]]))

    def part(self, number: int, scaling: Scaling | None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the rows of a part, scaled."""
        X = np.concatenate([some for some, _ in self.found[number]])
        if scaling is not None:
            scaling.apply(X)
        return X, np.concatenate([some for _, some in self.found[number]])


def _read_inputs(
    table: BlockTable,
    statistics: ColumnStatistics | None,
    sample: _Sample,
    report: Callable[[int], None],
) -> str:
    """Read all inputs, check them, and return their checksum; take training rows into account."""
    digest = sha256()
    for first, last in table.spans():
        block = table.read(first, last)
        for begin in range(0, len(block), table.unit):
            piece = block[begin : begin + table.unit]
            refuse_unusable(table, first + begin, piece, sample.dtype)
            if statistics is not None and sample.held is not None:
                is_test = sample.held.mask(first + begin, first + begin + len(piece))
                statistics.add(piece[~is_test])
            elif statistics is not None:
                statistics.add(piece)
        sample.add(first, block)
        digest.update(np.ascontiguousarray(block).data)
        report(last - first)
    return digest.hexdigest()


def checksum(table: BlockTable) -> str:
    """Return the SHA-256 of all inputs as they are stored, row by row."""
    digest = sha256()
    for first, last in table.spans():
        digest.update(np.ascontiguousarray(table.read(first, last)).data)
    return digest.hexdigest()
