"""A textbook's order of factors and terms, the same for every notation.

SymPy sorts the arguments of products and sums by rules of its own. Here a product reads:
sizes, the cotangent, other tensors, bracketed polynomials, functions, bracketed sums that
hold functions, sums over an index; entries that carry the statement's first index come before
those that carry its second. A sum reads: positive terms before negative ones, numbers first,
then what depends on more indices. Where both ``1 − x`` and ``x − 1`` occur it is the former.

No value depends on anything in this file.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, final

import sympy
from sympy import (
    Add,
    Expr,
    Function,
    Indexed,
    Integer,
    KroneckerDelta,
    Mul,
    Piecewise,
    Pow,
    Rational,
    Symbol,
)
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.function import Application

from derive.program import Partial, Sum, tensor_of

Indices = tuple[Symbol, ...]
_Key = tuple[Any, ...]

_NAME_PART = re.compile(r"(\D+)(\d*)")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """``coefficient * numerator... / denominator...``, each in order.

    Attributes
    ----------
    coefficient
        A number; its sign is the product's.
    numerator, denominator
        The other factors. A denominator's powers are positive.
    """

    coefficient: Expr
    numerator: tuple[Expr, ...]
    denominator: tuple[Expr, ...]


def as_product(expression: Expr, indices: Indices) -> Product:
    """Return `expression` as a product, read in the order of a textbook."""
    coefficient: Expr = Integer(1)
    numerator: list[Expr] = []
    denominator: list[Expr] = []
    for factor in Mul.make_args(expression):
        if factor.is_Add and all(map(is_negative, factor.args)):
            coefficient, factor = -coefficient, -factor  # −(1 + z) reads better than (−1 − z)
        if factor.is_Number:
            coefficient *= factor
        elif factor.is_Pow and factor.exp.is_number and factor.exp.is_negative:
            denominator.append(factor.base**-factor.exp)
        else:
            numerator.append(factor)
    coefficient, numerator, denominator = _with_one_root(coefficient, numerator, denominator)
    return Product(
        coefficient=coefficient,
        numerator=_in_order(numerator, lambda factor: _factor_key(factor, indices)),
        denominator=_in_order(denominator, lambda factor: _factor_key(factor, indices)),
    )


def _with_one_root(
    coefficient: Expr, numerator: list[Expr], denominator: list[Expr]
) -> tuple[Expr, list[Expr], list[Expr]]:
    """Return a product with its roots of numbers in one: ``√2/2`` is ``1/√2``.

    ``√2/√π`` is ``√(2/π)``, and ``√2/(2 √π)`` is ``1/√(2 π)``.
    """
    above, numerator = _roots(numerator)
    below, denominator = _roots(denominator)
    if above == below == 1:
        return coefficient, numerator, denominator
    _, bottom = sympy.fraction(coefficient)
    if above.is_Integer and above != 1 and bottom % above == 0:
        coefficient, above, below = coefficient * above, Integer(1), below * above
    half = Rational(1, 2)
    if above != 1:
        numerator = [*numerator, Pow(above / below, half, evaluate=False)]
    elif below != 1:
        denominator = [*denominator, Pow(below, half, evaluate=False)]
    return coefficient, numerator, denominator


def _roots(factors: list[Expr]) -> tuple[Expr, list[Expr]]:
    """Return the product of what stands under roots of numbers, and the other factors."""
    roots = [f for f in factors if f.is_Pow and f.exp == Rational(1, 2) and f.base.is_number]
    others = [factor for factor in factors if factor not in roots]
    return Mul(*(root.base for root in roots)), others


def legible(expression: Expr) -> Expr:
    """Return an expression with factors as a reader writes them, equal in value.

    ``2 x − 2`` is ``2 (x − 1)``, and that ``−2 (1 − x)`` where ``1 − x`` occurs as well.
    """
    expression = _with_factors(expression, _primitive)
    sums = expression.atoms(Add)
    turned = {s for s in sums if s.as_coeff_Add()[0].is_negative and -s in sums}

    def turn(factor: Expr) -> tuple[Expr, Expr]:
        return (Integer(-1), -factor) if factor in turned else (Integer(1), factor)

    return _with_factors(expression, turn) if turned else expression


def _primitive(factor: Expr) -> tuple[Expr, Expr]:
    content, rest = factor.primitive() if factor.is_Add else (Integer(1), factor)
    return (content, rest) if content.is_Integer else (Integer(1), factor)


def _with_factors(expression: Expr, split: Callable[[Expr], tuple[Expr, Expr]]) -> Expr:
    """Write each factor, and what a factor is a whole power of, as a number times the rest."""
    if isinstance(expression, Indexed) or not expression.args or not expression.has(Add):
        return expression
    parts: list[Expr] = []
    for part in expression.args:
        part = _with_factors(part, split)
        base, power = part.as_base_exp() if expression.is_Mul else (part, Integer(1))
        number, rest = split(base) if expression.is_Mul and power.is_Integer else (1, base)
        # the number by itself: SymPy would multiply it out again
        parts += [part] if number == 1 else [number**power, rest**power]
    return expression.func(*parts) if parts != list(expression.args) else expression


def as_terms(expression: Expr, indices: Indices) -> tuple[Expr, ...]:
    """Return the terms of `expression`, read in the order of a textbook."""
    return _in_order(Add.make_args(expression), lambda term: _term_key(term, indices))


def is_negative(term: Expr) -> bool:
    """Whether a term is written with a minus sign in front."""
    first = Mul.make_args(term)[0]
    return bool(first.is_Number and first.is_negative)


@lru_cache(maxsize=65536)
def free_indices(expression: Expr) -> frozenset[Symbol]:
    """Return the indices that `expression` depends on and does not bind."""
    if isinstance(expression, Indexed):
        parts = expression.indices
    elif isinstance(expression, Symbol):
        is_index = expression.is_integer and not expression.is_positive
        return frozenset({expression} if is_index else ())
    elif isinstance(expression, ExprWithLimits):
        bound = {limit[0] for limit in expression.limits}
        return free_indices(expression.function) - bound
    else:
        parts = expression.args
    return frozenset().union(*map(free_indices, parts))


def pulled_sums(expression: Expr) -> Expr:
    """Take what depends on no summed index out of every sum; equal in value.

    Factors move in front, and an index that nothing depends on becomes its range as a
    factor, so that a reader sees every index that is summed over in what is summed.
    """
    if isinstance(expression, Indexed) or not expression.has(Sum):
        return expression
    if not isinstance(expression, Sum):
        return expression.func(*map(pulled_sums, expression.args))
    body = pulled_sums(expression.function)
    used = free_indices(body)
    limits = [limit for limit in expression.limits if limit[0] in used]
    bound = {limit[0] for limit in limits}
    outside = [limit[2] + 1 for limit in expression.limits if limit[0] not in used]
    inside: list[Expr] = []
    for factor in Mul.make_args(body):
        (inside if free_indices(factor) & bound else outside).append(factor)
    if not outside and body == expression.function:
        return expression  # to make a sum anew is what takes time here
    return Mul(*outside, Sum(Mul(*inside), *limits) if limits else Integer(1))


@lru_cache(maxsize=4096)
def natural(name: str) -> tuple[tuple[str, int], ...]:
    """Return a key that sorts W2 before W10."""
    return tuple((text, int(digits or 0)) for text, digits in _NAME_PART.findall(name))


def _in_order(parts: Sequence[Expr], key: Callable[[Expr], _Key]) -> tuple[Expr, ...]:
    """Return the parts sorted; SymPy's order, which takes time, decides only between equals."""
    if len(parts) < 2:
        return tuple(parts)
    keys = {part: key(part) for part in parts}
    if len(set(keys.values())) == len(keys):
        return tuple(sorted(parts, key=keys.__getitem__))
    return tuple(sorted(parts, key=lambda part: (keys[part], sympy.default_sort_key(part))))


