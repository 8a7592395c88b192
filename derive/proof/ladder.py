"""The ladder: every rung in its order, and the certificate of a programme."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from time import perf_counter

from sympy import Abs, DiracDelta, Expr, Heaviside, Max, Min, Piecewise, Symbol, sign

from derive.indices import canonical
from derive.program import Program, Statement, size
from derive.proof.along import along_check, along_proof
from derive.proof.attempt import Verdict, attempt
from derive.proof.certificate import Certificate
from derive.proof.claim import Claim
from derive.proof.explicit import small_sizes
from derive.proof.identities import identity_proof
from derive.proof.local import local_proof
from derive.proof.modular import modular_check
from derive.proof.numeric import numeric_check
from derive.proof.whole import whole_proof
from derive.shifts import counts_with_indices
from derive.spec import NetworkSpec

LADDER = (
    local_proof,  # every statement by itself: linear in depth
    whole_proof,  # everything at once, for what is small: does not trust the chain rule
    modular_check,  # everything at once at any depth, up to chance
    identity_proof,  # what the form that is computed rests on
    numeric_check,  # the form that is computed, up to rounding
)
SECOND_ORDER = (
    along_proof,  # every statement by itself
    along_check,  # all at once, up to chance
)

_KINKS = (Abs, DiracDelta, Heaviside, Max, Min, Piecewise, sign)
_AWAY_FROM_KINKS = (
    "at a corner or a tie, where there is no derivative, the slope is that of the definition"
)
_ANY_SIZE = "the formulas, which tell no index apart, are right at other sizes if at these"
_SHIFTED = "the formulas, which reckon with indices, are right at other sizes if at these"


def prove_network(spec: NetworkSpec, derive: Callable[[NetworkSpec], Program]) -> Certificate:
    """Climb the ladder for a network of any size, by way of names for its sizes.

    Parameters
    ----------
    spec
        The network.
    derive
        Makes the gradient programme of a network, in the form that is to be proved.
    """
    names = tuple(f"n{layer}" for layer in range(len(spec.sizes)))
    general = derive(replace(spec, sizes=names))
    values = {size(name): size(value) for name, value in zip(names, spec.sizes, strict=True)}
    return prove(derive(spec), general=general, sizes=values)


def prove(
    program: Program, *, general: Program | None = None, sizes: Mapping[Symbol, Expr] | None = None
) -> Certificate:
    """Climb the ladder, and return the certificate.

    Parameters
    ----------
    program
        A gradient programme (`derive.gradient_program`, `derive.vjp_program`), rewritten or
        not, before its stable form.
    general
        The same programme with a name for every size, each another. It is then proved in the
        place of `program` on small sizes that differ, and that `program` is it with `sizes`
        put in is a claim of its own. Large sizes need it, and equal ones, since they hide
        transpositions.
    sizes
        What the names in `general` stand for.

    Returns
    -------
    Certificate
        Every claim that was made, with how it was shown and how long that took.
    """
    start = perf_counter()
    claims: list[Claim] = []
    proved = program
    if general is not None:
        instance = _instance_claims(program, general, sizes or {})
        if all(claim.holds for claim in instance):
            proved = general
            claims += instance
    gradient = _first_order(proved)
    for rung in LADDER:
        claims += rung(gradient)
    for rung in SECOND_ORDER:
        claims += rung(proved)
    return Certificate(
        claims=tuple(claims),
        assumptions=_assumptions(proved),
        seconds=perf_counter() - start,
    )


def _first_order(program: Program) -> Program:
    """Return a programme without what was differentiated along a direction."""
    if not program.tangents:
        return program
    added = {statement.name for statement in program.second_order}
    directions = {f"v{name}" for name in program.parameters}
    return replace(
        program,
        inputs=tuple(tensor for tensor in program.inputs if tensor.name not in directions),
        statements=tuple(s for s in program.statements if s.name not in added),
        outputs=tuple(name for name in program.outputs if name not in added),
        tangents=(),
    )


def _assumptions(program: Program) -> tuple[str, ...]:
    kinks = any(statement.body.has(*_KINKS) for statement in program.statements)
    reckons = any(counts_with_indices(statement.body) for statement in program.statements)
    return (
        *program.assumptions,
        *((_AWAY_FROM_KINKS,) if kinks else ()),
        *((_SHIFTED if reckons else _ANY_SIZE,) if small_sizes(program) else ()),
    )


def _instance_claims(
    program: Program, general: Program, sizes: Mapping[Symbol, Expr]
) -> tuple[Claim, ...]:
    """Claim that a programme is the general one with sizes put in, statement by statement."""
    put_in = ", ".join(f"{name} = {value}" for name, value in sizes.items())

    def judge() -> Verdict:
        if program.cotangents != general.cotangents:
            return "not proved", "there are other gradients"
        for mine, theirs in zip(program.statements, general.statements, strict=False):
            if _put_in(theirs, sizes) != replace(mine, origin=()):
                return "not proved", f"{mine.name} differs"
        same = len(program.statements) == len(general.statements)
        return ("proved", "") if same else ("not proved", "there are other statements")

    claim = attempt(
        judge,
        claim="each statement is that of the network with names for sizes, these put in",
        method=f"exact: equal as written{', ' if put_in else ''}{put_in}",
        rung="sizes",
        about="all statements",
    )
    return (claim,)


def _put_in(statement: Statement, sizes: Mapping[Symbol, Expr]) -> Statement:
    shape = tuple(extent.xreplace(dict(sizes)) for extent in statement.target.shape)
    body = canonical(statement.body.xreplace(dict(sizes)), statement.indices)
    return replace(statement, target=replace(statement.target, shape=shape), body=body, origin=())
