import json

import pytest
import sympy

from derive.gradient import gradient_program
from derive.json_form import derivation_object, json_report
from derive.names import lab_names
from derive.network import loss_program
from derive.printing import expression_text, statement_latex
from derive.program import Program
from derive.rewrite import rewrite_program
from derive.spec import parse_spec
from derive.stable import stable_program


def derived(spec: str) -> Program:
    return rewrite_program(gradient_program(loss_program(spec)))


LAB = json.loads(json_report(derived("2-10-2"), parse_spec("2-10-2")))


def test_it_has_the_keys_of_the_contract_and_no_others() -> None:
    assert list(LAB) == [
        "spec",
        "loss",
        "forward",
        "backward",
        "gradients",
        "steps",
        "proof",
        "versions",
    ]
    keys = ["name", "indices", "shape", "matrix", "index", "latex", "from"]
    assert all(list(line) == keys for line in LAB["forward"] + LAB["backward"])


def test_the_labs_network() -> None:
    assert (LAB["spec"], LAB["loss"], LAB["proof"]) == ("2-10-2", "cross-entropy", [])
    assert [line["name"] for line in LAB["forward"]] == ["Z1", "H1", "Z2", "P", "loss"]
    assert [line["matrix"] for line in LAB["backward"]] == [
        "dZ2 = (P − Y)/B",
        "dW2 = dZ2ᵀ H1",
        "db2 = dZ2ᵀ 1",
        "dH1 = dZ2 W2",
        "dZ1 = dH1 ∘ (1 − H1 ∘ H1)",
        "dW1 = dZ1ᵀ X",
        "db1 = dZ1ᵀ 1",
    ]
    assert LAB["backward"][0] == {
        "name": "dZ2",
        "indices": ["i", "j"],
        "shape": ["B", 2],
        "matrix": "dZ2 = (P − Y)/B",
        "index": "dZ2[i,j] = (P[i,j] − Y[i,j])/B",
        "latex": r"\mathrm{d}Z_{2} = \frac{P - Y}{B}",
        "from": [
            "rule: P reads Z2",
            "reuse: P",
            "rule: loss reads P",
            "identity: every row of Y sums to 1",
        ],
    }
    assert LAB["forward"][-1]["shape"] == []
    assert LAB["forward"][-1]["indices"] == []
    assert LAB["gradients"] == {"W1": "dW1", "b1": "db1", "W2": "dW2", "b2": "db2"}


def test_every_step_is_there_with_the_statement_it_leads_to() -> None:
    program = derived("2-10-2")
    statements = {line["name"] for line in LAB["backward"]}
    assert len(LAB["steps"]) == len(program.steps)
    assert {step["for"] for step in LAB["steps"]} <= statements
    absorbed = [step for step in LAB["steps"] if step["target"] == "dP"]
    assert absorbed
    assert all(step["for"] == "dZ2" for step in absorbed)
    last = {step["for"]: step["after"] for step in LAB["steps"]}
    for statement in program.backward:
        assert last[statement.name] == expression_text(statement.body, statement.indices)


def test_versions() -> None:
    assert LAB["versions"]["sympy"] == sympy.__version__
    assert {"gradwright", "python"} <= LAB["versions"].keys()


def test_sizes_that_are_names_are_strings() -> None:
    derivation = derivation_object(derived("nx-10-ny"), parse_spec("nx-10-ny"))
    shapes = {line["name"]: line["shape"] for line in derivation["backward"]}
    assert shapes["dW1"] == [10, "nx"]
    assert shapes["db2"] == ["ny"]


@pytest.mark.parametrize("form", ["matrix", "index"])
def test_latex_follows_the_form_and_the_rest_does_not(form: str) -> None:
    program = derived("2-10-2")
    derivation = derivation_object(program, parse_spec("2-10-2"), form=form)
    line = derivation["backward"][1]
    assert line["latex"] == statement_latex(program.statement("dW2"), form=form)
    assert line["matrix"] == "dW2 = dZ2ᵀ H1"
    assert line["index"] == "dW2[j,k] = Σ_i dZ2[i,j] H1[i,k]"


def test_what_has_no_matrix_form_is_null() -> None:
    program = stable_program(derived("2-10-2"))
    lines = derivation_object(program, parse_spec("2-10-2"))["forward"]
    matrix = {line["name"]: line["matrix"] for line in lines}
    assert matrix["P_max"] is None
    assert matrix["P_sum"] == "P_sum = exp(Z2 − P_max 1ᵀ) 1"


def test_the_labs_names() -> None:
    derivation = derivation_object(lab_names(derived("2-10-2")), parse_spec("2-10-2"))
    assert derivation["gradients"] == {"Wh": "dWh", "bh": "dbh", "Wy": "dWy", "by": "dby"}
    assert derivation["backward"][-1]["shape"] == [10, 1]


def test_the_text_is_the_same_every_time_and_readable() -> None:
    text = json_report(derived("2-10-2"), parse_spec("2-10-2"))
    assert text == json_report(derived("2-10-2"), parse_spec("2-10-2"))
    assert text.endswith("}\n")
    assert "dZ2ᵀ H1" in text
