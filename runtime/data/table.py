"""Rows of inputs with their labels, read piece by piece straight into their places.

A table knows its size and its labels before a single input is read. So the split is drawn
first, both parts are allocated once in the type of the training, and every piece is
converted, checked and written to where it belongs: the inputs are in memory once.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.data.dataset import Dataset, Option
from runtime.data.labels import Labels, targets_of
from runtime.data.options import DataOptions
from runtime.data.scaling import fit_scaling
from runtime.data.source import refuse_extent, refuse_unbearable
from runtime.data.sparse_rows import (
    ArrayInTurn,
    Columns,
    Inputs,
    InTurn,
    RowsInTurn,
    SparseRows,
    as_array,
    most_kept,
)
from runtime.data.split import checked_fraction, held_out
from runtime.errors import InputError

Piece = tuple[slice, Columns, NDArray[Any]]
_BLOCK = 1 << 16  # entries of a piece of an array


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Inputs (rows, columns) that are still where they come from, and their labels.

    Attributes
    ----------
    where
        What messages call it: ``iris.csv``, ``set.npz: Xtrain``.
    rows, columns
        Its size.
    pieces
        Reads the inputs: gives (rows, columns, numbers) until all were given.
    place
        What messages call an input, by row and column counted from 0.
    labels
        One for each row; None if it has none.
    names
        Names of the columns; empty if they have none.
    is_given_away
        Whether `pieces` cannot be read again, since each is gone when the next is given.
    """

    where: str
    rows: int
    columns: int
    pieces: Callable[[], Iterator[Piece]]
    place: Callable[[int, int], str]
    labels: Labels | None
    names: tuple[str, ...] = ()
    is_given_away: bool = False

    def __post_init__(self) -> None:
        refuse_extent(self.rows, self.columns, self.where)
        if self.labels is not None and len(self.labels) != self.rows:
            raise InputError(
                f"{self.labels.where}: {len(self.labels)} labels for the {self.rows} rows of "
                f"{self.where}: every sample needs one label. Check that both belong together."
            )


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """What a file holds: a table, or one for training and one for test.

    Attributes
    ----------
    train
        The training part, or everything.
    test
        The test part, if the file has one.
    sources
        SHA-256 by file name.
    """

    train: Table
    test: Table | None
    sources: Mapping[str, str]


