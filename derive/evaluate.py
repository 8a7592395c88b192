"""The meaning of a programme in numbers: each statement on NumPy arrays, by broadcasting.

An expression becomes an array whose axes carry index names. Elementwise operations align
axes by name and broadcast; a sum of a product is one `numpy.einsum`, so that an affine map
is a matrix product and no array over (batch, output, input) ever exists.

The node kinds are those of the grammar in `derive.program`; anything else is a mistake of
ours and raises. Whatever else claims to compute a programme is measured against this.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import reduce
from typing import Any, final

import numpy as np
import sympy
from numpy.typing import DTypeLike, NDArray
from sympy import Expr, Indexed, Mul, Piecewise, Rational, Sum, Symbol
from sympy.codegen.cfunctions import expm1, log1p
from sympy.core.relational import Relational

from derive.errors import InputError, InternalError
from derive.kinks import Abs, Max, Min
from derive.program import ONE_HOT, MaxOver, Program, Statement, Tensor
from derive.shifts import counts_with_indices, is_index, is_shifted, shift

Array = NDArray[Any]

_ERF = np.vectorize(math.erf, otypes=[float])  # NumPy has none; right to float64


def _erf(x: Array) -> Array:
    return np.asarray(_ERF(x), x.dtype) if x.size else x


FUNCTIONS: dict[type[Expr], Callable[[Array], Array]] = {
    sympy.exp: np.exp,
    sympy.log: np.log,
    expm1: np.expm1,
    log1p: np.log1p,
    sympy.tanh: np.tanh,
    sympy.sinh: np.sinh,
    sympy.cosh: np.cosh,
    sympy.sin: np.sin,
    sympy.cos: np.cos,
    sympy.tan: np.tan,
    sympy.atan: np.arctan,
    sympy.erf: _erf,
    sympy.Abs: np.abs,
    Abs: np.abs,
    sympy.sign: np.sign,
}
EXTREMES: dict[type[Expr], Callable[[Array, Array], Array]] = {
    sympy.Max: np.maximum,
    sympy.Min: np.minimum,
    Max: np.maximum,
    Min: np.minimum,
}
COMPARISONS: dict[str, Callable[[Array, Array], Array]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


@final
@dataclass(frozen=True, slots=True)
class Named:
    """An array whose axes are named by the indices that they belong to."""

    array: Array
    axes: tuple[Symbol, ...] = ()

    def along(self, axes: tuple[Symbol, ...]) -> Array:
        """Return the array with these axes in this order; those it lacks have length 1."""
        order = [self.axes.index(axis) for axis in axes if axis in self.axes]
        array = self.array.transpose(order)
        return array[tuple(slice(None) if axis in self.axes else None for axis in axes)]


def evaluate(program: Program, values: Mapping[str, Any], *, dtype: DTypeLike) -> dict[str, Array]:
    """Execute a programme on arrays.

    Parameters
    ----------
    program
        Any programme; its sizes may be names.
    values
        An array for every input of `program`; its shape gives the sizes that are names.
        Other entries are ignored.
    dtype
        Type in which everything is computed, inputs and constants included.

    Returns
    -------
    dict
        The value of every statement by name, in order; a scalar has shape ``()``.

    Raises
    ------
    InputError
        If an input is missing, or its shape does not fit.
    InternalError
        If a statement is not of the grammar.

    Examples
    --------
    >>> from derive.network import loss_program
    >>> identity = np.eye(2)
    >>> values = {"X": identity, "Y": identity, "W1": identity, "b1": np.zeros(2)}
    >>> print(evaluate(loss_program("nx-ny"), values, dtype="float64")["loss"].round(6))
    0.313262
    """
    known, sizes = bind(program, values, dtype)
    results: dict[str, Array] = {}
    with np.errstate(all="ignore"):  # infinities and NaN are results like others
        for statement in program.statements:
            value = Evaluator(known, sizes, dtype, lengths(statement, sizes))(statement.body)
            # a copy: a statement may only read, and no result may be an input's own memory
            array = np.array(spread(value, statement, sizes), dtype=dtype, order="C")
            known[statement.name] = results[statement.name] = array
    return results


def check_assumptions(program: Program, values: Mapping[str, Any]) -> None:
    """Raise `InputError` unless what a programme assumes of its inputs holds for these arrays."""
    if ONE_HOT not in program.assumptions:
        return
    targets = np.asarray(values["Y"], dtype="float64")
    with np.errstate(invalid="ignore"):  # inf - inf is refused, as NaN is
        totals = targets.sum(axis=1)
    wrong = np.flatnonzero(~(np.abs(totals - 1) <= 1e-6))  # as what is generated checks it
    if wrong.size:
        raise InputError(
            f"Y[{wrong[0]}] sums to {totals[wrong[0]]:g}. The gradients are derived for rows that "
            'sum to 1, as one-hot rows do: labels="any" derives them for others.'
        )


def bind(
    program: Program, values: Mapping[str, Any], dtype: DTypeLike
) -> tuple[dict[str, Array], dict[Symbol, int]]:
    """Return the inputs as arrays of `dtype`, and the sizes that their shapes give.

    Raises
    ------
    InputError
        Naming the array and both shapes.
    """
    known: dict[str, Array] = {}
    sizes: dict[Symbol, int] = {}
    for tensor in program.inputs:
        if tensor.name not in values:
            needed = ", ".join(tensor.name for tensor in program.inputs)
            raise InputError(f"{tensor.name} is missing. The programme's inputs are {needed}.")
        array = np.asarray(values[tensor.name], dtype=dtype)
        if array.ndim != len(tensor.shape):
            raise _misfit(tensor, array, sizes)
        for extent, length in zip(tensor.shape, array.shape, strict=True):
            expected = sizes.setdefault(extent, length) if extent.is_Symbol else int(extent)
            if expected != length:
                raise _misfit(tensor, array, sizes)
        known[tensor.name] = array
    return known, sizes


def _misfit(tensor: Tensor, array: Array, sizes: Mapping[Symbol, int]) -> InputError:
    expected = ", ".join(
        f"{extent} = {sizes[extent]}" if extent in sizes else str(extent) for extent in tensor.shape
    )
    return InputError(
        f"{tensor.name} has the shape {array.shape}, expected ({expected}). "
        "Sizes that are names come from the arrays given before it."
    )


def spread(value: Named, statement: Statement, sizes: Mapping[Symbol, int]) -> Array:
    """Return a body's value in the order and shape of the statement's target."""
    shape = tuple(extent_of(extent, sizes) for extent in statement.target.shape)
    return np.broadcast_to(value.along(statement.indices), shape)


def lengths(statement: Statement, sizes: Mapping[Symbol, int]) -> dict[Symbol, int]:
    """Return how far each index of a statement's target runs."""
    extents = (extent_of(extent, sizes) for extent in statement.target.shape)
    return dict(zip(statement.indices, extents, strict=True))


