"""Index names: fresh ones while a programme is transformed, canonical ones after.

Bound indices are the classic trap of symbolic sums: substituting an index that a ``Sum``
binds captures it. So a sum is *opened* with a fresh index before anything is done to its
body, and all names are made canonical at the end. Canonical renaming is idempotent, which
makes equal expressions look equal.
"""

from collections.abc import Iterator, Mapping

from sympy import Dummy, Expr, Indexed, Symbol
from sympy.concrete.expr_with_limits import ExprWithLimits

from derive.program import BATCH, index

_BATCH_LETTERS = "i"
_LETTERS = "jkmpqrstuvw"


def fresh() -> Dummy:
    """Return an index that occurs nowhere else."""
    return Dummy("k", integer=True, nonnegative=True)


def open_sum(expression: ExprWithLimits) -> tuple[Expr, tuple[tuple[Symbol, Expr], ...]]:
    """Return the body of a sum under fresh indices, and these with their sizes."""
    renaming = {limit[0]: fresh() for limit in expression.limits}
    ranges = tuple((renaming[limit[0]], limit[2] + 1) for limit in expression.limits)
    return rename(expression.function, renaming), ranges


def letters(extent: Expr) -> Iterator[str]:
    """Yield index names for an axis of that size: i for the batch, j, k, m, … elsewhere."""
    pool = _BATCH_LETTERS if extent == BATCH else _LETTERS
    yield from pool
    number = 2
    while True:
        yield from (f"{letter}{number}" for letter in pool)
        number += 1


def target_indices(shape: tuple[Expr, ...]) -> tuple[Symbol, ...]:
    """Return the canonical indices of a tensor of that shape, for example ``(i, j)``."""
    taken: set[Symbol] = set()
    return tuple(_next(extent, taken) for extent in shape)


def rename(expression: Expr, renaming: Mapping[Expr, Expr]) -> Expr:
    """Replace free indices; bound ones of the same name are left alone.

    The new names must not be bound anywhere in `expression`: fresh ones never are, and
    `canonical` repairs the rest.
    """
    if isinstance(expression, ExprWithLimits):
        bound = {limit[0] for limit in expression.limits}
        kept = {old: new for old, new in renaming.items() if old not in bound}
        return expression.func(rename(expression.function, kept), *expression.limits)
    if not expression.args:
        return renaming.get(expression, expression)
    if isinstance(expression, Indexed):
        return _reindexed(expression, [rename(e, renaming) for e in expression.indices])
    return _rebuilt(expression, [rename(argument, renaming) for argument in expression.args])


def with_fresh_sums(expression: Expr) -> Expr:
    """Return `expression` with every bound index fresh, so that renaming captures none."""
    if isinstance(expression, ExprWithLimits):
        new = {limit[0]: fresh() for limit in expression.limits}
        inner = with_fresh_sums(rename(expression.function, new))
        limits = ((new[symbol], first, last) for symbol, first, last in expression.limits)
        return expression.func(inner, *limits)
    if isinstance(expression, Indexed) or not expression.has(ExprWithLimits):
        return expression
    return expression.func(*(with_fresh_sums(part) for part in expression.args))


def canonical(expression: Expr, free: tuple[Symbol, ...]) -> Expr:
    """Return `expression` with the bound indices named by their place; idempotent."""
    return _canonical(expression, {}, set(free))


def _canonical(expression: Expr, names: dict[Expr, Expr], taken: set[Symbol]) -> Expr:
    if isinstance(expression, ExprWithLimits):
        inner_taken = set(taken)
        inner_names = dict(names)
        limits = []
        for symbol, first, last in expression.limits:
            chosen = _next(last + 1, inner_taken)
            inner_names[symbol] = chosen
            limits.append((chosen, first, last))
        inner = _canonical(expression.function, inner_names, inner_taken)
        if inner is expression.function and all(
            new[0] == old[0] for new, old in zip(limits, expression.limits, strict=True)
        ):
            return expression
        return expression.func(inner, *limits)
    if not expression.args:
        return names.get(expression, expression)
    if isinstance(expression, Indexed):
        return _reindexed(expression, [_canonical(e, names, taken) for e in expression.indices])
    return _rebuilt(expression, [_canonical(a, names, taken) for a in expression.args])


def _reindexed(read: Indexed, indices: list[Expr]) -> Expr:
    """Return a read of the same tensor, made anew only if an index differs."""
    if all(new is old for new, old in zip(indices, read.indices, strict=True)):
        return read
    return read.base[tuple(indices)]


def _rebuilt(expression: Expr, args: list[Expr]) -> Expr:
    """Return `expression` over other arguments, made anew only if one differs."""
    if all(new is old for new, old in zip(args, expression.args, strict=True)):
        return expression
    return expression.func(*args)


def _next(extent: Expr, taken: set[Symbol]) -> Symbol:
    for letter in letters(extent):
        symbol = index(letter)
        if symbol not in taken:
            taken.add(symbol)
            return symbol
    raise AssertionError  # `letters` never ends
