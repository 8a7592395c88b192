"""Source of atan: an odd polynomial, after what is left of an eighth or a quarter turn."""

from functools import cache
from typing import Final

from mpmath import mp

from codegen.elementary.pieces import (
    DECORATOR,
    ElementaryFunction,
    Format,
    measured,
    odd_tail,
    paired,
    quality,
)
from codegen.remez import Minimax

_DEGREE: Final = {"float32": 4, "float64": 10}


def atan(real: Format) -> ElementaryFunction:
    """Return the inverse tangent."""
    # Roundings where they weigh most, a just above tan π/8: last sum ½, t ½, a + 1 and a − 1 ¼
    # each, t and what follows ¼.
    ulp = 2.0
    p = atan_polynomial(_DEGREE[real.dtype])
    quarter = mp.mpf(real.rounded(mp.pi / 2))
    zero, one = real.number(0), real.number(1)
    source = f'''\
{DECORATOR}
def atan(x):
    """Return the inverse tangent of x, {real.dtype}, within {ulp} ulp.

    With a = |x|: below tan π/8 an odd polynomial; then atan a = π/4 + atan (a − 1)/(a + 1); from
    tan 3π/8 on atan a = π/2 + atan −1/a. Odd; x itself where it is tiny; ±π/2 at ±inf.
    {measured("atan", real)}
    Reference: W. J. Cody, W. Waite, "Software Manual for the Elementary Functions", 1980.
    """
    ONE = {one}
    TAN_1 = {real.number(mp.sqrt(2) - 1)}  # tan π/8
    TAN_3 = {real.number(mp.sqrt(2) + 1)}  # tan 3π/8
    HIGH = {real.number(quarter)}  # π/2
    LOW = {real.number(mp.pi / 2 - quarter)}  # and what it lacks
    a = abs(x)
    upper = a if a < TAN_1 else (a - ONE if a < TAN_3 else -ONE)
    lower = ONE if a < TAN_1 else (a + ONE if a < TAN_3 else a)
    turns = {zero} if a < TAN_1 else ({real.number(0.5)} if a < TAN_3 else ONE)
    t = upper / lower
    # atan t = t + t·z·p(z), z = t², {quality(p)}
    z = t * t
    zz = z * z
{paired("p", "z", "zz", p, real)}
    value = fma(turns, HIGH, t + fma(t * z, p, turns * LOW))
    return np.copysign(value, x)
'''
    return ElementaryFunction(name="atan", dtype=real.dtype, source=source, ulp=ulp)


@cache
def atan_polynomial(degree: int) -> Minimax:
    """Return p of atan t = t + t·z·p(z), z = t², for |t| ≤ tan π/8."""
    return odd_tail(mp.atan, first=1, degree=degree, high=mp.sqrt(2) - 1)
