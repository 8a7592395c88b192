"""Elementary functions in plain arithmetic, which LLVM turns into vector instructions.

Numba's own ``math.exp`` and ``math.tanh`` call the C library once per number. The functions
here are sums, products, one division, integer operations on the bits, and selections; a
loop over them is compiled to vector instructions on any processor. Their source is pasted
into the emitted module, for one dtype, under the function's plain name.

The polynomials' coefficients are written down nowhere: `codegen.remez` computes them when
code is generated, and they are rounded to the dtype once. A new function is one builder and
one line each in `_BUILDERS` and `_MEASURED`.

What every function keeps to, and why
-------------------------------------
- ``fastmath={"contract"}`` and no other flag: ``reassoc`` deletes ``(x + M) − M``, ``nsz``
  loses ``tanh(−0) = −0``, ``nnan`` and ``ninf`` lose the values at the ends. The flags stand
  on the instructions, so a caller's flags do not change them.
- ``forceinline``: a function that stays a call is not vectorised. It acts after Numba's own
  passes; ``inline="always"`` acts before, and would give the body the caller's flags.
- No ``cache``: what calls the function is cached, and holds it.
- Every constant has the dtype: with a bare ``0.5`` Numba would compute in float64.
- Integers are cast just before their bits are read as a number: Numba adds and shifts in
  int64. LLVM narrows that again.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, final

import numpy as np
from mpmath import mp

from codegen.errors import InputError
from codegen.remez import PRECISION, Minimax, Real, minimax


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ElementaryFunction:
    """Source of one compiled elementary function, and how far it may be trusted.

    Attributes
    ----------
    name : str
        As in formulas; the source defines a function of this name, of one argument.
    dtype : str
        ``float32`` or ``float64``, of argument and result.
    needs : tuple of str
        Elementary functions that the source calls; theirs must stand above it.
    source : str
        A complete ``@njit`` function. Expects ``import numpy as np`` and
        ``from numba import njit`` above it.
    ulp : float
        Bound of the error in units in the last place of the result: the spacing of the
        numbers around it, subnormal ones included. It holds with and without fused
        multiply-add: the roundings added up where they weigh most, above what was measured.
    """

    name: str
    dtype: str
    needs: tuple[str, ...]
    source: str
    ulp: float


@cache
def elementary_function(name: str, dtype: str) -> ElementaryFunction:
    """Return the source of the function `name` in `dtype`, with its error bound.

    Raises
    ------
    InputError
        The name or the dtype is not known.
    """
    if dtype not in _FORMATS:
        raise InputError(f'dtype: "{dtype}" is not known. Known: {", ".join(_FORMATS)}.')
    if name not in _BUILDERS:
        raise InputError(f'elementary function: "{name}" is not known. Known: {", ".join(KNOWN)}.')
    with mp.workprec(PRECISION):
        return _BUILDERS[name](_FORMATS[dtype])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    """A binary floating-point format, and how its numbers are written in the source."""

    dtype: str
    integer: str  # the integer type of the same width
    fraction: int  # bits after the leading one
    bias: int  # of the exponent

    @property
    def rounder(self) -> float:
        """The number whose neighbours are 1 apart, with room for integers of either sign."""
        return 1.5 * 2.0**self.fraction

    def rounded(self, value: Real) -> float:
        """Return the number of the format that is nearest to `value`."""
        return float(np.dtype(self.dtype).type(float(value)))

    def number(self, value: Real) -> str:
        """Return `value`, rounded to the format, as source."""
        if self.dtype == "float64":
            return repr(float(value))
        number = np.float32(float(value))
        whole = number == np.rint(number)
        return f"np.float32({number:.1f})" if whole else f"np.float32({number!s})"

    def bits(self, value: Real) -> str:
        """Return the bits of `value`, rounded to the format, as source."""
        number = np.dtype(self.dtype).type(float(value))
        return f"0x{int(number.view(self.integer)):X}"

    def integer_of(self, expression: str) -> str:
        """Return source that brings an integer expression back to the format's width."""
        return f"np.{self.integer}({expression})"

    def bits_of(self, variable: str) -> str:
        """Return source for the bits of a number; Numba wants the cast in this very place."""
        return f"np.{self.dtype}({variable}).view(np.{self.integer})"

    def of_bits(self, integer: str) -> str:
        """Return source for the number that has the bits of an integer expression."""
        return f"{self.integer_of(integer)}.view(np.{self.dtype})"


_FORMATS: Final = {
    "float32": _Format(dtype="float32", integer="int32", fraction=23, bias=127),
    "float64": _Format(dtype="float64", integer="int64", fraction=52, bias=1023),
}

DECORATOR: Final = '@njit(nogil=True, error_model="numpy", fastmath={"contract"}, forceinline=True)'

