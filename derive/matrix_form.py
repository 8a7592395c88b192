"""Matrix form, recognised from index form: ``Sum(dZ2[i,j]*H1[i,k], i)`` is ``dZ2ᵀ H1``.

An expression is read with a row index and a column index, either of which it may lack:

- ``A[i,j]`` is ``A`` and ``A[j,i]`` is ``Aᵀ``; a tensor with one axis is a column.
- ``v[j]`` among matrices over (i, j) is ``1 vᵀ``, ``v[i]`` is ``v 1ᵀ``, and ``u[i] v[j]`` is
  ``u vᵀ``.
- Functions, products and quotients are taken entry by entry: ``f(A)``, ``A ∘ B``, ``A ⊘ B``.
- A sum over k is a matrix product: the factors over (i, k) times the factors over (k, j). A
  side without factors is a column of ones, so row sums are ``A 1`` and sums ``1ᵀ A 1``.

These rules know no layer, activation or loss. What they do not cover is not recognised, and
prints in index form.
"""

from typing import TypeAlias, final

import sympy
from sympy import Expr, Indexed, Integer, Mul, Piecewise, Rational, Symbol

from derive.matrix_expression import (
    Diagonal,
    Matrix,
    Name,
    Number,
    Ones,
    Power,
    Size,
    apply,
    elementwise_power,
    hadamard,
    matmul,
    plus,
    quotient,
    scaled,
    transpose,
    where,
)
from derive.notation import FUNCTIONS, GENERAL_POWER, RELATIONS, is_constant
from derive.ordering import as_product, as_terms, free_indices, legible, pulled_sums
from derive.program import Statement, Sum, tensor_of
from derive.shifts import is_index

Index: TypeAlias = Symbol | None
Limit = tuple[Symbol, Expr, Expr]


def matrix_form(statement: Statement) -> Matrix | None:
    """Return the right-hand side of a statement as a matrix expression.

    Parameters
    ----------
    statement
        A statement of a programme.

    Returns
    -------
    Matrix or None
        An expression with the target's shape, a target with one axis being a column and
        one without axes a scalar; ``0`` stands for a matrix of zeros. None if the body is
        not recognised or the target has more than two axes.
    """
    if len(statement.indices) > 2:
        return None
    used = free_indices(statement.body)
    # an axis of length 1 that the body does not mention, as in (n, 1), needs no index
    places: list[Index] = [
        None if extent == 1 and symbol not in used else symbol
        for symbol, extent in zip(statement.indices, statement.target.shape, strict=True)
    ]
    row, column = (*places, None, None)[:2]
    extents = dict(zip(statement.indices, statement.target.shape, strict=True))
    try:
        recogniser = _Recogniser(extents)
        value = recogniser.over(legible(pulled_sums(statement.body)), row, column)
        return value if used else recogniser.filled(value, row, column)
    except _NotRecognisedError:
        return None


class _NotRecognisedError(Exception):
    """The expression is none of the forms above."""