def array_table(
    where: str,
    X: Any,
    labels: Labels | None,
    as_array: Callable[[Any], NDArray[Any]] = np.asarray,
) -> Table:
    """Return a table of an array (rows, ...) that is in memory already.

    Or of another thing (rows, columns), of some rows of which `as_array` makes an array.
    """
    if isinstance(X, np.ndarray):
        X = X.reshape(len(X), -1) if X.ndim > 1 and len(X) else np.atleast_2d(X.T).T
    if X.dtype.kind not in "fiub":
        raise InputError(f"{where}: holds {X.dtype}, expected real numbers.")

    def pieces() -> Iterator[Piece]:
        step = max(1, _BLOCK // columns)
        for first in range(0, count, step):
            rows = slice(first, min(first + step, count))
            yield rows, slice(None), as_array(X[rows])

    def place(row: int, column: int) -> str:
        return f"{where}, row {row}, column {column} (counted from 0)"

    count, columns = X.shape
    return Table(
        where=where, rows=count, columns=columns, pieces=pieces, place=place, labels=labels
    )


def number_labels(where: str, y: NDArray[Any]) -> Labels:
    """Return the labels in an array of numbers (rows,) or (rows, k)."""

    def place(row: int) -> str:
        return f"{where}, row {row} (counted from 0)"

    y = y.reshape(len(y), -1) if y.ndim > 1 and len(y) else y
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    return Labels(
        numbers=y.astype(np.int64) if y.dtype.kind == "b" else y, where=where, place=place
    )


def read_inputs(table: Table, dtype: np.dtype[Any]) -> NDArray[np.floating[Any]]:
    """Return all inputs of a table.

    Raises
    ------
    InputError
        If one is not finite, or too large for the type.
    """
    return as_array(inputs_of(table, dtype, "never"))


def dataset_of(
    name: str, parts: Parts, options: DataOptions, more: Mapping[str, Option] | None = None
) -> Dataset:
    """Return the data set that is in a file: split if it has no test part, and scaled.

    Parameters
    ----------
    name
        What it is called.
    parts
        What the file holds.
    options
        How it is to be read.
    more
        Further options to record.

    Raises
    ------
    InputError
        If there are no labels, or something is wrong with them, with an input or an option.
    """
    train, test = parts.train, parts.test
    if train.labels is None or (test is not None and test.labels is None):
        raise InputError(f"{train.where}: there are no labels. Expected one for each row.")
    dtype = np.dtype(options.dtype or "float64")
    record: dict[str, Option] = dict(more or {})
    targets = targets_of(train.labels, options.aim)
    one_output = options.aim.outputs == 1
    sparse = options.sparse if options.scale == "none" else "never"  # 0 would be another number
    if test is not None and test.labels is not None:
        if test.columns != train.columns:
            raise InputError(
                f"{test.where}: {test.columns} columns, and {train.where} has {train.columns}: "
                "training and test need the same inputs."
            )
        tested = targets_of(test.labels, options.aim, targets.classes or None)
        X_train, X_test = (inputs_of(part, dtype, sparse) for part in (train, test))
        Y_train = targets.matrix(None, dtype, one_output=one_output)
        Y_test = tested.matrix(None, dtype, one_output=one_output)
    else:
        fraction = checked_fraction(options.test_fraction)
        chosen = held_out(train.rows, targets.codes, fraction, options.data_seed, train.where)
        X_train, X_test = _parted(train, chosen, dtype, sparse)
        Y_train = targets.matrix(~chosen, dtype, one_output=one_output)
        Y_test = targets.matrix(chosen, dtype, one_output=one_output)
        record["test_fraction"] = fraction
    scaling = None
    if not isinstance(X_train, SparseRows) and not isinstance(X_test, SparseRows):
        scaling = fit_scaling(X_train, options.scale)
        if scaling is not None:
            scaling.apply(X_train)
            scaling.apply(X_test)
            record["scale"] = options.scale
    if train.names:
        record["columns"] = train.names
    return Dataset(
        name=name,
        X_train=X_train,
        Y_train=Y_train,
        X_test=X_test,
        Y_test=Y_test,
        classes=targets.classes,
        grid=None,
        sources=parts.sources,
        scaling=scaling,
        options=record,
    )


def inputs_of(table: Table, dtype: np.dtype[Any], sparse: str) -> Inputs:
    """Return all inputs of a table, as sparse rows where `DataOptions.sparse` says so.

    Raises
    ------
    InputError
        As `read_inputs` does.
    """
    return _parted(table, None, dtype, sparse)[0]


def _parted(
    table: Table, chosen: NDArray[np.bool_] | None, dtype: np.dtype[Any], sparse: str
) -> tuple[Inputs, Inputs]:
    """Return the inputs that are not chosen, and those that are."""
    most = most_kept(sparse, table.rows, table.columns, dtype)
    found = None
    if most and not table.is_given_away:
        found = _read(
            table, chosen, dtype, lambda rows: RowsInTurn(rows, table.columns, dtype, most)
        )
    if found is None:
        refuse_unbearable(table.rows * table.columns * dtype.itemsize, table.where)
        found = _read(table, chosen, dtype, lambda rows: ArrayInTurn(rows, table.columns, dtype))
    assert found is not None
    return found


def _read(
    table: Table,
    chosen: NDArray[np.bool_] | None,
    dtype: np.dtype[Any],
    room: Callable[[int], InTurn],
) -> tuple[Inputs, Inputs] | None:
    """Return the inputs that are not chosen, and those that are; None: there was too little room.

    `room` makes it, for so many rows.
    """
    second = 0 if chosen is None else int(np.count_nonzero(chosen))
    others, those = room(table.rows - second), room(second)
    for rows, columns, raw in table.pieces():
        numbers = _converted(raw, dtype, rows.start, columns, table)
        if chosen is None:
            fits = others.put(rows.start, columns, numbers)
        else:
            mask = chosen[rows]
            before = int(np.count_nonzero(chosen[: rows.start]))
            fits = others.put(rows.start - before, columns, numbers[~mask])
            fits = fits and those.put(before, columns, numbers[mask])
        if not fits:
            return None
    return others.all(), those.all()


def _converted(
    raw: NDArray[Any], dtype: np.dtype[Any], first: int, columns: Columns, table: Table
) -> NDArray[np.floating[Any]]:
    with np.errstate(over="ignore", invalid="ignore"):  # found below, with its place
        numbers = raw.astype(dtype, copy=False)
    if np.isfinite(numbers).all():
        return numbers
    row, column = np.unravel_index(int(np.isfinite(numbers).argmin()), numbers.shape)
    value = raw[row, column]
    original = np.arange(table.columns)[columns][column]
    place = table.place(first + int(row), int(original))
    if np.isfinite(value):
        raise InputError(f"{place}: {value!s} is too large for {dtype}. Use --dtype float64.")
    raise InputError(
        f"{place}: {value!s}, expected a finite number. Remove or replace such values."
    )
