"""Source of tanh, sinh and cosh.

tanh is made of polynomials alone in float32, the others by the exponential.
"""

from dataclasses import replace
from functools import cache
from typing import Final

from mpmath import mp

from codegen.elementary.exponential import exp_polynomial
from codegen.elementary.pieces import (
    DECORATOR,
    REDUCTION,
    ElementaryFunction,
    Format,
    exponent_of,
    horner,
    measured,
    odd_tail,
    pair_of,
    paired,
    quality,
    reduction_constants,
    superscript,
)
from codegen.remez import Minimax, Real, minimax


def tanh(real: Format) -> ElementaryFunction:
    """Return the hyperbolic tangent."""
    return _tanh_by_exp(real) if real.dtype == "float64" else _tanh_by_polynomials(real)


def _tanh_by_polynomials(real: Format) -> ElementaryFunction:
    # Roundings where they weigh most, tanh just above ½: last sum ½, quotient ¼, v² + 3 ⅓,
    # v ⅔, polynomial 0.4; where products are rounded by themselves 0.6 more.
    ulp = 2.75
    p = _tanh_polynomial(3)
    v = _tanh_far_polynomial(real)
    c = v.coefficients
    source = f'''\
{DECORATOR}
def tanh(x):
    """Return the hyperbolic tangent of x, {real.dtype}, within {ulp} ulp.

    With a = |x|: near 0 an odd polynomial; from where tanh is ½ on tanh a = 1 − 6/(v² + 3),
    v = √3·eᵃ. This v need only be as good as the quotient is large, so that a polynomial will
    do; it has positive coefficients, so that neither a step of it nor one that follows ever
    goes back where a grows. (√3 brings v to where numbers lie dense for their size.)
    Odd; ±1 from a = 10 on at the latest.
    {measured("tanh", real)}
    Reference: J.-M. Muller, "Elementary Functions: Algorithms and Implementation", 2016,
    chapter 3 (for best polynomials with a weight, and of chosen powers).
    """
    BORDER = {real.number(_FROM_HALF)}  # tanh is ½ just before
    a = abs(x)
    z = a * a
    az = a * z
    # v = √3·eᵃ, error of tanh below 2{superscript(exponent_of(v))}
    v = {pair_of(c[11], "az", c[8], real)}
    v = fma(v, z, {real.number(c[6])})
    v = fma(v, z, {pair_of(c[5], "a", c[4], real)})
    v = fma(v, z, {pair_of(c[3], "a", c[2], real)})
    v = fma(v, z, {pair_of(c[1], "a", c[0], real)})
    far = {real.number(1)} - {real.number(6)} / fma(v, v, {real.number(3)})
    # tanh a = a + a·z·p(z), z = a², {quality(p)}
{horner("p", "z", p, real)}
    near = fma(az, p, a)
    return np.copysign(near if a < BORDER else far, x)
'''
    return ElementaryFunction(name="tanh", dtype=real.dtype, needs=(), source=source, ulp=ulp)


def _tanh_by_exp(real: Format) -> ElementaryFunction:
    # Roundings where they weigh most, tanh just above ½: last sum ½, e²ᵃ + 1 ½, e²ᵃ ½,
    # quotient ¼.
    ulp = 1.75
    p, q = _tanh_polynomial(10), exp_polynomial(10)
    # from here on 2/(e²ᵃ + 1) is below a quarter of the spacing under 1
    saturated = mp.ceil((real.fraction + 4) * mp.ln2 / 2)
    one, two = real.number(1), real.number(2)
    source = f'''\
{DECORATOR}
def tanh(x):
    """Return the hyperbolic tangent of x, {real.dtype}, within {ulp} ulp.

    With a = |x|: near 0 an odd polynomial; from a = ln 3 / 2 on, where tanh is ½,
    tanh a = 1 − 2/(e²ᵃ + 1). Neither cancels. Odd; ±1 from a = {int(saturated)} on at the latest.
    {measured("tanh", real)}
    Reference: W. J. Cody, W. Waite, "Software Manual for the Elementary Functions", 1980.
    """
    LN3_HALF = {real.number(mp.ln(3) / 2)}
    SATURATED = {real.number(saturated)}
{reduction_constants(real)}
    # near 0: tanh a = a + a·z·p(z), z = a², {quality(p)}
    a = abs(x)
    z = a * a
    zz = z * z
{paired("p", "z", "zz", p, real)}
    near = fma(a, z * p, a)
    # elsewhere: 2·a = k·ln 2 + r with an integer k and |r| ≤ ln 2 / 2, so that e²ᵃ = 2ᵏ·eʳ
    y = SATURATED if a > SATURATED else a
    y = y + y
{REDUCTION}
    # eʳ = 1 + r + r²·q(r), {quality(q)}
    rr = r * r
{paired("q", "r", "rr", q, real)}
    # the last bits of `shifted` are k; in the exponent's place they make 2ᵏ
    exponent = {real.bits_of("shifted")} << {real.fraction}
    scale = {real.of_bits(f"exponent + {real.bits(1)}")}
    power = ({one} + fma(rr, q, r)) * scale
    far = {one} - {two} / (power + {one})
    return np.copysign(near if a < LN3_HALF else far, x)
'''
    return ElementaryFunction(name="tanh", dtype=real.dtype, needs=(), source=source, ulp=ulp)


