"""The one door through which SymPy enters: expressions become kernel values.

Past this file nothing in `codegen` sees SymPy. What is not in the table below is refused
with the expression in the message; nothing falls back to printing it.
"""

import math
from functools import singledispatch
from typing import Literal

import sympy
from sympy import Add, Expr, Indexed, Integer, Mul, Piecewise, Pow, Rational, Symbol
from sympy.codegen.cfunctions import expm1, log1p
from sympy.core.relational import Relational

from codegen.errors import InternalError
from codegen.kernel import (
    Argument,
    Binary,
    Call,
    Const,
    Load,
    Negative,
    Select,
    Value,
)
from derive.kinks import Abs
from derive.program import BATCH

_HIGHEST_POWER = 64  # that is written as products; half a one more by a square root

# SymPy function -> name of the elementary function that the emitters provide
FUNCTIONS = {
    sympy.exp: "exp",
    sympy.log: "log",
    sympy.tanh: "tanh",
    sympy.sin: "sin",
    sympy.cos: "cos",
    sympy.tan: "tan",
    sympy.atan: "atan",
    sympy.sinh: "sinh",
    sympy.cosh: "cosh",
    sympy.erf: "erf",
    sympy.Abs: "abs",
    Abs: "abs",
    log1p: "log1p",
    expm1: "expm1",
}


@singledispatch
def value_of(expression: Expr) -> Value:
    """Return the kernel value of a scalar expression without sums.

    Raises
    ------
    InternalError
        For a kind of node that kernels do not have.
    """
    raise InternalError(
        f"{type(expression).__name__} has no kernel form, in the expression {expression}"
    )


@value_of.register(sympy.Number)
@value_of.register(sympy.NumberSymbol)
def _(expression: Expr) -> Value:
    return _constant(expression)


def _constant(expression: Expr) -> Value:
    """Return a number, such as ``√2/2``, as the nearest one of float64."""
    number = float(expression) if expression.is_Rational else float(expression.evalf(25))
    if not math.isfinite(number):
        raise InternalError(f"the constant {expression} is not a finite number")
    return Const(number)


@value_of.register
def _(expression: Symbol) -> Value:
    if expression == BATCH:
        return Argument("B")
    if expression.is_integer:
        raise InternalError(f"the index {expression} is used as a number")
    return Load(expression.name, ())


@value_of.register
def _(expression: Indexed) -> Value:
    # two dummies may print alike, and then would be one axis
    if not all(index.is_Symbol and not index.is_Dummy for index in expression.indices):
        raise InternalError(f"{expression} is read at an index that is no loop's")
    axes = tuple(map(str, expression.indices))
    batch = tuple(axis for axis in axes if is_batch(axis))
    return Load(expression.base.name, tuple(a for a in axes if a not in batch) + batch)


def is_batch(axis: str) -> bool:
    """Whether an axis name stands for the samples of a batch."""
    return axis.startswith("i")


@value_of.register
def _(expression: Add) -> Value:
    # positive terms first, so that a difference reads as one; plain entries before what is
    # computed, so that large ones such as an exponent and its row's largest cancel exactly
    terms = sorted(
        expression.as_ordered_terms(),
        key=lambda term: (bool(term.could_extract_minus_sign()), len(term.atoms(sympy.Function))),
    )
    total = value_of(terms[0])
    for term in terms[1:]:
        if term.could_extract_minus_sign():
            total = Binary("-", total, value_of(-term))
        else:
            total = Binary("+", total, value_of(term))
    return total


@value_of.register
def _(expression: Mul) -> Value:
    if expression.is_number:
        return _constant(expression)
    coefficient = Mul(*(factor for factor in expression.args if factor.is_number))
    factors = [factor for factor in expression.args if not factor.is_number]
    over = [factor for factor in factors if not _is_divisor(factor)]
    under = [1 / factor for factor in factors if _is_divisor(factor)]
    if coefficient.q != 1 if coefficient.is_Rational else False:
        under.insert(0, Integer(coefficient.q))
        coefficient = Integer(coefficient.p)
    if coefficient not in (1, -1):
        over.insert(0, coefficient)
    product = _product(over)
    if under:
        product = Binary("/", product, _product(under))
    return Negative(product) if coefficient == -1 else product


def _is_divisor(factor: Expr) -> bool:
    return bool(factor.is_Pow and factor.exp.is_number and factor.exp.is_negative)


def _product(factors: list[Expr]) -> Value:
    if not factors:
        return Const(1.0)
    product = value_of(factors[0])
    for factor in factors[1:]:
        product = Binary("*", product, value_of(factor))
    return product


@value_of.register
def _(expression: Pow) -> Value:
    if expression.is_number:
        return _constant(expression)
    base, exponent = expression.args
    if exponent == Rational(1, 2):
        return Call("sqrt", (value_of(base),))
    if exponent.could_extract_minus_sign():
        return Binary("/", Const(1.0), value_of(base**-exponent))
    factor = value_of(base)
    if not (exponent.is_Rational and exponent.q in (1, 2)) or exponent > _HIGHEST_POWER:
        return Call("pow", (factor, value_of(exponent)))
    power = _power(factor, int(exponent))
    return power if exponent.is_Integer else Binary("*", power, Call("sqrt", (factor,)))


def _power(factor: Value, exponent: int) -> Value:
    """Return a power by squaring; what repeats is computed once by the emitter."""
    if exponent == 1:
        return factor
    half = _power(factor, exponent // 2)
    square = Binary("*", half, half)
    return Binary("*", square, factor) if exponent % 2 else square


@value_of.register
def _(expression: Piecewise) -> Value:
    (then, condition), *rest = expression.args
    if condition == True:  # noqa: E712  # SymPy's true, not Python's
        return value_of(then)
    if not isinstance(condition, Relational) or not rest:
        raise InternalError(f"{expression} has no kernel form: one comparison and a default")
    otherwise = Piecewise(*rest) if rest[0][1] != True else rest[0][0]  # noqa: E712
    return Select(
        condition.rel_op,
        value_of(condition.lhs),
        value_of(condition.rhs),
        value_of(then),
        value_of(otherwise),
    )


@value_of.register(sympy.Max)
@value_of.register(sympy.Min)
def _(expression: Expr) -> Value:
    op: Literal[">", "<"] = ">" if isinstance(expression, sympy.Max) else "<"
    # numbers last: what is computed may be NaN, and must then be the result
    arguments = sorted(expression.args, key=lambda argument: bool(argument.is_number))
    extreme, *others = (value_of(argument) for argument in arguments)
    for other in others:
        kept = extreme
        if not isinstance(other, Const):
            kept = Select("!=", other, other, other, extreme)
        extreme = Select(op, other, extreme, other, kept)
    return extreme


@value_of.register
def _(expression: sympy.sign) -> Value:
    x = value_of(expression.args[0])
    below = Select("<", x, Const(0.0), Const(-1.0), x)  # 0 and NaN are their own signs
    return Select(">", x, Const(0.0), Const(1.0), below)


@value_of.register
def _(expression: sympy.Function) -> Value:
    name = FUNCTIONS.get(expression.func)
    if name is None:
        raise InternalError(f"the function {expression.func} has no kernel form")
    return Call(name, tuple(value_of(argument) for argument in expression.args))
