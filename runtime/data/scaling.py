"""Inputs brought to a common scale, by numbers that come from the training part alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError

SCALES = ("none", "standard", "minmax")
_BLOCK = 1 << 16  # entries scaled together

Array = NDArray[np.floating[Any]]


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scaling:
    """``(x - shift) / unit``, column by column.

    Attributes
    ----------
    kind
        ``"standard"``: mean 0 and standard deviation 1 over the training part; ``"minmax"``:
        from 0 to 1 there. A column that is constant there only loses that constant.
    shift, unit
        Shape (n,), float64, finite; `unit` is positive.

    Raises
    ------
    InputError
        If the arrays are not as described.

    Examples
    --------
    >>> X = np.array([[0.0, 7.0], [4.0, 7.0]])
    >>> scaling = fit_scaling(X, "minmax")
    >>> scaling.apply(X)
    >>> X.tolist()
    [[0.0, 0.0], [1.0, 0.0]]
    """

    kind: str
    shift: NDArray[np.float64]
    unit: NDArray[np.float64]

    def __post_init__(self) -> None:
        sound = (
            self.kind in SCALES[1:]
            and self.shift.ndim == 1
            and self.shift.shape == self.unit.shape
            and bool(np.isfinite(self.shift).all() and np.isfinite(self.unit).all())
            and bool((self.unit > 0).all())
        )
        if not sound:
            raise InputError("scaling: expected finite shifts and positive units, one a column.")

    def apply(self, X: Array) -> None:
        """Scale inputs (rows, n) in place, block by block, computing in float64."""
        step = max(1, _BLOCK // max(1, X.shape[1]))
        for first in range(0, len(X), step):
            part = X[first : first + step]
            # what overflows becomes inf, and is found by the check that follows
            with np.errstate(over="ignore"):
                part[...] = (part.astype(np.float64) - self.shift) / self.unit

    def undo(self, X: Array) -> NDArray[np.float64]:
        """Return inputs (rows, n) as they were before `apply`, up to rounding."""
        return np.asarray(X, np.float64) * self.unit + self.shift

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads; every number comes back exactly."""
        return {"kind": self.kind, "shift": self.shift.tolist(), "unit": self.unit.tolist()}

    @classmethod
    def from_json(cls, content: object, columns: int, source: str) -> Self:
        """Read what `to_json` gave, for inputs of so many columns.

        Raises
        ------
        InputError
            If it is anything else; `source` is what the message calls it.
        """
        numbers: dict[str, list[Any]] = {}
        if isinstance(content, Mapping) and set(content) == {"kind", "shift", "unit"}:
            numbers = {name: content[name] for name in ("shift", "unit")}
        for values in numbers.values() or [None]:
            right = isinstance(values, list) and len(values) == columns
            if not right or not all(type(value) in (int, float) for value in values or ()):
                raise InputError(
                    f"{source}: its scaling is not that of {columns} inputs. Train again, or "
                    "restore the file from a copy."
                )
        assert isinstance(content, Mapping)
        arrays = {name: np.array(values, np.float64) for name, values in numbers.items()}
        return cls(kind=str(content["kind"]), **arrays)


def fit_scaling(X: Array, kind: str) -> Scaling | None:
    """Return the scaling of that kind for inputs like these; None for ``"none"``.

    Parameters
    ----------
    X
        The training part, shape (rows, n), finite.
    kind
        One of `SCALES`.

    Raises
    ------
    InputError
        If the kind is not known, or a column's spread is beyond float64.
    """
    if kind not in SCALES:
        raise InputError(f"scale: {kind} is not known. Known: {', '.join(SCALES)}.")
    if kind == "none":
        return None
    step = max(1, _BLOCK // X.shape[1])
    blocks = [slice(first, first + step) for first in range(0, len(X), step)]
    low, high = X.min(axis=0).astype(np.float64), X.max(axis=0).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if kind == "minmax":
            shift, unit = low, high - low
        else:
            # about the mean, in a second pass: the difference of two large sums cancels
            shift = sum(X[b].sum(axis=0, dtype=np.float64) for b in blocks) / len(X)
            squares = sum(((X[b].astype(np.float64) - shift) ** 2).sum(axis=0) for b in blocks)
            unit = np.sqrt(squares / len(X))
    return checked_scaling(kind, low, high, shift, unit)


def checked_scaling(
    kind: str, low: Array, high: Array, shift: NDArray[np.float64], unit: NDArray[np.float64]
) -> Scaling:
    """Return the scaling by what was found of each column, which `low` and `high` bound.

    Raises
    ------
    InputError
        If a column's spread is beyond float64.
    """
    if wrong := np.flatnonzero(~np.isfinite(shift) | ~np.isfinite(unit)).tolist():
        raise InputError(
            f"scale: column {wrong[0]} (counted from 0) goes from {low[wrong[0]]:g} to "
            f"{high[wrong[0]]:g}, beyond the range of float64. Divide it by a large number."
        )
    constant = (high == low) | (unit == 0)
    shift = np.where(constant, low, shift)  # exactly: a mean of equal numbers is rounded
    return Scaling(kind=kind, shift=shift, unit=np.where(constant, 1.0, unit))
