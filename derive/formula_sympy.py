"""Formulas as SymPy expressions.

SymPy computes with exact numbers of any length and combines powers as it goes, so a formula
of a line can become a number of gigabytes. What it would combine is looked at first.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import assert_never, final

import sympy
from sympy import Expr, Piecewise, S, Sum
from sympy.codegen.cfunctions import expm1
from sympy.core.relational import Relational

from derive.errors import InternalError
from derive.formula_constants import LARGEST_EXPONENT
from derive.formula_tree import (
    Binary,
    Call,
    Comparison,
    Formula,
    Name,
    Negative,
    Node,
    Number,
    chain,
)
from derive.kinks import kept
from derive.notation import FUNCTIONS as FROM_SYMPY

Scalar = Callable[[Expr], Expr]
Term = Callable[[Mapping[str, Expr]], Expr]

LONGEST_EXACT = 3_000
"""Bits of a number that is kept exact; a longer one is rounded to float64."""

LARGEST_PLAIN = 10**30
"""Numerator and denominator up to which a function of a number is kept as it is written."""

WORKING_DIGITS = 400  # tan(1e300) must know all of its argument
FLOAT64_DIGITS = 17

MOST_CASES = 32
"""Branches that conditions on branches may be written out to."""

_FUNCTIONS: dict[str, Callable[..., Expr]] = {
    **{name: function for function, name in FROM_SYMPY.items()},
    "sqrt": sympy.sqrt,
}
# the first four compare rational numbers, and 1 + z would lose a small z
_EXACT = ("max", "min", "abs", "sign", "log1p", "expm1")
_ARITHMETIC: dict[str, Callable[[Expr, Expr], Expr]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
COMPARE: dict[str, type[Relational]] = {
    "<": sympy.StrictLessThan,
    "<=": sympy.LessThan,
    ">": sympy.StrictGreaterThan,
    ">=": sympy.GreaterThan,
    "==": sympy.Equality,
    "!=": sympy.Unequality,
}
_ARGUMENT = sympy.Dummy("u", real=True)
_NOT_REAL = (S.NaN, S.ComplexInfinity, S.Infinity, S.NegativeInfinity, S.ImaginaryUnit)


def to_sympy(
    formula: Formula,
    values: Mapping[str, Expr],
    *,
    activations: Mapping[str, Scalar] | None = None,
    total: Callable[[Term], Expr] | None = None,
) -> Expr:
    """Return the expression that a formula means.

    Parameters
    ----------
    formula
        As `derive.formula.parse_formula` read it; its definitions are written out.
    values
        What each variable stands for: a real expression.
    activations
        What each activation that it calls does to an expression.
    total
        What ``sum(...)`` does. It is given a function that returns the summand once it is
        told what the variables stand for at an index, such as
        ``lambda term: row.total(lambda k: term({"P": row(k)}))``.

    Raises
    ------
    InputError
        If a part of it is not real or finite for any value, as ``z/(z-z)``, or powers of
        powers combine to an exponent beyond 1000. The caret points at that part.
    """
    builder = _Builder(formula=formula, activations=activations or {}, total=total)
    expression = builder.build(formula.root, values)
    if expression.has(*_NOT_REAL):
        raise formula.source.refused(formula.root.at, f"this is {expression}, which is not real")
    numbers = expression.atoms(sympy.Rational, sympy.Float)
    if not all(_is_float64(number) for number in numbers):
        raise formula.source.refused(
            formula.root.at, "its constants combine to one that is not finite in float64"
        )
    inexact = [n for n in numbers if n.is_Float or _bits(n) > LONGEST_EXACT]
    return kept(expression.xreplace({n: sympy.Float(n, FLOAT64_DIGITS) for n in inexact}))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Builder:
    """Builds the expressions of one formula, from the leaves up."""

    formula: Formula
    activations: Mapping[str, Scalar]
    total: Callable[[Term], Expr] | None
    cases: list[Node] = field(default_factory=list)  # one for every branch written out

    def build(self, node: Node, values: Mapping[str, Expr]) -> Expr:
        """Return the expression of a node."""
        return self._real(self._expression(node, values), node)

    def _real(self, expression: Expr, node: Node) -> Expr:
        if any(expression is never for never in _NOT_REAL):
            raise self.formula.source.refused(
                node.at, "this is not a real and finite number, whatever the variables are"
            )
        return _settled(expression)

    def _expression(self, node: Node, values: Mapping[str, Expr]) -> Expr:
        match node:
            case Number():
                return sympy.Rational(node.value.numerator, node.value.denominator)
            case Name():
                return sympy.pi if node.name == "pi" else values[node.name]
            case Negative():
                return -self.build(node.operand, values)
            case Binary(operator="**"):
                base, exponent = self.build(node.left, values), self.build(node.right, values)
                return self._power(base, exponent, node)
            case Binary():
                first, links = chain(node)
                result = self.build(first, values)
                for link in links:
                    result = self._arithmetic(link, result, self.build(link.right, values))
                return result
            case Comparison():
                raise InternalError(f"{self.formula}: a comparison outside of where")
            case Call(function="sum"):
                if self.total is None:
                    raise InternalError(f"{self.formula}: nobody said what sum(...) does")
                return self.total(lambda entries: self.build(node.arguments[0], entries))
            case Call(function="where"):
                return self._where(node, values)
            case Call():
                return self._call(node, [self.build(a, values) for a in node.arguments])
            case _:
                assert_never(node)

    def _arithmetic(self, node: Binary, left: Expr, right: Expr) -> Expr:
        if node.operator == "/" and _is_zero(right):
            raise self.formula.source.refused(node.right.at, "the divisor is always 0")
        return self._real(_ARITHMETIC[node.operator](left, right), node)

    def _call(self, node: Call, arguments: list[Expr]) -> Expr:
        match node.function:
            case "exp":
                return self._exponential(arguments[0], node)
            case "expm1":
                power = self._exponential(arguments[0], node)
                return expm1(arguments[0]) if isinstance(power, sympy.exp) else power - 1
            case "sigmoid":
                return 1 / (1 + self._exponential(-arguments[0], node))
            case _:
                pass
        if node.function in _FUNCTIONS:
            if node.function not in _EXACT:
                arguments = [_inexact(argument) for argument in arguments]
            return _FUNCTIONS[node.function](*arguments)
        if node.function in self.activations:
            return self._activated(self.activations[node.function], arguments[0], node)
        (own,) = (d for d in self.formula.definitions if d.name == node.function)
        return to_sympy(own.formula, {own.parameter: arguments[0]}, activations=self.activations)

    def _activated(self, activation: Scalar, argument: Expr, node: Call) -> Expr:
        """Return a built-in activation of an argument; its choice may be one of a choice."""
        if not argument.has(Piecewise):
            return activation(argument)
        defined = activation(_ARGUMENT)
        if not isinstance(defined, Piecewise):
            return activation(argument)
        (then, condition), (otherwise, _) = (
            (value.xreplace({_ARGUMENT: argument}), case) for value, case in defined.args
        )
        left, right = (side.xreplace({_ARGUMENT: argument}) for side in condition.args)
        return self._cases(node, condition.func, left, right, then, otherwise)

    def _power(self, base: Expr, exponent: Expr, node: Node) -> Expr:
        """Return the power, once it is sure that what SymPy makes of it stays small."""
        exponent = _inexact(exponent)
        if _is_zero(base) and not exponent.is_nonnegative:
            raise self.formula.source.refused(node.at, "0 to a power that may be negative")
        if not exponent.is_Number:
            if base.is_nonpositive:
                raise self.formula.source.refused(
                    node.at, "a base that is not positive has no real power for every exponent"
                )
            return base**exponent
        if base.is_negative and not exponent.is_integer:
            raise self.formula.source.refused(
                node.at, "this power of a negative number is not real"
            )
        for factor in sympy.Mul.make_args(base):
            inner = factor.exp if factor.is_Pow and factor.exp.is_Number else S.One
            if abs(inner * exponent) > LARGEST_EXPONENT:
                raise self.formula.source.refused(
                    node.at,
                    f"powers of powers multiply to an exponent of {inner * exponent}. It is "
                    f"between -{LARGEST_EXPONENT} and {LARGEST_EXPONENT}",
                )
        numbers = [factor for factor in sympy.Mul.make_args(base) if factor.is_number]
        if all(_exact_bits(factor, exponent) <= LONGEST_EXACT for factor in numbers):
            return base**exponent
        number, rest = sympy.Mul(*numbers), base.xreplace(dict.fromkeys(numbers, S.One))
        power = number.evalf(WORKING_DIGITS) ** exponent
        if not _is_float64(power):
            raise self.formula.source.refused(
                node.at, "a constant in this power is not finite in float64"
            )
        return power * rest**exponent

    def _exponential(self, argument: Expr, node: Node) -> Expr:
        """Return ``exp(argument)``; SymPy makes ``exp(c*log(x))`` the power ``x**c``."""
        powers = []
        others = []
        for term in sympy.Add.make_args(argument):
            number, rest = term.as_coeff_Mul()
            if isinstance(rest, sympy.log):
                powers.append(self._power(rest.args[0], number, node))
            else:
                others.append(term)
        return sympy.Mul(sympy.exp(sympy.Add(*others)), *powers)

    def _where(self, node: Call, values: Mapping[str, Expr]) -> Expr:
        condition, *arguments = node.arguments
        if not isinstance(condition, Comparison):
            raise InternalError(f"{self.formula}: where without a comparison")
        left, right = self.build(condition.left, values), self.build(condition.right, values)
        then, otherwise = (self.build(argument, values) for argument in arguments)
        return self._cases(condition, COMPARE[condition.operator], left, right, then, otherwise)

    def _cases(
        self,
        node: Node,
        relation: type[Relational],
        left: Expr,
        right: Expr,
        then: Expr,
        otherwise: Expr,
    ) -> Expr:
        """Return the piecewise expression, of two branches.

        A choice in a branch stays there: of more branches SymPy would join those with equal
        values or slopes, and ``or`` is no condition of a programme.

        A condition on a branch, ``where(where(d, p, q) > 0, a, b)``, is written out as
        ``where(d, where(p > 0, a, b), where(q > 0, a, b))``: SymPy would join conditions.
        """
        self.cases.append(node)
        if len(self.cases) > MOST_CASES:
            raise self.formula.source.refused(
                node.at, f"the conditions of where make more than {MOST_CASES} cases"
            )
        if left.has(*_NOT_REAL) or right.has(*_NOT_REAL):
            raise self.formula.source.refused(
                node.at, "what is compared is not real and finite in one of its cases"
            )
        inner = left.atoms(Piecewise) | right.atoms(Piecewise)
        if not inner:
            return Piecewise((then, relation(left, right)), (otherwise, True))
        innermost = min(inner, key=lambda p: (len(p.atoms(Piecewise)), sympy.default_sort_key(p)))
        branches = []
        for value, condition in innermost.args:
            chosen = {innermost: value}
            sides = left.xreplace(chosen), right.xreplace(chosen)
            branches.append((self._cases(node, relation, *sides, then, otherwise), condition))
        return Piecewise(*branches)


def _settled(constant: Expr) -> Expr:
    """Return a constant as it is if SymPy compares and reduces it in no time, else rounded.

    Whether ``sinh(4e-186)`` is above ``4e-186`` costs SymPy seconds, and ``atan(tan(1e112))``
    is more than it can do. Rational numbers are compared exactly; ``sqrt(2/pi)`` and the like
    stay as they are written.
    """
    if constant.is_Rational or constant.is_Float or constant.free_symbols or constant.has(Sum):
        return constant
    plain = all(_is_plain(n) for n in constant.atoms(sympy.Rational, sympy.Float))
    value = constant.evalf(WORKING_DIGITS)
    if not value.is_Float or (plain and 1e-100 < abs(value) < 1e100):
        return constant
    return value if value._prec > 1 else S.Zero  # all digits cancelled


def _inexact(argument: Expr) -> Expr:
    """Return the argument of a function or an exponent, rounded if it has many digits."""
    if not argument.is_Rational or _is_plain(argument):
        return argument
    return sympy.Float(argument, WORKING_DIGITS)


def _is_zero(expression: Expr) -> bool:
    return bool(expression.is_Number and expression.is_zero)


def _is_plain(number: Expr) -> bool:
    return bool(number.is_Rational and max(abs(number.p), number.q) <= LARGEST_PLAIN)


def _bits(number: Expr) -> int:
    return int(number.p).bit_length() + int(number.q).bit_length() if number.is_Rational else 0


def _exact_bits(factor: Expr, exponent: Expr) -> int:
    """Return about how many bits SymPy would take for a power of a number if it kept it exact.

    It takes whole powers out of roots, of each prime factor for itself: where the exponent is
    p/q these go up to q.
    """
    base, inner = factor.as_base_exp()
    if not base.is_Rational or abs(base) == S.One:
        return 0
    power = inner * exponent
    return int(_bits(base) * max(abs(power), power.q if power.is_Rational else 0))


def _is_float64(number: Expr) -> bool:
    return bool(abs(number) < sympy.Integer(2) ** 1024)
