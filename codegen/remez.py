"""Best polynomial approximation by Remez' exchange algorithm, in mpmath.

    reference := points near the extrema of a Chebyshev polynomial
    repeat: p, E  := the polynomial with w·(f − p) = ±E, signs in turn, on the reference
            reference := where w·(f − p) peaks, signs in turn

When the peaks are as high as ``E`` no polynomial of the degree does better (de la Vallée
Poussin: the best one's error lies between ``|E|`` and the highest peak). Deterministic, and
fast enough to run whenever code is generated: `f` is evaluated once, on a fixed grid.

References
----------
.. [1] E. Ya. Remez, "Sur la détermination des polynômes d'approximation de degré donnée",
   Communications of the Kharkov Mathematical Society 10, 1934.
.. [2] J.-M. Muller, "Elementary Functions: Algorithms and Implementation", 3rd edition,
   Birkhäuser, 2016, chapter 3.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias, final

from mpmath import mp

from codegen.errors import InternalError

Real: TypeAlias = Any  # an mpmath number; the library is untyped

PRECISION = 160  # bits: three times float64, so that nothing below needs care about rounding
_POINTS_PER_PEAK = 10  # the grid misses a peak's height by 1 - cos(π/20) = 1.2 % at most
_CLOSE = 1.02
_MAX_EXCHANGES = 20


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Minimax:
    """A polynomial that is as good as any of its degree.

    Attributes
    ----------
    coefficients : tuple of mpmath numbers
        Lowest power first, to `PRECISION` bits.
    error : float
        The largest ``weight·|function − polynomial|`` on the grid.
    lower_bound : float
        No polynomial of this degree has a smaller error.
    """

    coefficients: tuple[Real, ...]
    error: float
    lower_bound: float


def minimax(
    function: Callable[[Real], Real],
    weight: Callable[[Real], Real],
    *,
    degree: int,
    low: Real,
    high: Real,
    without: Sequence[int] = (),
) -> Minimax:
    """Return the polynomial ``p`` that makes ``max weight·|function − p|`` smallest.

    Parameters
    ----------
    function, weight
        Of an mpmath number strictly inside the interval and not in its middle, so that a
        removable singularity at an end or in the middle, such as that of
        ``(exp(r) − 1 − r)/r²``, needs no treatment. The weight is positive there.
    degree
        Of the polynomial.
    low, high
        The interval.
    without
        Powers that the polynomial is not to have. The interval must then lie on one side of
        0, where fewer powers, too, leave a best polynomial whose error peaks as described [2]_.

    Raises
    ------
    InternalError
        The exchange found too few alternating peaks or did not settle: the function is not
        smooth enough for this method.
    """
    with mp.workprec(PRECISION):
        size = 2 * _POINTS_PER_PEAK * (degree // 2 + 1)  # even: the middle is no point of it
        grid = [
            (low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * (j + 0.5) / size)
            for j in range(size)
        ]
        values = [function(x) for x in grid]
        weights = [weight(x) for x in grid]
        powers = [power for power in range(degree + 1) if power not in without]
        count = len(powers) + 1
        reference = [j * (size - 1) // (count - 1) for j in range(count)]
        for _ in range(_MAX_EXCHANGES):
            level, coefficients = _levelled(
                [grid[j] for j in reference],
                [values[j] for j in reference],
                [(-1) ** i / weights[j] for i, j in enumerate(reference)],
                powers,
            )
            errors = [
                w * (f - evaluate(coefficients, x))
                for x, f, w in zip(grid, values, weights, strict=True)
            ]
            reference = _alternating_peaks(errors, count)
            highest = max(abs(errors[j]) for j in reference)
            if highest <= _CLOSE * abs(level):
                return Minimax(
                    coefficients=tuple(coefficients),
                    error=float(highest),
                    lower_bound=float(abs(level)),
                )
    raise InternalError(
        f"Remez exchange of degree {degree} on [{float(low)}, {float(high)}]: peaks of "
        f"{float(highest):.3g} against a level of {float(abs(level)):.3g} after "
        f"{_MAX_EXCHANGES} exchanges; expected them to agree. The function may not be smooth."
    )


def evaluate(coefficients: Sequence[Real], x: Real) -> Real:
    """Return the polynomial's value at `x` by Horner's rule; lowest power first."""
    total = mp.mpf(0)
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


def _levelled(
    points: Sequence[Real], values: Sequence[Real], steps: Sequence[Real], powers: Sequence[int]
) -> tuple[Real, list[Real]]:
    """Return ``E`` and the polynomial through ``values − E·steps``.

    There is one point more than there are powers: as many equations as unknowns.
    """
    rows = [
        [*(point**power for power in powers), step, value]
        for point, step, value in zip(points, steps, values, strict=True)
    ]
    *found, level = _solved(rows)
    coefficients = [mp.mpf(0)] * (powers[-1] + 1)
    for power, coefficient in zip(powers, found, strict=True):
        coefficients[power] = coefficient
    return level, coefficients


def _solved(rows: list[list[Real]]) -> list[Real]:
    """Return the solution of linear equations, each a row that ends in its right side."""
    size = len(rows)
    for k in range(size):  # elimination
        largest = max(range(k, size), key=lambda i: abs(rows[i][k]))
        rows[k], rows[largest] = rows[largest], rows[k]
        for row in rows[k + 1 :]:
            factor = row[k] / rows[k][k]
            for j in range(k + 1, size + 1):
                row[j] -= factor * rows[k][j]
    solution = [mp.mpf(0)] * size
    for k in reversed(range(size)):
        known = sum((rows[k][j] * solution[j] for j in range(k + 1, size)), mp.mpf(0))
        solution[k] = (rows[k][size] - known) / rows[k][k]
    return solution


def _alternating_peaks(errors: Sequence[Real], count: int) -> list[int]:
    """Return the indices of `count` neighbouring peaks of alternating sign."""
    runs = groupby(range(len(errors)), key=lambda j: errors[j] > 0)
    peaks = [max(run, key=lambda j: abs(errors[j])) for _, run in runs]
    while len(peaks) > count:  # only an end may go: the signs must keep alternating
        peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
    if len(peaks) < count:
        raise InternalError(
            f"Remez exchange: the error has {len(peaks)} alternating peaks, expected {count}. "
            "The function may be a polynomial already, or the precision too low."
        )
    return peaks
