"""Forward tangents: a programme run entry by entry on dual numbers of any arithmetic.

A dual number is a value and its slopes, one for each of several directions. A body is
followed node by node; the slope of a function is that of ``sympy.diff`` in one variable. It
knows nothing of cotangents, transposes or sums pulled apart, and so it can judge them.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial, reduce
from itertools import product
from typing import Any, Protocol

import sympy
from sympy import Dummy, Expr, Heaviside, Indexed, Integer, Piecewise, Rational, Sum, Symbol
from sympy.codegen.cfunctions import expm1, log1p
from sympy.core.function import Application
from sympy.core.relational import Relational
from sympy.logic.boolalg import And, Not, Or

from derive.program import MaxOver, Program, Statement
from derive.proof.explicit import Explicit, Place
from derive.proof.reach import OutOfReachError
from derive.shifts import is_index

Dual = tuple[Any, Any]  # a value and an array of slopes, or None where all of them are 0
Entries = dict[Place, Dual]
Terms = Sequence[tuple[Rational, Any]]  # numbers times values, to be added up

_T = Dummy("t", real=True)


class Arithmetic(Protocol):
    """What an entry is computed in; values are added and multiplied by ``+`` and ``*``."""

    ordered: bool  # whether of three values it is known which is largest

    def constant(self, number: Expr) -> Any:
        """Return a real constant."""

    def reduced(self, value: Any) -> Any:
        """Return a sum or product, or an array of them, in its normal form."""

    def inverse(self, value: Any) -> Any:
        """Return one over a value."""

    def root(self, value: Any, degree: int) -> Any:
        """Return the root of that degree."""

    def function(self, function: type[Expr], terms: Terms) -> Any:
        """Return a function of one variable at a sum of terms."""

    def above(self, value: Any) -> Any:
        """Return 1 where a value is above 0, and 0 elsewhere."""

    def select(self, truth: Any, then: Callable[[], Dual], otherwise: Callable[[], Dual]) -> Dual:
        """Return the one or the other."""


class Tangents:
    """A programme on dual numbers.

    Parameters
    ----------
    explicit
        The programme with numbers for sizes.
    arithmetic
        What to compute in.
    given
        For every input its entries.
    """

    def __init__(
        self, explicit: Explicit, arithmetic: Arithmetic, given: Mapping[str, Entries]
    ) -> None:
        self.explicit = explicit
        self.arithmetic = arithmetic
        self.known: dict[str, Entries] = dict(given)
        self.with_slopes = True
        self.bodies = {s.name: s.body for s in explicit.program.forward}

    @property
    def program(self) -> Program:
        """The programme that is run."""
        return self.explicit.program

    def run(self, statements: Sequence[Statement]) -> None:
        """Run statements in order; their entries are then in `known`."""
        for statement in statements:
            entries: Entries = {}
            for place in self.explicit.places(statement.target):
                at = dict(zip(statement.indices, place, strict=True))
                entries[place] = self._dual(statement.body, at, {})
            self.known[statement.name] = entries

    def _dual(self, expression: Expr, at: Mapping[Symbol, int], done: dict[Expr, Dual]) -> Dual:
        if expression not in done:
            done[expression] = self._computed(expression, at, done)
        return done[expression]

    def _computed(self, expression: Expr, at: Mapping[Symbol, int], done: dict[Expr, Dual]) -> Dual:
        if isinstance(expression, Indexed):
            place = self.explicit.place_of(expression, at)
            if place is None:
                return self._number(0), None
            return self._read(str(expression.base.name), place)
        if isinstance(expression, Sum):
            return self._sum(expression, at)
        if isinstance(expression, MaxOver):
            raise OutOfReachError(f"{expression} has no slope: take the form before it")
        if expression.is_Symbol and expression not in self.explicit.sizes:
            return self._read(str(expression.name), ())
        if expression.is_Symbol or not expression.args:
            return self.arithmetic.constant(self.explicit.sizes.get(expression, expression)), None
        if isinstance(expression, Piecewise):
            return self._cases(expression.args, at, done)
        if expression.is_Add or expression.is_Mul:
            parts = [self._dual(part, at, done) for part in expression.args]
            return reduce(self._added if expression.is_Add else self._multiplied, parts)
        if expression.is_Pow:
            return self._power(expression, at, done)
        if isinstance(expression, Application):
            return self._function(expression, at, done)
        raise OutOfReachError(f"{expression.func} has no tangent: {expression}")

    def _sum(self, expression: Sum, at: Mapping[Symbol, int]) -> Dual:
        names = [k for k, _, _ in expression.limits]
        lengths = [last - first + 1 for _, first, last in expression.limits]
        ranges = [range(int(length.xreplace(self.explicit.sizes))) for length in lengths]
        terms = (
            self._dual(expression.function, {**at, **dict(zip(names, place, strict=True))}, {})
            for place in product(*ranges)
        )
        return reduce(self._added, terms)

    def _added(self, a: Dual, b: Dual) -> Dual:
        slopes = b[1] if a[1] is None else a[1] if b[1] is None else a[1] + b[1]
        return self.arithmetic.reduced(a[0] + b[0]), self._reduced(slopes)

    def _multiplied(self, a: Dual, b: Dual) -> Dual:
        left = None if a[1] is None else a[1] * b[0]
        right = None if b[1] is None else b[1] * a[0]
        slopes = left if right is None else right if left is None else left + right
        return self.arithmetic.reduced(a[0] * b[0]), self._reduced(slopes)

    def _reduced(self, slopes: Any) -> Any:
        return None if slopes is None else self.arithmetic.reduced(slopes)

    def _power(self, expression: Expr, at: Mapping[Symbol, int], done: dict[Expr, Dual]) -> Dual:
        exponent = expression.exp
        if not exponent.is_Rational:
            raise OutOfReachError(f"the exponent of {expression} is not rational")
        value, slopes = self._dual(expression.base, at, done)
        if exponent.q != 1:
            value, inner = self.arithmetic.root(value, int(exponent.q)), value
            power = self._whole_power(value, int(exponent.p))
            if slopes is None:
                return power, None
            factor = self.arithmetic.constant(exponent) * self.arithmetic.inverse(inner) * power
            return power, self._reduced(self.arithmetic.reduced(factor) * slopes)
        power = self._whole_power(value, int(exponent))
        if slopes is None:
            return power, None
        factor = self.arithmetic.constant(exponent) * self._whole_power(value, int(exponent) - 1)
        return power, self._reduced(self.arithmetic.reduced(factor) * slopes)

    def _whole_power(self, value: Any, exponent: int) -> Any:
        if exponent < 0:
            value, exponent = self.arithmetic.inverse(value), -exponent
        result = self._number(1)
        for bit in bin(exponent)[2:]:
            result = self.arithmetic.reduced(result * result)
            if bit == "1":
                result = self.arithmetic.reduced(result * value)
        return result

    def _function(self, call: Expr, at: Mapping[Symbol, int], done: dict[Expr, Dual]) -> Dual:
        if isinstance(call, sympy.Max | sympy.Min):
            return self._extreme(call, at, done)
        argument, *others = call.args
        if isinstance(call, Heaviside):
            others = []
        if others:
            raise OutOfReachError(f"{call.func} of several arguments has no tangent: {call}")
        if isinstance(call, sympy.Abs | sympy.sign | Heaviside | sympy.DiracDelta):
            return self._kink(call, self._dual(argument, at, done))
        if isinstance(call, expm1 | log1p):
            plain = sympy.exp(argument) - 1 if isinstance(call, expm1) else sympy.log(1 + argument)
            return self._dual(plain, at, done)
        terms: list[tuple[Rational, Any]] = []
        for term in sympy.Add.make_args(argument):
            number, rest = term.as_coeff_Mul(rational=True)
            if call.func is sympy.exp and not self.arithmetic.ordered:
                self._refuse_logarithm(rest)
            terms.append((number, self._dual(rest, at, done)[0]))
        value = self.arithmetic.function(call.func, terms)
        _, slopes = self._dual(argument, at, done)
        if slopes is None:
            return value, None
        factor = self._value(_slope(call.func).xreplace({_T: argument}), at)
        return value, self._reduced(factor * slopes)

    def _refuse_logarithm(self, read: Expr) -> None:
        """Raise where ``exp(log(u))`` hides behind a name: u itself would have to stand for it."""
        name = str(read.base.name) if isinstance(read, Indexed) else ""
        body = self.bodies.get(name)
        if body is not None and any(t.has(sympy.log) for t in sympy.Add.make_args(body)):
            raise OutOfReachError(
                f"the exponential of {name}, a logarithm, is a relation of its own"
            )

    def _value(self, expression: Expr, at: Mapping[Symbol, int]) -> Any:
        """Return a value without its slopes: the slope of ``exp`` would need its own."""
        before, self.with_slopes = self.with_slopes, False
        value, _ = self._dual(expression, at, {})
        self.with_slopes = before
        return value

    def _read(self, name: str, place: Place) -> Dual:
        value, slopes = self.known[name][place]
        return value, slopes if self.with_slopes else None

    def _kink(self, call: Expr, argument: Dual) -> Dual:
        """Return a function that is not smooth at 0, away from there."""
        value, slopes = argument
        above = self.arithmetic.above(value)
        one = self._number(1)
        if isinstance(call, Heaviside):
            return above, None
        if isinstance(call, sympy.DiracDelta):
            return self._number(0), None
        sign = self.arithmetic.reduced(above + above - one)
        if isinstance(call, sympy.sign):
            return sign, None
        turned = None if slopes is None else self._reduced(sign * slopes)
        return self.arithmetic.reduced(sign * value), turned

    def _extreme(self, call: Expr, at: Mapping[Symbol, int], done: dict[Expr, Dual]) -> Dual:
        first, *others = (self._dual(part, at, done) for part in call.args)
        if len(others) > 1 and not self.arithmetic.ordered:
            raise OutOfReachError(f"the order of three values is not known: {call}")
        for other in others:
            a, b = (first, other) if isinstance(call, sympy.Max) else (other, first)
            difference, _ = self._added(a, self._multiplied((self._number(-1), None), b))
            above = self.arithmetic.above(difference)
            first = self.arithmetic.select(above, partial(_same, first), partial(_same, other))
        return first

    def _number(self, number: int) -> Any:
        return self.arithmetic.constant(Integer(number))

    def _cases(
        self, branches: Sequence[Any], at: Mapping[Symbol, int], done: dict[Expr, Dual]
    ) -> Dual:
        (value, condition), *rest = branches
        if condition == True:  # noqa: E712  # SymPy's true, not Python's
            return self._dual(value, at, done)
        if not rest:
            raise OutOfReachError(f"no branch holds where {condition} does not")
        return self.arithmetic.select(
            self._truth(condition, at, done),
            lambda: self._dual(value, at, done),
            lambda: self._cases(rest, at, done),
        )

    def _truth(self, condition: Expr, at: Mapping[Symbol, int], done: dict[Expr, Dual]) -> Any:
        """Return 1 or 0 for a condition, where no two sides are equal."""
        one = self._number(1)
        if isinstance(condition, Not):
            return self.arithmetic.reduced(one - self._truth(condition.args[0], at, done))
        if isinstance(condition, And | Or):
            parts = [self._truth(part, at, done) for part in condition.args]
            if isinstance(condition, Or):
                parts = [one - part for part in parts]
            both = reduce(lambda a, b: self.arithmetic.reduced(a * b), parts)
            return self.arithmetic.reduced(one - both) if isinstance(condition, Or) else both
        if not isinstance(condition, Relational):
            raise OutOfReachError(f"{condition} is not a comparison")
        if any(map(is_index, condition.args)):
            raise OutOfReachError(f"{condition} holds for whole numbers, and none are drawn here")
        difference, _ = self._dual(condition.lhs - condition.rhs, at, done)
        above = self.arithmetic.above(difference)
        match condition.rel_op:
            case ">" | ">=":
                return above
            case "<" | "<=":
                return self.arithmetic.reduced(one - above)
            case "==":
                return self._number(0)
            case _:
                return one


@lru_cache(maxsize=256)
def _slope(function: type[Expr]) -> Expr:
    return sympy.diff(function(_T), _T)


def _same(value: Dual) -> Dual:
    return value
