"""Any depth at once: a symbolic layer, and what it is at each depth."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from catalogue import ACTIVATIONS, LOSSES, network, rewritten_gradient
from latex_compiler import assert_compiles
from mutants import Mutant, mutants
from oracles import draw_case
from sympy import Symbol

import derive
from derive.errors import InputError, InternalError
from derive.evaluate import evaluate
from derive.layer_names import in_layer, lettered, names_in, numbered, renamed
from derive.network import loss_program
from derive.printing import MATHML, sides
from derive.program import size
from derive.proof import prove_recurrence
from derive.recurrence import DEPTHS, Recurrence, layer_recurrence
from derive.recurrence_document import recurrence_document
from derive.spec import is_any_depth, parse_spec
from runtime import torch_oracle

TANH = layer_recurrence("N")


def test_it_is_what_the_textbook_says() -> None:
    assert str(TANH.layer).splitlines()[3:] == [
        "dH_ℓ = dZ_{ℓ+1} W_{ℓ+1}                (B, n_ℓ)",
        "dZ_ℓ = dH_ℓ ∘ (1 − H_ℓ ∘ H_ℓ)          (B, n_ℓ)",
        "dW_ℓ = dZ_ℓᵀ H_{ℓ−1}                   (n_ℓ, n_{ℓ−1})",
        "db_ℓ = dZ_ℓᵀ 1                         (n_ℓ,)",
    ]
    assert "dZ_{N+1} = (P − Y)/B" in str(TANH.output)


def test_it_holds_at_the_depths_that_are_shown() -> None:
    assert [unrolling.hidden for unrolling in TANH.unrollings] == [0, 1, 2, 7] == list(DEPTHS)
    assert [unrolling.statements for unrolling in TANH.unrollings] == [6, 12, 18, 48]
    assert TANH.holds


NETWORKS = [
    *((hidden, "softmax", "cross-entropy") for hidden in ACTIVATIONS),
    *(("tanh", output, loss) for output in ACTIVATIONS for loss in LOSSES),
]


@pytest.mark.sweep
@pytest.mark.parametrize(("hidden", "output", "loss"), NETWORKS)
def test_it_holds_for_every_layer_output_and_loss(hidden: str, output: str, loss: str) -> None:
    spec = network(["n0", "n1", "n2"], [hidden], output, loss)
    found = layer_recurrence(spec, depths=(0, 2))
    assert found.holds, [unrolling.different for unrolling in found.unrollings]


@pytest.mark.parametrize("output", ["softmax", "log_softmax", "sigmoid"])
def test_it_holds_for_any_labels(output: str) -> None:
    found = layer_recurrence(network(["n0", "n1", "n2"], (), output), labels="any")
    assert found.holds
    assert not found.output.assumptions


def test_unrolled_it_equals_the_derivation_with_numbers_as_sizes() -> None:
    sizes = (3, 5, 4, 6, 2)
    own = rewritten_gradient(network(sizes))
    program = TANH.unrolled(3)
    values = {Symbol(f"n{k}", integer=True, positive=True): size(n) for k, n in enumerate(sizes)}
    for unrolled, statement in zip(program.statements, own.statements, strict=True):
        assert unrolled.body.xreplace(values) == statement.body
        assert unrolled.origin == statement.origin


def test_unrolled_it_gives_the_gradients_of_autograd() -> None:
    spec = network([3, 5, 4, 6, 2], ["sigmoid"], "identity", "mse")
    case = draw_case(spec, batch=7, seed=0)
    program = layer_recurrence("N:sigmoid", loss="mse", depths=()).unrolled(3)
    results = evaluate(program, case.values(), dtype="float64")
    value, gradients = torch_oracle.loss_and_gradients(spec, case.params, case.X, case.Y)
    assert results["loss"] == pytest.approx(value, rel=1e-12)
    for name, gradient in gradients.items():
        scale = np.abs(gradient).max()
        assert np.abs(results[program.gradients[name]] - gradient).max() <= 1e-12 * scale


LAYER_MUTANTS = mutants(TANH.layer)
OUTPUT_MUTANTS = mutants(TANH.output)


@pytest.mark.sweep
@pytest.mark.parametrize("mutant", LAYER_MUTANTS, ids=str)
def test_a_mistake_in_the_layer_is_found_wherever_there_is_one(mutant: Mutant) -> None:
    wrong = replace(TANH, layer=mutant.program)
    assert wrong.compared(0).holds  # there is no hidden layer
    for hidden in (1, 3):
        found = wrong.compared(hidden).different
        name = mutant.where.replace("_ℓ", "")
        assert set(found) == {f"{name}{layer}" for layer in range(1, hidden + 1)}


@pytest.mark.sweep
@pytest.mark.parametrize("mutant", OUTPUT_MUTANTS, ids=str)
def test_a_mistake_in_the_output_layer_is_found_at_every_depth(mutant: Mutant) -> None:
    wrong = replace(TANH, output=mutant.program)
    name = mutant.where.replace("_{N+1}", "")
    for hidden in (0, 2):
        assert wrong.compared(hidden).different == (f"{name}{hidden + 1}",)


def test_there_are_mutants() -> None:
    assert len(LAYER_MUTANTS) > 15
    assert len(OUTPUT_MUTANTS) > 8
    assert {mutant.where for mutant in LAYER_MUTANTS} == {"dH_ℓ", "dZ_ℓ", "dW_ℓ", "db_ℓ"}


def test_the_page_names_what_differs() -> None:
    wrong = replace(TANH, layer=LAYER_MUTANTS[0].program)
    wrong = replace(wrong, unrollings=(wrong.compared(1),))
    assert not wrong.holds
    assert "DIFFERENT in dH1" in str(wrong)
    assert json.loads(wrong.report("json"))["proof"][0]["status"] == "failed"


def test_the_argument_is_not_printed_for_statements_that_it_does_not_fit() -> None:
    layer = TANH.layer
    H = layer.statement("H_ℓ")
    twice = replace(H, target=replace(H.target, name="G_ℓ"))
    layer = replace(layer, statements=(*layer.statements[:2], twice, *layer.statements[2:]))
    with pytest.raises(InternalError, match="Z_ℓ is not read by H_ℓ alone"):
        recurrence_document(replace(TANH, layer=layer))
    other = layer_recurrence("N", depths=()).output
    first = other.statements[0]
    odd = replace(other, statements=(replace(first, body=-first.body), *other.statements[1:]))
    with pytest.raises(InternalError, match="is not defined as"):
        recurrence_document(replace(TANH, output=odd))


def test_every_formula_of_the_page_is_in_every_format() -> None:
    text, latex, markdown = (TANH.report(name) for name in ("text", "latex", "markdown"))
    html = TANH.report("html")
    value = json.loads(TANH.report("json"))
    for statement in (*value["forward"], *value["backward"]):
        assert statement["matrix"] in text
        assert statement["latex"].replace(" = ", " &= ", 1) in latex
        assert statement["latex"].replace(" = ", " &= ", 1) in markdown
    for statement in (*TANH.forward, *TANH.output.statements, *TANH.layer.backward):
        assert all(side in html for side in sides(statement, MATHML, "matrix"))
    assert value["gradients"]["W_ℓ"] == "dW_ℓ"
    assert {claim["status"] for claim in value["proof"]} == {"proved"}
    assert latex.isascii()


def test_steps_are_those_that_took_place() -> None:
    text = TANH.report("text", form="index", steps=True)
    rules = {step.rule for step in (*TANH.layer.steps, *TANH.output.steps)}
    assert {"chain rule", "reuse", "identity"} <= rules
    assert all(f". {rule}" in text for rule in rules)
    assert r"\textbf{1. chain rule" in TANH.report("latex", steps=True)
    count = len(TANH.layer.steps) + len(TANH.output.steps)
    assert re.findall(r"^ +(\d+)\. ", text, flags=re.MULTILINE) == [
        str(number) for number in range(1, count + 1)
    ]  # numbered through, so that an anchor is one place


def test_each_backward_line_of_the_page_leads_to_lines_and_rules() -> None:
    page = TANH.report("html", steps=True)
    anchors = re.findall(r' id="([^"]+)"', page)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(anchors)
    assert not re.search(r"https?:|<script|src=", page)
    rows = {
        name: re.search(rf'<tr id="{name}">.*?</tr>', TANH.report("html"))[0]
        for name in ("dZ_-N-1-", "dH_l", "dZ_l", "dW_l", "db_l")
    }
    for name, row in rows.items():
        assert 'href="#rule-chain-rule"' in row, name
    assert 'href="#Z_l"' in rows["dH_l"]  # Z_{ℓ+1}, which the line of Z_ℓ tells
    assert 'href="#H_l"' in rows["dZ_l"]
    assert 'href="#rule-reuse"' in rows["dZ_l"]
    assert 'href="#rule-identity"' in rows["dZ_-N-1-"]


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(InputError, match='"pdf" is not known'):
        TANH.report("pdf")


@pytest.fixture(scope="module")
def proved() -> Recurrence:
    return layer_recurrence("N", depths=(0, 1), prove=True)


def test_base_case_and_step_and_induction_are_proved(proved: Recurrence) -> None:
    certificate = proved.certificate
    assert certificate.ok
    exact = {
        rung: {claim.about for claim in certificate.claims if claim.rung.startswith(rung)}
        for rung in ("base case, statement", "induction step, statement", "induction", "unrolled")
    }
    assert exact["base case, statement"] == {"dZ_{N+1}", "dW_{N+1}", "db_{N+1}"}
    assert exact["induction step, statement"] == {"dH_ℓ", "dZ_ℓ", "dW_ℓ", "db_ℓ"}
    assert "every layer" in exact["induction"]
    assert exact["unrolled"] == {"N = 0", "N = 1"}
    claims = json.loads(proved.report("json"))["proof"]
    assert len(claims) == len(certificate.claims)


def test_the_certificate_is_in_every_format(proved: Recurrence, tmp_path: Path) -> None:
    for name in ("text", "markdown", "html"):
        assert "induction step, modulo a prime" in proved.report(name)
    latex = proved.report("latex", steps=True)
    assert r"induction step, modulo a prime" in latex
    assert_compiles(latex, tmp_path)


@pytest.mark.parametrize("mutant", [LAYER_MUTANTS[0], OUTPUT_MUTANTS[0]], ids=str)
def test_the_certificate_finds_a_mistake(mutant: Mutant) -> None:
    part = "layer" if mutant in LAYER_MUTANTS else "output"
    wrong = replace(TANH, **{part: mutant.program}, unrollings=())
    failures = prove_recurrence(wrong).failures
    rung = "induction step" if part == "layer" else "base case"
    assert {claim.rung.split(",")[0] for claim in failures} == {rung}


def test_the_certificate_finds_a_layer_that_induction_does_not_fit() -> None:
    other = TANH.output
    first = other.statements[0]
    odd = replace(other, statements=(replace(first, body=2 * first.body), *other.statements[1:]))
    failures = prove_recurrence(replace(TANH, output=odd)).failures
    assert any(claim.rung == "induction" for claim in failures)


@pytest.mark.parametrize("form", ["matrix", "index"])
@pytest.mark.parametrize("text", ["N", "N:softmax"])
def test_latex_compiles(text: str, form: Literal["matrix", "index"], tmp_path: Path) -> None:
    found = layer_recurrence(text, depths=(0, 3))
    assert_compiles(found.report("latex", form=form, steps=True), tmp_path)


def test_it_shows_itself() -> None:
    assert str(TANH) == TANH.report("text")
    assert "<main" in TANH._repr_html_()
    assert derive.layer_recurrence is layer_recurrence
    assert r"\mathrm{d}W_{\ell} &= \mathrm{d}Z_{\ell}^{\top} H_{\ell-1}" in TANH._repr_latex_()
    assert max(map(len, str(TANH).splitlines())) <= 100


@pytest.mark.parametrize("text", ["N", "N:relu", "N:"])
def test_any_depth_is_recognised(text: str) -> None:
    assert is_any_depth(text)


@pytest.mark.parametrize("text", ["n", "N-2", "2-N", "N:relu-2", "NN", ""])
def test_what_has_sizes_is_a_network(text: str) -> None:
    assert not is_any_depth(text)
    with pytest.raises(InputError, match="any depth is written N"):
        layer_recurrence(text)


def test_only_one_hidden_layer_is_repeated() -> None:
    with pytest.raises(InputError, match="3 hidden layers"):
        layer_recurrence(parse_spec("2-3-4-5-2"))


def test_a_penalty_on_all_weights_is_refused() -> None:
    with pytest.raises(InputError, match="a sum over the weights of all layers"):
        layer_recurrence(parse_spec("2-3-2", l2=0.5))


def test_it_holds_for_mathematics_of_the_users_own() -> None:
    found = layer_recurrence(
        "N:mish", loss="-sum(Y*(1-P)**2*log(P))", define=["mish(z) = z*tanh(log(1+exp(z)))"]
    )
    assert found.holds
    assert found.text == "N:mish"
    assert "mish in hidden layers" in str(found)


def test_names_go_there_and_back() -> None:
    program = loss_program(parse_spec("n0-n1-n2"))
    there = renamed(program, lettered(names_in(program), "ℓ", first=1))
    assert [tensor.name for tensor in there.inputs][:3] == ["H_{ℓ−1}", "Y", "W_ℓ"]
    assert renamed(there, numbered(names_in(there), {"ℓ": 1})) == program
    assert renamed(there, numbered(names_in(there), {"N": 1})) == there


@pytest.mark.parametrize("distance", [-1, 0, 1, 12])
def test_a_name_in_a_layer(distance: int) -> None:
    name = in_layer("W", "ℓ", distance)
    assert numbered([name], {"ℓ": 20}) == {name: f"W{20 + distance}"}
