"""How formulas are written: the pieces of a formula, and what a notation must be able to do.

A `Piece` is text with the strength by which it holds together, so that brackets are set
where a reader needs them and nowhere else. `Notation` lists everything that can be written;
`derive.text_notation`, `derive.latex_notation` and `derive.mathml_notation` are its forms.
`derive.index_form` and `derive.matrix_printing` say what is written; they know no notation.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Self, final

import sympy
from sympy import Expr, Integer
from sympy.codegen.cfunctions import expm1, log1p
from sympy.core.relational import Relational

from derive.errors import InternalError
from derive.kinks import Abs, Max, Min

# every function that may stand in a programme, by the name in which formulas are read
FUNCTIONS: dict[type[Expr], str] = {
    sympy.exp: "exp",
    sympy.log: "log",
    log1p: "log1p",
    expm1: "expm1",
    sympy.tanh: "tanh",
    sympy.sin: "sin",
    sympy.cos: "cos",
    sympy.tan: "tan",
    sympy.atan: "atan",
    sympy.sinh: "sinh",
    sympy.cosh: "cosh",
    sympy.erf: "erf",
    sympy.Abs: "abs",
    sympy.sign: "sign",
    sympy.Max: "max",
    sympy.Min: "min",
    Abs: "abs",
    Max: "max",
    Min: "min",
}

GENERAL_POWER = "pow"  # a power whose exponent is no constant
RELATIONS = ("<", "<=", ">", ">=", "==", "!=")


class Level(IntEnum):
    """How strongly a piece holds together; what binds less is bracketed inside of more."""

    SUM = 1
    OPEN = 2  # ends in a sum over an index, which reaches to the right
    TOTAL = 3  # is a sum over an index
    HADAMARD = 4
    FRACTION = 5
    PRODUCT = 6
    POWER = 7
    ATOM = 8


@final
@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a formula.

    Attributes
    ----------
    text
        As it is written, without the sign.
    level
        How strongly it holds together, without the sign.
    negative
        Whether a minus sign stands in front; never of a `SUM`, which is bracketed first.
    """

    text: str
    level: Level = Level.ATOM
    negative: bool = False


