"""The error function in NumPy, which has none: two polynomials and an exponential.

Their coefficients are written down nowhere: `codegen.remez` computes them when code is
generated, and the emitted text says how good they are.
"""

import math
from functools import cache
from typing import Final

from mpmath import mp

from codegen.errors import InputError
from codegen.remez import PRECISION, Minimax, Real, minimax

_BORDER: Final = 1  # of the two forms
_SATURATED: Final = 6  # erf is 1 from here on, in float64 too
_DEGREES: Final = {"float32": (6, 6), "float64": (12, 12)}
# Worst error seen, in units in the last place: `tests/generation/test_numpy_functions.py`.
ULP: Final = {"float32": 1.5, "float64": 1.5}


@cache
def erf_source(dtype: str) -> str:
    """Return the source of ``_erf(x)`` for arrays of a type; expects ``import numpy as np``.

    References
    ----------
    .. [1] W. J. Cody, "Rational Chebyshev approximations for the error function",
       Mathematics of Computation 23, 1969 (for the split at about 1 and the form e^(-x²)·q).
    """
    if dtype not in _DEGREES:
        raise InputError(f'dtype: "{dtype}" is not known. Known: {", ".join(_DEGREES)}.')
    near_degree, far_degree = _DEGREES[dtype]
    with mp.workprec(PRECISION):
        near, far = _near(near_degree), _far(far_degree)
    return f'''\
def _erf(x):
    """Return the error function of an array, within {ULP[dtype]:g} ulp: NumPy has none.

    With a = |x|: below {_BORDER} an odd polynomial, erf a = a + a·p(a²); from there on
    1 - exp(-a²)·q(t) with t = 2/(2 + a). Odd; ±1 from a = {_SATURATED} on at the latest.
    Reference: W. J. Cody, "Rational Chebyshev approximations for the error function", 1969.
    """
    a = np.minimum(np.abs(x), {_SATURATED})
    z = a * a
    # p, {_quality(near)}
{_horner("p", "z", near)}
    # q, {_quality(far)}
    t = 2 / (2 + a)
{_horner("q", "t", far)}
    return np.copysign(np.where(a < {_BORDER}, a + a * p, 1 - np.exp(-z) * q), x)

'''


@cache
def _near(degree: int) -> Minimax:
    """Return p of erf x = x + x·p(z), z = x², for 0 < x < 1."""

    def tail(z: Real) -> Real:
        x = mp.sqrt(z)
        return mp.erf(x) / x - 1

    def weight(z: Real) -> Real:
        x = mp.sqrt(z)
        return x / mp.erf(x)

    return minimax(tail, weight, degree=degree, low=mp.mpf(0), high=mp.mpf(_BORDER) ** 2)


@cache
def _far(degree: int) -> Minimax:
    """Return q of erf x = 1 − e^(−x²)·q(t), t = 2/(2 + x), for 1 < x < 6."""

    def scaled(t: Real) -> Real:
        x = 2 / t - 2
        return mp.erfc(x) * mp.exp(x * x)

    def weight(t: Real) -> Real:  # the error of the result, which is nearly 1
        x = 2 / t - 2
        return mp.exp(-x * x) / mp.erf(x)

    low, high = (mp.mpf(2) / (2 + x) for x in (_SATURATED, _BORDER))
    return minimax(scaled, weight, degree=degree, low=low, high=high)


def _horner(name: str, variable: str, polynomial: Minimax) -> str:
    highest, *rest = reversed(polynomial.coefficients)
    lines = [f"    {name} = {float(highest)!r}"]
    for c in rest:
        sign = "+" if c > 0 else "-"
        lines.append(f"    {name} = {name} * {variable} {sign} {abs(float(c))!r}")
    return "\n".join(lines)


def _quality(polynomial: Minimax) -> str:
    return f"relative error of erf below 2^{math.ceil(math.log2(polynomial.error))}"
