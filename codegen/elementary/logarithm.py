"""Source of log and log1p: a multiple of ln 2 and an odd polynomial."""

from functools import cache

from mpmath import mp

from codegen.elementary.pieces import (
    ADDED_ZERO,
    DECORATOR,
    ElementaryFunction,
    Format,
    horner,
    ln2_high,
    measured,
    odd_tail,
    quality,
    superscript,
)
from codegen.remez import Minimax


def log(real: Format) -> ElementaryFunction:
    """Return the natural logarithm."""
    # Roundings where they weigh most, 1 + f near √2: f − c ½, c = h − s·(h + z·p) ⅓, rest 0.1;
    # for k = −1 the sum with k·LN2_HIGH cancels there, and is exact for that reason.
    ulp = 1.0
    p = log_polynomial({"float32": 2, "float64": 6}[real.dtype])
    sqrt_half = real.bits(mp.sqrt(mp.mpf(0.5)))
    plain, raised = real.number(real.rounder), real.number(real.rounder + real.fraction)
    zero = real.number(0)
    source = f'''\
{DECORATOR}
def log(x):
    """Return the natural logarithm of x, {real.dtype}, within {ulp} ulp.

    x = 2ᵏ·(1 + f) with an integer k and √½ ≤ 1 + f < √2, so that log x = k·ln 2 + log(1 + f),
    and log(1 + f) = 2·atanh s, s = f/(2 + f). With h = f²/2 its first term 2·s is
    f − (h − s·h), and f is exact. log(0) = −inf, log(inf) = inf, NaN below 0.
    {measured("log", real)}
    Reference: P. T. P. Tang, "Table-driven implementation of the logarithm function in IEEE
    floating-point arithmetic", 1990 (for the leading term that stays exact; no table here).
    """
    LN2_HIGH = {real.number(ln2_high(real))}  # k·LN2_HIGH is exact
    LN2_LOW = {real.number(mp.ln2 - ln2_high(real))}
    NORMAL = {real.number(mp.mpf(2) ** (1 - real.bias))}  # subnormal numbers are below
    INF = np.{real.dtype}(np.inf)
    NAN = np.{real.dtype}(np.nan)
    subnormal = x < NORMAL
    y = x * {real.number(2.0**real.fraction)} if subnormal else x
    n = {real.integer_of(f"{real.bits_of('y')} - {sqrt_half}")}  # less the bits of √½
    f = {real.of_bits(f"(n & 0x{2**real.fraction - 1:X}) + {sqrt_half}")} - {real.number(1)}
    # k comes as the last bits of 1.5·2{superscript(real.fraction)} + k
    shifted = {real.of_bits(f"(n >> {real.fraction}) + {real.bits(real.rounder)}")}
    k = shifted - ({raised} if subnormal else {plain})
    # 2·atanh s = 2·s + s·z·p(z), z = s², {quality(p)}
    s = f / (f + {real.number(2)})
    z = s * s
{horner("p", "z", p, real)}
    h = {real.number(0.5)} * (f * f) + {zero}  # {ADDED_ZERO}
    low = k * LN2_LOW + {zero}
    value = fma(k, LN2_HIGH, f - (h - fma(s, fma(z, p, h), low)))
    value = value if x > {zero} else (-INF if x == {zero} else NAN)
    return INF if x == INF else value
'''
    return ElementaryFunction(name="log", dtype=real.dtype, needs=(), source=source, ulp=ulp)


def log1p(real: Format) -> ElementaryFunction:
    """Return the natural logarithm of 1 + x, exact to the last places near 0."""
    # As for log; c is small beside f, and its rounding beside the last one.
    ulp = 1.25
    p = log_polynomial({"float32": 2, "float64": 6}[real.dtype])
    sqrt_half = real.bits(mp.sqrt(mp.mpf(0.5)))
    one = real.number(1)
    source = f'''\
{DECORATOR}
def log1p(x):
    """Return the natural logarithm of 1 + x, {real.dtype}, within {ulp} ulp.

    With u = 1 + x as it is rounded and what the sum has lost, log(1 + x) is log u + lost/u, and
    log u as in log: u = 2ᵏ·(1 + f), log u = k·ln 2 + 2·atanh s, s = f/(2 + f).
    x itself where it is tiny; log1p(−1) = −inf, log1p(inf) = inf, NaN below −1.
    {measured("log1p", real)}
    References: D. E. Knuth, "The Art of Computer Programming", volume 2, section 4.2.2 (for
    what a sum loses); P. T. P. Tang, "Table-driven implementation of the logarithm function in
    IEEE floating-point arithmetic", 1990.
    """
    LN2_HIGH = {real.number(ln2_high(real))}  # k·LN2_HIGH is exact
    LN2_LOW = {real.number(mp.ln2 - ln2_high(real))}
    ROUNDER = {real.number(real.rounder)}
    TINY = {real.number(mp.mpf(2) ** -(real.fraction + 1))}
    ONE = {one}
    INF = np.{real.dtype}(np.inf)
    NAN = np.{real.dtype}(np.nan)
    u = x + ONE
    rest = u - ONE
    lost = (ONE - (u - rest)) + (x - rest)
    c = lost / u
    n = {real.integer_of(f"{real.bits_of('u')} - {sqrt_half}")}  # less the bits of √½
    f = {real.of_bits(f"(n & 0x{2**real.fraction - 1:X}) + {sqrt_half}")} - ONE
    # k comes as the last bits of 1.5·2{superscript(real.fraction)} + k
    shifted = {real.of_bits(f"(n >> {real.fraction}) + {real.bits(real.rounder)}")}
    k = shifted - ROUNDER
    # 2·atanh s = 2·s + s·z·p(z), z = s², {quality(p)}
    s = f / (f + {real.number(2)})
    z = s * s
{horner("p", "z", p, real)}
    h = {real.number(0.5)} * (f * f) + {real.number(0)}  # {ADDED_ZERO}
    value = fma(k, LN2_HIGH, f - (h - fma(s, fma(z, p, h), fma(k, LN2_LOW, c))))
    value = value if x > -ONE else (-INF if x == -ONE else NAN)
    value = value if abs(x) >= TINY else x
    return INF if x == INF else value
'''
    return ElementaryFunction(name="log1p", dtype=real.dtype, needs=(), source=source, ulp=ulp)


@cache
def log_polynomial(degree: int) -> Minimax:
    """Return p of 2·atanh s = 2·s + s·z·p(z), z = s², for s = f/(2 + f), √½ ≤ 1 + f ≤ √2."""
    root = mp.sqrt(2)
    return odd_tail(lambda s: 2 * mp.atanh(s), first=2, degree=degree, high=(root - 1) / (root + 1))
