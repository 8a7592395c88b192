"""The value of a programme in as many digits as one likes: mpmath, entry by entry.

Slow and plain on purpose. It is the judge where two ways of rounding disagree.
"""

import itertools
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import mpmath
import numpy as np
import sympy
from numpy.typing import NDArray
from sympy import Expr, Indexed, Piecewise, Symbol
from sympy.codegen.cfunctions import expm1, log1p

from derive.errors import InternalError
from derive.kinks import Abs, Max, Min
from derive.program import MaxOver, Program, Sum
from derive.shifts import counts_with_indices

Real = Any  # an mpmath number
Place = Mapping[Symbol, int]

_FUNCTIONS: dict[type[Expr], Callable[..., Real]] = {
    sympy.exp: mpmath.exp,
    sympy.log: mpmath.log,
    log1p: lambda x: mpmath.log(1 + x),
    expm1: mpmath.expm1,
    sympy.tanh: mpmath.tanh,
    sympy.sinh: mpmath.sinh,
    sympy.cosh: mpmath.cosh,
    sympy.sin: mpmath.sin,
    sympy.cos: mpmath.cos,
    sympy.tan: mpmath.tan,
    sympy.atan: mpmath.atan,
    sympy.erf: mpmath.erf,
    sympy.Abs: abs,
    Abs: abs,
    sympy.sign: mpmath.sign,
    sympy.Max: max,
    sympy.Min: min,
    Max: max,
    Min: min,
}
_LARGEST = mpmath.mpf(10) ** 300  # the exponential of its exponential would take for ever

_COMPARE: dict[str, Callable[[Real, Real], bool]] = {
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
    "==": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
}


def precise_values(
    program: Program, values: Mapping[str, NDArray[Any]], *, batch: int, digits: int
) -> dict[str, NDArray[Any]]:
    """Return the value of every statement, computed with that many digits.

    Parameters
    ----------
    program
        Its sizes are integers, but for the batch.
    values
        An array for every input.
    batch
        Number of samples.
    digits
        Decimal digits of every operation.

    Returns
    -------
    dict
        Arrays of mpmath numbers, by the statements' names; None where a value is not real, or
        a function of more than 1e300 is in it.
    """
    with mpmath.workdps(digits):
        known: dict[str, Any] = {
            name: np.vectorize(mpmath.mpf, otypes=[object])(array) for name, array in values.items()
        }
        for statement in program.statements:
            if counts_with_indices(statement.body):
                raise InternalError(f"{statement} reads its indices as numbers: no digits for it")
            shape = [_extent(extent, batch) for extent in statement.target.shape]
            result = np.empty(shape, object)
            for place in itertools.product(*map(range, shape)):
                at = dict(zip(statement.indices, place, strict=True))
                result[place] = _checked(statement.body, at, known, batch)
            known[statement.name] = result
    return {statement.name: known[statement.name] for statement in program.statements}


def _checked(body: Expr, at: Place, known: Mapping[str, Any], batch: int) -> Real | None:
    try:
        value = _value(body, at, known, batch)
    except (ZeroDivisionError, OverflowError, TypeError):  # of None too, which it reads
        return None
    return value if isinstance(value, mpmath.mpf) and mpmath.isfinite(value) else None


def _value(expression: Expr, at: Place, known: Mapping[str, Any], batch: int) -> Real:
    def value(part: Expr, more: Place | None = None) -> Real:
        return _value(part, {**at, **(more or {})}, known, batch)

    if isinstance(expression, Indexed):
        place = tuple(int(at.get(index, index)) for index in expression.indices)
        return known[str(expression.base.name)][place]
    if isinstance(expression, Symbol):
        if expression.is_integer:
            return mpmath.mpf(batch)
        return known[expression.name][()]
    if expression.is_Rational:
        return mpmath.mpf(int(expression.p)) / int(expression.q)
    if expression.is_Number or expression.is_NumberSymbol:
        return mpmath.mpf(str(expression.evalf(mpmath.mp.dps)))
    if expression.is_Add:
        return mpmath.fsum(value(term) for term in expression.args)
    if expression.is_Mul:
        return mpmath.fprod(value(factor) for factor in expression.args)
    if expression.is_Pow:
        return mpmath.power(value(expression.base), value(expression.exp))
    if isinstance(expression, Sum | MaxOver):
        symbols = [limit[0] for limit in expression.limits]
        ranges = [range(_extent(last + 1, batch)) for _, _, last in expression.limits]
        terms = [
            value(expression.function, dict(zip(symbols, place, strict=True)))
            for place in itertools.product(*ranges)
        ]
        return mpmath.fsum(terms) if isinstance(expression, Sum) else max(terms)
    if isinstance(expression, Piecewise):
        for branch, condition in expression.args:
            if condition == True:  # noqa: E712  # SymPy's true, not Python's
                return value(branch)
            if _COMPARE[condition.rel_op](value(condition.lhs), value(condition.rhs)):
                return value(branch)
    if isinstance(expression, sympy.Max | sympy.Min):
        return reduce(_FUNCTIONS[expression.func], map(value, expression.args))
    if expression.func in _FUNCTIONS:
        (argument,) = map(value, expression.args)
        if abs(argument) > _LARGEST:
            raise OverflowError(f"{expression.func.__name__} of a number beyond {_LARGEST}")
        return _FUNCTIONS[expression.func](argument)
    raise InternalError(f"{expression.func} has no value here: {expression}")


def _extent(extent: Expr, batch: int) -> int:
    return int(extent) if extent.is_Integer else batch
