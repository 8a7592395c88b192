"""Source of exp and expm1: powers of two times a polynomial on half an octave."""

from functools import cache

from mpmath import mp

from codegen.elementary.pieces import (
    ADDED_ZERO,
    DECORATOR,
    REDUCTION,
    ElementaryFunction,
    Format,
    measured,
    paired,
    quality,
    reduction_constants,
)
from codegen.remez import Minimax, minimax


def exp(real: Format) -> ElementaryFunction:
    """Return the exponential function."""
    # Roundings where they weigh most, eʳ in [√½, 1): last sum ½, r + r²·p ¼, r ⅕, rest 0.1.
    ulp = 1.1
    p = exp_polynomial({"float32": 4, "float64": 10}[real.dtype])
    largest = (2 - mp.mpf(2) ** -real.fraction) * mp.mpf(2) ** real.bias
    vanishing = mp.mpf(2) ** -(real.bias + real.fraction)  # half the least positive number
    source = f'''\
{DECORATOR}
def exp(x):
    """Return e to the power x, {real.dtype}, within {ulp} ulp.

    x = k·ln 2 + r with an integer k and |r| ≤ ln 2 / 2, so that eˣ = 2ᵏ·eʳ.
    Overflows to inf, underflows through the subnormal numbers to 0; exp(0) = 1.
    {measured("exp", real)}
    Reference: W. J. Cody, W. Waite, "Software Manual for the Elementary Functions", 1980.
    """
{reduction_constants(real)}
    OVERFLOW = {real.number(mp.ceil(mp.ln(largest)))}  # inf from here on
    UNDERFLOW = {real.number(mp.floor(mp.ln(vanishing)))}  # 0 up to here
    y = OVERFLOW if x > OVERFLOW else x
    y = UNDERFLOW if y < UNDERFLOW else y
{REDUCTION}
    # eʳ = 1 + t, t = r + r²·p(r), {quality(p)}
    z = r * r
{paired("p", "r", "z", p, real)}
    t = fma(z, p, r)
    # 2ᵏ may lie outside the format where eˣ does not: two factors of half the exponent
    exponent = {real.integer_of(f"{real.bits_of('shifted')} - {real.bits(real.rounder)}")}
    half = exponent >> 1
    first = {real.of_bits(f"(half + {real.bias}) << {real.fraction}")}
    second = {real.of_bits(f"(exponent - half + {real.bias}) << {real.fraction}")}
    return fma(t, first, first) * second
'''
    return ElementaryFunction(name="exp", dtype=real.dtype, needs=(), source=source, ulp=ulp)


def expm1(real: Format) -> ElementaryFunction:
    """Return the exponential function less 1, exact to the last places near 0."""
    # Roundings where they weigh most, k = 1 and r near −ln 2 / 2: last sum ½, t 1, rest ½.
    ulp = 2.0
    p = exp_polynomial({"float32": 4, "float64": 10}[real.dtype])
    largest = (2 - mp.mpf(2) ** -real.fraction) * mp.mpf(2) ** real.bias
    bits_of_half = int(real.bits(real.rounder), 16) - (real.bias - 1)
    source = f'''\
{DECORATOR}
def expm1(x):
    """Return e to the power x, less 1, {real.dtype}, within {ulp} ulp.

    x = k·ln 2 + r with an integer k and |r| ≤ ln 2 / 2, so that with t = eʳ − 1
    eˣ − 1 = 2ᵏ·t + (2ᵏ − 1); this sum, halved, does not overflow before its time.
    x itself where it is tiny; −1 far below 0; overflows to inf.
    {measured("expm1", real)}
    Reference: W. J. Cody, W. Waite, "Software Manual for the Elementary Functions", 1980.
    """
{reduction_constants(real)}
    OVERFLOW = {real.number(mp.ceil(mp.ln(largest)))}  # inf from here on
    UNDERFLOW = {real.number(-mp.ceil((real.fraction + 3) * mp.ln2))}  # −1 up to here
    TINY = {real.number(mp.mpf(2) ** -(real.fraction + 1))}
    HALF = {real.number(0.5)}
    ZERO = {real.number(0)}  # {ADDED_ZERO}
    y = OVERFLOW if x > OVERFLOW else x
    y = UNDERFLOW if y < UNDERFLOW else y
    shifted = fma(y, LOG2_E, ROUNDER)
    k = shifted - ROUNDER
    high = fma(-k, LN2_HIGH, y)
    low = k * LN2_LOW + ZERO
    r = high - low
    rounded_off = (high - r) - low
    # t = r + r²·p(r), {quality(p)}; and what r was rounded by
    z = r * r
{paired("p", "r", "z", p, real)}
    t = r + fma(z, p, rounded_off)
    # the last bits of `shifted` are k; in the exponent's place they make 2ᵏ⁻¹
    exponent = {real.integer_of(f"{real.bits_of('shifted')} - 0x{bits_of_half:X}")}
    half = {real.of_bits(f"exponent << {real.fraction}")}
    value = fma(half, t, half - HALF)
    return x if abs(x) < TINY else value + value
'''
    return ElementaryFunction(name="expm1", dtype=real.dtype, needs=(), source=source, ulp=ulp)


@cache
def exp_polynomial(degree: int) -> Minimax:
    """Return p of eʳ = 1 + r + r²·p(r) for |r| ≤ ln 2 / 2."""
    return minimax(
        lambda r: (mp.exp(r) - 1 - r) / r**2,
        lambda r: r**2 / mp.exp(r),
        degree=degree,
        low=-mp.ln2 / 2,
        high=mp.ln2 / 2,
    )
