import re
from dataclasses import replace

import numpy as np
import pytest

from derive.check import check_program
from derive.errors import InternalError
from derive.evaluate import evaluate
from derive.gradient import gradient_program, vjp_program
from derive.names import lab_names
from derive.network import loss_program
from derive.printing import matrix_text, statement_text
from derive.program import BATCH, Program, Tensor
from derive.rewrite import rewrite_program
from derive.stable import stable_program


def derived(spec: str) -> Program:
    return rewrite_program(gradient_program(loss_program(spec)))


NAMES = {
    "5-2": "X Y Wy by | ytilde yhat loss | dytilde dWy dby",
    "5-4-2": ("X Y Wh bh Wy by | htilde h ytilde yhat loss | dytilde dWy dby dh dhtilde dWh dbh"),
    "5-4-3-2": (
        "X Y Wh1 bh1 Wh2 bh2 Wy by | htilde1 h1 htilde2 h2 ytilde yhat loss | "
        "dytilde dWy dby dh2 dhtilde2 dWh2 dbh2 dh1 dhtilde1 dWh1 dbh1"
    ),
}


@pytest.mark.parametrize(("spec", "expected"), NAMES.items(), ids=NAMES)
def test_the_labs_names(spec: str, expected: str) -> None:
    program = lab_names(derived(spec))
    parts = (program.inputs, program.forward, program.backward)
    assert " | ".join(" ".join(part.name for part in some) for some in parts) == expected
    assert check_program(program) is program


def test_the_labs_formulas_and_shapes() -> None:
    program = lab_names(derived("nx-nh-ny"))
    assert [matrix_text(statement) for statement in program.statements] == [
        "htilde = X Whᵀ + 1 bhᵀ",
        "h = tanh(htilde)",
        "ytilde = h Wyᵀ + 1 byᵀ",
        "yhat = exp(ytilde) ⊘ (exp(ytilde) 1 1ᵀ)",
        "loss = −1ᵀ (Y ∘ log(yhat)) 1 / B",
        "dytilde = (yhat − Y)/B",
        "dWy = dytildeᵀ h",
        "dby = dytildeᵀ 1",
        "dh = dytilde Wy",
        "dhtilde = dh ∘ (1 − h ∘ h)",
        "dWh = dhtildeᵀ X",
        "dbh = dhtildeᵀ 1",
    ]
    shapes = {name: str(tensor.shape) for name, tensor in program.tensors().items()}
    assert shapes["bh"] == shapes["dbh"] == "(nh, 1)"
    assert shapes["by"] == shapes["dby"] == "(ny, 1)"
    assert shapes["Wh"] == shapes["dWh"] == "(nh, nx)"
    assert program.gradients == {"Wh": "dWh", "bh": "dbh", "Wy": "dWy", "by": "dby"}
    assert statement_text(program.statement("dbh")) == "dbh[j,0] = Σ_i dhtilde[i,j]"
    assert statement_text(program.statement("htilde")) == (
        "htilde[i,j] = Σ_k X[i,k] Wh[j,k] + bh[j,0]"
    )


def test_no_plain_name_is_left_anywhere() -> None:
    program = lab_names(derived("5-4-3-2"))
    prose = [text for s in program.statements for text in s.origin]
    prose += [step.reason for step in program.steps] + list(program.assumptions)
    formulas = [str(part) for step in program.steps for part in (step.before, step.after)]
    words = set(re.findall(r"\w+", " ".join([*prose, *formulas])))
    assert not [word for word in words if re.fullmatch(r"d?([WbZH]\d+|P)", word)]
    assert "every row of Y sums to 1" in program.assumptions


TRANSFORMED = {
    "gradient": gradient_program,
    "rewritten": lambda program: rewrite_program(gradient_program(program)),
    "stable": lambda program: stable_program(rewrite_program(gradient_program(program))),
    "product with a cotangent": lambda program: rewrite_program(vjp_program(program)),
}


@pytest.mark.parametrize("transform", TRANSFORMED.values(), ids=TRANSFORMED)
@pytest.mark.parametrize("spec", ["5-2", "5-4-2", "5-4:softmax-3:sigmoid-2"])
def test_values_are_those_under_the_plain_names(spec: str, transform) -> None:
    plain = transform(loss_program(spec))
    lab = lab_names(plain)
    generator = np.random.default_rng(0)
    given = [
        generator.uniform(0.1, 1, [6 if extent == BATCH else int(extent) for extent in t.shape])
        for t in plain.inputs
    ]
    values = {t.name: array for t, array in zip(plain.inputs, given, strict=True)}
    renamed = {
        t.name: array.reshape([6 if extent == BATCH else int(extent) for extent in t.shape])
        for t, array in zip(lab.inputs, given, strict=True)
    }
    wanted = evaluate(plain, values, dtype="float64").values()
    for result, expected in zip(
        evaluate(lab, renamed, dtype="float64").values(), wanted, strict=True
    ):
        # SymPy orders factors by name, which moves the last bit, of a sum's terms too
        unit = 1e-14 * np.abs(expected).max()
        np.testing.assert_allclose(result.reshape(expected.shape), expected, rtol=0, atol=unit)


def test_a_programme_can_be_made_stable_under_either_names() -> None:
    before = lab_names(stable_program(derived("5-4-2")))
    after = stable_program(lab_names(derived("5-4-2")))
    assert before == after


def test_a_name_that_is_taken_is_an_error() -> None:
    program = loss_program("5-4-2")
    taken = replace(program, inputs=(*program.inputs, Tensor(name="yhat", shape=())))
    with pytest.raises(InternalError, match="yhat is taken"):
        lab_names(taken)
