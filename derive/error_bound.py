"""A running error bound: how far any correct evaluation of a programme may be off.

Beside each value stands a bound on the error that rounding can cause in a given dtype, for
every entry, carried along operation by operation. No bound in sizes alone would do: sums
over a batch cancel, so that one entry may lose half of its digits where its neighbour loses
none. With u the unit roundoff:

- an operation is off by ``u |result|``, beside what its operands bring along;
- a sum of n terms by ``γ(n-1) Σ|term|``, ``γ(n) = n u / (1 - n u)``, in whatever order it
  is added up; sums of sums, and sums times numbers, are taken as one sum;
- a product of n factors by ``γ(n-1) |product|``, in whatever order;
- a function by some ulps, beside ``sup |f'|`` times its argument's error, with ``f'`` from
  ``sympy.diff`` and the supremum over the interval in which the argument lies;
- a comparison whose sides are closer than their errors may go either way: the bound covers
  both branches;
- whatever is not exactly 0 may underflow, by the smallest normal number, also where
  subnormal numbers are flushed to 0; what may overflow has the bound infinity.

References
----------
N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002: section
3.3 (running error analysis), 3.1 (inner products in any order), 4.2 (sums in any order).
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import sympy
from numpy.typing import DTypeLike
from sympy import Expr, Indexed, Mul, Piecewise, Sum, Symbol
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.relational import Relational

from derive.errors import InternalError
from derive.evaluate import (
    COMPARISONS,
    EXTREMES,
    FUNCTIONS,
    Array,
    Evaluator,
    Named,
    apply,
    bind,
    contract,
    fold,
    largest,
    lengths,
    power,
    ranges_of,
    read,
    spread,
)
from derive.program import MaxOver, Program, occurrences
from derive.shifts import counts_with_indices, is_index
from derive.slope import T, steepness

ULPS = 4.0  # of an elementary function: loose for one that is any good

_EXACT = Named(np.asarray(0.0))


@final
@dataclass(frozen=True, slots=True)
class _Ball:
    """A value, and how far a computed one may be off."""

    value: Named
    error: Named


@final
@dataclass(frozen=True, slots=True)
class _Terms:
    """A sum before it is added up: the terms' total, their errors, and their size.

    Attributes
    ----------
    value
        The sum.
    error
        Sum of the terms' own errors.
    size
        Sum of the terms' absolute values.
    count
        Number of terms.
    """

    value: Named
    error: Named
    size: Named
    count: int


def evaluate_with_bound(
    program: Program, values: Mapping[str, Any], dtype: DTypeLike, *, ulps: float = ULPS
) -> dict[str, tuple[Array, Array]]:
    """Return every statement's value, and a bound on how far others may be from it.

    Parameters
    ----------
    program
        The programme that others compute, in the order of their choice.
    values
        An array for every input; rounded to `dtype` they count as exact.
    dtype
        float32 or float64: the type in which others compute.
    ulps
        Error of their elementary functions, in units in the last place.

    Returns
    -------
    dict
        By name, in order: the value, computed in a wider type where there is one (float64
        for float32, longdouble for float64), and the absolute bound (float64) on
        ``|computed - value|``, of the same shape. It is infinite where nothing can be said.

    Raises
    ------
    InputError
        If an input is missing, or its shape does not fit.
    InternalError
        If a statement is not of the programme's grammar.
    """
    wide: DTypeLike = np.float64 if np.dtype(dtype) == np.float32 else np.longdouble
    given, sizes = bind(program, values, dtype)
    known = {
        name: _Ball(Named(array.astype(wide)), Named(np.zeros(array.shape)))
        for name, array in given.items()
    }
    # the value here is off as well, by the same analysis in the wider type
    own = 1.0 + float(np.finfo(wide).eps / np.finfo(np.dtype(dtype)).eps)
    results: dict[str, tuple[Array, Array]] = {}
    with np.errstate(all="ignore"):
        for statement in program.statements:
            bounds = _Bounds(known, sizes, dtype, wide, ulps, lengths(statement, sizes))
            ball = bounds.ball(statement.body)
            value = spread(ball.value, statement, sizes)
            error = spread(ball.error, statement, sizes)
            known[statement.name] = _Ball(Named(value), Named(error))
            results[statement.name] = (value, error * own)
    return results


class _Bounds:
    """Evaluates the expressions of one statement with their bounds."""

    def __init__(
        self,
        known: Mapping[str, _Ball],
        sizes: Mapping[Symbol, int],
        dtype: DTypeLike,
        wide: DTypeLike,
        ulps: float,
        ranges: Mapping[Symbol, int],
    ) -> None:
        info = np.finfo(np.dtype(dtype))
        self.known = known
        self.sizes = sizes
        self.ranges = ranges
        self.dtype = np.dtype(dtype)
        self.wide = np.dtype(wide)
        self.unit = float(info.eps) / 2
        self.tiny = float(info.tiny)
        self.huge = float(info.max)
        self.function_error = 2 * ulps * self.unit
        self._done: dict[Expr, _Ball] = {}

    def ball(self, expression: Expr) -> _Ball:
        """Return the value of an expression and its bound."""
        if expression not in self._done:
            ball = self._ball(expression)
            self._done[expression] = _Ball(ball.value, self._bounded(ball))
        return self._done[expression]

    def gamma(self, count: int) -> float:
        """Return the relative error of `count` roundings in a row."""
        off = count * self.unit
        return off / (1 - off) if off < 1 else np.inf

    def _bounded(self, ball: _Ball) -> Named:
        """Return the error with infinity for what may overflow or is not known."""

        def bounded(value: Array, error: Array) -> Array:
            size = np.abs(value).astype(float)
            lost = (np.isnan(error) | (size + error > self.huge)) & ~np.isnan(value)
            return np.where(lost, np.inf, error)

        return apply(bounded, ball.value, ball.error)

    def _ball(self, expression: Expr) -> _Ball:
        if isinstance(expression, Indexed):
            known = self.known[str(expression.base.name)]
            value, error = (
                read(expression, part.array, self.ranges) for part in (known.value, known.error)
            )
            return _Ball(value, error)
        if expression.is_Symbol or (expression.is_number and not expression.has(Sum)):
            return self._leaf(expression)
        if isinstance(expression, Sum) or expression.is_Add or self._is_scaled(expression):
            return self._added_up(self.terms(expression))
        if isinstance(expression, MaxOver):
            inner, bound = self.ball(expression.function), ranges_of(expression, self.sizes)
            return _Ball(largest(inner.value, bound), largest(inner.error, bound))
        if isinstance(expression, Piecewise):
            return self._select(expression)
        if expression.is_Mul:
            return self._product([self.ball(factor) for factor in expression.args], {})
        if expression.is_Pow and expression.exp.is_number:
            return self._power(expression)
        parts = [self.ball(argument) for argument in expression.args]
        if expression.is_Pow:
            return self._general_power(*parts)
        if expression.func in EXTREMES:
            value = fold(EXTREMES[expression.func], [part.value for part in parts])
            return _Ball(value, fold(np.maximum, [part.error for part in parts]))
        if expression.func is sympy.sign:
            return self._sign(*parts)
        if expression.func in FUNCTIONS:
            return self._function(expression.func, *parts)
        raise InternalError(f"{expression.func} has no bound: {expression}")

    def terms(self, expression: Expr) -> _Terms:
        """Return an expression as a sum, as deep as it is one."""
        if expression.is_Add:
            return _joined([self.terms(term) for term in expression.args])
        if isinstance(expression, Sum):
            bound = ranges_of(expression, self.sizes)
            return self._within(expression.function, bound)._sum(expression.function, bound)
        if self._is_scaled(expression):
            number, inner = _coefficient(expression)
            return self._scaled(self.ball(number), self.terms(inner))
        ball = self.ball(expression)
        return _Terms(ball.value, ball.error, apply(_size, ball.value), 1)

    def _sum(self, body: Expr, bound: Mapping[Symbol, int]) -> _Terms:
        count = int(np.prod(list(bound.values())))
        if body.is_Mul and not self._is_scaled(body):
            balls = [self.ball(factor) for factor in body.args]
            value = contract([ball.value for ball in balls], bound)
            size = contract([apply(_size, ball.value) for ball in balls], bound)
            return _Terms(value, self._product(balls, bound).error, size, count)
        inner = self.terms(body)
        return _Terms(
            contract([inner.value], bound),
            contract([inner.error], bound),
            contract([inner.size], bound),
            count * inner.count,
        )

    def _within(self, body: Expr, bound: Mapping[Symbol, int]) -> "_Bounds":
        """Return what evaluates the body of a sum; sums may use one name for two ranges."""
        if not counts_with_indices(body):
            return self
        inner = copy(self)
        inner.ranges, inner._done = {**self.ranges, **bound}, {}
        return inner

    def _is_scaled(self, expression: Expr) -> bool:
        """Whether this is a number or size times a sum."""
        number, inner = _coefficient(expression)
        return number != 1 and (isinstance(inner, Sum) or inner.is_Add)

    def _scaled(self, number: _Ball, inner: _Terms) -> _Terms:
        factor = float(np.abs(number.value.array))
        off = float(number.error.array) + (0.0 if factor == 1 else self.unit * factor)

        def error(size: Array, error: Array) -> Array:
            used = (size > 0) | (error > 0)
            return factor * error + off * (size + error) + self.tiny * used * (factor != 1)

        return _Terms(
            apply(np.multiply, number.value, inner.value),
            apply(error, inner.size, inner.error),
            apply(lambda size: factor * size, inner.size),
            inner.count,
        )

    def _added_up(self, terms: _Terms) -> _Ball:
        rate = self.gamma(terms.count - 1)

        def error(own: Array, size: Array) -> Array:
            return np.where(own + size > self.huge, np.inf, own + rate * (own + size))

        return _Ball(terms.value, apply(error, terms.error, terms.size))

    def _product(self, balls: Sequence[_Ball], bound: Mapping[Symbol, int]) -> _Ball:
        """Return a product, summed over the bound indices as if additions were exact."""
        sizes = [apply(_size, ball.value) for ball in balls]
        upper = [apply(np.add, size, ball.error) for size, ball in zip(sizes, balls, strict=True)]
        # |xy - x'y'| <= |x| e_y + e_x (|y| + e_y), and so on
        parts = [
            contract([*sizes[:n], ball.error, *upper[n + 1 :]], bound)
            for n, ball in enumerate(balls)
            if np.any(ball.error.array)
        ]
        inexact = sum(not _is_sign(ball) for ball in balls)
        if inexact > 1:
            parts.append(apply(lambda a: a * self.gamma(inexact - 1), contract(upper, bound)))
            # what underflows on the way may be multiplied by all the other factors
            amplified = [
                apply(lambda a: np.where(a > 0, np.maximum(a, 1.0), 0.0), a) for a in upper
            ]
            parts.append(apply(self._underflow, contract(amplified, bound)))
        value = contract([ball.value for ball in balls], bound)
        return _Ball(value, fold(np.add, parts) if parts else _EXACT)

    def _underflow(self, amplified: Array) -> Array:
        return np.where(amplified > self.huge, np.inf, amplified * self.tiny)

    def _leaf(self, expression: Expr) -> _Ball:
        if expression.is_Symbol and expression not in self.sizes:
            return self.known[str(expression.name)]
        exact = Evaluator({}, self.sizes, self.wide, {})(expression).array
        rounded = exact.astype(self.dtype).astype(self.wide)
        off = 0.0 if rounded == exact else self.unit * abs(float(exact)) + self.tiny
        return _Ball(Named(exact), Named(np.asarray(off)))

    def _power(self, expression: Expr) -> _Ball:
        base, exponent = self.ball(expression.base), expression.exp
        value = apply(power(exponent, self.wide), base.value)
        roundings = self.function_error
        if exponent == sympy.Rational(1, 2):
            roundings = self.unit
        elif exponent.is_Integer:
            # by multiplication and a division; |n| roundings either way round
            n = int(exponent)
            roundings = self.gamma(n - 1 if n > 0 else -n)
        return self._rounded(base, value, T**exponent, roundings)

    def _general_power(self, base: _Ball, exponent: _Ball) -> _Ball:
        """Return ``base ** exponent``: monotone in each, so extreme at a corner of the errors."""
        value = apply(np.power, base.value, exponent.value)

        def error(x: Array, y: Array, off_x: Array, off_y: Array, value: Array) -> Array:
            corners = [np.power(x + a * off_x, y + b * off_y) for a in (-1, 1) for b in (-1, 1)]
            carried = np.maximum.reduce([np.abs(corner - value) for corner in corners]).astype(
                float
            )
            carried = np.where((x - off_x <= 0) & ((off_x > 0) | (off_y > 0)), np.inf, carried)
            size = np.abs(value).astype(float) + carried
            return carried + self.function_error * size + self.tiny

        return _Ball(
            value,
            apply(error, base.value, exponent.value, base.error, exponent.error, value),
        )

    def _function(self, function: type[Expr], argument: _Ball) -> _Ball:
        value = apply(FUNCTIONS[function], argument.value)
        if issubclass(function, sympy.Abs):
            return _Ball(value, argument.error)
        return self._rounded(argument, value, function(T), self.function_error)

    def _rounded(self, argument: _Ball, value: Named, function: Expr, rate: float) -> _Ball:
        """Return a function's value with its argument's error through it, and its own."""

        def error(x: Array, off: Array, value: Array) -> Array:
            steepest = steepness(function)(x, x - off, x + off)
            carried = np.where(off == 0, 0.0, steepest.astype(float) * off)
            size = np.abs(value).astype(float) + carried
            return np.where((value == 0) & (off == 0), 0.0, carried + rate * size + self.tiny)

        return _Ball(value, apply(error, argument.value, argument.error, value))

    def _sign(self, argument: _Ball) -> _Ball:
        value = apply(np.sign, argument.value)

        def error(x: Array, off: Array) -> Array:
            return np.where((np.abs(x) <= off) & (off > 0), 1.0 + np.abs(np.sign(x)), 0.0)

        return _Ball(value, apply(error, argument.value, argument.error))

    def _select(self, expression: Piecewise) -> _Ball:
        *branches, (otherwise, always) = expression.args
        if always != True:  # noqa: E712  # SymPy's true, not Python's
            raise InternalError(f"{expression} has no branch for all other cases")
        result = self.ball(otherwise)
        for then, condition in reversed(branches):
            holds, doubtful = self._decide(condition)
            result = _either(holds, doubtful, self.ball(then), result)
        return result

    def _decide(self, condition: Expr) -> tuple[Named, Named]:
        """Return where a comparison holds, and where rounding may turn it round."""
        if not isinstance(condition, Relational):
            raise InternalError(f"{condition} is not one comparison")
        left, right = map(self._side, (condition.lhs, condition.rhs))
        holds = apply(COMPARISONS[condition.rel_op], left.value, right.value)

        def doubtful(a: Array, b: Array, off_a: Array, off_b: Array) -> Array:
            off = off_a + off_b
            close: Array = ~(np.abs(a - b) > off)
            return close & (off > 0)

        return holds, apply(doubtful, left.value, right.value, left.error, right.error)

    def _side(self, side: Expr) -> _Ball:
        """Return one side of a comparison, the only place where an index is a number."""
        if is_index(side):
            return _Ball(Named(np.arange(self.ranges[side]), (side,)), _EXACT)
        return self.ball(side)


def _either(holds: Named, doubtful: Named, then: _Ball, otherwise: _Ball) -> _Ball:
    value = apply(np.where, holds, then.value, otherwise.value)

    def error(yes: Array, open_: Array, a: Array, b: Array, off_a: Array, off_b: Array) -> Array:
        taken, other = np.where(yes, off_a, off_b), np.where(yes, off_b, off_a)
        hull = np.maximum(taken, np.abs(a - b).astype(float) + other)
        return np.where(open_, hull, taken)

    parts = (holds, doubtful, then.value, otherwise.value, then.error, otherwise.error)
    return _Ball(value, apply(error, *parts))


def _coefficient(expression: Expr) -> tuple[Expr, Expr]:
    """Split a product into numbers and sizes, and the rest."""
    number, rest = sympy.Integer(1), []
    for factor in Mul.make_args(expression):
        if occurrences(factor) or factor.has(ExprWithLimits):
            rest.append(factor)
        else:
            number *= factor
    return number, Mul(*rest, evaluate=False) if len(rest) > 1 else Mul(*rest)


def _size(value: Array) -> Array:
    return np.abs(value).astype(float)


def _is_sign(ball: _Ball) -> bool:
    """Whether a factor is exactly 1 or -1, so that multiplying by it is exact."""
    return bool(np.all(np.abs(ball.value.array) == 1) and not np.any(ball.error.array))


def _joined(parts: Sequence[_Terms]) -> _Terms:
    return _Terms(
        fold(np.add, [part.value for part in parts]),
        fold(np.add, [part.error for part in parts]),
        fold(np.add, [part.size for part in parts]),
        sum(part.count for part in parts),
    )