# Worst error seen in ulp, with fused multiply-add and without: `tests/support/ulp.py --all`.
_MEASURED: Final = {
    ("exp", "float32"): ("1.04", "0.99"),
    ("exp", "float64"): ("1.00", "0.97"),
    ("log", "float32"): ("0.84", "0.84"),
    ("log", "float64"): ("0.85", "0.85"),
    ("tanh", "float32"): ("2.15", "2.39"),
    ("tanh", "float64"): ("1.47", "1.46"),
}
_SAMPLE: Final = {"float32": "all numbers of the format", "float64": "ten million numbers"}


def _exp(real: _Format) -> ElementaryFunction:
    # Roundings where they weigh most, eʳ in [√½, 1): last sum ½, r + r²·p ¼, r ⅕, rest 0.1.
    ulp = 1.1
    p = _exp_polynomial({"float32": 4, "float64": 10}[real.dtype])
    largest = (2 - mp.mpf(2) ** -real.fraction) * mp.mpf(2) ** real.bias
    vanishing = mp.mpf(2) ** -(real.bias + real.fraction)  # half the least positive number
    source = f'''\
{DECORATOR}
def exp(x):
    """Return e to the power x, {real.dtype}, within {ulp} ulp.

    x = k·ln 2 + r with an integer k and |r| ≤ ln 2 / 2, so that eˣ = 2ᵏ·eʳ.
    Overflows to inf, underflows through the subnormal numbers to 0; exp(0) = 1.
    {_measured("exp", real)}
    Reference: W. J. Cody, W. Waite, "Software Manual for the Elementary Functions", 1980.
    """
{_reduction_constants(real)}
    OVERFLOW = {real.number(mp.ceil(mp.ln(largest)))}  # inf from here on
    UNDERFLOW = {real.number(mp.floor(mp.ln(vanishing)))}  # 0 up to here
    y = OVERFLOW if x > OVERFLOW else x
    y = UNDERFLOW if y < UNDERFLOW else y
{_REDUCTION}
    # eʳ = 1 + t, t = r + r²·p(r), {_quality(p)}
    z = r * r
{_paired("p", "r", "z", p, real)}
    t = r + z * p
    # 2ᵏ may lie outside the format where eˣ does not: two factors of half the exponent
    exponent = {real.integer_of(f"{real.bits_of('shifted')} - {real.bits(real.rounder)}")}
    half = exponent >> 1
    first = {real.of_bits(f"(half + {real.bias}) << {real.fraction}")}
    second = {real.of_bits(f"(exponent - half + {real.bias}) << {real.fraction}")}
    return (first + t * first) * second
'''
    return ElementaryFunction(name="exp", dtype=real.dtype, needs=(), source=source, ulp=ulp)


def _log(real: _Format) -> ElementaryFunction:
    # Roundings where they weigh most, 1 + f near √2: f − c ½, c = h − s·(h + z·p) ⅓, rest 0.1;
    # for k = −1 the sum with k·LN2_HIGH cancels there, and is exact for that reason.
    ulp = 1.0
    p = _log_polynomial({"float32": 2, "float64": 6}[real.dtype])
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
    {_measured("log", real)}
    Reference: P. T. P. Tang, "Table-driven implementation of the logarithm function in IEEE
    floating-point arithmetic", 1990 (for the leading term that stays exact; no table here).
    """
    LN2_HIGH = {real.number(_ln2_high(real))}  # k·LN2_HIGH is exact
    LN2_LOW = {real.number(mp.ln2 - _ln2_high(real))}
    NORMAL = {real.number(mp.mpf(2) ** (1 - real.bias))}  # subnormal numbers are below
    INF = np.{real.dtype}(np.inf)
    NAN = np.{real.dtype}(np.nan)
    subnormal = x < NORMAL
    y = x * {real.number(2.0**real.fraction)} if subnormal else x
    n = {real.integer_of(f"{real.bits_of('y')} - {sqrt_half}")}  # less the bits of √½
    f = {real.of_bits(f"(n & 0x{2**real.fraction - 1:X}) + {sqrt_half}")} - {real.number(1)}
    # k comes as the last bits of 1.5·2{_superscript(real.fraction)} + k
    shifted = {real.of_bits(f"(n >> {real.fraction}) + {real.bits(real.rounder)}")}
    k = shifted - ({raised} if subnormal else {plain})
    # 2·atanh s = 2·s + s·z·p(z), z = s², {_quality(p)}
    s = f / (f + {real.number(2)})
    z = s * s
{_horner("p", "z", p, real)}
    h = {real.number(0.5)} * f * f
    value = k * LN2_HIGH + (f - (h - (s * (h + z * p) + k * LN2_LOW)))
    value = value if x > {zero} else (-INF if x == {zero} else NAN)
    return INF if x == INF else value
'''
    return ElementaryFunction(name="log", dtype=real.dtype, needs=(), source=source, ulp=ulp)


def _tanh(real: _Format) -> ElementaryFunction:
    return _tanh_by_exp(real) if real.dtype == "float64" else _tanh_by_polynomials(real)


def _tanh_by_polynomials(real: _Format) -> ElementaryFunction:
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
    {_measured("tanh", real)}
    Reference: J.-M. Muller, "Elementary Functions: Algorithms and Implementation", 2016,
    chapter 3 (for best polynomials with a weight, and of chosen powers).
    """
    BORDER = {real.number(_FROM_HALF)}  # tanh is ½ just before
    a = abs(x)
    z = a * a
    az = a * z
    # v = √3·eᵃ, error of tanh below 2{_superscript(_exponent(v))}
    v = {_sum(c[11], "az", c[8], real)}
    v = v * z + {real.number(c[6])}
    v = v * z + ({_sum(c[5], "a", c[4], real)})
    v = v * z + ({_sum(c[3], "a", c[2], real)})
    v = v * z + ({_sum(c[1], "a", c[0], real)})
    far = {real.number(1)} - {real.number(6)} / (v * v + {real.number(3)})
    # tanh a = a + a·z·p(z), z = a², {_quality(p)}
{_horner("p", "z", p, real)}
    near = a + az * p
    return np.copysign(near if a < BORDER else far, x)
