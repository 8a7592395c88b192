"""Matrix expressions, written in a notation."""

from collections.abc import Mapping
from itertools import groupby
from types import MappingProxyType
from typing import assert_never

from sympy import Integer, fraction

from derive.index_form import written_product
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
from derive.notation import GENERAL_POWER, Level, Notation, Piece

Inline = Mapping[str, Matrix | Piece]
NOTHING: Inline = MappingProxyType({})


def matrix_piece(expression: Matrix, notation: Notation, inline: Inline = NOTHING) -> Piece:
    """Write a matrix expression, with brackets where a reader needs them.

    Names that are in `inline` are written as what stands there: a piece, or an expression.
    """

    def piece(part: Matrix) -> Piece:
        return matrix_piece(part, notation, inline)

    match expression:
        case Name(name) if name in inline:
            found = inline[name]
            return found if isinstance(found, Piece) else piece(found)
        case Name(name) | Size(name):
            return Piece(notation.name(name))
        case Number(value):
            return notation.number(value)
        case Ones():
            return notation.ones()
        case Transpose(operand):
            return notation.transpose(piece(operand))
        case Diagonal(operand):
            return notation.call("diag", [notation.signed(piece(operand))])
        case MatMul(factors):
            return notation.matmul([piece(factor) for factor in factors])
        case Hadamard(factors):
            parts: list[Piece] = []
            for factor, group in groupby(factors):
                equal = list(group)
                if len(equal) > 1 and isinstance(factor, Apply) and len(factor.operands) == 1:
                    equal = [Power(factor, Integer(len(equal)))]
                parts += map(piece, equal)
            return notation.hadamard(parts) if len(parts) > 1 else parts[0]
        case Quotient(numerator, denominator):
            return notation.hadamard_quotient(piece(numerator), piece(denominator))
        case Power(Apply(function, (operand,)), exponent) if exponent.is_Integer:
            return notation.call_power(function, exponent, [notation.signed(piece(operand))])
        case Power(base, exponent, is_scalar):
            write = notation.power if is_scalar else notation.hadamard_power
            return write(piece(base), exponent)
        case Apply(function, (base, exponent)) if function == GENERAL_POWER:
            return notation.raised(piece(base), piece(exponent), by_entry=True)
        case Apply(function, operands):
            return notation.call(
                function, [notation.signed(piece(operand)) for operand in operands]
            )
        case Where(relation, left, right, then, otherwise):
            case = (piece(then), relation, piece(left), piece(right))
            return notation.choice([case], piece(otherwise))
        case Plus(terms):
            return notation.add([piece(term) for term in terms])
        case Scaled(number, scalars, divisors, operand):
            above = [_one_factor(piece(scalar), notation) for scalar in scalars]
            if operand is not None:
                above.append(_operand(expression, piece(operand), notation))
            below = [_one_factor(piece(divisor), notation) for divisor in divisors]
            return written_product(number, above, below, notation)
        case _:
            assert_never(expression)


def _operand(expression: Scaled, operand: Piece, notation: Notation) -> Piece:
    """Bracket a product that begins with ones behind a number, where 2 1 would be read 21."""
    has_numerator = fraction(abs(expression.number))[0] != 1 or bool(expression.scalars)
    first = expression.operand.factors[0] if isinstance(expression.operand, MatMul) else None
    inner = first.operand if isinstance(first, Transpose) else first
    begins_with_ones = isinstance(inner, Ones)
    return _one_factor(operand, notation) if has_numerator and begins_with_ones else operand


def _one_factor(piece: Piece, notation: Notation) -> Piece:
    """Bracket a scalar such as ``1ᵀ A 1``, so that it is not read into the next product."""
    return Piece(notation.at_least(piece, Level.POWER))