def _factor_key(factor: Expr, indices: Indices) -> _Key:
    inner = factor.base if factor.is_Pow else factor
    if isinstance(inner, Indexed):
        name = tensor_of(inner)
        rank = 1 if name.startswith("d") else 3 if factor.is_Pow else 2
        return (rank, _place(inner, indices), natural(name))
    if isinstance(inner, Symbol):
        return (0, (), natural(inner.name))
    return (0 if inner.is_number else _rank(inner), (), ())


def _rank(expression: Expr) -> int:
    if isinstance(expression, KroneckerDelta):
        return 7
    if isinstance(expression, ExprWithLimits):
        return 8
    if isinstance(expression, Piecewise):
        return 5
    if isinstance(expression, Function | Partial):
        return 4
    is_polynomial = expression.is_Add and not expression.has(Application)
    return 3 if is_polynomial else 6  # bracketed sums


def _place(read: Indexed, indices: Indices) -> tuple[int, ...]:
    """Return where the indices of a read stand among the statement's own, least first."""
    return tuple(sorted(indices.index(i) if i in indices else len(indices) for i in read.indices))


def _term_key(term: Expr, indices: Indices) -> _Key:
    product = as_product(term, indices)
    factors = (*product.numerator, *product.denominator)
    has_variables = any(not factor.is_number for factor in factors)
    depends = len(free_indices(term) & set(indices))
    keys = tuple(_factor_key(factor, indices) for factor in factors)
    # of a loss the mean over the batch comes before a penalty, whatever its sign
    divided = -len(product.denominator) if not indices else 0
    return (divided, is_negative(term), has_variables, -depends, keys)
