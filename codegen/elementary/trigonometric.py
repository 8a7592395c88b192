"""Source of sin, cos and tan: what is left of quarter turns, and two polynomials.

Numbers of any size would take 2/π to hundreds of bits, looked up by the exponent. LLVM makes
vectors of a loop only where both sides of a branch are computed always, which would cost more
than the C library does. So each function is two: near 0 without a branch, and anywhere.
"""

from functools import cache
from typing import Final

from mpmath import mp

from codegen.elementary.pieces import (
    DECORATOR,
    ElementaryFunction,
    Format,
    horner,
    measured,
    odd_tail,
    quality,
)
from codegen.remez import Minimax, Real, minimax

# Up to 2 to this power a function is that near 0: quarter turns then are counted by so few bits
# that a part of π/2 has enough left. Beyond it is the C library's.
_COUNTED: Final = {"float32": 11, "float64": 20}
_DEGREE: Final = {"float32": 2, "float64": 5}
# Roundings where they weigh most, the cosine near π/4: last sum ½, r²/2 ¼, rest 0.1; where
# products are rounded by themselves ¼ more.
_ULP: Final = 1.25
# Sine and cosine 1 each, up to twice as much of the quotient's last place where it is near a
# power of two; the quotient ½.
_ULP_OF_TAN: Final = 3.25
_REFERENCE: Final = (
    'Reference: W. J. Cody, W. Waite, "Software Manual for the Elementary Functions", 1980.'
)


def sin(real: Format) -> ElementaryFunction:
    """Return the sine."""
    return _anywhere("sin", "sine", "Odd; x itself where it is tiny", real, ulp=_ULP)


def cos(real: Format) -> ElementaryFunction:
    """Return the cosine."""
    return _anywhere("cos", "cosine", "Even; 1 where x is tiny", real, ulp=_ULP)


def tan(real: Format) -> ElementaryFunction:
    """Return the tangent."""
    return _anywhere("tan", "tangent", "Odd; x itself where it is tiny", real, ulp=_ULP_OF_TAN)


def _anywhere(name: str, what: str, shape: str, real: Format, *, ulp: float) -> ElementaryFunction:
    """Return a function that takes the C library's value where the one near 0 does not hold."""
    bits = _COUNTED[real.dtype]
    source = f'''\
{DECORATOR}
def {name}(x):
    """Return the {what} of x, {real.dtype}, within {ulp} ulp.

    {shape}; NaN at ±inf.
    Up to |x| = {2**bits} that of near_{name}, beyond it the C library's: π/2 would take more parts.
    {measured(name, real)}
    Reference: that of near_{name}.
    """
    BOUND = {real.number(2**bits)}
    value = near_{name}(x)
    return math.{name}(x) if abs(x) > BOUND else value
'''
    return ElementaryFunction(
        name=name,
        dtype=real.dtype,
        needs=(f"near_{name}",),
        source=source,
        ulp=ulp,
        bound=2.0**bits,
    )


def near_sin(real: Format) -> ElementaryFunction:
    """Return the sine of numbers that are not too large."""
    source = f'''\
{_head("sin", "sine", real, ulp=_ULP)}

    |x| = k·π/2 + r with an integer k and |r| ≤ π/4, and the sine is ±sin r, or ±cos r where k
    is odd.
    {_REFERENCE}
    """
{_sine_and_cosine(real)}
    # the last bits of `shifted` are k; the last but one is moved to the sign of x
    k_bits = {real.bits_of("shifted")}
    odd = {real.of_bits(f"(k_bits & 1) << {_bit_of_2(real)}")}  # 2 or 0
    value = cosine if odd > {real.number(0)} else sine
    one = np.copysign({real.number(1)}, x)
    sign = {real.of_bits(f"{real.bits_of('one')} + ((k_bits & 2) << {_bit_of_2(real)})")}
    return value * sign
'''
    return ElementaryFunction(name="near_sin", dtype=real.dtype, source=source, ulp=_ULP)


def near_cos(real: Format) -> ElementaryFunction:
    """Return the cosine of numbers that are not too large."""
    source = f'''\
{_head("cos", "cosine", real, ulp=_ULP)}

    |x| = k·π/2 + r with an integer k and |r| ≤ π/4, and the cosine is ±cos r, or ±sin r where k
    is odd.
    {_REFERENCE}
    """
{_sine_and_cosine(real)}
    # the last bits of `shifted` are k; the last but one of k + 1 is the sign
    k_bits = {real.bits_of("shifted")}
    odd = {real.of_bits(f"(k_bits & 1) << {_bit_of_2(real)}")}  # 2 or 0
    value = sine if odd > {real.number(0)} else cosine
    sign = {real.of_bits(f"(((k_bits + 1) & 2) << {_bit_of_2(real)}) + {real.bits(1)}")}
    return value * sign
'''
    return ElementaryFunction(name="near_cos", dtype=real.dtype, source=source, ulp=_ULP)


