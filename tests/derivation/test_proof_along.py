"""Proofs of second order: what is right is shown, and every mistake is found by each rung."""

from dataclasses import replace

import pytest
from catalogue import network
from second_order import second_order, wrong

from derive.network_derivation import derivation
from derive.proof import along_check, along_proof, prove
from derive.stable import stable_program

NETWORKS = {
    "lab": network(("n0", "n1", "n2")),
    "kinks": network(("n0", "n1", "n2"), ("relu",), "identity", "huber"),
    "row functions": network(("n0", "n1", "n2"), ("softmax",), "identity", "mse"),
    "gelu": network(("n0", "n1", "n2"), ("gelu",)),
    "a Hessian that is 0": network(("n0", "n1"), (), "identity", "mae"),
}


@pytest.mark.parametrize(
    ("name", "form"), [("lab", "raw of raw"), *((name, "rewritten") for name in NETWORKS)]
)
def test_what_is_right_is_shown(name: str, form: str) -> None:
    spec = NETWORKS[name]
    program = second_order(spec, form)
    exact, modular = along_proof(program), along_check(program)
    assert {claim.about for claim in exact} == {s.name for s in program.second_order}
    assert {claim.status for claim in exact} == {"proved"}, exact
    assert {claim.about for claim in modular} == set(program.hessian_products.values())
    assert {claim.status for claim in modular} == {"checked"}, modular
    assert all(0 <= claim.error_bound < 1e-9 for claim in modular)


@pytest.mark.parametrize(("name", "stride"), [("lab", 4), ("kinks", 7), ("row functions", 9)])
def test_every_mistake_is_found_by_each_rung(name: str, stride: int) -> None:
    made = list(wrong(second_order(NETWORKS[name])))
    assert len(made) > 15
    for what, program in made:
        assert any(claim.status == "failed" for claim in along_check(program)), what
    for what, program in made[::stride]:  # tens of milliseconds each
        where = what.split(":")[0]
        assert where in {claim.about for claim in along_proof(program) if claim.fails}, what


def test_a_relation_that_is_not_known_modulo_a_prime_is_not_attempted() -> None:
    program = second_order(network(("n0", "n1"), (), "log_softmax"))
    assert {claim.status for claim in along_proof(program)} == {"proved"}
    (claim,) = along_check(program)
    assert claim.status == "not attempted"
    assert "a logarithm, is a relation of its own" in claim.reason


def test_the_certificate_holds_gradients_and_second_order() -> None:
    both = derivation("2-2", hvp=True, prove=True)
    proved, alone = both.certificate, derivation("2-2", prove=True).certificate
    assert proved.ok
    first = [claim for claim in proved.claims if not claim.rung.startswith("second order")]
    assert first == list(alone.claims)  # what is proved of the gradient does not depend on it
    assert len(proved.claims) == len(first) + 4 + 2
    for name in ("text", "latex", "markdown", "html"):
        assert "second order, modulo a prime" in both.report(name)


def test_a_mistake_is_named_in_the_certificate() -> None:
    what, program = next(wrong(second_order(NETWORKS["lab"])))
    certificate = prove(program)
    assert not certificate.ok
    assert what.split(":")[0] in {claim.about for claim in certificate.failures}


def test_a_gradient_alone_has_no_second_order() -> None:
    program = second_order(NETWORKS["lab"])
    first = replace(program, tangents=(), statements=(*program.forward, *program.backward))
    assert along_proof(first) == along_check(first) == ()


def test_a_stable_form_is_not_attempted() -> None:
    (claim,) = along_proof(stable_program(second_order(NETWORKS["lab"])))
    assert claim.status == "not attempted"
    assert "before its stable form" in claim.reason
