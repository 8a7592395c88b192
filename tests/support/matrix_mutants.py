"""Wrong matrix expressions, made from right ones by one mistake each."""

from collections.abc import Iterator
from dataclasses import fields, replace

from derive.matrix_expression import (
    Hadamard,
    MatMul,
    Matrix,
    Plus,
    Quotient,
    Scaled,
    Transpose,
)


def mutants(expression: Matrix) -> Iterator[tuple[str, Matrix]]:
    """Yield every expression with one mistake, and what the mistake is."""
    yield from _mistakes(expression)
    for field in fields(expression):
        child = getattr(expression, field.name)
        if isinstance(child, tuple):
            for n, part in enumerate(child):
                for what, wrong in mutants(part):
                    parts = (*child[:n], wrong, *child[n + 1 :])
                    yield what, replace(expression, **{field.name: parts})
        elif isinstance(child, Matrix):
            for what, wrong in mutants(child):
                yield what, replace(expression, **{field.name: wrong})


def _mistakes(expression: Matrix) -> Iterator[tuple[str, Matrix]]:
    match expression:
        case Transpose(operand):
            yield "transpose missing", operand
        case MatMul((Hadamard((*first, last)), *rest)):
            yield "brackets dropped", Hadamard((*first, MatMul((last, *rest))))
        case MatMul((first, second, *rest)):
            yield "factors exchanged", MatMul((second, first, *rest))
            yield "product entry by entry", Hadamard((first, second, *rest))
        case Hadamard((first, *rest)):
            yield "factor dropped", Hadamard((*rest,)) if len(rest) > 1 else rest[0]
            yield "matrix product", MatMul((first, *rest))
        case Quotient(numerator, denominator):
            yield "quotient turned round", Quotient(denominator, numerator)
            yield "divisor dropped", numerator
        case Scaled(number, scalars, divisors, operand) if operand is not None:
            yield "sign", Scaled(-number, scalars, divisors, operand)
            if scalars or divisors:
                yield "mean missing", Scaled(number, (), (), operand)
        case Plus((first, second, *rest)):
            yield "term dropped", Plus((first, *rest)) if rest else first
            yield "terms exchanged in sign", Plus((first, Scaled(-1, (), (), second), *rest))
