"""Source of erf: polynomials alone in float32, by the exponential in float64.

References
----------
.. [1] W. J. Cody, "Rational Chebyshev approximations for the error function",
   Mathematics of Computation 23, 1969 (for the split at about 1 and the form e^(−x²)·q).
.. [2] C. Hastings, "Approximations for Digital Computers", 1955 (for a power of a polynomial
   in the place of the exponential).
"""

from dataclasses import replace
from functools import cache
from typing import Final

from mpmath import mp

from codegen.elementary.pieces import (
    DECORATOR,
    ElementaryFunction,
    Format,
    exponent_of,
    horner,
    measured,
    pair_of,
    paired,
    quality,
    superscript,
)
from codegen.remez import Minimax, Real, minimax

BORDER: Final = 1  # of the two forms
_SCALE: Final = 2  # brings w to where numbers lie dense for their size
_EARLIER: Final = mp.mpf("0.9")  # the same where no exponential is taken
SATURATED: Final = 6  # erf is 1 from here on, in float64 too
# of the powers up to 12: the others then have positive coefficients
_LEFT_OUT: Final = (5, 6, 8, 10, 11)


def erf(real: Format) -> ElementaryFunction:
    """Return the error function."""
    return _erf_by_exp(real) if real.dtype == "float64" else _erf_by_polynomials(real)


def _erf_by_polynomials(real: Format) -> ElementaryFunction:
    # Roundings where they weigh most, a = 0.9: last sum ½, w⁴ 0.9, w² 0.2, quotient and
    # polynomial 0.2; where products are rounded by themselves 0.5 more.
    ulp = 2.5
    p, w = near_polynomial(6, _EARLIER), _far_root(real)
    c = w.coefficients
    source = f'''\
{DECORATOR}
def erf(x):
    """Return the error function of x, {real.dtype}, within {ulp} ulp.

    With a = |x|: below {float(_EARLIER)} an odd polynomial; from there on 1 − 2/w⁴, where w need
    only be as good as the quotient is large, so that a polynomial will do; it has positive
    coefficients, so that neither a step of it nor one that follows ever goes back where a
    grows. Odd; ±1 from a = 4 on at the latest.
    {measured("erf", real)}
    Reference: C. Hastings, "Approximations for Digital Computers", 1955 (for 1 − 1/wⁿ).
    """
    BORDER = {real.number(_EARLIER)}
    a = abs(x)
    z = a * a
    az = a * z
    # w, error of erf below 2{superscript(exponent_of(w))}
    w = {pair_of(c[12], "az", c[9], real)}
    w = fma(w, z, {real.number(c[7])})
    w = fma(w, az, {real.number(c[4])})
    w = fma(w, z, {pair_of(c[3], "a", c[2], real)})
    w = fma(w, z, {pair_of(c[1], "a", c[0], real)})
    w = w * w
    far = {real.number(1)} - {real.number(_SCALE)} / (w * w)
    # erf a = a + a·p(z), {quality(p)}
    zz = z * z
{paired("p", "z", "zz", p, real)}
    near = fma(a, p, a)
    return np.copysign(near if a < BORDER else far, x)
'''
    return ElementaryFunction(name="erf", dtype=real.dtype, needs=(), source=source, ulp=ulp)


def _erf_by_exp(real: Format) -> ElementaryFunction:
    # Roundings where they weigh most, a just above 1, where erfc is a sixth: last sum ½; in
    # spacings below 1, z ⅓, exp ⅓, q ⅓ and, where it is not fused, the product ¼.
    ulp = 1.75
    p, q = near_polynomial(12), far_polynomial(12)
    one, two = real.number(1), real.number(2)
    source = f'''\
{DECORATOR}
def erf(x):
    """Return the error function of x, {real.dtype}, within {ulp} ulp.

    With a = |x|: below {BORDER} an odd polynomial; from there on 1 − exp(−a²)·q(t), t = 2/(2 + a).
    Odd; ±1 from a = {SATURATED} on at the latest.
    {measured("erf", real)}
    Reference: W. J. Cody, "Rational Chebyshev approximations for the error function", 1969.
    """
    BORDER = {real.number(BORDER)}
    SATURATED = {real.number(SATURATED)}
    a = abs(x)
    a = SATURATED if a > SATURATED else a
    z = a * a
    t = {two} / (a + {two})
    # q, {quality(q)} of erf
{horner("q", "t", q, real)}
    far = fma(-exp(-z), q, {one})
    # erf a = a + a·p(z), {quality(p)}
    zz = z * z
{paired("p", "z", "zz", p, real)}
    near = fma(a, p, a)
    return np.copysign(near if a < BORDER else far, x)
'''
    return ElementaryFunction(name="erf", dtype=real.dtype, needs=("exp",), source=source, ulp=ulp)


@cache
def near_polynomial(degree: int, border: Real = BORDER) -> Minimax:
    """Return p of erf x = x + x·p(z), z = x², for 0 < x < border."""

    def tail(z: Real) -> Real:
        x = mp.sqrt(z)
        return mp.erf(x) / x - 1

    def weight(z: Real) -> Real:
        x = mp.sqrt(z)
        return x / mp.erf(x)

    return minimax(tail, weight, degree=degree, low=mp.mpf(0), high=mp.mpf(border) ** 2)


@cache
def far_polynomial(degree: int) -> Minimax:
    """Return q of erf x = 1 − e^(−x²)·q(t), t = 2/(2 + x), for 1 < x < 6."""

    def scaled(t: Real) -> Real:
        x = 2 / t - 2
        return mp.erfc(x) * mp.exp(x * x)

    def weight(t: Real) -> Real:  # the error of the result, which is nearly 1
        x = 2 / t - 2
        return mp.exp(-x * x) / mp.erf(x)

    low, high = (mp.mpf(2) / (2 + x) for x in (SATURATED, BORDER))
    return minimax(scaled, weight, degree=degree, low=low, high=high)


@cache
def _far_root(real: Format) -> Minimax:
    """Return w of erf a ≈ 1 − 2/w⁴ from the border on, to where erf rounds to 1.

    The first coefficient is rounded to the format before the others are sought.
    """
    erfc = cache(mp.erfc)  # both fits ask for it at the same points

    def root(a: Real) -> Real:
        return (_SCALE / erfc(a)) ** (mp.mpf(1) / 4)

    def weight(a: Real) -> Real:  # the derivative in w, relative to erf
        return 4 * erfc(a) / root(a) / (1 - erfc(a))

    low, high = _EARLIER, mp.sqrt((real.fraction - 1) * mp.ln2)
    first = minimax(root, weight, degree=12, low=low, high=high, without=_LEFT_OUT).coefficients[0]
    first = mp.mpf(real.rounded(first))
    others = minimax(
        lambda a: (root(a) - first) / a,
        lambda a: weight(a) * a,
        degree=11,
        low=low,
        high=high,
        without=[power - 1 for power in _LEFT_OUT],
    )
    return replace(others, coefficients=(first, *others.coefficients))
