"""The value of a statement's index form by nested loops, entry by entry.

Slow and simple on purpose: what prints, recognises or computes formulas faster is measured
against it. It knows nothing of NumPy beyond reading an entry.
"""

import itertools
import math

import numpy as np
import sympy
from sympy import Expr, Indexed, KroneckerDelta, Piecewise, Sum, Symbol
from sympy.codegen.cfunctions import expm1, log1p

from derive.program import MaxOver, Statement

_FUNCTIONS = {
    sympy.exp: math.exp,
    sympy.log: math.log,
    log1p: math.log1p,
    expm1: math.expm1,
    sympy.tanh: math.tanh,
    sympy.sin: math.sin,
    sympy.cos: math.cos,
    sympy.tan: math.tan,
    sympy.atan: math.atan,
    sympy.sinh: math.sinh,
    sympy.cosh: math.cosh,
    sympy.erf: math.erf,
    sympy.Abs: abs,
    sympy.sign: lambda x: float(np.sign(x)),
    sympy.Max: max,
    sympy.Min: min,
}
_RELATIONS = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


def plain_value(
    statement: Statement, arrays: dict[str, np.ndarray], sizes: dict[str, int]
) -> np.ndarray:
    """Return the array that a statement writes; `sizes` gives the sizes that are names."""
    shape = tuple(_extent(extent, sizes) for extent in statement.target.shape)
    result = np.empty(shape)
    for place in itertools.product(*map(range, shape)):
        at = dict(zip(statement.indices, place, strict=True))
        result[place] = entry_value(statement.body, at, arrays, sizes)
    return result


def entry_value(
    expression: Expr,
    at: dict[Symbol, int],
    arrays: dict[str, np.ndarray],
    sizes: dict[str, int],
) -> float:
    """Return the value of an expression where its indices have the values `at`."""

    def value(part: Expr, more: dict[Symbol, int] | None = None) -> float:
        return entry_value(part, at | (more or {}), arrays, sizes)

    if isinstance(expression, Indexed):
        place = tuple(int(index.xreplace(at)) for index in expression.indices)
        return float(arrays[expression.base.name][place])
    if isinstance(expression, Symbol):
        if expression.is_integer:
            return float(sizes[expression.name])
        return float(arrays[expression.name])
    if expression.is_Number or expression.is_NumberSymbol:
        return float(expression)
    if expression.is_Add:
        return math.fsum(value(term) for term in expression.args)
    if expression.is_Mul:
        return math.prod(value(factor) for factor in expression.args)
    if expression.is_Pow:
        return value(expression.base) ** value(expression.exp)
    if isinstance(expression, Sum | MaxOver):
        ranges = [range(_extent(last + 1, sizes)) for _, _, last in expression.limits]
        symbols = [limit[0] for limit in expression.limits]
        values = [
            value(expression.function, dict(zip(symbols, place, strict=True)))
            for place in itertools.product(*ranges)
        ]
        return math.fsum(values) if isinstance(expression, Sum) else max(values)
    if isinstance(expression, Piecewise):
        for branch, condition in expression.args:
            if condition == True or _RELATIONS[condition.rel_op](  # noqa: E712
                value(condition.lhs), value(condition.rhs)
            ):
                return value(branch)
    if isinstance(expression, KroneckerDelta):
        first, second = (index.xreplace(at) for index in expression.args)
        return float(first == second)
    return _FUNCTIONS[expression.func](*map(value, expression.args))


def _extent(extent: Expr, sizes: dict[str, int]) -> int:
    named = {symbol: sizes[symbol.name] for symbol in extent.free_symbols}
    return int(extent.xreplace(named))
