"""The value of a matrix expression, without a single broadcast that it does not state.

NumPy would spread a row over a matrix where the expression forgot a column of ones. Here
operands have one shape or are scalars, or it is an error.
"""

from functools import reduce

import numpy as np
import scipy.special

from derive.matrix_expression import (
    Apply,
    Diagonal,
    Hadamard,
    MatMul,
    Matrix,
    Name,
    Number,
    Ones,
    Plus,
    Power,
    Quotient,
    Scaled,
    Size,
    Transpose,
    Where,
)

FUNCTIONS = {
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "erf": scipy.special.erf,
    "abs": np.abs,
    "sign": np.sign,
    "max": np.maximum,
    "min": np.minimum,
    "sqrt": np.sqrt,
    "pow": np.power,
}
RELATIONS = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


class ShapesDisagreeError(Exception):
    """Operands do not fit."""


def matrix_value(
    expression: Matrix, arrays: dict[str, np.ndarray], sizes: dict[str, int]
) -> np.ndarray:
    """Return the value: two axes for a matrix, none for a scalar."""

    def value(part: Matrix) -> np.ndarray:
        return matrix_value(part, arrays, sizes)

    match expression:
        case Name(name):
            array = np.asarray(arrays[name], dtype=float)
            return array[:, None] if array.ndim == 1 else array
        case Size(name):
            return np.array(float(sizes[name]))
        case Number(number):
            return np.array(float(number))
        case Ones(extent):
            return np.ones(
                (int(extent.xreplace({s: sizes[s.name] for s in extent.free_symbols})), 1)
            )
        case Transpose(operand):
            return value(operand).T
        case Diagonal(operand):
            column = value(operand)
            if column.ndim != 2 or column.shape[1] != 1:
                raise ShapesDisagreeError(f"diagonal of {column.shape}")
            return np.diag(column[:, 0])
        case MatMul(factors):
            return product([value(factor) for factor in factors])
        case Hadamard(factors):
            return reduce(np.multiply, alike(*map(value, factors)))
        case Quotient(numerator, denominator):
            return np.divide(*alike(value(numerator), value(denominator)))
        case Power(base, exponent):
            return value(base) ** float(exponent)
        case Apply(function, operands):
            parts = alike(*map(value, operands))
            return (
                FUNCTIONS[function](*parts)
                if len(parts) == 1
                else reduce(FUNCTIONS[function], parts)
            )
        case Where(relation, left, right, then, otherwise):
            a, b, yes, no = alike(*map(value, (left, right, then, otherwise)))
            return np.where(RELATIONS[relation](a, b), yes, no)
        case Plus(terms):
            return reduce(np.add, alike(*map(value, terms)))
        case Scaled(number, scalars, divisors, operand):
            result = np.array(float(number)) if operand is None else float(number) * value(operand)
            for scalar in scalars:
                result = result * scalar_value(value(scalar))
            for divisor in divisors:
                result = result / scalar_value(value(divisor))
            return result


def alike(*parts: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return operands of an elementwise operation if each is a scalar or all have one shape."""
    if len({part.shape for part in parts if part.ndim}) > 1:
        raise ShapesDisagreeError(f"entry by entry on {[part.shape for part in parts]}")
    return parts


def product(factors: list[np.ndarray]) -> np.ndarray:
    """Return a matrix product; one of 1 x 1 is a scalar."""
    result = factors[0]
    for factor in factors[1:]:
        if result.ndim != 2 or factor.ndim != 2 or result.shape[1] != factor.shape[0]:
            raise ShapesDisagreeError(f"{result.shape} times {factor.shape}")
        result = result @ factor
    return result.reshape(()) if result.shape == (1, 1) else result


def scalar_value(value: np.ndarray) -> float:
    """Return a scalar as a number."""
    if value.size != 1:
        raise ShapesDisagreeError(f"{value.shape} is no scalar")
    return float(value.reshape(()))
