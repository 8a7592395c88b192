"""Smooth random formulas: definitions that nobody has met before."""

import random
from collections.abc import Sequence

import sympy
from sympy import Expr, Rational


def random_formula(seed: int, variables: Sequence[Expr], depth: int = 2) -> Expr:
    """Return a smooth formula of moderate size that depends on every variable.

    Arguments of ``exp`` are bounded, and of ``log`` and roots positive, so that values and
    slopes stay near 1 wherever they are asked for.
    """
    draw = random.Random(seed)
    while True:
        formula = _formula(draw, list(variables), depth)
        if all(sympy.diff(formula, variable) != 0 for variable in variables):
            return formula


def _formula(draw: random.Random, variables: list[Expr], depth: int) -> Expr:
    if depth == 0:
        factor = Rational(draw.choice([-3, -2, -1, 1, 2, 3]), draw.choice([2, 3, 4]))
        return factor * draw.choice(variables) + Rational(draw.randrange(-3, 4), 5)
    inner = _formula(draw, variables, depth - 1)
    other = _formula(draw, variables, draw.randrange(depth))
    return draw.choice(
        [
            sympy.sin(inner),
            sympy.cos(inner) + other,
            sympy.tanh(inner) * other,
            sympy.exp(sympy.sin(inner)),
            sympy.exp(-(inner**2)),
            sympy.log(2 + sympy.cos(inner)),
            sympy.sqrt(1 + inner**2),
            1 / (1 + other**2) - sympy.atan(inner),
            inner**2 / (1 + inner**2),
            sympy.tanh(inner) - sympy.sin(other) / 3,
        ]
    )
