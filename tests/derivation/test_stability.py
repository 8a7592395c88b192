"""Where formulas fail as they are written: computed, not claimed."""

import math

import mpmath
import numpy as np
import pytest
from catalogue import network

from derive.evaluate import evaluate
from derive.high_precision import precise_values
from derive.network import loss_program
from derive.spec import NetworkSpec, parse_spec
from derive.stability import LOST, compare_forms, stability_report

NETWORKS = {
    "softmax and cross-entropy": (network((2, 3, 2)), {"P", "loss"}),
    "softplus": (network((2, 3, 2), ("softplus",), "identity", "mse"), {"H1"}),
    "elu": (network((2, 3, 2), ("elu",), "identity", "mse"), {"H1"}),
    "log_softmax": (network((2, 3), (), "log_softmax"), {"P"}),
    "logistic loss": (network((2, 2), (), "sigmoid", "binary-cross-entropy"), {"loss"}),
    "own": (parse_spec("2-3:f-1:identity", loss="mse", define=["f(z) = 1 - tanh(z)**2"]), {"H1"}),
}


@pytest.mark.parametrize(("spec", "expected"), NETWORKS.values(), ids=NETWORKS)
def test_the_first_form_fails_where_the_second_is_right(
    spec: NetworkSpec, expected: set[str]
) -> None:
    mended = {c.naive.name for c in compare_forms(spec) if c.mended}
    assert expected <= mended
    for comparison in compare_forms(spec):
        assert comparison.worst < LOST
        for failure in comparison.mended:
            wrong = failure.naive
            assert not math.isfinite(wrong) or abs(wrong - failure.exact) > LOST * abs(
                failure.exact
            )


def test_what_is_computed_as_derived_is_not_listed() -> None:
    spec = network((2, 3, 2), ("tanh",), "identity", "mse")
    assert compare_forms(spec) == ()
    assert "none: every formula is computed as it is derived" in stability_report((), spec)


def test_the_report_shows_both_forms_and_the_exact_value() -> None:
    spec = network((2, 3, 2), ("softplus",), "identity", "mse")
    text = stability_report(compare_forms(spec), spec)
    assert "H1 = log(1 + exp(Z1))" in text
    assert "H1 = log1p(exp(−abs(Z1))) + max(0, Z1)" in text
    assert "inf            100            exact 100" in text


def test_many_digits_agree_with_float64_at_ordinary_inputs() -> None:
    program = loss_program("2-3:gelu-2")
    generator = np.random.default_rng(0)
    shapes = {"X": (4, 2), "Y": (4, 2), "W1": (3, 2), "b1": (3,), "W2": (2, 3), "b2": (2,)}
    values = {name: generator.uniform(0.1, 1, shape) for name, shape in shapes.items()}
    floats = evaluate(program, values, dtype="float64")
    for name, precise in precise_values(program, values, batch=4, digits=30).items():
        np.testing.assert_allclose(floats[name], precise.astype(float), rtol=1e-14)


def test_what_is_not_real_has_no_value() -> None:
    program = loss_program(network((1, 1), (), "identity", "cross-entropy"))
    values = {"X": np.ones((1, 1)), "Y": np.ones((1, 1)), "W1": -np.ones((1, 1)), "b1": np.zeros(1)}
    found = precise_values(program, values, batch=1, digits=30)
    assert found["loss"][()] is None
    assert found["P"][0, 0] == mpmath.mpf(-1)
