"""Stable forms: proved, equal where the plain form is sound, finite where it is not."""

import pytest
import sympy

from derive import (
    InternalError,
    gradient_program,
    loss_program,
    parse_spec,
    rewrite_program,
    stable,
    stable_program,
)
from derive.printing import statement_text


def texts(spec: str, loss: str = "cross-entropy") -> dict[str, str]:
    program = loss_program(parse_spec(spec, loss=loss))
    made = stable_program(rewrite_program(gradient_program(program)))
    return {s.name: statement_text(s, form="index").split(" = ", 1)[1] for s in made.statements}


def test_softmax_is_shifted_by_the_largest_of_its_row() -> None:
    made = texts("2-2")
    assert made["P_max"] == "max_j(Z1[i,j])"
    assert made["P_sum"] == "Σ_j exp(Z1[i,j] − P_max[i])"
    assert made["P"] == "exp(Z1[i,j] − P_max[i])/P_sum[i]"


def test_cross_entropy_takes_no_log_of_what_underflows() -> None:
    assert "log(P[" not in texts("2-2")["loss"]
    assert "log(P_sum[i])" in texts("2-2")["loss"]
    assert "log1p(exp(−abs(Z1[i,j])))" in texts("2-2:sigmoid")["loss"]


def test_a_softmax_inside_is_shifted_too() -> None:
    assert {"H1_max", "H1_sum"} <= set(texts("2-3:softmax-2"))


def test_what_needs_nothing_is_left_alone() -> None:
    program = rewrite_program(gradient_program(loss_program(parse_spec("2-3-2", loss="mse"))))
    assert stable_program(program).statements == program.statements


def test_the_identities_are_proved() -> None:
    assert len(stable.prove_identities()) == len(stable._differences())
    assert all(difference == 0 for difference in stable._differences().values())


def test_a_wrong_identity_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    stable.prove_identities.cache_clear()
    z = sympy.Symbol("z")
    monkeypatch.setattr(stable, "_differences", lambda: {"made up": z})
    with pytest.raises(InternalError, match="made up does not hold"):
        stable.prove_identities()
    stable.prove_identities.cache_clear()
