"""Wrong gradients of many networks: the ladder rejects each, or it is equal after all."""

import pytest
from catalogue import network, raw_gradient, rewritten_gradient
from mutants import Mutant, mutants, some_of_each_kind
from sympy import Expr, Piecewise

from derive.program import Program, Statement
from derive.proof import local_proof, modular_check, numeric_check
from derive.proof.algebra import Algebra
from derive.proof.explicit import Explicit, small_sizes
from derive.spec import NetworkSpec

NETWORKS: dict[str, NetworkSpec] = {
    "no hidden layer": network(("n0", "n1")),
    "no hidden layer, sigmoid": network(("n0", "n1"), output="sigmoid", loss="mse"),
    "no hidden layer, identity": network(("n0", "n1"), output="identity", loss="mse"),
    "tanh": network(("n0", "n1", "n2")),
    "relu": network(("n0", "n1", "n2"), ("relu",)),
    "sigmoid": network(("n0", "n1", "n2"), ("sigmoid",), "sigmoid", "mse"),
    "identity": network(("n0", "n1", "n2"), ("identity",), "identity", "mse"),
    "softmax": network(("n0", "n1", "n2"), ("softmax",)),
    "softmax, mse": network(("n0", "n1", "n2"), ("softmax",), "softmax", "mse"),
    "relu output": network(("n0", "n1", "n2"), ("tanh",), "relu", "mse"),
    "equal widths": network(("n1", "n1", "n1", "n1"), ("tanh", "relu")),
    "numbers for sizes": network((3, 2, 4, 2), ("relu", "sigmoid")),
    "four hidden layers": network(
        ("n0", "n1", "n2", "n3", "n4", "n5"), ("tanh", "sigmoid", "relu", "identity")
    ),
}
FORMS = {"raw": raw_gradient, "rewritten": rewritten_gradient}
RIGHT = {
    f"{label}, {form}": derive(spec)
    for label, spec in NETWORKS.items()
    for form, derive in FORMS.items()
}
STOCK = {label: mutants(program) for label, program in RIGHT.items()}
# divided by relu, which is 0 at most points: the prime says so, and does not judge
UNDECIDED = {"numbers for sizes, raw": {"wrong operand in dP: -Y[i, j]/(B*H1[i, j])"}}
SOME = {label: some_of_each_kind(stock, 15) for label, stock in STOCK.items()}


def test_the_stock_is_large() -> None:
    assert len(NETWORKS) > 10
    assert sum(map(len, SOME.values())) > 200
    assert sum(map(len, STOCK.values())) > 1000
    kinds = {mutant.kind for stock in SOME.values() for mutant in stock}
    assert kinds >= {
        "dropped factor",
        "dropped term",
        "mean in place of sum",
        "missing mean",
        "missing reduction",
        "transposed",
        "wrong constant",
        "wrong operand",
        "wrong sign",
    }


@pytest.mark.sweep
@pytest.mark.parametrize("label", RIGHT)
def test_what_is_right_passes(label: str) -> None:
    for rung in (local_proof, modular_check, numeric_check):
        assert [str(claim) for claim in rung(RIGHT[label]) if not claim.holds] == []


@pytest.mark.sweep
@pytest.mark.parametrize("label", SOME)
def test_the_prime_rejects_mutants(label: str) -> None:
    for mutant in SOME[label]:
        failed = [claim for claim in modular_check(mutant.program) if claim.fails]
        assert failed or is_harmless(mutant, RIGHT[label]), str(mutant)


@pytest.mark.sweep
@pytest.mark.parametrize("label", SOME)
def test_the_local_proof_rejects_mutants_and_says_where(label: str) -> None:
    for mutant in SOME[label]:
        failed = {claim.about for claim in local_proof(mutant.program) if claim.fails}
        # the other statements are right given this one
        assert failed == {mutant.where} or is_equal(mutant, RIGHT[label]), str(mutant)


@pytest.mark.sweep
@pytest.mark.parametrize("label", SOME)
def test_numbers_reject_mutants(label: str) -> None:
    for mutant in SOME[label][::4]:
        failed = [claim for claim in numeric_check(mutant.program) if claim.fails]
        assert failed or is_harmless(mutant, RIGHT[label]), str(mutant)


@pytest.mark.slow
@pytest.mark.parametrize("label", STOCK)
def test_every_single_mutant_is_rejected(label: str) -> None:
    for mutant in STOCK[label]:
        if not is_equal(mutant, RIGHT[label]):
            failed = {claim.about for claim in local_proof(mutant.program) if claim.fails}
            assert failed == {mutant.where}, str(mutant)
            claims = modular_check(mutant.program)
            rejected = any(claim.fails for claim in claims)
            if str(mutant) in UNDECIDED.get(label, ()):
                assert not rejected
                assert any("none of 200 random points" in str(claim) for claim in claims)
                continue
            assert rejected or is_harmless(mutant, RIGHT[label]), str(mutant)


def test_few_mutants_are_equal_to_the_original() -> None:
    equal = {
        (label, mutant.kind, mutant.where)
        for label in ("no hidden layer, identity, rewritten", "tanh, rewritten")
        for mutant in STOCK[label]
        if is_equal(mutant, RIGHT[label])
    }
    # an output that is the last pre-activation
    assert equal == {("no hidden layer, identity, rewritten", "wrong operand", "dZ1")}


def is_equal(mutant: Mutant, right: Program, *, of_backward: bool = False) -> bool:
    """Whether the changed statement has the same normal form, forward values written out."""
    algebra, written = Algebra(), right.forward
    if of_backward:
        names = [statement.name for statement in right.backward]
        written += right.backward[: names.index(mutant.where)]
    bodies = [_bodies(p, mutant.where, written, algebra) for p in (right, mutant.program)]
    return all(algebra.is_zero(a - b) for a, b in zip(*bodies, strict=True))


def is_harmless(mutant: Mutant, right: Program) -> bool:
    """Whether what is wrong, if anything, is multiplied by 0 where it is wrong.

    ``dP`` in terms of Z and not of P = relu(Z) is: where they differ, the slope of relu is 0.
    Nothing is wrong with ``dP`` for ``dZ1`` where P = Z1: cotangents are written out, too.
    """
    other = mutant.kind == "wrong operand" and mutant.where == "dP"
    if other and right.statement("P").body.has(Piecewise):
        return True
    return is_equal(mutant, right, of_backward=True)


def _bodies(
    program: Program, name: str, written: tuple[Statement, ...], algebra: Algebra
) -> list[Expr]:
    explicit = Explicit(program, small_sizes(program))
    values: dict[Expr, Expr] = {}
    for statement in written:
        for place in explicit.places(statement.target):
            body = algebra.polynomial(explicit.body(statement, place).xreplace(values))
            values[explicit.entry(statement.name, place)] = body
    statement = program.statement(name)
    return [
        explicit.body(statement, place).xreplace(values)
        for place in explicit.places(statement.target)
    ]