'''
    return ElementaryFunction(name="tanh", dtype=real.dtype, needs=(), source=source, ulp=ulp)


def _tanh_by_exp(real: _Format) -> ElementaryFunction:
    # Roundings where they weigh most, tanh just above ½: last sum ½, e²ᵃ + 1 ½, e²ᵃ ½,
    # quotient ¼.
    ulp = 1.75
    p, q = _tanh_polynomial(10), _exp_polynomial(10)
    # from here on 2/(e²ᵃ + 1) is below a quarter of the spacing under 1
    saturated = mp.ceil((real.fraction + 4) * mp.ln2 / 2)
    one, two = real.number(1), real.number(2)
    source = f'''\
{DECORATOR}
def tanh(x):
    """Return the hyperbolic tangent of x, {real.dtype}, within {ulp} ulp.

    With a = |x|: near 0 an odd polynomial; from a = ln 3 / 2 on, where tanh is ½,
    tanh a = 1 − 2/(e²ᵃ + 1). Neither cancels. Odd; ±1 from a = {int(saturated)} on at the latest.
    {_measured("tanh", real)}
    Reference: W. J. Cody, W. Waite, "Software Manual for the Elementary Functions", 1980.
    """
    LN3_HALF = {real.number(mp.ln(3) / 2)}
    SATURATED = {real.number(saturated)}
{_reduction_constants(real)}
    # near 0: tanh a = a + a·z·p(z), z = a², {_quality(p)}
    a = abs(x)
    z = a * a
    zz = z * z
{_paired("p", "z", "zz", p, real)}
    near = a + a * (z * p)
    # elsewhere: 2·a = k·ln 2 + r with an integer k and |r| ≤ ln 2 / 2, so that e²ᵃ = 2ᵏ·eʳ
    y = SATURATED if a > SATURATED else a
    y = y + y
{_REDUCTION}
    # eʳ = 1 + r + r²·q(r), {_quality(q)}
    rr = r * r
{_paired("q", "r", "rr", q, real)}
    # the last bits of `shifted` are k; in the exponent's place they make 2ᵏ
    exponent = {real.bits_of("shifted")} << {real.fraction}
    scale = {real.of_bits(f"exponent + {real.bits(1)}")}
    power = ({one} + (r + rr * q)) * scale
    far = {one} - {two} / (power + {one})
    return np.copysign(near if a < LN3_HALF else far, x)
