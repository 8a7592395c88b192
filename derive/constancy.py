"""Whether a function of one number has slope 0 wherever it has one.

``sign(z)`` has, and so have ``tanh(z) - sinh(z)/cosh(z)`` and ``max(z, 0) - relu(z)``, which
no formula of their slope says. ``where(z > 3, z, 0)`` has not, however far out its slope begins.
So a slope that is not 0 is looked for, first in float64, then in many digits; only if there is
none is it asked whether there can be one: between the corners, which are roots of polynomials,
the function is smooth, and what is 0 at several places of such a stretch is 0 in all of it.
"""

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import Any

import mpmath
import numpy as np
import sympy
from sympy import Dummy, Expr, Piecewise

from derive.body_slopes import slopes
from derive.error_bound import evaluate_with_bound
from derive.high_precision import precise_values
from derive.indices import target_indices
from derive.program import Program, Statement, Tensor, size

Real = Any  # an mpmath number

_PLACES = (1.1e-3, 0.047, 0.31, 0.83, 1.7, 2.9, 7.3, 31.7, 211.0, 1.03e4, 1.7e6)
_WITHIN = (0.03, 0.21, 0.47, 0.71, 0.97)  # of the way from one corner to the next
_BEYOND = (0.013, 0.29, 1.3, 17.0, 1.9e3)  # from the last corner
_DIGITS = 60
_MOST_PIECES = 64
_MOST_DEGREE = 30
_KINKS = (Piecewise, sympy.Abs, sympy.sign, sympy.Max, sympy.Min)


def is_constant(body: Expr, operand: Expr) -> bool:
    """Whether `body` has slope 0 in `operand` wherever it has a slope.

    Parameters
    ----------
    body
        A scalar expression that reads `operand` and no other tensor.
    operand
        The entry of a tensor.

    Returns
    -------
    bool
        False also where that cannot be told: at corners that are no roots of polynomials, a
        slope may begin that was not found.
    """
    z = Dummy("z", real=True)
    name = str(operand.base.name)
    slope = sympy.Add(*(slope.value for slope in slopes(body, name))).xreplace({operand: z})
    if not slope.has(z):
        return bool(slope == 0)
    places = [sign * place for place in _PLACES for sign in (1, -1)]
    if _is_seen(slope, z, places) or not _vanishes(slope, z, places):
        return False
    pieces = _pieces(slope)
    if pieces is not None and all(_vanishes(piece, z, places) for piece in pieces):
        return True
    corners = _corners((slope, body.xreplace({operand: z})), z)
    return corners is not None and _vanishes(slope, z, list(_between(corners)))


def _statement(expression: Expr, z: Expr, number: int) -> Program:
    """Return the programme of an expression at that many places."""
    X = Tensor(name="X", shape=(size(number),))
    indices = target_indices(X.shape)
    target = Tensor(name="S", shape=X.shape)
    body = expression.xreplace({z: X[indices]})
    statement = Statement(target=target, indices=indices, body=body)
    return Program(inputs=(X,), parameters=(), statements=(statement,), outputs=("S",))


def _is_seen(slope: Expr, z: Expr, places: Sequence[float]) -> bool:
    """Whether float64 is enough to see that a slope is not 0."""
    values = {"X": np.array(places)}
    found, bound = evaluate_with_bound(_statement(slope, z, len(places)), values, "float64")["S"]
    return bool((np.abs(found) > bound).any())


def _vanishes(slope: Expr, z: Expr, places: Sequence[Real]) -> bool:
    """Whether a slope is 0 at each place where it is real.

    What is not 0 is the same with twice the digits; what is left of 0 is something else.
    """
    program = _statement(slope, z, len(places))
    values = {"X": np.array(places, dtype=object)}
    coarse, fine = (
        precise_values(program, values, batch=1, digits=digits)["S"]
        for digits in (_DIGITS, 2 * _DIGITS)
    )
    known = [(a, b) for a, b in zip(coarse, fine, strict=True) if a is not None and b is not None]
    return bool(known) and not any(b and abs(a - b) < abs(b) / 2 for a, b in known)


def _pieces(expression: Expr) -> list[Expr] | None:
    """Return the smooth functions of which an expression is put together; None for too many."""
    found = list(islice(_every_piece(expression), _MOST_PIECES + 1))
    return found if len(found) <= _MOST_PIECES else None


def _every_piece(expression: Expr) -> Iterator[Expr]:
    kink = next((e for e in sympy.preorder_traversal(expression) if isinstance(e, _KINKS)), None)
    if kink is None:
        yield expression
        return
    if isinstance(kink, Piecewise):
        choices = [value for value, _ in kink.args]
    elif isinstance(kink, sympy.sign):
        choices = [sympy.Integer(1), sympy.Integer(-1)]
    elif isinstance(kink, sympy.Abs):
        choices = [kink.args[0], -kink.args[0]]
    else:
        choices = list(kink.args)
    for choice in choices:
        yield from _every_piece(expression.xreplace({kink: choice}))


def _corners(expressions: Sequence[Expr], z: Expr) -> list[Real] | None:
    """Return where one of the conditions may change, in order; None where that is not known."""
    differences: dict[Expr, None] = {}
    for expression in expressions:
        for kink in expression.atoms(*_KINKS):
            if isinstance(kink, Piecewise):
                differences |= {c.lhs - c.rhs: None for _, c in kink.args if c.args}
            elif isinstance(kink, sympy.Max | sympy.Min):
                differences[kink.args[0] - kink.args[1]] = None
            else:
                differences[kink.args[0]] = None
    found: set[Real] = set()
    for difference in differences:
        pieces = _pieces(difference)
        if pieces is None:
            return None
        for piece in pieces:
            roots = _roots(piece, z)
            if roots is None:
                return None
            found.update(roots)
    return sorted(found)


def _roots(expression: Expr, z: Expr) -> list[Real] | None:
    """Return the real roots of a polynomial in 60 digits; None for what is none."""
    if not expression.has(z):
        return []
    if not expression.is_polynomial(z) or sympy.degree(expression, z) > _MOST_DEGREE:
        return None
    coefficients = sympy.Poly(expression, z).all_coeffs()
    exact = [sympy.Rational(coefficient.evalf(2 * _DIGITS)) for coefficient in coefficients]
    polynomial = sympy.Poly(exact, z, domain="QQ")
    return [mpmath.mpf(str(root.evalf(_DIGITS))) for root in polynomial.real_roots()]


def _between(corners: Sequence[Real]) -> Iterator[Real]:
    """Yield places on each stretch between corners, and beyond them."""
    if not corners:
        corners = [mpmath.mpf(0)]
    with mpmath.workdps(2 * _DIGITS):
        for left, right in pairwise(corners):
            yield from (left + part * (right - left) for part in _WITHIN)
        yield from (corners[0] - part for part in _BEYOND)
        yield from (corners[-1] + part for part in _BEYOND)