@final
class _Recogniser:
    """Reads the expressions of one statement; `extents` are the sizes of the indices."""

    def __init__(self, extents: dict[Symbol, Expr]) -> None:
        self.extents = extents

    def over(self, expression: Expr, row: Index, column: Index) -> Matrix:
        """Return a matrix whose entry at (row, column) is the expression, or a scalar.

        It is a scalar if the expression depends on neither index.
        """
        used = free_indices(expression)
        narrow = self._exactly(
            expression, row if row in used else None, column if column in used else None
        )
        if not used:
            return narrow
        if row is not None and row not in used:
            narrow = matmul(Ones(self.extents[row]), narrow)
        if column is not None and column not in used:
            narrow = matmul(narrow, transpose(Ones(self.extents[column])))
        return narrow

    def filled(self, value: Matrix, row: Index, column: Index) -> Matrix:
        """Return the matrix over (row, column) whose entries are all that scalar."""
        sides = [Ones(self.extents[index]) for index in (row, column) if index is not None]
        if not sides or value == Number(Integer(0)):
            return value
        ones = sides[0] if len(sides) == 1 else matmul(sides[0], transpose(sides[1]))
        if isinstance(value, Number):
            return scaled(value.value, (), (), ones)
        return scaled(Integer(1), (value,), (), ones)

    def _exactly(self, expression: Expr, row: Index, column: Index) -> Matrix:
        """Return the matrix of an expression that depends on just the indices given."""
        if isinstance(expression, Indexed):
            return _read(expression, row, column)
        if isinstance(expression, Symbol):
            if is_index(expression):
                raise _NotRecognisedError
            is_size = expression.is_integer
            return Size(expression.name) if is_size else Name(expression.name)
        if is_constant(expression):
            return Number(expression)
        if expression.is_Add:
            terms = as_terms(expression, _given(row, column))
            return plus([self.over(term, row, column) for term in terms])
        if expression.is_Mul:
            return self._product(expression, row, column)
        if expression.is_Pow and expression.exp.is_number:
            return self._power(expression, row, column)
        if expression.is_Pow:
            operands = [self.over(argument, row, column) for argument in expression.args]
            return apply(GENERAL_POWER, operands)
        if isinstance(expression, Sum):
            return self._total(expression.function, expression.limits, row, column)
        if isinstance(expression, Piecewise):
            return self._choice(expression, row, column)
        if expression.func in FUNCTIONS:
            operands = [self.over(argument, row, column) for argument in expression.args]
            return apply(FUNCTIONS[expression.func], operands)
        raise _NotRecognisedError

    def _power(self, expression: Expr, row: Index, column: Index) -> Matrix:
        base, exponent = expression.base, expression.exp
        if exponent.is_negative or (exponent == 2 and (row or column)):
            return self._product(expression, row, column)
        inner = self.over(base, row, column)
        if exponent == Rational(1, 2):
            return apply("sqrt", [inner])
        if row or column:
            return elementwise_power(inner, exponent)
        return Power(inner, exponent, is_scalar=True)

    def _product(self, expression: Expr, row: Index, column: Index) -> Matrix:
        product = as_product(expression, _given(row, column))
        above, scalars = self._parted(product.numerator)
        below, divisors = self._parted(product.denominator)
        operand: Matrix | None = None
        if above:
            operand = self._hadamard(above, row, column)
        if below:
            divisor = self._hadamard(below, row, column)
            operand = quotient(operand or Number(Integer(1)), divisor)
        if operand is None and scalars:
            operand = scalars.pop()
        return scaled(product.coefficient, scalars, divisors, operand)

    def _parted(self, factors: tuple[Expr, ...]) -> tuple[list[Expr], list[Matrix]]:
        """Return the factors that depend on an index, squares as two, and the scalars."""
        dependent: list[Expr] = []
        scalars: list[Matrix] = []
        for factor in factors:
            if not free_indices(factor):
                scalars.append(self.over(factor, None, None))
            elif factor.is_Pow and factor.exp == 2:
                dependent += [factor.base, factor.base]
            else:
                dependent.append(factor)
        return dependent, scalars

    def _hadamard(self, factors: list[Expr], row: Index, column: Index) -> Matrix:
        """Return a product entry by entry; what lacks an index is gathered in one factor."""
        needed = {index for index in (row, column) if index is not None}
        narrow = [factor for factor in factors if not needed <= free_indices(factor)]
        parts: list[Matrix] = []
        gathered = False
        for factor in factors:
            if needed <= free_indices(factor):
                parts.append(self.over(factor, row, column))
            elif not gathered:
                parts.append(self._outer(narrow, row, column))
                gathered = True
        return hadamard(parts)

    def _outer(self, factors: list[Expr], row: Index, column: Index) -> Matrix:
        """Return the matrix of factors of which each depends on one of two indices."""
        down = [factor for factor in factors if row in free_indices(factor)]
        across = [factor for factor in factors if column in free_indices(factor)]
        left = self._hadamard(down, row, None) if down else Ones(self.extents[row])
        right = (
            self._hadamard(across, None, column)
            if across
            else transpose(Ones(self.extents[column]))
        )
        return matmul(left, right)

    def _total(self, body: Expr, limits: tuple[Limit, ...], row: Index, column: Index) -> Matrix:
        """Return the sum of `body` over `limits`, the last of which is the outermost."""
        *inner, (k, _, last) = limits
        self.extents[k] = last + 1
        factors = _summed_inside(body, tuple(inner), _given(row, k, column))
        left: list[Expr] = []
        right: list[Expr] = []
        alone: list[Expr] = []
        for factor in factors:
            used = free_indices(factor)
            if row in used and column in used and row is not None and column is not None:
                return self._distributed(body, limits, row, column)
            (left if row in used else right if column in used else alone).append(factor)
        number = Mul(*(factor for factor in alone if factor.is_number))
        alone = [factor for factor in alone if not factor.is_number]
        return scaled(number, [], [], self._sum_of(left, alone, right, k, row, column))

    def _sum_of(
        self,
        left: list[Expr],
        alone: list[Expr],
        right: list[Expr],
        k: Symbol,
        row: Index,
        column: Index,
    ) -> Matrix:
        """Return the sum over k of factors with the row, of those with k alone, of the others."""
        if not left and not right:
            return self._sum_of_column(alone, k)
        if left and right:
            middle = [Diagonal(self.over(Mul(*alone), k, None))] if alone else []
            return matmul(self.over(Mul(*left), row, k), *middle, self.over(Mul(*right), k, column))
        if left:
            return matmul(self.over(Mul(*left), row, k), self._column(alone, k))
        return matmul(transpose(self._column(alone, k)), self.over(Mul(*right), k, column))

    def _column(self, factors: list[Expr], k: Symbol) -> Matrix:
        return self.over(Mul(*factors), k, None) if factors else Ones(self.extents[k])

    def _sum_of_column(self, factors: list[Expr], k: Symbol) -> Matrix:
        """Return ``1ᵀ v`` for one factor, ``uᵀ v`` for several."""
        product = as_product(Mul(*factors), (k,))
        split, _ = self._parted(product.numerator)
        if len(split) > 1 and not product.denominator:
            *first, final_ = split
            return matmul(transpose(self.over(Mul(*first), k, None)), self.over(final_, k, None))
        return matmul(transpose(Ones(self.extents[k])), self._column(factors, k))

    def _distributed(
        self, body: Expr, limits: tuple[Limit, ...], row: Index, column: Index
    ) -> Matrix:
        """Multiply out a factor that depends on both indices and on the summed one."""
        terms = sympy.expand(body)
        if not terms.is_Add:
            raise _NotRecognisedError
        total = sympy.Add(*(pulled_sums(Sum(term, *limits)) for term in terms.args))
        return self.over(total, row, column)

    def _choice(self, expression: Piecewise, row: Index, column: Index) -> Matrix:
        *cases, (otherwise, always) = expression.args
        if always != True:  # noqa: E712  # SymPy's true, not Python's
            raise _NotRecognisedError
        result = self.over(otherwise, row, column)
        for value, condition in reversed(cases):
            if not condition.is_Relational or condition.rel_op not in RELATIONS:
                raise _NotRecognisedError
            parts = (condition.lhs, condition.rhs, value)
            sides = [self.over(part, row, column) for part in parts]
            result = where(condition.rel_op, [*sides, result])
        return result


def _read(read: Indexed, row: Index, column: Index) -> Matrix:
    places = [None if place.is_Integer else place for place in read.indices]
    position = (*places, None, None)[:2] if len(places) <= 2 else None
    if position == (row, column):
        return Name(tensor_of(read))
    if position == (column, row):
        return transpose(Name(tensor_of(read)))
    raise _NotRecognisedError


def _given(*indices: Index) -> tuple[Symbol, ...]:
    return tuple(index for index in indices if index is not None)


def _summed_inside(body: Expr, inner: tuple[Limit, ...], order: tuple[Symbol, ...]) -> list[Expr]:
    """Return the factors of a sum over `inner`, which binds those that depend on it."""
    product = as_product(body, order)
    factors = [product.coefficient] if product.coefficient != 1 else []
    factors += [*product.numerator, *(1 / factor for factor in product.denominator)]
    if not inner:
        return factors
    bound = {limit[0] for limit in inner}
    inside = [factor for factor in factors if free_indices(factor) & bound]
    outside = [factor for factor in factors if not free_indices(factor) & bound]
    return [*outside, Sum(Mul(*inside), *inner)]
