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
from itertools import groupby, pairwise
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
        reference = [j * (size - 1) // (degree + 1) for j in range(degree + 2)]
        for _ in range(_MAX_EXCHANGES):
            level, coefficients = _levelled(
                [grid[j] for j in reference],
                [values[j] for j in reference],
                [(-1) ** i / weights[j] for i, j in enumerate(reference)],
            )
            errors = [
                w * (f - evaluate(coefficients, x))
                for x, f, w in zip(grid, values, weights, strict=True)
            ]
            reference = _alternating_peaks(errors, degree + 2)
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
    points: Sequence[Real], values: Sequence[Real], steps: Sequence[Real]
) -> tuple[Real, list[Real]]:
    """Return ``E`` and the polynomial through ``values − E·steps`` at all n + 2 points.

    A polynomial of degree n has a vanishing divided difference over n + 2 points. That
    fixes ``E``; Newton's form gives the polynomial.
    """
    of_values = _divided_differences(points, values)
    of_steps = _divided_differences(points, steps)
    level = of_values[-1] / of_steps[-1]
    newton = [f - level * s for f, s in zip(of_values, of_steps, strict=True)][:-1]
    coefficients: list[Real] = []
    for difference, point in zip(reversed(newton), reversed(points[:-1]), strict=True):
        # c(x) := c(x)·(x − point) + difference
        lower, upper = [-point * c for c in coefficients], coefficients
        coefficients = [
            a + b for a, b in zip([*lower, mp.mpf(0)], [mp.mpf(0), *upper], strict=True)
        ]
        coefficients[0] += difference
    return level, coefficients


def _divided_differences(points: Sequence[Real], values: Sequence[Real]) -> list[Real]:
    """Return ``f[x0], f[x0, x1], …, f[x0, …, xn]``."""
    column, top = list(values), [values[0]]
    for span in range(1, len(points)):
        column = [
            (right - left) / (points[i + span] - points[i])
            for i, (left, right) in enumerate(pairwise(column))
        ]
        top.append(column[0])
    return top


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
