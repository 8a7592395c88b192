"""Index form: an expression of a programme, written entry by entry.

The node kinds are those of the grammar in `derive.program`, and the Kronecker deltas and
derivatives not yet taken that stand in recorded steps. Anything else is a mistake of ours
and raises with the expression; SymPy's own printers, which print whatever they do not know,
are not used.
"""

from collections.abc import Mapping
from types import MappingProxyType

import sympy
from sympy import Expr, Indexed, KroneckerDelta, Piecewise, Sum, Symbol

from derive.errors import InternalError
from derive.indices import canonical, rename, with_fresh_sums
from derive.notation import (
    FUNCTIONS,
    Notation,
    Piece,
    comparison,
    function_name,
    is_constant,
)
from derive.ordering import Indices, as_product, as_terms, free_indices, legible
from derive.program import MaxOver, Partial, Statement, tensor_of
from derive.shifts import is_index, shift

Inline = Mapping[str, Statement]
NOTHING: Inline = MappingProxyType({})


def index_form(
    expression: Expr, indices: Indices, notation: Notation, inline: Inline = NOTHING
) -> Piece:
    """Write an expression.

    Parameters
    ----------
    expression
        An expression of the grammar.
    indices
        The statement's own indices; they decide the order of factors.
    notation
        How it is written.
    inline
        Statements that are written out where they are read, by name.

    Raises
    ------
    InternalError
        If the expression is not of the grammar.
    """
    return IndexWriter(indices, notation, inline, indices).piece(legible(expression))


def target_form(statement: Statement, notation: Notation) -> Piece:
    """Write the entry that a statement writes; an axis of length 1 by its only index, 0."""
    used = free_indices(statement.body)
    places = [
        "0" if extent == 1 and symbol not in used else notation.index(symbol.name)
        for symbol, extent in zip(statement.indices, statement.target.shape, strict=True)
    ]
    return notation.entry(statement.name, places)


class IndexWriter:
    """Writes the expressions of one statement."""

    def __init__(
        self, indices: Indices, notation: Notation, inline: Inline, scope: Indices
    ) -> None:
        self.indices = indices
        self.notation = notation
        self.inline = inline
        self.scope = scope

    def piece(self, expression: Expr) -> Piece:
        """Write an expression that is `legible`."""
        notation = self.notation
        if isinstance(expression, Indexed):
            if tensor_of(expression) in self.inline:
                return self._inlined(expression)
            places = [self._place(place) for place in expression.indices]
            return notation.entry(tensor_of(expression), places)
        if isinstance(expression, Symbol):
            return self._symbol(expression)
        if is_constant(expression):
            return notation.number(expression)
        if expression.is_Add:
            return notation.add([self.piece(t) for t in as_terms(expression, self.indices)])
        if expression.is_Mul:
            return self._product(expression)
        if expression.is_Pow and expression.exp.is_number:
            if expression.exp.is_negative:
                return self._product(expression)
            return notation.power(self.piece(expression.base), expression.exp)
        if expression.is_Pow:
            base, exponent = map(self.piece, expression.args)
            return notation.raised(base, exponent, by_entry=False)
        if isinstance(expression, Sum | MaxOver):
            return self._over(expression)
        if isinstance(expression, Piecewise):
            return self._choice(expression)
        if isinstance(expression, KroneckerDelta):
            return notation.delta(*(self._place(place) for place in expression.args))
        if isinstance(expression, Partial):
            return notation.partial(*(notation.signed(self.piece(e)) for e in expression.args))
        if expression.func in FUNCTIONS:
            arguments = [notation.signed(self.piece(argument)) for argument in expression.args]
            return notation.call(function_name(expression), arguments)
        raise _unknown(expression)

    def _inlined(self, read: Indexed) -> Piece:
        """Write what a tensor is in the place of its entry; no name in scope is bound again."""
        statement = self.inline[tensor_of(read)]
        place = dict(zip(statement.indices, read.indices, strict=True))
        body = canonical(rename(with_fresh_sums(statement.body), place), self.scope)
        return IndexWriter(read.indices, self.notation, self.inline, self.scope).piece(body)

    def _symbol(self, symbol: Symbol) -> Piece:
        if symbol.is_integer and not symbol.is_positive:
            raise _unknown(symbol)  # an index is no value
        return Piece(self.notation.name(symbol.name))

    def _place(self, place: Expr) -> str:
        if isinstance(place, Symbol):
            return self.notation.index(place.name)
        if place.is_Integer:
            return str(place)
        found = shift(place)
        if found is None:
            raise _unknown(place)
        terms = sorted(
            (factor < 0, self._rank(symbol), symbol.name, factor)
            for symbol, factor in found.factors
        )
        return self.notation.shift(
            [(factor, self.notation.index(name)) for _, _, name, factor in terms], found.offset
        )

    def _rank(self, symbol: Symbol) -> int:
        return self.indices.index(symbol) if symbol in self.indices else len(self.indices)

    def _product(self, expression: Expr) -> Piece:
        product = as_product(expression, self.indices)
        above = [self.piece(factor) for factor in product.numerator]
        below = [self.piece(factor) for factor in product.denominator]
        return written_product(product.coefficient, above, below, self.notation)

    def _over(self, expression: Sum | MaxOver) -> Piece:
        write = self.notation.total if isinstance(expression, Sum) else self.notation.largest
        scope = (*self.scope, *(symbol for symbol, _, _ in expression.limits))
        inner = IndexWriter(self.indices, self.notation, self.inline, scope)
        result = inner.piece(expression.function)
        for symbol, _, _ in expression.limits:
            result = write(self._place(symbol), result)
        return result

    def _choice(self, expression: Piecewise) -> Piece:
        *cases, (otherwise, always) = expression.args
        if always != True:  # noqa: E712  # SymPy's true, not Python's
            raise _unknown(expression)
        written = []
        for value, condition in cases:
            relation, left, right = comparison(condition)
            written.append((self.piece(value), relation, self._side(left), self._side(right)))
        return self.notation.choice(written, self.piece(otherwise))

    def _side(self, side: Expr) -> Piece:
        """Write one side of a comparison, the only place where an index is a number."""
        return Piece(self._place(side)) if is_index(side) else self.piece(side)


def written_product(
    coefficient: Expr, above: list[Piece], below: list[Piece], notation: Notation
) -> Piece:
    """Write a number times factors, divided by factors."""
    top, bottom = sympy.fraction(abs(coefficient))
    if top != 1 or not above:
        above = [notation.number(top), *above]
    if bottom != 1:
        below = [notation.number(bottom), *below]
    result = notation.product(above)
    if below:
        result = notation.fraction(result, notation.product(below))
    return notation.negated(result) if coefficient.is_negative else result


def _unknown(expression: Expr) -> InternalError:
    return InternalError(f"{expression.func.__name__} cannot be printed: {expression!r}")