def extent_of(extent: Expr, sizes: Mapping[Symbol, int]) -> int:
    """Return a size as an integer."""
    if extent in sizes:
        return sizes[extent]
    if extent.is_Integer:
        return int(extent)
    raise InternalError(f"the size {extent} is not an axis of any input")


def number_of(expression: Expr, dtype: DTypeLike) -> Array:
    """Return a constant, rounded to `dtype` from as many digits as that can hold."""
    kind: Any = np.dtype(dtype).type
    if expression.is_Rational and max(abs(expression.p), expression.q) < 2**53:
        return np.asarray(kind(int(expression.p)) / kind(int(expression.q)))
    if expression.is_finite and expression.is_real:
        return np.asarray(kind(str(expression.evalf(40))))
    raise InternalError(f"{expression} is not a finite real number")


def union(parts: Iterable[Named]) -> tuple[Symbol, ...]:
    """Return the axes of several arrays, each once, in order of appearance."""
    return tuple(dict.fromkeys(axis for part in parts for axis in part.axes))


def apply(function: Callable[..., Array], *parts: Named) -> Named:
    """Apply an elementwise function to arrays aligned by the names of their axes."""
    axes = union(parts)
    return Named(np.asarray(function(*(part.along(axes) for part in parts))), axes)


def contract(factors: Sequence[Named], bound: Mapping[Symbol, int]) -> Named:
    """Return the sum over the bound indices of the product of `factors`."""
    axes = tuple(axis for axis in union(factors) if axis not in bound)
    repeats = 1
    for axis, extent in bound.items():
        repeats *= 1 if any(axis in factor.axes for factor in factors) else extent
    if len(factors) == 1:
        (factor,) = factors
        summed = tuple(n for n, axis in enumerate(factor.axes) if axis in bound)
        array = factor.array.sum(axis=summed)
        axes = tuple(axis for axis in factor.axes if axis not in bound)
    else:
        numbers = {axis: n for n, axis in enumerate((*bound, *union(factors)))}
        operands: list[Any] = []
        for factor in factors:
            operands += [factor.array, [numbers[axis] for axis in factor.axes]]
        array = np.einsum(*operands, [numbers[axis] for axis in axes], optimize="greedy")
    scaled = array if repeats == 1 else array * array.dtype.type(repeats)
    return Named(np.asarray(scaled), axes)


