"""Matrix expressions: what `derive.matrix_form` recognises and `derive.matrix_printing` writes.

Grammar::

    M = Name | Size | Number             a tensor with one axis is a column
      | Ones                             a column of ones
      | Transpose(M) | Diagonal(M)       the diagonal matrix of a column
      | MatMul(M...)                     matrix product
      | Hadamard(M...) | Quotient(M, M) | Power(M, number)     entry by entry
      | Apply(function, M...) | Where(relation, M, M, M, M)    entry by entry
      | Plus(M...)
      | Scaled(number, M..., M..., M)    number * scalars / scalars * M

Entry by entry means: the operands have one shape, or are scalars, which count for every
entry, as in ``1 − H ∘ H``. Nothing else is broadcast: a row or column that is repeated is a
product with `Ones`. A product of 1 x 1 is a scalar.

The constructors below keep expressions in the form that a textbook prints: products are
flat, scalars stand in front, and ``Aᵀ ∘ Bᵀ`` is ``(A ∘ B)ᵀ``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from sympy import Expr, Integer


@final
@dataclass(frozen=True, slots=True)
class Name:
    """A tensor with at most two axes."""

    name: str


@final
@dataclass(frozen=True, slots=True)
class Size:
    """A size that is a name, as a scalar."""

    name: str


@final
@dataclass(frozen=True, slots=True)
class Number:
    """A number."""

    value: Expr


@final
@dataclass(frozen=True, slots=True)
class Ones:
    """A column of ones."""

    extent: Expr


@final
@dataclass(frozen=True, slots=True)
class Transpose:
    """A transposed matrix."""

    operand: "Matrix"


@final
@dataclass(frozen=True, slots=True)
class Diagonal:
    """The diagonal matrix of a column."""

    operand: "Matrix"


@final
@dataclass(frozen=True, slots=True)
class MatMul:
    """A matrix product of two factors or more."""

    factors: tuple["Matrix", ...]


@final
@dataclass(frozen=True, slots=True)
class Hadamard:
    """An elementwise product of two factors or more."""

    factors: tuple["Matrix", ...]


@final
@dataclass(frozen=True, slots=True)
class Quotient:
    """An elementwise quotient."""

    numerator: "Matrix"
    denominator: "Matrix"


@final
@dataclass(frozen=True, slots=True)
class Power:
    """An elementwise power; the exponent is a positive number."""

    base: "Matrix"
    exponent: Expr
    is_scalar: bool = False


@final
@dataclass(frozen=True, slots=True)
class Apply:
    """A function of `derive.notation.FUNCTIONS`, entry by entry."""

    function: str
    operands: tuple["Matrix", ...]


@final
@dataclass(frozen=True, slots=True)
class Where:
    """``where(left relation right, then, otherwise)``, entry by entry."""

    relation: str
    left: "Matrix"
    right: "Matrix"
    then: "Matrix"
    otherwise: "Matrix"


@final
@dataclass(frozen=True, slots=True)
class Plus:
    """A sum of two terms or more."""

    terms: tuple["Matrix", ...]


@final
@dataclass(frozen=True, slots=True)
class Scaled:
    """``number * scalars... * operand / divisors...``; without an operand, a scalar."""

    number: Expr
    scalars: tuple["Matrix", ...]
    divisors: tuple["Matrix", ...]
    operand: "Matrix | None"


Matrix = (
    Name
    | Size
    | Number
    | Ones
    | Transpose
    | Diagonal
    | MatMul
    | Hadamard
    | Quotient
    | Power
    | Apply
    | Where
    | Plus
    | Scaled
)


def transpose(operand: Matrix) -> Matrix:
    """Return the transpose, with products turned round and double transposes gone."""
    match operand:
        case Transpose():
            return operand.operand
        case Number() | Size() | Diagonal():
            return operand
        case MatMul():
            return MatMul(tuple(transpose(factor) for factor in reversed(operand.factors)))
        case Scaled(operand=None):
            return operand
        case Scaled():
            assert operand.operand is not None
            return Scaled(
                operand.number, operand.scalars, operand.divisors, transpose(operand.operand)
            )
        case _:
            return Transpose(operand)


def matmul(*factors: Matrix) -> Matrix:
    """Return a matrix product; scalars of the factors come in front."""
    parts, scale = _unscaled(factors)
    flat: list[Matrix] = []
    for part in parts:
        flat += part.factors if isinstance(part, MatMul) else [part]
    return scale.times(MatMul(tuple(flat)) if len(flat) > 1 else flat[0])


def hadamard(factors: Sequence[Matrix]) -> Matrix:
    """Return an elementwise product of one factor or more."""
    parts, scale = _unscaled(factors)
    flat: list[Matrix] = []
    for part in parts:
        flat += part.factors if isinstance(part, Hadamard) else [part]
    if len(flat) == 1:
        return scale.times(flat[0])
    plain, turned = _turned(flat)
    product = Hadamard(tuple(plain))
    return scale.times(Transpose(product) if turned else product)


def quotient(numerator: Matrix, denominator: Matrix) -> Matrix:
    """Return an elementwise quotient."""
    (above,), scale = _unscaled([numerator])
    (above, below), turned = _turned([above, denominator])
    divided = Quotient(above, below)
    return scale.times(Transpose(divided) if turned else divided)


def elementwise_power(base: Matrix, exponent: Expr) -> Matrix:
    """Return an elementwise power of a matrix."""
    (plain,), turned = _turned([base])
    return Transpose(Power(plain, exponent)) if turned else Power(plain, exponent)


def apply(function: str, operands: Sequence[Matrix]) -> Matrix:
    """Return a function applied entry by entry."""
    plain, turned = _turned(operands)
    applied = Apply(function, tuple(plain))
    return Transpose(applied) if turned else applied


def where(relation: str, sides: Sequence[Matrix]) -> Matrix:
    """Return a choice; `sides` are left, right, then, otherwise."""
    plain, turned = _turned(sides)
    choice = Where(relation, *plain)
    return Transpose(choice) if turned else choice


def plus(terms: Sequence[Matrix]) -> Matrix:
    """Return a sum of one term or more."""
    if len(terms) == 1:
        return terms[0]
    plain, turned = _turned(terms)
    total = Plus(tuple(plain))
    return Transpose(total) if turned else total


def scaled(
    number: Expr, scalars: Sequence[Matrix], divisors: Sequence[Matrix], operand: Matrix | None
) -> Matrix:
    """Return an operand times a number and scalars, divided by scalars."""
    plain, own = _unscaled(scalars)
    scale = _Scale(own.number * number, (*own.scalars, *plain), (*own.divisors, *divisors))
    if operand is not None:
        return scale.times(operand)
    if not scale.divisors and not scale.scalars:
        return Number(scale.number)
    return Scaled(scale.number, scale.scalars, scale.divisors, None)


@final
@dataclass(frozen=True, slots=True)
class _Scale:
    number: Expr
    scalars: tuple[Matrix, ...]
    divisors: tuple[Matrix, ...]

    def times(self, operand: Matrix) -> Matrix:
        if isinstance(operand, Scaled):
            return Scaled(
                self.number * operand.number,
                (*self.scalars, *operand.scalars),
                (*self.divisors, *operand.divisors),
                operand.operand,
            )
        if self.number == 1 and not self.scalars and not self.divisors:
            return operand
        return Scaled(self.number, self.scalars, self.divisors, operand)


def _unscaled(factors: Sequence[Matrix]) -> tuple[list[Matrix], _Scale]:
    """Take the scalars out of the factors of a product."""
    number: Expr = Integer(1)
    scalars: list[Matrix] = []
    divisors: list[Matrix] = []
    parts: list[Matrix] = []
    for factor in factors:
        if isinstance(factor, Scaled) and factor.operand is not None:
            number *= factor.number
            scalars += factor.scalars
            divisors += factor.divisors
            parts.append(factor.operand)
        else:
            parts.append(factor)
    return parts, _Scale(number, tuple(scalars), tuple(divisors))


def _turned(operands: Sequence[Matrix]) -> tuple[list[Matrix], bool]:
    """Return the operands transposed if that leaves no transpose, and whether it was done."""
    if not any(_is_transposed(operand) for operand in operands):
        return list(operands), False
    if all(_is_transposed(operand) or _is_scalar(operand) for operand in operands):
        return [transpose(operand) for operand in operands], True
    return list(operands), False


def _is_transposed(operand: Matrix) -> bool:
    if isinstance(operand, Scaled) and operand.operand is not None:
        return _is_transposed(operand.operand)
    return isinstance(operand, Transpose)


def _is_scalar(operand: Matrix) -> bool:
    """Whether an operand is plainly a scalar; a 1 x 1 product is not looked into."""
    if isinstance(operand, Scaled) and operand.operand is None:
        return True
    return isinstance(operand, Number | Size)
