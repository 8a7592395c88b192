"""The shapes of matrix expressions, by which a reader checks a formula.

A tensor with one axis is a column, and a scalar is 1 × 1, as everywhere in matrix form.
"""

from collections.abc import Mapping, Sequence
from typing import assert_never

from sympy import Expr, Integer

from derive.errors import InternalError
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
from derive.notation import Notation, Piece
from derive.program import Tensor

Shape = tuple[Expr, Expr]
Tensors = Mapping[str, Tensor]

SCALAR: Shape = (Integer(1), Integer(1))


def shape_of(expression: Matrix, tensors: Tensors) -> Shape:
    """Return rows and columns of a matrix expression.

    Raises
    ------
    InternalError
        If shapes in it do not fit.
    """

    def shape(part: Matrix) -> Shape:
        return shape_of(part, tensors)

    match expression:
        case Name(name):
            return column_shape(tensors[name])
        case Size() | Number():
            return SCALAR
        case Ones(extent):
            return extent, Integer(1)
        case Transpose(operand):
            rows, columns = shape(operand)
            return columns, rows
        case Diagonal(operand):
            rows, _ = shape(operand)
            return rows, rows
        case MatMul(factors):
            rows, columns = shape(factors[0])
            for factor in factors[1:]:
                inner, outer = shape(factor)
                if inner != columns:
                    raise InternalError(f"{columns} columns meet {inner} rows in {expression}")
                columns = outer
            return rows, columns
        case Hadamard(parts) | Apply(_, parts) | Plus(parts):
            return _common(expression, [shape(part) for part in parts])
        case Quotient(numerator, denominator):
            return _common(expression, [shape(numerator), shape(denominator)])
        case Where(_, left, right, then, otherwise):
            sides = (left, right, then, otherwise)
            return _common(expression, [shape(side) for side in sides])
        case Power(base):
            return shape(base)
        case Scaled(operand=operand):
            return SCALAR if operand is None else shape(operand)
        case _:
            assert_never(expression)


def column_shape(tensor: Tensor) -> Shape:
    """Return the shape of a tensor with at most two axes, as a matrix."""
    rows, columns = (*tensor.shape, Integer(1), Integer(1))[:2]
    return rows, columns


def _common(expression: Matrix, shapes: Sequence[Shape]) -> Shape:
    """Return the one shape of what is taken entry by entry; scalars count for every entry."""
    found = [shape for shape in dict.fromkeys(shapes) if shape != SCALAR]
    if len(found) > 1:
        raise InternalError(f"shapes {found} meet entry by entry in {expression}")
    return found[0] if found else SCALAR


def shape_piece(shape: Shape, notation: Notation) -> Piece:
    """Write a shape: ``(2 × B)``."""
    sizes = (notation.number(e).text if e.is_Integer else notation.name(str(e)) for e in shape)
    return Piece(notation.bracketed(notation.times_sign.join(sizes)))


def shapes_written(expression: Matrix, tensors: Tensors, notation: Notation) -> Piece:
    """Write a formula with a shape in the place of each of its operands.

    Products of matrices are kept, and what they are added to or multiplied with entry by
    entry; anything else is one shape. ``dZ2ᵀ H1`` is ``(2 × B) (B × 10)``.
    """

    def leaf(part: Matrix) -> Piece:
        if isinstance(part, Number):
            return notation.number(part.value)
        return shape_piece(shape_of(part, tensors), notation)

    def factor(part: Matrix) -> Piece:
        return shapes_written(part, tensors, notation) if isinstance(part, MatMul) else leaf(part)

    match expression:
        case MatMul(factors):
            return notation.matmul([leaf(part) for part in factors])
        case Hadamard(factors):
            return notation.hadamard([factor(part) for part in factors])
        case Quotient(numerator, denominator):
            return notation.hadamard_quotient(factor(numerator), factor(denominator))
        case Plus(terms):
            matrices = [term for term in terms if shape_of(term, tensors) != SCALAR]
            written = [shapes_written(term, tensors, notation) for term in matrices]
            return notation.add(written) if written else leaf(expression)
        case Scaled(number=number, operand=operand) if operand is not None:
            inner = shapes_written(operand, tensors, notation)
            return notation.negated(inner) if number.is_negative else inner
        case _:
            return leaf(expression)