def largest(part: Named, bound: Mapping[Symbol, int]) -> Named:
    """Return the largest value over the bound indices."""
    over = tuple(n for n, axis in enumerate(part.axes) if axis in bound)
    return Named(
        np.asarray(part.array.max(axis=over)),
        tuple(axis for axis in part.axes if axis not in bound),
    )


def read(expression: Indexed, array: Array, ranges: Mapping[Symbol, int]) -> Named:
    """Return a tensor as it is read, with the indices as names; a number selects."""
    if is_shifted(expression):
        return _shifted(expression, array, ranges)
    axes: list[Symbol] = []
    for position in reversed(range(len(expression.indices))):
        index = expression.indices[position]
        if index.is_Integer:
            array = array.take(int(index), axis=position)
        elif index.is_Symbol and index not in axes:
            axes.insert(0, index)
        else:
            raise InternalError(f"{expression} is read with the index {index}")
    return Named(array, tuple(axes))


def _shifted(expression: Indexed, array: Array, ranges: Mapping[Symbol, int]) -> Named:
    """Return a tensor along sums of indices: an axis for each index; 0 outside of the tensor."""
    places: list[Named] = []
    for position in expression.indices:
        found = shift(position)
        if found is None:
            raise InternalError(f"{expression} is read with the index {position}")
        parts = [Named(factor * np.arange(ranges[k]), (k,)) for k, factor in found.factors]
        places.append(fold(np.add, [Named(np.asarray(found.offset)), *parts]))
    axes = union(places)
    grids = [place.along(axes) for place in places]
    pairs = list(zip(grids, array.shape, strict=True))
    inside = reduce(np.logical_and, [(grid >= 0) & (grid < n) for grid, n in pairs])
    nearest = array[tuple(grid.clip(0, n - 1) for grid, n in pairs)]
    return Named(np.where(inside, nearest, array.dtype.type(0)), axes)


def ranges_of(expression: Expr, sizes: Mapping[Symbol, int]) -> dict[Symbol, int]:
    """Return the bound indices of a sum with their extents."""
    return {k: extent_of(last - first + 1, sizes) for k, first, last in expression.limits}