def near_tan(real: Format) -> ElementaryFunction:
    """Return the tangent of numbers that are not too large."""
    source = f'''\
{_head("tan", "tangent", real, ulp=_ULP_OF_TAN)}

    |x| = k·π/2 + r with an integer k and |r| ≤ π/4, and the tangent is sin r / cos r, or
    −cos r / sin r where k is odd.
    {_REFERENCE}
    """
{_sine_and_cosine(real)}
    # the last bit of `shifted` is that of k
    k_bits = {real.bits_of("shifted")}
    odd = {real.of_bits(f"(k_bits & 1) << {_bit_of_2(real)}")}  # 2 or 0
    upper = -cosine if odd > {real.number(0)} else sine
    lower = sine if odd > {real.number(0)} else cosine
    return upper / lower * np.copysign({real.number(1)}, x)
'''
    return ElementaryFunction(name="near_tan", dtype=real.dtype, source=source, ulp=_ULP_OF_TAN)


def _head(name: str, what: str, real: Format, *, ulp: float) -> str:
    bound = 2 ** _COUNTED[real.dtype]
    return f'''\
{DECORATOR}
def near_{name}(x):
    """Return the {what} of x, {real.dtype}, within {ulp} ulp up to |x| = {bound}.'''


def _bit_of_2(real: Format) -> int:
    """Return the bit that alone makes the number 2: the one before the sign."""
    return real.fraction + real.bias.bit_length()


def _sine_and_cosine(real: Format) -> str:
    """Return the lines that make `sine` and `cosine` of r, and `shifted`, which ends in k."""
    sine, cosine = sine_polynomial(_DEGREE[real.dtype]), cosine_polynomial(_DEGREE[real.dtype])
    parts = "\n".join(
        f"    HALF_PI_{place} = {real.number(part)}" for place, part in enumerate(half_pi(real), 1)
    )
    return f"""\
    ROUNDER = {real.number(real.rounder)}  # a sum with it is an integer
    TWO_OVER_PI = {real.number(2 / mp.pi)}
    # π/2 in four parts; k times one of the first three is exact, and so is the rest after two
{parts}
    a = abs(x)
    shifted = fma(a, TWO_OVER_PI, ROUNDER)
    k = shifted - ROUNDER
    rest = fma(-k, HALF_PI_2, fma(-k, HALF_PI_1, a))
    r = fma(-k, HALF_PI_3, rest)
    low = fma(-k, HALF_PI_4, fma(-k, HALF_PI_3, rest - r))  # what r lacks
    z = r * r
    # sin r = r + r·z·p(z), {quality(sine)}
{horner("p", "z", sine, real)}
    sine = r + fma(r * z, p, low)
    # cos r = 1 − r²/2 + z²·q(z), {quality(cosine)}
{horner("q", "z", cosine, real)}
    q = fma(-r, low, z * z * q)
    cosine = fma({real.number(-0.5)} * r, r, q) + {real.number(1)}"""


def half_pi(real: Format) -> tuple[Real, Real, Real, Real]:
    """Return π/2 in four parts.

    The first three have so few bits that their products with any k are exact. The second ends
    at the spacing just below 1: so do the rests after it, which are exact for that reason.
    """
    bits = real.fraction + 1 - _COUNTED[real.dtype]
    first = _cut(mp.pi / 2, bits - 1)
    second = _cut(mp.pi / 2 - first, real.fraction + 1)
    rest = mp.pi / 2 - first - second
    third = _cut(rest, bits - mp.frexp(rest)[1])
    return first, second, third, rest - third


def _cut(value: Real, places: int) -> Real:
    """Return a value with so many binary places."""
    return mp.ldexp(mp.nint(mp.ldexp(value, places)), -places)


@cache
def sine_polynomial(degree: int) -> Minimax:
    """Return p of sin r = r + r·z·p(z), z = r², for |r| ≤ π/4 and a little more."""
    return odd_tail(mp.sin, first=1, degree=degree, high=_end())


@cache
def cosine_polynomial(degree: int) -> Minimax:
    """Return q of cos r = 1 − z/2 + z²·q(z), z = r², for |r| ≤ π/4 and a little more."""
    return minimax(
        lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2,
        lambda z: z**2 / mp.cos(mp.sqrt(z)),
        degree=degree,
        low=mp.mpf(0),
        high=_end() ** 2,
    )


def _end() -> Real:
    return mp.pi / 4 * (1 + mp.mpf(2) ** -11)  # k may be rounded to the wrong side
