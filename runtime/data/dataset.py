"""A data set as a value: four arrays that have been checked, wherever they came from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from runtime.errors import InputError

_FLOATS = (np.float32, np.float64)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Dataset:
    """Samples and one-hot labels for training and test.

    Making one runs `check_dataset`, so there is no unchecked `Dataset`.

    Attributes
    ----------
    name
        What the set is called in messages and in the run record.
    X_train, X_test
        Inputs, shapes (N, n) and (M, n), float32 or float64, finite.
    Y_train, Y_test
        Labels, shapes (N, c) and (M, c): a single 1 in each row, else 0.
    classes
        What each of the c columns of the labels stands for.
    grid
        Points of the input plane for a picture of the decision surface, shape (points, 2),
        or None where the inputs are not points of a plane.
    sources
        SHA-256 (hexadecimal) of the data used: by file name, for generated data by the
        array's name, over its bytes.

    Raises
    ------
    InputError
        If the arrays are not as described.
    """

    name: str
    X_train: NDArray[np.floating[Any]]
    Y_train: NDArray[np.floating[Any]]
    X_test: NDArray[np.floating[Any]]
    Y_test: NDArray[np.floating[Any]]
    classes: tuple[str | int, ...]
    grid: NDArray[np.floating[Any]] | None
    sources: Mapping[str, str]

    def __post_init__(self) -> None:
        check_dataset(self)

    def __repr__(self) -> str:
        (rows, inputs), dtype = self.X_train.shape, self.X_train.dtype
        return (
            f"Dataset({self.name}: {rows} + {len(self.X_test)} samples, {inputs} inputs, "
            f"{len(self.classes)} classes, {dtype})"
        )

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

        try:
            return replace(
                self,
                X_train=copy(self.X_train),
                Y_train=copy(self.Y_train),
                X_test=copy(self.X_test),
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
        inputs and labels differ in rows or the two parts in columns, if labels are not
        one-hot, or if there are not as many classes as columns of labels.
    """
    for part in ("train", "test"):
        X, Y = getattr(dataset, f"X_{part}"), getattr(dataset, f"Y_{part}")
        where = f"{dataset.name}: X_{part}"
        _check_inputs(where, X)
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


def _check_inputs(where: str, X: NDArray[np.floating[Any]]) -> None:
    if X.ndim != 2 or 0 in X.shape:
        raise InputError(
            f"{where} has shape {X.shape}, expected (rows, columns) with at least one of each."
        )
    if X.dtype.type not in _FLOATS:
        raise InputError(f"{where} holds {X.dtype}, expected float32 or float64.")
    if not (finite := np.isfinite(X)).all():
        row, column = np.unravel_index(int(finite.argmin()), X.shape)
        raise InputError(
            f"{where} holds {X[row, column]} at row {row}, column {column} (counted from 0): "
            "inputs must be finite. Remove or replace such values."
        )


def _check_labels(where: str, Y: NDArray[np.floating[Any]], classes: int) -> None:
    if Y.ndim != 2:
        raise InputError(f"{where} has shape {Y.shape}, expected (rows, classes), one-hot.")
    if Y.shape[1] != classes:
        raise InputError(f"{where} has {Y.shape[1]} columns for {classes} classes.")
    right = ((Y == 0) | (Y == 1)).all(axis=1) & (np.count_nonzero(Y, axis=1) == 1)
    if not right.all():
        row = int(right.argmin())
        shown = np.array2string(Y[row], separator=", ", threshold=12, max_line_width=1000)
        raise InputError(
            f"{where} row {row} (counted from 0) is {shown}: not one-hot, expected a single 1 "
            "among zeros."
        )