class Evaluator:
    """Evaluates the expressions of one statement; equal subexpressions once."""

    def __init__(
        self,
        known: Mapping[str, Array],
        sizes: Mapping[Symbol, int],
        dtype: DTypeLike,
        ranges: Mapping[Symbol, int],
    ) -> None:
        self.known = known
        self.sizes = sizes
        self.dtype = np.dtype(dtype)
        self.ranges = ranges
        self._done: dict[Expr, Named] = {}

    def __call__(self, expression: Expr) -> Named:
        """Return the value of an expression."""
        if expression not in self._done:
            self._done[expression] = self._value(expression)
        return self._done[expression]

    def _value(self, expression: Expr) -> Named:
        if isinstance(expression, Indexed):
            return read(expression, self.known[str(expression.base.name)], self.ranges)
        if expression.is_Symbol:
            return Named(self._symbol(expression))
        if expression.is_number and not expression.has(Sum):
            return Named(number_of(expression, self.dtype))
        if isinstance(expression, Sum):
            inner = self._within(expression)
            factors = [inner(factor) for factor in Mul.make_args(expression.function)]
            return contract(factors, ranges_of(expression, self.sizes))
        if isinstance(expression, MaxOver):
            return largest(self(expression.function), ranges_of(expression, self.sizes))
        if isinstance(expression, Piecewise):
            return self._select(expression)
        if expression.is_Pow and expression.exp.is_number:
            return apply(power(expression.exp, self.dtype), self(expression.base))
        parts = [self(argument) for argument in expression.args]
        if expression.is_Pow:
            return apply(np.power, *parts)
        if expression.is_Add or expression.is_Mul:
            return fold(np.add if expression.is_Add else np.multiply, parts)
        if expression.func in FUNCTIONS:
            return apply(FUNCTIONS[expression.func], *parts)
        if expression.func in EXTREMES:
            return fold(EXTREMES[expression.func], parts)
        raise InternalError(f"{expression.func} has no meaning in numbers: {expression}")

    def _within(self, total: Expr) -> "Evaluator":
        """Return what evaluates the body of a sum; sums may use one name for two ranges."""
        if not counts_with_indices(total.function):
            return self
        inner = copy(self)
        inner.ranges = {**self.ranges, **ranges_of(total, self.sizes)}
        inner._done = {}
        return inner

    def _symbol(self, symbol: Symbol) -> Array:
        if symbol in self.sizes:
            return np.asarray(self.dtype.type(self.sizes[symbol]))
        if not symbol.is_integer and str(symbol.name) in self.known:
            return self.known[str(symbol.name)]
        raise InternalError(f"{symbol} is neither a size nor a tensor without axes")

    def _select(self, expression: Piecewise) -> Named:
        """Return the branches' values where their conditions hold; NaN is never multiplied."""
        *branches, (otherwise, always) = expression.args
        if always != True:  # noqa: E712  # SymPy's true, not Python's
            raise InternalError(f"{expression} has no branch for all other cases")
        result = self(otherwise)
        for value, condition in reversed(branches):
            result = apply(np.where, self._holds(condition), self(value), result)
        return result

    def _holds(self, condition: Expr) -> Named:
        if not isinstance(condition, Relational):
            raise InternalError(f"{condition} is not one comparison")
        compare = COMPARISONS[condition.rel_op]
        return apply(compare, self._side(condition.lhs), self._side(condition.rhs))

    def _side(self, side: Expr) -> Named:
        """Return one side of a comparison, the only place where an index is a number."""
        if is_index(side):
            return Named(np.arange(self.ranges[side], dtype=self.dtype), (side,))
        return self(side)


def fold(function: Callable[[Array, Array], Array], parts: Sequence[Named]) -> Named:
    """Combine several arrays by a function of two, from the left."""
    total = parts[0]
    for part in parts[1:]:
        total = apply(function, total, part)
    return total


def power(exponent: Expr, dtype: np.dtype[Any]) -> Callable[[Array], Array]:
    """Return the power with that exponent, by the operations that round once."""
    if exponent == 2:
        return np.square
    if exponent == Rational(1, 2):
        return np.sqrt
    if exponent.is_negative:
        positive = power(-exponent, dtype) if exponent != -1 else np.positive
        return lambda base: dtype.type(1) / positive(base)
    number = number_of(exponent, dtype)[()]
    return lambda base: np.power(base, number)
