"""The left half of the one rule: the derivative of a body in each occurrence of an operand.

The derivative is ``sympy.diff`` in a fresh scalar put in the place of the occurrence, so
it is a derivative in one real variable and nothing else. Where the occurrence stands under
a ``Sum``, the sum itself is first such a scalar, and then its body is treated alike. Nothing
in this file knows any function, activation, loss or matrix product.

Where a function has a kink, its slope there is a convention, and `settled` puts it in the
place of what SymPy leaves: ``Heaviside(u)``, the slope of max and min, is ``(1 + sign(u))/2``,
one half at a tie; ``DiracDelta``, the slope of sign, is 0. An argument that SymPy does not
know to be real, such as ``log(x)`` in ``|log(x)|``, is a scalar of its own first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import sympy
from sympy import (
    Abs,
    DiracDelta,
    Dummy,
    Expr,
    Heaviside,
    Indexed,
    Integer,
    Max,
    Min,
    Symbol,
    sign,
)
from sympy.concrete.expr_with_limits import ExprWithLimits

from derive.errors import InternalError
from derive.indices import open_sum
from derive.kinks import kept
from derive.program import Sum, indices_of, occurrences, tensor_of

Range = tuple[Symbol, Expr]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """The derivative of a body in one occurrence of an operand.

    Attributes
    ----------
    value
        The derivative, an expression in the statement's indices and those of `bound`.
    position
        The indices with which the operand occurs.
    bound
        Fresh indices of the sums that the occurrence stands under, with their sizes.
    """

    value: Expr
    position: tuple[Expr, ...]
    bound: tuple[Range, ...]


def slopes(body: Expr, operand: str) -> Iterator[Slope]:
    """Yield the derivative of `body` in each occurrence of a tensor."""
    parts = _parts(body)
    scalars = {part: _scalar(n) for n, part in enumerate(parts)}
    back = {symbol: part for part, symbol in scalars.items()}
    plain = body.xreplace(scalars)
    holding = [part for part in parts if operand in map(tensor_of, occurrences(part))]
    for part in sorted(holding, key=sympy.default_sort_key) if len(holding) > 1 else holding:
        value = _derivative(plain, scalars[part]).xreplace(back)
        if value == 0:
            continue
        if part in occurrences(part):
            yield Slope(value=value, position=indices_of(part), bound=())
            continue
        inner_body: Expr = part
        ranges: tuple[Range, ...] = ()
        if isinstance(part, ExprWithLimits):
            if not isinstance(part, Sum):
                raise InternalError(f"{part.func.__name__} in {body} is not differentiable")
            inner_body, ranges = _opened_sum(part)
        for inner in slopes(inner_body, operand):
            yield Slope(
                value=value * inner.value,
                position=inner.position,
                bound=(*ranges, *inner.bound),
            )


def settled(derivative: Expr) -> Expr:
    """Return what ``sympy.diff`` gave with the contract's slopes at kinks and ties."""
    derivative = kept(derivative)
    if not derivative.has(Heaviside, DiracDelta):
        return derivative
    values: dict[Expr, Expr] = {
        step: (1 + sign(step.args[0])) / 2 for step in derivative.atoms(Heaviside)
    }
    values |= {spike: Integer(0) for spike in derivative.atoms(DiracDelta)}
    return derivative.xreplace(values)


def _parts(body: Expr) -> list[Expr]:
    """Return the reads outside of sums, and the sums, in the order in which they stand.

    Also whole arguments of functions with a kink that SymPy does not know to be real: it
    would differentiate ``|log(x)|`` as a function of a complex variable.
    """
    found: dict[Expr, None] = {}
    stack = [body]
    while stack:
        node = stack.pop()
        if isinstance(node, ExprWithLimits | Indexed) or not node.args:
            if occurrences(node):
                found[node] = None
        elif isinstance(node, (Abs, sign, Max, Min)):
            for argument in node.args:
                if occurrences(argument) and not argument.is_extended_real:
                    found[argument] = None
                else:
                    stack.append(argument)
        else:
            stack.extend(node.args)
    return list(found)


# a statement's operands share its opened sums; only one of them is open at a time
_opened_sum = lru_cache(maxsize=256)(open_sum)


@lru_cache(maxsize=256)
def _scalar(number: int) -> Dummy:
    """Return the scalar that stands for a part: the same one in every body, see `_derivative`."""
    return Dummy(f"x{number}", real=True)


@lru_cache(maxsize=4096)
def _derivative(plain: Expr, scalar: Dummy) -> Expr:
    """Return the derivative of a body whose reads and sums are scalars.

    Layers of one form, such as ``tanh(x0)``, share it: names, indices and shapes are not in it.
    """
    return settled(sympy.diff(plain, scalar))
