"""The layers of the catalogue are proved on small sizes, and their mutants are not."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from layers import LAYERS, backward, raw, rewritten, shift_mutants
from mutants import mutants, one_of_each_kind
from sympy import Indexed, Symbol

from derive import catalogue
from derive.gradient import gradient_program
from derive.program import Program, Statement, size
from derive.proof import local_proof, prove, whole_proof
from derive.proof.claim import Claim
from derive.proof.explicit import Explicit
from derive.proof.modular import modular_check
from derive.proof.numeric import numeric_check
from derive.rewrite import rewrite_program
from derive.shifts import is_shifted

Rung = Callable[[Program, dict[Symbol, int]], tuple[Claim, ...]]


def proof(name: str, program: Program) -> tuple[Claim, ...]:
    return local_proof(program, {size(n): number for n, number in LAYERS[name].proved.items()})


@pytest.mark.parametrize("form", [raw, rewritten, backward])
@pytest.mark.parametrize("name", LAYERS)
def test_every_statement_is_proved(name: str, form: Callable[[str], Program]) -> None:
    program = form(name)
    claims = proof(name, program)
    assert len(claims) == len(program.backward) >= 1
    assert [str(claim) for claim in claims if not claim.holds] == []


@pytest.mark.parametrize("name", LAYERS)
def test_the_sizes_of_the_proof_differ_where_a_mistake_could_hide(name: str) -> None:
    for tensor in LAYERS[name].define().inputs:
        drawn = [LAYERS[name].proved[str(extent)] for extent in tensor.shape]
        if len(drawn) == 2:
            assert len(set(drawn)) == 2, tensor


@pytest.mark.sweep
@pytest.mark.parametrize("name", LAYERS)
def test_every_kind_of_mutant_is_rejected_at_its_place(name: str) -> None:
    program = backward(name)
    stock = [*one_of_each_kind(mutants(program)), *shift_mutants(program)]
    assert len(stock) >= 4
    for mutant in stock:
        failed = [claim.claim for claim in proof(name, mutant.program) if not claim.holds]
        assert all(claim.startswith(f"{mutant.where} ") for claim in failed), str(mutant)
        assert failed, str(mutant)


@pytest.mark.parametrize("name", LAYERS)
def test_every_entry_is_proved_where_indices_are_numbers(name: str) -> None:
    """Else one entry would stand for those that permutations take it to; none do so here."""
    program = LAYERS[name].define()
    numbered = name.startswith(("conv", "embedding"))
    assert Explicit(program, {}).symmetric != numbered


@pytest.mark.parametrize("rung", [local_proof, whole_proof])
def test_a_mistake_that_the_first_entry_does_not_show_is_seen(rung: Rung) -> None:
    program = rewritten("conv 1d")
    dW = program.statement("dW")
    (read,) = [r for r in dW.body.atoms(Indexed) if is_shifted(r)]
    (m,) = read.indices[2].free_symbols & set(dW.indices)
    wrong = dW.body.xreplace({read: read.base[*read.indices[:2], read.indices[2] + m]})
    statements = tuple(replace(s, body=wrong) if s is dW else s for s in program.statements)
    sizes = {size(n): number for n, number in LAYERS["conv 1d"].proved.items()}
    failed = [c.about for c in rung(replace(program, statements=statements), sizes) if c.fails]
    assert failed == ["dW"]


@pytest.mark.parametrize("name", ["conv 1d, padding 1", "embedding", "dropout"])
def test_the_whole_layer_is_proved_at_once(name: str) -> None:
    sizes = {size(n): number for n, number in LAYERS[name].proved.items()}
    claims = whole_proof(rewritten(name), sizes)
    assert len(claims) == len(LAYERS[name].define().parameters)
    assert all(claim.holds for claim in claims)


@pytest.mark.parametrize("name", ["layer norm", "attention", "conv 1d, padding 1"])
def test_the_other_rungs_hold_too(name: str) -> None:
    sizes = {size(n): number for n, number in LAYERS[name].proved.items()}
    program = backward(name)
    for rung in (modular_check, numeric_check):
        claims = rung(program, sizes)
        assert {claim.about for claim in claims} == {s.name for s in ends(program)}
        assert [str(claim) for claim in claims if not claim.holds] == []
    first = mutants(program)[0].program
    assert any(claim.fails for claim in modular_check(first, sizes))


def ends(program: Program) -> list[Statement]:
    return [s for s in program.backward if s.name in program.outputs]


def test_rungs_that_draw_numbers_leave_a_gather_alone() -> None:
    """No random number is a whole one: the gradient would be 0 on both sides."""
    for rung in (modular_check, numeric_check):
        (claim,) = rung(backward("embedding"))
        assert claim.status == "not attempted"
        assert "holds for whole numbers" in claim.reason


def test_certificates_say_what_they_rest_on() -> None:
    line = catalogue.convolution_1d(1, 4, 2, 3, padding=1)
    certificate = prove(rewrite_program(gradient_program(line)))
    assert certificate.ok
    assert not certificate.failures
    assert "which reckon with indices" in str(certificate)
    plain = prove(rewritten("dropout"))
    assert "which tell no index apart" in str(plain)
