"""The layers of the catalogue are proved on small sizes, and their mutants are not."""

import pytest
from layers import LAYERS, backward, raw, rewritten, shift_mutants
from mutants import mutants, one_of_each_kind

from derive.program import Program, size
from derive.proof import local_proof, whole_proof
from derive.proof.claim import Claim


def proof(name: str, program: Program) -> tuple[Claim, ...]:
    return local_proof(program, {size(n): number for n, number in LAYERS[name].proved.items()})


@pytest.mark.parametrize("form", [raw, rewritten, backward])
@pytest.mark.parametrize("name", LAYERS)
def test_every_statement_is_proved(name: str, form) -> None:
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


@pytest.mark.parametrize("name", LAYERS)
def test_every_kind_of_mutant_is_rejected_at_its_place(name: str) -> None:
    program = backward(name)
    stock = [*one_of_each_kind(mutants(program)), *shift_mutants(program)]
    assert len(stock) >= 4
    for mutant in stock:
        failed = [claim.claim for claim in proof(name, mutant.program) if not claim.holds]
        assert all(claim.startswith(f"{mutant.where} ") for claim in failed), str(mutant)
        assert failed, str(mutant)


@pytest.mark.parametrize("name", ["conv 1d, padding 1", "embedding", "dropout"])
def test_the_whole_layer_is_proved_at_once(name: str) -> None:
    sizes = {size(n): number for n, number in LAYERS[name].proved.items()}
    claims = whole_proof(rewritten(name), sizes)
    assert len(claims) == len(LAYERS[name].define().parameters)
    assert all(claim.holds for claim in claims)
