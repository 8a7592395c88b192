"""How often a wrong gradient passes the check modulo a prime: a bound on a degree.

The difference of both sides is a rational function of the random elements. Here every
element is one unknown; an inverse is kept as a factor ``1/D``, and at the end the difference
is multiplied by all D. A polynomial of degree d that is not 0 is 0 at a random point with a
chance of at most d divided by the number of elements (J. T. Schwartz, Journal of the ACM
27(4), 1980, corollary 1).

All entries of a tensor have the same degree, so that one of each is followed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import final

import sympy
from sympy import Expr, Indexed, Piecewise, Sum
from sympy.codegen.cfunctions import expm1, log1p
from sympy.core.function import Application

from derive.program import Program, Statement
from derive.proof.explicit import Explicit
from derive.proof.prime import _CIRCULAR, _HYPERBOLIC, LARGEST_EXPONENT, POWER, PRIME
from derive.proof.tangent import _T, _slope

_Key = tuple[str, Expr]


@final
@dataclass(frozen=True, slots=True)
class Degree:
    """Degree of a polynomial in the unknowns, and in each kind of inverse."""

    unknowns: int
    inverses: Mapping[_Key, int] = field(default_factory=dict)

    def __mul__(self, other: "Degree") -> "Degree":
        """Return the degree of a product."""
        inverses = dict(self.inverses)
        for key, power in other.inverses.items():
            inverses[key] = inverses.get(key, 0) + power
        return Degree(self.unknowns + other.unknowns, inverses)

    def __or__(self, other: "Degree") -> "Degree":
        """Return the degree of a sum."""
        inverses = dict(self.inverses)
        for key, power in other.inverses.items():
            inverses[key] = max(inverses.get(key, 0), power)
        return Degree(max(self.unknowns, other.unknowns), inverses)

    def __pow__(self, exponent: int) -> "Degree":
        """Return the degree of a power."""
        inverses = {key: power * exponent for key, power in self.inverses.items()}
        return Degree(self.unknowns * exponent, inverses)


_ONE = Degree(0)
_UNKNOWN = Degree(1)
_Dual = tuple[Degree, Degree | None]


def chance_of_luck(explicit: Explicit, ends: tuple[str, ...], gradients: tuple[str, ...]) -> float:
    """Return a bound on the chance that a programme that is wrong passes at one point.

    Parameters
    ----------
    explicit
        The programme with numbers for sizes.
    ends
        What is differentiated.
    gradients
        What is compared with it.
    """
    degrees = _Degrees(explicit)
    program = explicit.program
    for statement in program.statements:
        degrees.follow(statement)
    total = _ONE
    for name in ends:
        _, slope = degrees.known[name]
        if slope is not None:
            total |= slope * _UNKNOWN if f"d{name}" in degrees.known else slope
    for name in gradients:
        total |= degrees.known[name][0] * _UNKNOWN
    return float(degrees.cleared(total) * 4.0**degrees.roots / PRIME)


def chance_of_luck_along(explicit: Explicit, products: Mapping[str, str]) -> float:
    """Return the bound for products with the Hessian, by parameter, entry by entry."""
    degrees = _Degrees(explicit)
    program = explicit.program
    for statement in program.statements:
        degrees.follow(statement)
    total = _ONE
    for name, product in products.items():
        _, slope = degrees.known[program.gradients[name]]
        total |= degrees.known[product][0] if slope is None else degrees.known[product][0] | slope
    return float(degrees.cleared(total) * 4.0**degrees.roots / PRIME)


class _Degrees:
    def __init__(self, explicit: Explicit) -> None:
        program = explicit.program
        trained = _differentiated(program)
        self.explicit = explicit
        self.known: dict[str, _Dual] = {
            t.name: (_UNKNOWN, _UNKNOWN if t.name in trained else None) for t in program.inputs
        }
        self.divisors: dict[_Key, tuple[int, Degree]] = {}  # how many, and the degree of each
        self.roots = 0
        self.name = ""
        self.with_slopes = True

    def follow(self, statement: Statement) -> None:
        self.name = statement.name
        count = prod(self.explicit.shape(statement.target))
        self.known[statement.name] = self._dual(statement.body, count, {})

    def cleared(self, total: Degree) -> int:
        """Return the degree after multiplication by all divisors, the last made first."""
        for key in reversed(self.divisors):
            power = total.inverses.get(key, 0)
            count, divisor = self.divisors[key]
            rest = {other: k for other, k in total.inverses.items() if other != key}
            total = Degree(total.unknowns, rest) * divisor ** (power * count)
        return total.unknowns

    def _inverse(self, expression: Expr, value: Degree, count: int) -> Degree:
        key = (self.name, expression)
        self.divisors.setdefault(key, (count, value))
        return Degree(0, {key: 1})

    def _dual(self, expression: Expr, count: int, done: dict[Expr, _Dual]) -> _Dual:
        if expression not in done:
            done[expression] = self._degrees(expression, count, done)
        return done[expression]

    def _degrees(self, expression: Expr, count: int, done: dict[Expr, _Dual]) -> _Dual:
        if isinstance(expression, Indexed):
            return self._read(str(expression.base.name))
        if isinstance(expression, Sum):
            lengths = [last - first + 1 for _, first, last in expression.limits]
            times = prod(int(length.xreplace(self.explicit.sizes)) for length in lengths)
            return self._dual(expression.function, count * times, {})
        if expression.is_Symbol and str(expression.name) in self.known:
            return self._read(str(expression.name))
        if not expression.args:
            return _UNKNOWN if expression.is_NumberSymbol else _ONE, None
        if isinstance(expression, Piecewise):
            pieces = [self._dual(value, count, done) for value, _ in expression.args]
            return self._joined([_product([piece, (_UNKNOWN, None)]) for piece in pieces])
        if expression.is_Pow:
            return self._power(expression, count, done)
        if isinstance(expression, Application) and len(expression.args) == 1:
            return self._function(expression, count, done)
        parts = [self._dual(part, count, done) for part in expression.args]
        if expression.is_Mul:
            return _product(parts)
        if isinstance(expression, sympy.Max | sympy.Min):
            return _product([self._joined(parts), *[(_UNKNOWN, None)] * len(parts)])
        if isinstance(expression, sympy.Heaviside):
            return _UNKNOWN, None
        return self._joined(parts)

    def _joined(self, parts: list[_Dual]) -> _Dual:
        value, slope = parts[0]
        for other, slopes in parts[1:]:
            value |= other
            slope = slopes if slope is None else slope if slopes is None else slope | slopes
        return value, slope

    def _power(self, expression: Expr, count: int, done: dict[Expr, _Dual]) -> _Dual:
        base, exponent = expression.base, expression.exp
        value, slope = self._dual(base, count, done)
        if exponent.q != 1:
            self.roots += count if base.free_symbols else 0
        times = abs(int(exponent.p))
        if exponent.p > 0 and exponent.q == 1:
            return value**times, None if slope is None else value ** (times - 1) * slope
        back = self._inverse(base, value, count)
        power = back**times if exponent.p < 0 else value**times
        return power, None if slope is None else power * back * slope

    def _function(self, call: Expr, count: int, done: dict[Expr, _Dual]) -> _Dual:
        (argument,) = call.args
        inner, slope = self._dual(argument, count, done)
        if isinstance(call, sympy.Abs | sympy.sign | sympy.DiracDelta):
            smooth = isinstance(call, sympy.Abs)
            value = inner * _UNKNOWN if smooth else _UNKNOWN
            return value, None if slope is None or not smooth else slope * _UNKNOWN
        if isinstance(call, expm1 | log1p):
            plain = sympy.exp(argument) if isinstance(call, expm1) else sympy.log(1 + argument)
            return self._dual(plain, count, done)
        value = _UNKNOWN
        if call.func in (sympy.exp, *_HYPERBOLIC, *_CIRCULAR):
            value = self._unit(argument, count)
            if call.func is not sympy.exp:  # (w - 1/w) / (w + 1/w)
                value *= self._inverse(call, value, count)
        if slope is None:
            return value, None
        before, self.with_slopes = self.with_slopes, False
        factor, _ = self._dual(_slope(call.func).xreplace({_T: argument}), count, {})
        self.with_slopes = before
        return value, factor * slope

    def _read(self, name: str) -> _Dual:
        value, slope = self.known[name]
        return value, slope if self.with_slopes else None

    def _unit(self, argument: Expr, count: int) -> Degree:
        """Return the degree of an exponential: a power of an unknown, or of its inverse."""
        numbers = [abs(t.as_coeff_Mul(rational=True)[0]) for t in sympy.Add.make_args(argument)]
        power = int(POWER * LARGEST_EXPONENT * sum(numbers)) + 1
        key = (self.name, argument)
        self.divisors.setdefault(key, (count * len(numbers), _UNKNOWN))
        return Degree(power, {key: power})


def _product(parts: list[_Dual]) -> _Dual:
    value, slope = parts[0]
    for other, slopes in parts[1:]:
        left = None if slope is None else slope * other
        right = None if slopes is None else value * slopes
        slope = left if right is None else right if left is None else left | right
        value *= other
    return value, slope


def _differentiated(program: Program) -> set[str]:
    return {name for name, _ in program.cotangents}
