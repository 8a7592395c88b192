"""Shifted reads, such as ``X[i, 2*t + p - 1]``: an index that is a sum of indices.

The grammar's convention is one sentence: **what lies outside of an axis is 0**. It makes
every shifted read total, so that a convolution needs no ranges of its own, and padding is
nothing but a shift. The delta of a shifted read, ``δ(2*t + p - 1, q)``, is solved for an index
with the factor 1 or -1, here ``p = q - 2*t + 1``. The sum over p was one over a range, and
that is kept by itself where a factor is read at ``p`` over the whole of an axis: ``W[p]``
turns into ``W[q - 2*t + 1]``, which is 0 for what p does not reach.

The convention holds for reads alone: ``exp(X[t + p])`` outside would be 1, and rewritings that
put a value in the place of a name would change it. So a shifted read stands in sums,
products, whole powers and the values of cases only; `derive.check` refuses it elsewhere.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import final

from sympy import Add, Expr, Indexed, Mul, Symbol
from sympy.core.relational import Relational


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """An index ``sum of factor * index + offset``, all integers."""

    factors: tuple[tuple[Symbol, int], ...]
    offset: int

    def at(self, values: Mapping[Symbol, int]) -> int:
        """Return the position for given values of the indices."""
        return self.offset + sum(factor * values[symbol] for symbol, factor in self.factors)


def is_index(expression: Expr) -> bool:
    """Whether an expression is the name of an index, rather than of a size."""
    return isinstance(expression, Symbol) and bool(
        expression.is_integer and not expression.is_positive
    )


@lru_cache(maxsize=4096)
def shift(position: Expr) -> Shift | None:
    """Return an index as a sum, if it is one: of indices times integers, and an integer."""
    offset, rest = position.as_coeff_Add()
    pairs = [term.as_coeff_Mul() for term in Add.make_args(rest)]
    if not offset.is_Integer:
        return None
    if not all(factor.is_Integer and is_index(symbol) for factor, symbol in pairs):
        return None
    return Shift(
        factors=tuple((symbol, int(factor)) for factor, symbol in pairs), offset=int(offset)
    )


@lru_cache(maxsize=65536)
def is_shifted(read: Expr) -> bool:
    """Whether a tensor is read with an index that is neither a name nor a number."""
    return isinstance(read, Indexed) and not all(
        isinstance(position, Symbol) or position.is_Integer for position in read.indices
    )


@lru_cache(maxsize=4096)
def counts_with_indices(expression: Expr) -> bool:
    """Whether a value needs to know which numbers indices are: shifts and comparisons."""
    return any(map(is_shifted, expression.atoms(Indexed))) or any(
        is_index(side) for relation in expression.atoms(Relational) for side in relation.args
    )


def solve_shift(
    position: Expr, place: Expr, value: Expr, candidates: Iterable[Symbol]
) -> tuple[Symbol, Expr] | None:
    """Solve ``position = place`` for an index whose range the summand keeps by itself.

    Parameters
    ----------
    position
        The index with which a tensor is read.
    place
        What it has to be.
    value
        What is summed.
    candidates
        The indices that are summed over, the preferred ones first.

    Returns
    -------
    tuple or None
        An index with the factor 1 or -1, and what it is. One factor of `value` is read with
        this very index, and so is 0 wherever the index would leave its range.
    """
    found = shift(position)
    factors = dict(found.factors) if found else {}
    for symbol in candidates:
        factor = factors.get(symbol, 0)
        if abs(factor) == 1 and any(
            isinstance(read, Indexed) and symbol in read.indices for read in Mul.make_args(value)
        ):
            return symbol, factor * (place - position + factor * symbol)
    return None