def sinh(real: Format) -> ElementaryFunction:
    """Return the hyperbolic sine."""
    # Roundings where they weigh most, a just above 1: last sum ½, eᵃ/2 1.1, its inverse ¼.
    ulp = 2.0
    p = _sinh_polynomial({"float32": 3, "float64": 6}[real.dtype])
    source = f'''\
{DECORATOR}
def sinh(x):
    """Return the hyperbolic sine of x, {real.dtype}, within {ulp} ulp.

    With a = |x|: up to 1 an odd polynomial; beyond, h − 1/(4·h), h = eᵃ/2, which overflows no
    earlier than the result. Odd; x itself where it is tiny.
    {measured("sinh", real)}
    Reference: W. J. Cody, W. Waite, "Software Manual for the Elementary Functions", 1980.
    """
{_half_of_exp(real)}
    far = h - {real.number(0.25)} / h
    # sinh a = a + a·z·q(z), z = a², {quality(p)}
    z = a * a
    zz = z * z
{paired("q", "z", "zz", p, real)}
    near = fma(a * z, q, a)
    return np.copysign(far if a > {real.number(1)} else near, x)
'''
    return ElementaryFunction(name="sinh", dtype=real.dtype, source=source, ulp=ulp)


def cosh(real: Format) -> ElementaryFunction:
    """Return the hyperbolic cosine."""
    # Roundings where they weigh most, a about 1: last sum ½, eᵃ/2 1.1, its inverse ¼.
    ulp = 2.0
    source = f'''\
{DECORATOR}
def cosh(x):
    """Return the hyperbolic cosine of x, {real.dtype}, within {ulp} ulp.

    h + 1/(4·h), h = eᵃ/2 with a = |x|, which overflows no earlier than the result.
    Even; 1 where x is tiny.
    {measured("cosh", real)}
    Reference: W. J. Cody, W. Waite, "Software Manual for the Elementary Functions", 1980.
    """
{_half_of_exp(real)}
    return h + {real.number(0.25)} / h
'''
    return ElementaryFunction(name="cosh", dtype=real.dtype, source=source, ulp=ulp)


def _half_of_exp(real: Format) -> str:
    """Return the lines that make `a`, the magnitude of x, and `h`, eᵃ/2."""
    p = exp_polynomial({"float32": 4, "float64": 10}[real.dtype])
    largest = (2 - mp.mpf(2) ** -real.fraction) * mp.mpf(2) ** real.bias
    bits_of_2 = int(real.bits(real.rounder), 16) + 1
    return f"""\
{reduction_constants(real)}
    OVERFLOW = {real.number(mp.ceil(mp.ln(2 * largest)))}  # inf from here on
    a = abs(x)
    # a = k·ln 2 + r with an integer k and |r| ≤ ln 2 / 2, so that eᵃ/2 = 2ᵏ⁻¹·eʳ
    y = OVERFLOW if a > OVERFLOW else a
{REDUCTION}
    # eʳ = 1 + t, t = r + r²·p(r), {quality(p)}
    rr = r * r
{paired("p", "r", "rr", p, real)}
    t = fma(rr, p, r)
    # 2ᵏ⁻¹ may lie outside the format where eᵃ/2 does not: two factors of half the exponent
    exponent = {real.integer_of(f"{real.bits_of('shifted')} - 0x{bits_of_2:X}")}
    half = exponent >> 1
    first = {real.of_bits(f"(half + {real.bias}) << {real.fraction}")}
    second = {real.of_bits(f"(exponent - half + {real.bias}) << {real.fraction}")}
    h = fma(t, first, first) * second"""


@cache
def _sinh_polynomial(degree: int) -> Minimax:
    """Return p of sinh x = x + x·z·p(z), z = x², for |x| ≤ 1."""
    return odd_tail(mp.sinh, first=1, degree=degree, high=mp.mpf(1))


@cache
def _tanh_polynomial(degree: int) -> Minimax:
    """Return p of tanh x = x + x·z·p(z), z = x², for |x| ≤ ln 3 / 2."""
    return odd_tail(mp.tanh, first=1, degree=degree, high=mp.ln(3) / 2)


_FROM_HALF: Final = mp.mpf("0.5494")  # tanh is ½ just before
_LEFT_OUT: Final = (7, 9, 10)  # of the powers up to 11: the others then have positive coefficients


@cache
def _tanh_far_polynomial(real: Format) -> Minimax:
    """Return v ≈ √3·eᵃ with tanh a ≈ 1 − 6/(v² + 3) from ½ on, to where tanh rounds to 1.

    The first coefficient is rounded to the format before the others are sought: it is the
    largest part of v where tanh is ½.
    """
    root3 = mp.sqrt(3)
    exp = cache(mp.exp)  # both fits ask for it at the same points

    def v(a: Real) -> Real:
        return root3 * exp(a)

    def weight(a: Real) -> Real:  # the derivative in v, relative to tanh = (v² − 3)/(v² + 3)
        square = v(a) ** 2
        return 12 * v(a) / (square + 3) / (square - 3)

    low, high = _FROM_HALF, (real.fraction + 2) * mp.ln2 / 2
    first = minimax(v, weight, degree=11, low=low, high=high, without=_LEFT_OUT).coefficients[0]
    first = mp.mpf(real.rounded(first))
    others = minimax(
        lambda a: (v(a) - first) / a,
        lambda a: weight(a) * a,
        degree=10,
        low=low,
        high=high,
        without=[power - 1 for power in _LEFT_OUT],
    )
    return replace(others, coefficients=(first, *others.coefficients))
