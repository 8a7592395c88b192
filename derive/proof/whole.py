"""Rung 2: the whole programme at once against brute-force differentiation of the loss.

The loss is written out as one expression in the entries of inputs and parameters, and
``sympy.diff`` of it in each parameter's entry must equal the programme's gradient, written
out statement by statement. This knows nothing of cotangents or of the chain rule's order.
Expressions grow with each layer: it is for small networks, up to two hidden layers.
"""

from collections.abc import Iterator

from sympy import Expr, Symbol, diff

from derive.program import Program
from derive.proof.algebra import Algebra
from derive.proof.claim import Claim
from derive.proof.explicit import Explicit, small_sizes

MOST_ENTRIES = 400  # of all tensors together: beyond it the proof takes minutes


def whole_proof(
    program: Program, sizes: dict[Symbol, int] | None = None, *, of: str = "loss"
) -> tuple[Claim, ...]:
    """Prove the gradient of each parameter in one go, on small explicit sizes.

    Parameters
    ----------
    program
        The gradient programme of a scalar, rewritten or not, without the shifts of
        `derive.stable_program`. Sizes that are names are given numbers, each another;
        integers are kept.
    sizes
        Numbers to use for the sizes that are names.
    of
        The scalar.

    Returns
    -------
    tuple of Claim
        One for each parameter; none if the programme is too large for this rung.
    """
    explicit = Explicit(program, small_sizes(program) if sizes is None else sizes)
    if explicit.count() > MOST_ENTRIES:
        return ()
    return tuple(_claims(program, explicit, of))


def _claims(program: Program, explicit: Explicit, of: str) -> Iterator[Claim]:
    algebra = Algebra()
    named = ", ".join(f"{name} = {number}" for name, number in explicit.sizes.items())
    method = "sympy.diff of the written-out loss" + (f", {named}" if named else "")
    plain: dict[Expr, Expr] = {}
    polynomials: dict[Expr, Expr] = {}
    backward = {statement.name for statement in program.backward}
    for statement in program.statements:
        for place in explicit.places(statement.target):
            entry, body = explicit.entry(statement.name, place), explicit.body(statement, place)
            body = algebra.without_cases(body)
            if statement.name not in backward:
                plain[entry] = body.xreplace(plain)
            # functions become symbols at once, or the backward pass would grow with its depth
            polynomials[entry] = algebra.polynomial(body.xreplace(polynomials))
    scalar = plain[explicit.entry(of, ())]
    for name, gradient in program.gradients.items():
        holds = all(
            algebra.is_zero(
                algebra.polynomial(diff(scalar, explicit.entry(name, place)))
                - polynomials[explicit.entry(gradient, place)]
            )
            for place in explicit.places(program.tensors()[name])
        )
        yield Claim(claim=f"{gradient} = d {of} / d {name}", method=method, holds=holds)