'''
    return ElementaryFunction(name="tanh", dtype=real.dtype, needs=(), source=source, ulp=ulp)


_BUILDERS: Final[dict[str, Callable[[_Format], ElementaryFunction]]] = {
    "exp": _exp,
    "log": _log,
    "tanh": _tanh,
}
KNOWN: Final[tuple[str, ...]] = tuple(_BUILDERS)


# Polynomials. What is left of each function after its first terms, so that these stay exact;
# the weight turns the polynomial's error into the function's relative error.


@cache
def _exp_polynomial(degree: int) -> Minimax:
    """Return p of eʳ = 1 + r + r²·p(r) for |r| ≤ ln 2 / 2."""
    return minimax(
        lambda r: (mp.exp(r) - 1 - r) / r**2,
        lambda r: r**2 / mp.exp(r),
        degree=degree,
        low=-mp.ln2 / 2,
        high=mp.ln2 / 2,
    )


@cache
def _tanh_polynomial(degree: int) -> Minimax:
    """Return p of tanh x = x + x·z·p(z), z = x², for |x| ≤ ln 3 / 2."""
    return _odd_tail(mp.tanh, first=1, degree=degree, high=mp.ln(3) / 2)


_FROM_HALF: Final = mp.mpf("0.5494")  # tanh is ½ just before
_LEFT_OUT: Final = (7, 9, 10)  # of the powers up to 11: the others then have positive coefficients


@cache
def _tanh_far_polynomial(real: _Format) -> Minimax:
    """Return v ≈ √3·eᵃ with tanh a ≈ 1 − 6/(v² + 3) from ½ on, to where tanh rounds to 1.

    The first coefficient is rounded to the format before the others are sought: it is the
    largest part of v where tanh is ½.
    """

    def v(a: Real) -> Real:
        return mp.sqrt(3) * mp.exp(a)

    def weight(a: Real) -> Real:  # the derivative in v, relative to tanh
        return 12 * v(a) / (v(a) ** 2 + 3) ** 2 / mp.tanh(a)

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


@cache
def _log_polynomial(degree: int) -> Minimax:
    """Return p of 2·atanh s = 2·s + s·z·p(z), z = s², for s = f/(2 + f), √½ ≤ 1 + f ≤ √2."""
    root = mp.sqrt(2)
    return _odd_tail(
        lambda s: 2 * mp.atanh(s), first=2, degree=degree, high=(root - 1) / (root + 1)
    )


def _odd_tail(function: Callable[[Real], Real], *, first: int, degree: int, high: Real) -> Minimax:
    """Return p of function(x) = first·x + x·z·p(z), z = x², for |x| ≤ high."""

    def tail(z: Real) -> Real:
        x = mp.sqrt(z)
        return (function(x) / x - first) / z

    def weight(z: Real) -> Real:
        x = mp.sqrt(z)
        return x * z / function(x)

    return minimax(tail, weight, degree=degree, low=mp.mpf(0), high=high**2)


# Pieces of source that the functions share.


def _ln2_high(real: _Format) -> Real:
    """Return ln 2 with so few bits that its product with any exponent is exact."""
    bits = real.fraction + 1 - (real.bias + real.fraction).bit_length()
    return mp.floor(mp.ldexp(mp.ln2, bits)) / mp.ldexp(1, bits)


def _reduction_constants(real: _Format) -> str:
    rounder = f"1.5·2{_superscript(real.fraction)}"
    return f"""\
    LOG2_E = {real.number(1 / mp.ln2)}
    LN2_HIGH = {real.number(_ln2_high(real))}  # k·LN2_HIGH is exact
    LN2_LOW = {real.number(mp.ln2 - _ln2_high(real))}
    ROUNDER = {real.number(real.rounder)}  # {rounder}: a sum with it is an integer"""


_REDUCTION: Final = """\
    shifted = y * LOG2_E + ROUNDER
    k = shifted - ROUNDER
    r = (y - k * LN2_HIGH) - k * LN2_LOW"""


def _horner(name: str, variable: str, polynomial: Minimax, real: _Format) -> str:
    """Return the lines that evaluate a polynomial, highest power first."""
    highest, *rest = reversed(polynomial.coefficients)
    lines = [f"    {name} = {real.number(highest)}"]
    for c in rest:
        sign = "+" if c > 0 else "-"
        lines.append(f"    {name} = {name} * {variable} {sign} {real.number(abs(c))}")
    return "\n".join(lines)


def _paired(name: str, variable: str, square: str, polynomial: Minimax, real: _Format) -> str:
    """Return the lines that evaluate a polynomial by pairs of its terms, highest first.

    A pair waits for nothing that comes before it: half as many steps follow on each other as
    by Horner's rule, and there is not one operation more but the square.
    """
    *rest, highest = polynomial.coefficients
    lines = []
    if len(rest) % 2:
        lines.append(f"    {name} = {_sum(highest, variable, rest.pop(), real)}")
    else:
        lines.append(f"    {name} = {real.number(highest)}")
    while rest:
        upper, lower = rest.pop(), rest.pop()
        pair = _sum(upper, variable, lower, real)
        lines.append(f"    {name} = {name} * {square} + ({pair})")
    return "\n".join(lines)


def _sum(factor: Real, variable: str, c: Real, real: _Format) -> str:
    sign = "+" if c > 0 else "-"
    return f"{real.number(factor)} * {variable} {sign} {real.number(abs(c))}"


def _quality(polynomial: Minimax) -> str:
    return f"relative error below 2{_superscript(_exponent(polynomial))}"


def _exponent(polynomial: Minimax) -> int:
    return math.ceil(math.log2(polynomial.error))


def _measured(name: str, real: _Format) -> str:
    fused, unfused = _MEASURED[name, real.dtype]
    return f"Measured over {_SAMPLE[real.dtype]}: {fused} ulp; not fused, {unfused} ulp."


def _superscript(number: int) -> str:
    return str(number).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
