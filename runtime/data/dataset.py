"""A data set as a value: four arrays that have been checked, wherever they came from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from runtime.data.scaling import Scaling
from runtime.data.sparse_rows import Inputs, SparseRows, as_array
from runtime.errors import InputError

_FLOATS = (np.float32, np.float64)
_BLOCK = 1 << 18  # entries looked at together, so that a check takes no memory to speak of

Option = str | int | float | tuple[str, ...] | None


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Dataset:
    """Samples and their targets for training and test.

    Making one runs `check_dataset`, so there is no unchecked `Dataset`.

    Attributes
    ----------
    name
        What the set is called in messages and in the run record.
    X_train, X_test
        Inputs, shapes (N, n) and (M, n), float32 or float64, finite. Sets that
        `runtime.data.options.DataOptions.sparse` lets be so may be `SparseRows`.
    Y_train, Y_test
        One-hot labels, shapes (N, c) and (M, c): a single 1 in each row, else 0. With two
        classes also a single column: 1 for the second. Without classes real targets,
        finite, in any number of columns.
    classes
        What the columns of the labels stand for, two at least; empty for a regression.
    grid
        Points of the input plane for a picture of the decision surface, shape (points, 2),
        or None where the inputs are not points of a plane.
    sources
        SHA-256 (hexadecimal) of the data used: by file name, for generated data by the
        array's name, over its bytes.
    scaling
        How the inputs were scaled, from the training part; None if they were not.
    options
        What the set was made with, for the run record: by name on the command line.

    Raises
    ------
    InputError
        If the arrays are not as described.
    """

    name: str
    X_train: Inputs
    Y_train: NDArray[np.floating[Any]]
    X_test: Inputs
    Y_test: NDArray[np.floating[Any]]
    classes: tuple[str | int, ...]
    grid: NDArray[np.floating[Any]] | None
    sources: Mapping[str, str]
    scaling: Scaling | None = None
    options: Mapping[str, Option] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_dataset(self)

    def __repr__(self) -> str:
        rows, dtype = len(self.X_train), self.X_train.dtype
        return (
            f"Dataset({self.name}: {rows} + {len(self.X_test)} samples, {self.input_text}, "
            f"{self.target_text}, {dtype})"
        )

    @property
    def is_regression(self) -> bool:
        """Whether the targets are numbers to come close to, not classes."""
        return not self.classes

    @property
    def input_text(self) -> str:
        """How many inputs there are, for a message."""
        columns = self.X_train.shape[1]
        return f"{columns} input{'' if columns == 1 else 's'}"

    @property
    def target_text(self) -> str:
        """What the targets are, for a message: ``3 classes``, ``1 real target``."""
        if self.classes:
            return f"{len(self.classes)} classes"
        columns = self.Y_train.shape[1]
        return f"{columns} real target{'' if columns == 1 else 's'}"

    @property
    def train_rows(self) -> int:
        """Training samples."""
        return len(self.X_train)

    @property
    def test_rows(self) -> int:
        """Test samples."""
        return len(self.X_test)

    @property
    def inputs(self) -> int:
        """Columns of the inputs."""
        return int(self.X_train.shape[1])

    @property
    def outputs(self) -> int:
        """Columns of the targets."""
        return int(self.Y_train.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the inputs."""
        return self.X_train.dtype

    @property
    def sample(self) -> "Dataset":
        """The rows that pictures show: all of them; of a larger set only some are in memory."""
        return self

    def blocks(self, part: str) -> Iterator[tuple[Inputs, NDArray[Any]]]:
        """Give the samples of ``"train"`` or ``"test"``: here in a single block."""
        yield getattr(self, f"X_{part}"), getattr(self, f"Y_{part}")

    def with_one_output(self) -> "Dataset":
        """Return a set of two classes with its labels in one column: 1 for the second."""
        if len(self.classes) != 2 or self.Y_train.shape[1] == 1:
            return self
        Y_train, Y_test = (np.ascontiguousarray(Y[:, 1:]) for Y in (self.Y_train, self.Y_test))
        return replace(self, Y_train=Y_train, Y_test=Y_test)

    def in_own_units(self) -> "Dataset":
        """Return the set before its inputs were scaled, up to rounding; as arrays."""
        if self.scaling is None:
            return self.as_arrays()
        train, test = (self.scaling.undo(as_array(X)) for X in (self.X_train, self.X_test))
        return replace(self, X_train=train, X_test=test, scaling=None)

    def as_arrays(self) -> "Dataset":
        """Return the set with its inputs as arrays; itself if they are."""
        if not isinstance(self.X_train, SparseRows) and not isinstance(self.X_test, SparseRows):
            return self
        return replace(self, X_train=as_array(self.X_train), X_test=as_array(self.X_test))

    def astype(self, dtype: DTypeLike) -> "Dataset":
        """Return the set with contiguous copies of all arrays in `dtype`.

        Raises
        ------
        InputError
            If `dtype` is neither float32 nor float64, or if a value is too large for it.
        """
        target = np.dtype(dtype)
        if target.type not in _FLOATS:
            raise InputError(f"dtype {target}: data are float32 or float64.")

        def copy(array: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
            with np.errstate(over="ignore"):  # found by the check as inf, with its place
                return np.array(array, dtype=target, order="C", copy=True)

        def copied(X: Inputs) -> Inputs:
            with np.errstate(over="ignore"):
                return X.astype(target) if isinstance(X, SparseRows) else copy(X)

        try:
            return replace(
                self,
                X_train=copied(self.X_train),
                Y_train=copy(self.Y_train),
                X_test=copied(self.X_test),
                Y_test=copy(self.Y_test),
                grid=None if self.grid is None else copy(self.grid),
            )
        except InputError as error:
            raise InputError(f"in {target}, {error} Use --dtype float64.") from None


def check_dataset(dataset: Dataset) -> None:
    """Raise for the first thing that is wrong with the arrays of `dataset`.

    Rows and columns in messages are counted from 0, as NumPy does.

    Raises
    ------
    InputError
        If inputs are not a finite (rows, columns) array of floats, if there are no rows, if
        inputs and targets differ in rows or the two parts in columns, if labels are not
        one-hot, if there are not as many classes as columns of labels, or if a real target
        is not finite.
    """
    for part in ("train", "test"):
        X, Y = getattr(dataset, f"X_{part}"), getattr(dataset, f"Y_{part}")
        where = f"{dataset.name}: X_{part}"
        _check_inputs(where, X)
        if dataset.is_regression:
            _check_finite(f"{dataset.name}: Y_{part}", Y, "targets")
        else:
            _check_labels(f"{dataset.name}: Y_{part}", Y, len(dataset.classes))
        if len(X) != len(Y):
            raise InputError(
                f"{where} has {len(X)} rows and Y_{part} has {len(Y)}: every sample needs "
                "one label. Check that both come from the same set."
            )
    if dataset.X_train.shape[1] != dataset.X_test.shape[1]:
        raise InputError(
            f"{dataset.name}: X_train has {dataset.X_train.shape[1]} columns and X_test has "
            f"{dataset.X_test.shape[1]}: training and test need the same inputs."
        )
    if dataset.Y_train.shape[1] != dataset.Y_test.shape[1]:
        raise InputError(
            f"{dataset.name}: Y_train has {dataset.Y_train.shape[1]} columns and Y_test has "
            f"{dataset.Y_test.shape[1]}: training and test need the same targets."
        )
    if dataset.grid is not None:
        _check_inputs(f"{dataset.name}: grid", dataset.grid)
        if dataset.X_train.shape[1] != 2 or dataset.grid.shape[1] != 2:
            raise InputError(f"{dataset.name}: a grid goes with inputs of two columns only.")


def one_hot(labels: NDArray[np.integer[Any]], classes: int, dtype: DTypeLike) -> NDArray[Any]:
    """Return (rows, `classes`) zeros with a 1 in column ``labels[i]`` of row i.

    Raises
    ------
    InputError
        If a label is not one of 0 to `classes` - 1; the message names the first.
    """
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"label {row} (counted from 0) is {labels[row]}, expected 0 to {classes - 1}"
        )
    Y = np.zeros((len(labels), classes), dtype=dtype)
    Y[np.arange(len(labels)), labels] = 1
    return Y


