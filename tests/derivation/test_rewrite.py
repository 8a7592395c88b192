"""Rewriting: the textbook's form, the stated assumption, and nothing taken without need."""

import time

import pytest
import sympy

from derive import (
    InputError,
    definitions,
    gradient_program,
    loss_program,
    parse_spec,
    rewrite_program,
    vjp_program,
)
from derive.printing import statement_text
from derive.program import ONE_HOT, Program, base


def backward(spec: str, *, loss: str = "cross-entropy", labels: str = "one-hot") -> dict[str, str]:
    program = rewritten(spec, loss=loss, labels=labels)
    return {s.name: statement_text(s, form="index").split(" = ", 1)[1] for s in program.backward}


def rewritten(spec: str, *, loss: str = "cross-entropy", labels: str = "one-hot") -> Program:
    program = gradient_program(loss_program(parse_spec(spec, loss=loss)))
    return rewrite_program(program, labels=labels)


def test_the_labs_network_in_index_form() -> None:
    assert backward("2-10-2") == {
        "dZ2": "(P[i,j] − Y[i,j])/B",
        "dW2": "Σ_i dZ2[i,j] H1[i,k]",
        "db2": "Σ_i dZ2[i,j]",
        "dH1": "Σ_k dZ2[i,k] W2[k,j]",
        "dZ1": "dH1[i,j] (1 − H1[i,j]²)",
        "dW1": "Σ_i dZ1[i,j] X[i,k]",
        "db1": "Σ_i dZ1[i,j]",
    }


def test_the_labs_network_as_a_textbook_prints_it() -> None:
    program = rewritten("2-10-2")
    assert [statement_text(s, form="matrix") for s in program.backward] == [
        "dZ2 = (P − Y)/B",
        "dW2 = dZ2ᵀ H1",
        "db2 = dZ2ᵀ 1",
        "dH1 = dZ2 W2",
        "dZ1 = dH1 ∘ (1 − H1 ∘ H1)",
        "dW1 = dZ1ᵀ X",
        "db1 = dZ1ᵀ 1",
    ]


def test_the_assumption_is_stated_exactly_where_it_is_used() -> None:
    assert rewritten("2-10-2").assumptions == (ONE_HOT,)
    assert rewritten("2-10-2", labels="any").assumptions == ()
    assert rewritten("2-10-2", loss="mse").assumptions == ()
    assert rewritten("2-2:sigmoid").assumptions == ()
    assert any(ONE_HOT in part for part in rewritten("2-10-2").statement("dZ2").origin)


def test_without_the_assumption_the_row_sum_stays() -> None:
    assert backward("2-2", labels="any")["dZ1"] == "(P[i,j] Σ_k Y[i,k] − Y[i,j])/B"


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("tanh", "dH1[i,j] (1 − H1[i,j]²)"),
        ("sigmoid", "dH1[i,j] H1[i,j] (1 − H1[i,j])"),
        ("relu", "where(Z1[i,j] > 0, dH1[i,j], 0)"),
        ("softmax", "H1[i,j] (dH1[i,j] − Σ_k dH1[i,k] H1[i,k])"),
    ],
)
def test_forward_values_are_reused(activation: str, expected: str) -> None:
    assert backward(f"2-3:{activation}-2")["dZ1"] == expected


def test_a_copy_is_not_a_statement() -> None:
    # H1 := Z1, so dZ1 is dH1 and nothing else
    names = backward("2-3:identity-2")
    assert "dH1" not in names
    assert names["dZ1"] == "Σ_k dZ2[i,k] W2[k,j]"


def test_the_mean_over_outputs_is_part_of_mse() -> None:
    assert backward("2-4", loss="mse")["dZ1"] == "(P[i,j] − Y[i,j])/(2 B)"


def test_the_vjp_keeps_its_seed() -> None:
    program = rewrite_program(vjp_program(loss_program("2-3-2")))
    assert "dP" in {tensor.name for tensor in program.inputs}
    assert program.outputs[0] == "P"
    assert set(program.outputs[1:]) == {"dX", "dW1", "db1", "dW2", "db2"}
    assert program.assumptions == ()


def test_every_step_joins_the_one_before() -> None:
    for spec in ("2-3-2", "2-3:softmax-4:sigmoid-2:identity"):
        program = rewritten(spec)
        last = {}
        for step in program.steps:
            own_entry = base(step.target)[step.indices]
            assert step.before == last.get(step.target, own_entry)
            last[step.target] = step.after
        for name, after in last.items():
            if name in {s.name for s in program.statements}:
                assert program.statement(name).body == after


def test_fifty_layers_take_about_a_second() -> None:
    started = time.perf_counter()
    program = rewritten("-".join(["5"] * 52))
    assert time.perf_counter() - started < 10  # 0.8 s on an idle machine; this is a fence
    assert len(program.backward) == 51 * 4 - 1


def test_other_labels_are_refused() -> None:
    with pytest.raises(InputError, match='"two-hot"'):
        rewrite_program(gradient_program(loss_program("2-2")), labels="two-hot")


def test_no_forward_value_that_may_be_zero_becomes_a_divisor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # z·sigmoid(z): solving H = z/(1 + exp(-z)) for exp(-z) would divide by H and by z
    silu = definitions.elementwise(lambda z: z / (1 + sympy.exp(-z)))
    monkeypatch.setitem(definitions.ACTIVATIONS, "tanh", silu)
    body = rewritten("2-3-2").statement("dZ1").body
    divisors = {power.base for power in body.atoms(sympy.Pow) if power.exp.is_negative}
    assert not any(base.is_Indexed for base in divisors)


def test_what_remains_of_a_function_beside_its_value_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # exp(z)/(1 + exp(z)): in H and exp(2z) at once the derivative would cancel
    logistic = definitions.elementwise(lambda z: sympy.exp(z) / (1 + sympy.exp(z)))
    monkeypatch.setitem(definitions.ACTIVATIONS, "tanh", logistic)
    statement = rewritten("2-3-2").statement("dZ1")
    assert not ("H1" in statement.reads() and "Z1" in statement.reads())
