"""SymPy expressions in the words of the formula language.

The way back from `derive.formula_sympy.to_sympy`: reading what is written here gives an
equal expression. A choice of more than two branches is read back as choices of two.
"""

from collections.abc import Mapping
from fractions import Fraction
from functools import reduce

import sympy
from sympy import Expr, Piecewise, Rational, S
from sympy.core.relational import Relational

from derive.errors import InputError
from derive.formula_sympy import COMPARE
from derive.formula_tree import (
    Binary,
    Call,
    Comparison,
    Name,
    Negative,
    Node,
    Number,
    print_formula,
)
from derive.notation import FUNCTIONS as FROM_SYMPY


def print_sympy(expression: Expr, *, names: Mapping[Expr, str] | None = None) -> str:
    """Write an expression as `derive.formula.parse_formula` reads it.

    Parameters
    ----------
    expression
        Numbers, symbols and the functions of the language.
    names
        What to call parts that are no symbols, such as the entry of a tensor.

    Raises
    ------
    InputError
        If the language has no word for a part of it.
    """
    return print_formula(from_sympy(expression, names=names or {}))


def from_sympy(expression: Expr, *, names: Mapping[Expr, str]) -> Node:
    """Return the syntax tree of an expression; see `print_sympy`."""

    def node(part: Expr) -> Node:
        if part in names:
            return Name(name=names[part])
        match part:
            case sympy.Symbol():
                return Name(name=part.name)
            case Rational():
                return _rational(part)
            case sympy.Add():
                return reduce(add, part.as_ordered_terms()[1:], node(part.as_ordered_terms()[0]))
            case sympy.Mul():
                return product(part)
            case sympy.Pow():
                return power(part.base, part.exp)
            case Piecewise():
                return cases(part)
            case sympy.Max() | sympy.Min():
                name = FROM_SYMPY[type(part)]
                first, *rest = sorted(part.args, key=sympy.default_sort_key)
                return reduce(lambda a, b: _call(name, a, node(b)), rest, node(first))
            case _ if type(part) in FROM_SYMPY:
                return _call(FROM_SYMPY[type(part)], node(part.args[0]))
            case _ if part is S.Pi:
                return Name(name="pi")
            case _ if part is S.Exp1:
                return _call("exp", _rational(S.One))
            case _:
                raise InputError(
                    f"{type(part).__name__} cannot be written in the formula language: {part}"
                )

    def add(left: Node, term: Expr) -> Node:
        if term.could_extract_minus_sign():
            return Binary(operator="-", left=left, right=node(-term))
        return Binary(operator="+", left=left, right=node(term))

    def product(part: Expr) -> Node:
        number, rest = part.as_coeff_Mul()
        if number.is_negative:
            return Negative(operand=node(sympy.Mul(-number, rest, evaluate=False)))
        over = [f for f in sympy.Mul.make_args(rest) if not _divides(f)]
        under = [f for f in sympy.Mul.make_args(rest) if _divides(f)]
        # SymPy multiplies a number into a sum at once: another factor must come between
        over.sort(key=lambda factor: factor.is_Add)
        times = [] if number.p == 1 else [_rational(Rational(number.p))]
        factors = [node(factor) for factor in over]
        if not over or not over[0].is_Add:
            factors, times = [*times, *factors], []
        result = reduce(multiply, factors or [_rational(S.One)])
        for factor in under:
            divisor = power(factor.base, -factor.exp)
            result = Binary(operator="/", left=result, right=divisor)
        result = reduce(multiply, times, result)
        if number.q != 1:
            result = Binary(operator="/", left=result, right=_rational(Rational(number.q)))
        return result

    def multiply(left: Node, right: Node) -> Node:
        return Binary(operator="*", left=left, right=right)

    def power(base: Expr, exponent: Expr) -> Node:
        if exponent is S.One:
            return node(base)
        if exponent is S.Half:
            return _call("sqrt", node(base))
        if exponent.is_Rational and exponent.is_negative:
            one = _rational(S.One)
            return Binary(operator="/", left=one, right=power(base, -exponent))
        return Binary(operator="**", left=node(base), right=node(exponent))

    def cases(part: Piecewise) -> Node:
        *branches, (last, otherwise) = part.args
        known = all(isinstance(condition, Relational) for _, condition in branches)
        if otherwise != True or not known:  # noqa: E712  SymPy's own true
            raise InputError(f"conditions cannot be written in the formula language: {part}")
        result = node(last)
        for value, condition in reversed(branches):
            (sign,) = (s for s, relation in COMPARE.items() if type(condition) is relation)
            comparison = Comparison(
                operator=sign, left=node(condition.lhs), right=node(condition.rhs)
            )
            result = _call("where", comparison, node(value), result)
        return result

    return node(expression)


def _divides(factor: Expr) -> bool:
    """Return whether a factor is written below the line."""
    return bool(factor.is_Pow and factor.exp.is_Rational and factor.exp.is_negative)


def _rational(value: Expr) -> Node:
    if value.is_negative:
        return Negative(operand=_rational(-value))
    number = Number(value=Fraction(int(value.p)))
    if value.q == 1:
        return number
    return Binary(operator="/", left=number, right=Number(value=Fraction(int(value.q))))


def _call(function: str, *arguments: Node) -> Node:
    return Call(function=function, arguments=arguments)