def one_column(labels: NDArray[np.integer[Any]], dtype: DTypeLike) -> NDArray[Any]:
    """Return the labels 0 and 1 as a column of numbers (rows, 1)."""
    return np.asarray(labels, dtype=dtype)[:, None]


def labels_of(Y: NDArray[np.floating[Any]]) -> NDArray[np.integer[Any]]:
    """Return the class of each row of labels, one-hot or a single column of 0 and 1."""
    if Y.shape[1] == 1:
        return np.asarray(Y[:, 0] > 0.5, dtype=np.int64)
    return np.asarray(Y.argmax(axis=1))


def _check_inputs(where: str, X: Inputs) -> None:
    _check_finite(where, X, "inputs")


def _check_finite(where: str, X: Inputs, what: str) -> None:
    if X.ndim != 2 or 0 in X.shape:
        raise InputError(
            f"{where} has shape {X.shape}, expected (rows, columns) with at least one of each."
        )
    if X.dtype.type not in _FLOATS:
        raise InputError(f"{where} holds {X.dtype}, expected float32 or float64.")
    if (place := _first_not_finite(X)) is not None:
        row, column = place
        raise InputError(
            f"{where} holds {X[row : row + 1][0, column]} at row {row}, column {column} (counted "
            f"from 0): {what} must be finite. Remove or replace such values."
        )


def _first_not_finite(X: Inputs) -> tuple[int, int] | None:
    if isinstance(X, SparseRows):
        return X.first_not_finite()
    step = max(1, _BLOCK // X.shape[1])
    for first in range(0, len(X), step):
        if not (finite := np.isfinite(X[first : first + step])).all():
            row, column = np.unravel_index(int(finite.argmin()), finite.shape)
            return first + int(row), int(column)
    return None


def _check_labels(where: str, Y: NDArray[np.floating[Any]], classes: int) -> None:
    if classes < 2:
        raise InputError(f"{where}: one class alone, so there is nothing to tell apart.")
    if Y.ndim != 2:
        raise InputError(f"{where} has shape {Y.shape}, expected (rows, classes), one-hot.")
    if Y.shape[1] == 1 and classes == 2:
        if not (right := ((Y == 0) | (Y == 1))[:, 0]).all():
            row = int(right.argmin())
            raise InputError(f"{where} row {row} (counted from 0) is {Y[row, 0]}, expected 0 or 1.")
        return
    if Y.shape[1] != classes:
        raise InputError(f"{where} has {Y.shape[1]} columns for {classes} classes.")
    step = max(1, _BLOCK // classes)
    for first in range(0, len(Y), step):
        part = Y[first : first + step]
        right = ((part == 0) | (part == 1)).all(axis=1) & (np.count_nonzero(part, axis=1) == 1)
        if right.all():
            continue
        row = first + int(right.argmin())
        shown = np.array2string(Y[row], separator=", ", threshold=12, max_line_width=1000)
        raise InputError(
            f"{where} row {row} (counted from 0) is {shown}: not one-hot, expected a single 1 "
            "among zeros."
        )
