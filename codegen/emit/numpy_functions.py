"""The error function in NumPy, which has none: two polynomials and an exponential.

Their coefficients are written down nowhere: `codegen.remez` computes them when code is
generated, and the emitted text says how good they are.
"""

import math
from functools import cache
from typing import Final

from mpmath import mp

from codegen.elementary.error_function import BORDER, SATURATED, far_polynomial, near_polynomial
from codegen.errors import InputError
from codegen.remez import PRECISION, Minimax

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
        near, far = near_polynomial(near_degree), far_polynomial(far_degree)
    return f'''\
def _erf(x):
    """Return the error function of an array, within {ULP[dtype]:g} ulp: NumPy has none.

    With a = |x|: below {BORDER} an odd polynomial, erf a = a + a·p(a²); from there on
    1 - exp(-a²)·q(t) with t = 2/(2 + a). Odd; ±1 from a = {SATURATED} on at the latest.
    Reference: W. J. Cody, "Rational Chebyshev approximations for the error function", 1969.
    """
    a = np.minimum(np.abs(x), {SATURATED})
    z = a * a
    # p, {_quality(near)}
{_horner("p", "z", near)}
    # q, {_quality(far)}
    t = 2 / (2 + a)
{_horner("q", "t", far)}
    return np.copysign(np.where(a < {BORDER}, a + a * p, 1 - np.exp(-z) * q), x)

'''


def _horner(name: str, variable: str, polynomial: Minimax) -> str:
    highest, *rest = reversed(polynomial.coefficients)
    lines = [f"    {name} = {float(highest)!r}"]
    for c in rest:
        sign = "+" if c > 0 else "-"
        lines.append(f"    {name} = {name} * {variable} {sign} {abs(float(c))!r}")
    return "\n".join(lines)


def _quality(polynomial: Minimax) -> str:
    return f"relative error of erf below 2^{math.ceil(math.log2(polynomial.error))}"
