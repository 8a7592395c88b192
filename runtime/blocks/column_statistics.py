"""Mean, spread and bounds of columns, of which only a block at a time is in memory."""

from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from runtime.data.scaling import Scaling, checked_scaling


@final
@dataclass(slots=True, kw_only=True)
class ColumnStatistics:
    """What is known of the rows so far.

    Attributes
    ----------
    rows
        How many there were.
    mean, squares
        By column, the mean and the sum of squared distances from it.
    low, high
        By column, the smallest and the largest.

    References
    ----------
    T. F. Chan, G. H. Golub, R. J. LeVeque: Updating formulae and a pairwise algorithm for
    computing sample variances. COMPSTAT 1982. A block is taken about its own mean, in two passes,
    and joined to those before by their formula (2.1); sums of squares about 0 would cancel.
    """

    rows: int
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of_nothing(cls, columns: int) -> Self:
        """Return what is known before the first row."""
        return cls(
            rows=0,
            mean=np.zeros(columns),
            squares=np.zeros(columns),
            low=np.full(columns, np.inf),
            high=np.full(columns, -np.inf),
        )

    def add(self, X: NDArray[Any]) -> None:
        """Take further rows (rows, columns) into account."""
        if not len(X):
            return
        exact = X.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):  # told by `scaling`
            mean = exact.sum(axis=0) / len(X)
            squares = ((exact - mean) ** 2).sum(axis=0)
            total = self.rows + len(X)
            apart = mean - self.mean
            self.mean += apart * (len(X) / total)
            self.squares += squares + apart * apart * (self.rows * (len(X) / total))
        self.rows = total
        self.low, self.high = (
            np.minimum(self.low, exact.min(axis=0)),
            np.maximum(self.high, exact.max(axis=0)),
        )

    def scaling(self, kind: str) -> Scaling:
        """Return the scaling of a kind other than ``"none"`` for such rows.

        Raises
        ------
        InputError
            If a column's spread is beyond float64.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            shift, unit = self.low, self.high - self.low
            if kind == "standard":
                shift, unit = self.mean, np.sqrt(self.squares / self.rows)
        return checked_scaling(kind, self.low, self.high, shift, unit)
