"""Inputs in memory without those that are 0, as the kernels of a wide network take them.

An image of MNIST is four fifths zeros: an input that is not 0 takes four bytes for its number and
two for its column, so that the rows take 0.3 of what they would as an array. They are put together
piece by piece as they are read, and the array never exists.
"""

from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[np.floating[Any]]
Columns = slice | NDArray[np.intp]

# Share of the inputs that may differ from 0: with more, the kernels multiply by every input, and
# need an array (`MOST_NONZERO` of an emitted module).
MOST_NONZERO = 0.25
_TOGETHER = 1 << 10  # rows
LEAST = 4 << 20  # bytes of an array: below that there is little to win


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SparseRows:
    """Inputs (rows, columns) as compressed sparse rows; rows are given as arrays.

    Attributes
    ----------
    data
        The inputs that are not 0, row by row, in the type of the training.
    indices
        The column of each, rising within a row.
    indptr
        Where each row begins in these, and where the last one ends.
    shape
        How many rows and columns there are.

    Examples
    --------
    >>> rows = SparseRows.of(np.array([[0.0, 7.0], [0.0, 0.0], [4.0, 0.0]]))
    >>> rows.data, rows.indices, rows.indptr
    (array([7., 4.]), array([1, 0], dtype=uint16), array([0, 1, 1, 2]))
    >>> rows[1:]
    array([[0., 0.],
           [4., 0.]])
    """

    data: Array
    indices: NDArray[np.unsignedinteger[Any]]
    indptr: NDArray[np.int64]
    shape: tuple[int, int]

    @classmethod
    def of(cls, X: Array) -> Self:
        """Return the rows of an array."""
        rows = RowsInTurn(len(X), X.shape[1], X.dtype, most=1.0)
        rows.add(X)
        found = rows.all()
        return cls(data=found.data, indices=found.indices, indptr=found.indptr, shape=found.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the inputs."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """Dimensions, as an array has them."""
        return 2

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"SparseRows({rows} x {columns}, {len(self.data)} not 0, {self.dtype})"

    def __getitem__(self, rows: int | slice | NDArray[np.integer[Any]]) -> Array:
        """Return a row, or some, as an array."""
        chosen = np.arange(len(self))[rows]
        if chosen.ndim == 0:
            return self[chosen.reshape(1)].reshape(-1)
        found = np.zeros((len(chosen), self.shape[1]), self.dtype)
        for first in range(0, len(chosen), _TOGETHER):
            self._write(chosen[first : first + _TOGETHER], found[first : first + _TOGETHER])
        return found

    def _write(self, rows: NDArray[np.intp], to: Array) -> None:
        """Write the inputs of some rows that are not 0 to their places in an array."""
        begins, counts = self.indptr[rows], self.indptr[rows + 1] - self.indptr[rows]
        before = np.cumsum(counts) - counts
        given = np.repeat(begins - before, counts) + np.arange(counts.sum())
        taken = np.repeat(np.arange(len(rows)) * self.shape[1], counts) + self.indices[given]
        to.reshape(-1)[taken] = self.data[given]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("sparse rows are no array, and become one by a copy alone")
        return self[:].astype(dtype or self.dtype, copy=False)

    def astype(self, dtype: DTypeLike) -> Self:
        """Return the same rows in another type."""
        numbers = self.data.astype(dtype)
        return type(self)(data=numbers, indices=self.indices, indptr=self.indptr, shape=self.shape)

    def first_not_finite(self) -> tuple[int, int] | None:
        """Return row and column of the first input that is no finite number; None: all are."""
        step = 1 << 18
        for first in range(0, len(self.data), step):
            finite = np.isfinite(self.data[first : first + step])
            if not finite.all():
                place = first + int(finite.argmin())
                row = int(np.searchsorted(self.indptr, place, side="right")) - 1
                return row, int(self.indices[place])
        return None


Inputs = Array | SparseRows


@final
class RowsInTurn:
    """Takes rows of an array, some at a time, and leaves out what is 0.

    Room for the most that may be kept is set apart at once, and takes no memory until it is
    written to.

    Parameters
    ----------
    rows, columns, dtype
        What the array would be.
    most
        Share of the inputs that may be other than 0.
    """

    def __init__(self, rows: int, columns: int, dtype: DTypeLike, most: float) -> None:
        self.room = int(most * rows * columns)
        self.data: Array = np.empty(self.room, dtype)
        kind = np.uint16 if columns <= 1 << 16 else np.uint32
        self.indices: NDArray[np.unsignedinteger[Any]] = np.empty(self.room, kind)
        self.indptr = np.zeros(rows + 1, np.int64)
        self.shape = rows, columns
        self.rows = 0  # taken so far

    def add(self, X: Array) -> bool:
        """Take the next rows, in the same type; return whether there was room for them."""
        kept = X != 0
        places = np.flatnonzero(kept)
        begin, end = self.rows, self.rows + len(X)
        ends = np.cumsum(np.count_nonzero(kept, axis=1)) + self.indptr[begin]
        if len(X) and ends[-1] > self.room:
            return False
        self.indptr[begin + 1 : end + 1] = ends
        here = slice(self.indptr[begin], self.indptr[end])
        self.data[here] = X.reshape(-1)[places]
        self.indices[here] = places % max(1, self.shape[1])
        self.rows = end
        return True

    def put(self, first: int, columns: Columns, X: Array) -> bool:
        """Take what `ArrayInTurn.put` does, if it is all columns of the next rows."""
        is_next = first == self.rows and isinstance(columns, slice) and columns == slice(None)
        return is_next and self.add(X)

    def all(self) -> SparseRows:
        """Return the rows, once all of them were taken."""
        assert self.rows == self.shape[0]
        end = self.indptr[-1]
        return SparseRows(
            data=self.data[:end], indices=self.indices[:end], indptr=self.indptr, shape=self.shape
        )


@final
class ArrayInTurn:
    """Takes what `RowsInTurn` does, and keeps all of it.

    Parameters
    ----------
    rows, columns, dtype
        What the array is.
    """

    def __init__(self, rows: int, columns: int, dtype: DTypeLike) -> None:
        self.array: Array = np.empty((rows, columns), dtype)

    def put(self, first: int, columns: Columns, X: Array) -> bool:
        """Take some columns of the rows from `first` on; return whether there was room."""
        self.array[first : first + len(X), columns] = X
        return True

    def all(self) -> Array:
        """Return the array, once all of it was taken."""
        return self.array


InTurn = RowsInTurn | ArrayInTurn


def as_array(X: Inputs) -> Array:
    """Return inputs as an array."""
    return X[:] if isinstance(X, SparseRows) else X


def most_kept(sparse: str, rows: int, columns: int, dtype: np.dtype[Any]) -> float:
    """Return the share of the inputs up to which they are to be sparse rows; 0: they are not.

    `sparse` is as in `runtime.data.options.DataOptions`, the others what the array would be.
    """
    if rows * columns * dtype.itemsize < LEAST:
        return 0.0
    return {"auto": MOST_NONZERO, "always": 1.0}.get(sparse, 0.0)
