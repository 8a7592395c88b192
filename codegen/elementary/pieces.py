"""What the elementary functions share: number formats, pieces of source, polynomials."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, final

import numpy as np
from mpmath import mp

from codegen.remez import Minimax, Real, minimax

# What every function's source takes for granted beside NumPy and `njit`.
FMA: Final = '''\
@intrinsic
def fma(typing_context, x, y, z):
    """Return x·y + z, rounded once: by a processor without such an instruction, twice."""

    def lower(context, builder, call, values):
        number = values[0].type
        kind = ir.FunctionType(number, [number] * 3)
        name = f"llvm.fmuladd.f{x.bitwidth}"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), values)

    return x(x, x, x), lower
'''
FMA_IMPORTS: Final = """\
from llvmlite import ir
from numba import njit
from numba.core import cgutils
from numba.extending import intrinsic
"""
DECORATOR: Final = '@njit(nogil=True, error_model="numpy", fastmath=False, forceinline=True)'


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
    source : str
        A complete ``@njit`` function. Expects ``import math``, ``import numpy as np``,
        ``from numba import njit`` and `FMA` above it.
    ulp : float
        Bound of the error in units in the last place of the result: the spacing of the
        numbers around it, subnormal ones included. It holds with and without fused
        multiply-add: the roundings added up where they weigh most, above what was measured.
    needs : tuple of str
        Elementary functions that the source calls; theirs must stand above it.
    bound : float
        The largest ``|x|`` that is computed here: as the source of ``near_NAME`` does, the one
        that it needs, which has no branch. Beyond it the C library's function is called.
    """

    name: str
    dtype: str
    source: str
    ulp: float
    needs: tuple[str, ...] = ()
    bound: float = math.inf


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
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


FORMATS: Final = {
    "float32": Format(dtype="float32", integer="int32", fraction=23, bias=127),
    "float64": Format(dtype="float64", integer="int64", fraction=52, bias=1023),
}


@cache
def errors() -> dict[str, dict[str, dict[str, float]]]:
    """Return the worst errors measured, in ulp: by function, dtype, and "fused" or "unfused".

    `make ulp` measures them; the table is ``errors.json``, in this folder.
    """
    table = resources.files("codegen.elementary").joinpath("errors.json").read_text("utf-8")
    found: dict[str, dict[str, dict[str, float]]] = json.loads(table)
    return found


_SAMPLE: Final = {"float32": "all numbers of the format", "float64": "10⁸ numbers"}


def measured(name: str, real: Format) -> str:
    """Return the sentence that says how far a function was off at worst."""
    error = errors()[name][real.dtype]
    return (
        f"Measured over {_SAMPLE[real.dtype]}: {error['fused']} ulp; "
        f"not fused, {error['unfused']} ulp. Table: `make ulp`."
    )


def ln2_high(real: Format) -> Real:
    """Return ln 2 with so few bits that its product with any exponent is exact."""
    bits = real.fraction + 1 - (real.bias + real.fraction).bit_length()
    return mp.floor(mp.ldexp(mp.ln2, bits)) / mp.ldexp(1, bits)


def reduction_constants(real: Format) -> str:
    """Return the lines that define what `REDUCTION` takes."""
    rounder = f"1.5·2{superscript(real.fraction)}"
    return f"""\
    LOG2_E = {real.number(1 / mp.ln2)}
    LN2_HIGH = {real.number(ln2_high(real))}  # k·LN2_HIGH is exact
    LN2_LOW = {real.number(mp.ln2 - ln2_high(real))}
    ROUNDER = {real.number(real.rounder)}  # {rounder}: a sum with it is an integer"""


# Everything else that is fused is written as ``fma``. A product that is to be rounded before it
# goes into a sum gets a 0 added where kernels may fuse what they are not told to, as those of C
# and of vectors may: fused or not, that sum is the rounded product.
ADDED_ZERO: Final = "+ 0: rounded here, whatever is fused"

REDUCTION: Final = """\
    shifted = fma(y, LOG2_E, ROUNDER)
    k = shifted - ROUNDER
    r = fma(-k, LN2_LOW, fma(-k, LN2_HIGH, y))"""


def horner(name: str, variable: str, polynomial: Minimax, real: Format) -> str:
    """Return the lines that evaluate a polynomial, highest power first."""
    highest, *rest = reversed(polynomial.coefficients)
    lines = [f"    {name} = {real.number(highest)}"]
    lines += [f"    {name} = fma({name}, {variable}, {real.number(c)})" for c in rest]
    return "\n".join(lines)


def paired(name: str, variable: str, square: str, polynomial: Minimax, real: Format) -> str:
    """Return the lines that evaluate a polynomial by pairs of its terms, highest first.

    A pair waits for nothing that comes before it: half as many steps follow on each other as
    by Horner's rule, and there is not one operation more but the square.
    """
    *rest, highest = polynomial.coefficients
    lines = []
    if len(rest) % 2:
        lines.append(f"    {name} = {pair_of(highest, variable, rest.pop(), real)}")
    else:
        lines.append(f"    {name} = {real.number(highest)}")
    while rest:
        upper, lower = rest.pop(), rest.pop()
        pair = pair_of(upper, variable, lower, real)
        lines.append(f"    {name} = fma({name}, {square}, {pair})")
    return "\n".join(lines)


def pair_of(factor: Real, variable: str, c: Real, real: Format) -> str:
    """Return ``factor * variable + c`` as source."""
    return f"fma({real.number(factor)}, {variable}, {real.number(c)})"


def quality(polynomial: Minimax) -> str:
    """Return how good a polynomial is, in words."""
    return f"relative error below 2{superscript(exponent_of(polynomial))}"


def exponent_of(polynomial: Minimax) -> int:
    """Return the power of two below which the polynomial's error stays."""
    return math.ceil(math.log2(polynomial.error))


def superscript(number: int) -> str:
    """Return a number as it stands in an exponent."""
    return str(number).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def odd_tail(function: Callable[[Real], Real], *, first: int, degree: int, high: Real) -> Minimax:
    """Return p of function(x) = first·x + x·z·p(z), z = x², for |x| ≤ high."""

    def tail(z: Real) -> Real:
        x = mp.sqrt(z)
        return (function(x) / x - first) / z

    def weight(z: Real) -> Real:
        x = mp.sqrt(z)
        return x * z / function(x)

    return minimax(tail, weight, degree=degree, low=mp.mpf(0), high=high**2)