class Notation(ABC):
    """What can be written. Arguments and results are pieces unless they are plain text."""

    minus: ClassVar[str]
    plus_sign: ClassVar[str]
    minus_sign: ClassVar[str]
    hadamard_sign: ClassVar[str]
    quotient_sign: ClassVar[str]
    dot_sign: ClassVar[str]  # between numbers that are multiplied
    times_sign: ClassVar[str]  # between the sizes of a matrix
    slash: ClassVar[str] = "/"
    equals_sign: ClassVar[str] = " = "
    approximately_sign: ClassVar[str]
    product_sign: str = " "

    @abstractmethod
    def name(self, name: str) -> str:
        """Write the name of a tensor or size."""

    @abstractmethod
    def index(self, name: str) -> str:
        """Write the name of an index."""

    @abstractmethod
    def entry(self, name: str, indices: Sequence[str]) -> Piece:
        """Write an entry of a tensor; `indices` are as `index` wrote them."""

    @abstractmethod
    def number(self, value: Expr) -> Piece:
        """Write an integer, rational or floating-point number, pi or e."""

    @abstractmethod
    def bracketed(self, text: str) -> str:
        """Put text in brackets."""

    @abstractmethod
    def fraction(self, numerator: Piece, denominator: Piece) -> Piece:
        """Write a quotient by a number."""

    @abstractmethod
    def power(self, base: Piece, exponent: Expr) -> Piece:
        """Write a power of a number; the exponent is a positive number."""

    @abstractmethod
    def hadamard_power(self, base: Piece, exponent: Expr) -> Piece:
        """Write an elementwise power of a matrix."""

    @abstractmethod
    def raised(self, base: Piece, exponent: Piece, *, by_entry: bool) -> Piece:
        """Write a power whose exponent is no constant; of matrices, it is taken `by_entry`."""

    @abstractmethod
    def call_power(self, function: str, exponent: Expr, arguments: Sequence[str]) -> Piece:
        """Write a power of a function of each entry; the exponent is a positive integer."""

    @abstractmethod
    def transpose(self, operand: Piece) -> Piece:
        """Write a transposed matrix."""

    @abstractmethod
    def ones(self) -> Piece:
        """Write a column of ones."""

    @abstractmethod
    def call(self, function: str, arguments: Sequence[str]) -> Piece:
        """Write a function of `FUNCTIONS`, ``sqrt``, ``diag`` or ``where``."""

    @abstractmethod
    def relation(self, relation: str) -> str:
        """Write one of `RELATIONS`."""

    @abstractmethod
    def sigma(self, index: str) -> str:
        """Write the sign of a sum over an index."""

    @abstractmethod
    def largest(self, index: str, body: Piece) -> Piece:
        """Write the largest value over an index."""

    @abstractmethod
    def differential(self, variable: str) -> str:
        """Write ``∂W1``, as in partial derivatives."""

    @abstractmethod
    def matrix(self, rows: Sequence[Sequence[str]]) -> Piece:
        """Write a matrix by its entries."""

    def dotted(self) -> Self:
        """Return the notation with a dot in every product, for numbers side by side."""
        other = copy(self)
        other.product_sign = self.dot_sign
        return other

    def partial(self, function: str, variable: str) -> Piece:
        """Write the partial derivative of one entry or tensor in another."""
        above, below = (Piece(self.differential(part)) for part in (function, variable))
        return self.fraction(above, below)

    def partial_in_line(self, function: str, variable: str) -> str:
        """Write a partial derivative for a line of prose, no higher than the line."""
        return self.differential(function) + self.slash + self.differential(variable)

    @abstractmethod
    def hessian_product(self, parameter: str) -> Piece:
        """Write the part of the loss's Hessian times v that belongs to a parameter."""

    @abstractmethod
    def delta(self, first: str, second: str) -> Piece:
        """Write a Kronecker delta of two indices."""

    def shift(self, terms: Sequence[tuple[int, str]], offset: int) -> str:
        """Write an index that is a sum: factors with indices, and a number."""
        text = ""
        parts = [*terms, *([(offset, "")] if offset else [])]
        for factor, name in parts:
            sign = self.minus_sign.strip() if factor < 0 else self.plus_sign.strip()
            if not text:
                sign = self.minus if factor < 0 else ""
            number = "" if name and abs(factor) == 1 else self.number(Integer(abs(factor))).text
            text += sign + number + name
        return text

    def signed(self, piece: Piece) -> str:
        """Return a piece with its sign."""
        return (self.minus if piece.negative else "") + piece.text

    def at_least(self, piece: Piece, level: Level) -> str:
        """Return a piece, bracketed if it is negative or binds less than `level`."""
        if piece.negative or piece.level < level:
            return self.bracketed(self.signed(piece))
        return piece.text

    def negated(self, piece: Piece) -> Piece:
        """Return a piece with the other sign."""
        if piece.level > Level.SUM:
            return Piece(piece.text, piece.level, not piece.negative)
        return Piece(self.bracketed(piece.text), Level.ATOM, negative=True)

    def add(self, terms: Sequence[Piece]) -> Piece:
        """Write a sum of terms."""
        first, *others = terms
        text = self.signed(first)
        for term in others:
            text += (self.minus_sign if term.negative else self.plus_sign) + term.text
        return Piece(text, Level.SUM)

    def product(self, parts: Sequence[Piece]) -> Piece:
        """Write a product of numbers; only its last factor may be a sum over an index."""
        *first, last = parts
        if not first:
            return last
        shown = [self.at_least(part, Level.PRODUCT) for part in first]
        if last.level in (Level.OPEN, Level.TOTAL) and not last.negative:
            return Piece(self.product_sign.join([*shown, last.text]), Level.OPEN)
        shown.append(self.at_least(last, Level.PRODUCT))
        return Piece(self.product_sign.join(shown), Level.PRODUCT)

    def total(self, index: str, body: Piece) -> Piece:
        """Write a sum over an index; the sign of what is summed stands in front."""
        shown = body.text if body.level > Level.SUM else self.bracketed(body.text)
        return Piece(f"{self.sigma(index)} {shown}", Level.TOTAL, body.negative)

    def matmul(self, parts: Sequence[Piece]) -> Piece:
        """Write a product of matrices."""
        shown = (self.at_least(part, Level.POWER) for part in parts)
        return Piece(self.product_sign.join(shown), Level.PRODUCT)

    def hadamard(self, parts: Sequence[Piece]) -> Piece:
        """Write an elementwise product of matrices."""
        shown = (self.at_least(part, Level.POWER) for part in parts)
        return Piece(self.hadamard_sign.join(shown), Level.HADAMARD)

    def hadamard_quotient(self, numerator: Piece, denominator: Piece) -> Piece:
        """Write an elementwise quotient of matrices."""
        shown = (self.at_least(part, Level.POWER) for part in (numerator, denominator))
        return Piece(self.quotient_sign.join(shown), Level.HADAMARD)

    def choice(self, cases: Sequence[tuple[Piece, str, Piece, Piece]], otherwise: Piece) -> Piece:
        """Write a choice: value, relation, and both sides of it, for each case."""
        result = otherwise
        for value, relation, left, right in reversed(cases):
            condition = f"{self.signed(left)} {self.relation(relation)} {self.signed(right)}"
            result = self.call("where", [condition, self.signed(value), self.signed(result)])
        return result


def function_name(expression: Expr) -> str:
    """Return the name of the function that `expression` applies.

    Raises
    ------
    InternalError
        If it is not one of `FUNCTIONS`.
    """
    name = FUNCTIONS.get(expression.func)
    if name is None:
        raise InternalError(f"{expression.func.__name__} cannot be printed: {expression}")
    return name


def comparison(condition: Expr) -> tuple[str, Expr, Expr]:
    """Return the relation of one comparison and its two sides.

    Raises
    ------
    InternalError
        If `condition` is anything else.
    """
    if not isinstance(condition, Relational) or condition.rel_op not in RELATIONS:
        raise InternalError(f"{condition} cannot be printed: it is not one comparison")
    return condition.rel_op, condition.lhs, condition.rhs


def is_constant(expression: Expr) -> bool:
    """Whether `expression` is a finite real number that `Notation.number` can write."""
    is_number = expression.is_Number or expression in (sympy.pi, sympy.E)
    return bool(is_number and expression.is_finite)
