"""Second-order programmes in every form, directions, and wrong ones."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
from catalogue import raw_gradient, rewritten_gradient
from sympy import Add, Expr, Integer, Mul, Pow

from derive.program import Program, Statement
from derive.rewrite import rewrite_program
from derive.second_order import hvp_program
from derive.spec import NetworkSpec
from derive.stable import stable_program

FORMS = ("raw of raw", "raw", "rewritten", "stable")


@cache
def second_order(spec: NetworkSpec, form: str = "rewritten") -> Program:
    """Return the programme of Hessian times direction, as far as `form` says.

    ``raw of raw`` differentiates the gradient as the rule gives it, the others differentiate
    the rewritten one.
    """
    if form == "raw of raw":
        return hvp_program(raw_gradient(spec))
    raw = hvp_program(rewritten_gradient(spec))
    if form == "raw":
        return raw
    rewritten = rewrite_program(raw)
    return rewritten if form == "rewritten" else stable_program(rewritten)


def directions(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """Draw a direction for parameters of those shapes, with no entry near 0."""
    draw = np.random.default_rng([seed, 7])
    return {
        name: draw.uniform(0.2, 1.0, shape) * draw.choice([-1.0, 1.0], shape)
        for name, shape in shapes.items()
    }


def wrong(program: Program) -> Iterator[tuple[str, Program]]:
    """Yield the programme with one mistake in its second order: a term, factor or sign."""
    for statement in program.second_order:
        for what, body in _spoilt(statement):
            changed = replace(statement, body=body)
            statements = tuple(changed if s is statement else s for s in program.statements)
            yield f"{statement.name}: {what}", replace(program, statements=statements)


def _spoilt(statement: Statement) -> Iterator[tuple[str, Expr]]:
    body = statement.body
    yield "sign", -body
    terms = Add.make_args(body)
    if len(terms) > 1:
        for term in terms:
            yield f"without {term}", body - term
            yield f"twice {term}", body + term
    for place, factor in enumerate(body.args if body.is_Mul else ()):
        if not isinstance(factor, Pow) and factor != Integer(-1):
            others = body.args[:place] + body.args[place + 1 :]
            yield f"without factor {factor}", Mul(*others)
