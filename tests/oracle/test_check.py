"""`runtime.check`: it accepts right kernels, and rejects every wrong one."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from catalogue import network, raw_gradient, stable_gradient
from evaluated_module import EvaluatedModule
from mutants import mutants, one_of_each_kind
from oracles import draw_case

from derive.spec import NetworkSpec, parse_spec
from runtime.check_report import compare
from runtime.errors import InputError
from runtime.torch_check import DEFAULT_BATCH, check, spec_of
from runtime.torch_oracle import loss_and_gradients

LAB = network((2, 10, 2))
SQUARE = network((3, 4, 4, 2), ("sigmoid",))


@pytest.mark.sweep
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "spec",
    [
        LAB,
        SQUARE,
        network((3, 2)),
        network((4, 6, 5, 3), ("relu", "softmax"), "sigmoid"),
        network((4, 6, 1), ("relu",), "identity", "mse"),
        network((2, 3, 4, 5, 6, 7, 6, 5, 4, 3, 2)),
        network((3, 4, 2), ("tanh",), "relu", "cross-entropy"),
    ],
    ids=str,
)
def test_right_kernels_are_accepted(spec: NetworkSpec, dtype: str) -> None:
    report = check(spec, kernels=EvaluatedModule(spec, dtype))
    assert report.ok, report.to_text()
    assert report.dtype == dtype
    assert len(report.gradients) == 2 * spec.depth
    assert report.failures == ()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_with_a_mistake_in_the_programme_are_rejected(dtype: str) -> None:
    stock = one_of_each_kind(mutants(stable_gradient(SQUARE)))
    assert {"dropped factor", "transposed", "wrong sign", "missing mean"} <= {
        mutant.kind for mutant in stock
    }
    for mutant in stock:
        module = EvaluatedModule(SQUARE, dtype, mutant.program)
        assert not check(SQUARE, kernels=module, batch=5).ok, str(mutant)


@pytest.mark.slow
def test_kernels_with_any_mistake_in_the_programme_are_rejected() -> None:
    for mutant in mutants(stable_gradient(SQUARE)):
        module = EvaluatedModule(SQUARE, "float64", mutant.program)
        assert not check(SQUARE, kernels=module, batch=5).ok, str(mutant)


class Spoiled:
    """Right kernels whose answer is changed before it is given."""

    def __init__(self, spoil: Callable[[float, dict[str, Any]], Any], spec: NetworkSpec = LAB):
        self._right = EvaluatedModule(spec, "float64")
        self._spoil = spoil

    def __getattr__(self, name: str) -> Any:
        return getattr(self._right, name)

    def loss_and_gradients(self, params: Any, X: Any, Y: Any) -> Any:
        return self._spoil(*self._right.loss_and_gradients(params, X, Y))


def put(name: str, change: Callable[[np.ndarray], Any]) -> Callable[..., Any]:
    return lambda loss, gradients: (loss, gradients | {name: change(gradients[name])})


def with_nan(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flat[-1] = np.nan
    return array


def slightly_off(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flat[3] *= 1 + 1e-9
    return array


SPOILED = {
    "wrong sign": put("W1", np.negative),
    "transposed": put("W1", lambda a: a.reshape(a.shape[::-1]).T),
    "of another shape": put("W1", np.transpose),
    "missing mean": put("b2", lambda a: DEFAULT_BATCH * a),
    "one NaN": put("W2", with_nan),
    "all NaN": put("W2", lambda a: np.full_like(a, np.nan)),
    "infinite": put("W2", lambda a: np.full_like(a, np.inf)),
    "an entry off by 1e-9": put("W1", slightly_off),
    "no numbers": put("b1", lambda a: a.astype(str)),
    "complex": put("b1", lambda a: a + 0j),
    "None": put("b1", lambda _: None),
    "left out": lambda loss, gradients: (
        loss,
        {name: a for name, a in gradients.items() if name != "b1"},
    ),
    "loss off": lambda loss, gradients: (loss * (1 + 1e-9), gradients),
    "loss NaN": lambda _, gradients: (np.nan, gradients),
    "loss an array": lambda loss, gradients: (np.array([loss]), gradients),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_wrong_answers_are_rejected(spoil: Callable[..., Any]) -> None:
    report = check(LAB, kernels=Spoiled(spoil))
    assert not report.ok
    # what is not finite is told of the extreme inputs too
    assert len(report.failures) == 1 + len(report.problems)
    assert "WRONG" in report.to_text()
    json.dumps(report.to_json(), allow_nan=False)


def test_a_wrong_output_is_rejected_though_gradients_are_right() -> None:
    module = EvaluatedModule(LAB, "float64")
    right = module.forward
    module.forward = lambda params, X: right(params, X)[:, ::-1]  # type: ignore[method-assign]
    report = check(LAB, kernels=module)
    assert not report.ok
    assert all(one.ok for one in report.gradients)
    assert report.failures[0].startswith("74 of 74 entries are off; P[")


def test_kernels_that_are_not_finite_at_extremes_are_rejected() -> None:
    # the raw form of softmax overflows; on ordinary numbers it is right
    unstable = EvaluatedModule(LAB, "float32", raw_gradient(LAB))
    report = check(LAB, kernels=unstable)
    assert all(one.ok for one in (report.loss, report.output, *report.gradients))
    assert not report.ok
    assert any("with inputs of 1e+04" in problem for problem in report.problems) or any(
        "with logits of 1e+05" in problem for problem in report.problems
    )
    assert "NOT FINITE" in report.to_text()


def test_what_cannot_be_finite_is_not_asked_for() -> None:
    # the squared error of logits of 1e5 is 1e10; the logarithm of a negative output is none
    for spec in (
        network((2, 5, 2), output="identity", loss="mse"),
        network((2, 5, 2), output="identity", loss="cross-entropy"),
    ):
        assert check(spec, kernels=EvaluatedModule(spec, "float32")).ok


def test_kernels_cannot_change_what_they_are_judged_by() -> None:
    module = EvaluatedModule(LAB, "float64")
    right = module.loss_and_gradients

    def destructive(params: dict[str, Any], X: Any, Y: Any) -> Any:
        for array in params.values():
            array[...] = 0
        X[...] = 0
        return right(params, X, Y)

    module.loss_and_gradients = destructive  # type: ignore[method-assign,assignment]
    assert not check(LAB, kernels=module).ok


def test_the_report_as_json_is_that_of_the_contract() -> None:
    report = check("2-10-2", kernels=EvaluatedModule(LAB, "float64"), seed=3)
    found = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert list(found) == ["spec", "dtype", "loss", "gradients", "ok", "versions"]
    assert found["spec"] == "2-10-2"
    assert found["dtype"] == "float64"
    assert list(found["loss"]) == ["relative_error"]
    assert list(found["gradients"]) == ["W1", "b1", "W2", "b2"]
    assert {tuple(entry) for entry in found["gradients"].values()} == {
        ("relative_error", "tolerance", "ok")
    }
    assert all(entry["tolerance"] < 1e-11 for entry in found["gradients"].values())
    assert found["ok"] is True
    assert {"python", "torch", "numpy"} <= set(found["versions"])


def test_numbers_that_are_not_finite_are_null() -> None:
    report = check(LAB, kernels=Spoiled(SPOILED["one NaN"]))
    entry = report.to_json()["gradients"]["W2"]
    assert entry == {"relative_error": None, "tolerance": entry["tolerance"], "ok": False}


def test_the_report_is_a_table_with_a_line_per_parameter() -> None:
    report = check(LAB, kernels=Spoiled(SPOILED["an entry off by 1e-9"]))
    lines = report.to_text().splitlines()
    assert lines[0] == (
        "2-10-2, cross-entropy, float64: kernels against PyTorch autograd, 37 samples"
    )
    assert lines[1].split() == ["shape", "relative", "error", "tolerance"]
    assert [line.split()[0] for line in lines[2:8]] == ["loss", "P", "dW1", "db1", "dW2", "db2"]
    assert lines[4].endswith("WRONG")
    assert lines[8].strip() == "extreme inputs: finite"
    assert "1 of 20 entries are off; W1[1, 1] is " in lines[9]
    assert lines[-1] == "WRONG"
    assert str(report) == report.to_text()
    assert max(map(len, lines)) < 120
    assert report._repr_html_().startswith("<pre>")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_tolerance_stays_small_at_any_depth(dtype: str) -> None:
    spec = network((5, *[10] * 50, 3))
    report = check(spec, kernels=EvaluatedModule(spec, dtype))
    assert report.ok
    least = {"float32": 5e-2, "float64": 1e-10}[dtype]
    assert all(one.tolerance < least for one in report.gradients)
    assert report.notes == ()


def test_a_tolerance_that_says_little_is_told_of() -> None:
    report = check(LAB, kernels=EvaluatedModule(LAB, "float64"))
    wide = replace(report, loss=replace(report.loss, tolerance=np.inf))
    assert wide.ok
    assert "note: the tolerance of loss is too wide" in wide.to_text()


def test_a_comparison_is_entry_by_entry() -> None:
    oracle, bound = np.array([1.0, 0.0]), np.array([1e-3, 0.0])
    assert compare("b", np.array([1.0009, 0.0]), oracle, bound).ok
    found = compare("b", np.array([1.0, 1e-9]), oracle, bound)
    assert not found.ok  # although 1e-9 is far below the largest bound
    assert found.relative_error == 1e-9
    assert found.tolerance == 1e-3
    assert found.note == "1 of 2 entries are off; b[1] is 1e-09, expected 0 within 0.0e+00"


def test_the_error_is_absolute_where_the_oracle_is_zero() -> None:
    found = compare("b", np.array([2.0, 0.0]), np.zeros(2), np.zeros(2))
    assert (found.relative_error, found.ok) == (2.0, False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 0}, "batch: 0"),
        ({"batch": 2.5}, "batch: 2.5"),
        ({"batch": True}, "batch: True"),
        ({"seed": -1}, "seed: -1"),
        ({"dtype": "float16"}, 'dtype: "float16" is not known'),
        ({"dtype": "float32"}, "dtype: float32, but the kernels compute in float64"),
        ({"spec": "nx-2"}, 'the size "nx" is a name'),
        ({"spec": "2-11-2"}, r"PARAMETERS\['W1'\]: \(10, 2\).*\(11, 2\)"),
        ({"spec": "2-10-3-2"}, r"PARAMETERS\['W2'\]"),
        ({"spec": "2"}, "has no layer"),
        ({"spec": "9000-9000-2"}, "at most 20000000 are compared"),
        ({"labels": "some"}, 'labels: "some"'),
    ],
    ids=str,
)
def test_what_cannot_be_checked_is_refused(change: dict[str, Any], message: str) -> None:
    arguments = {"spec": "2-10-2", "kernels": EvaluatedModule(LAB, "float64")} | change
    with pytest.raises(InputError, match=message):
        check(arguments.pop("spec"), **arguments)


def test_kernels_without_the_interface_are_refused() -> None:
    with pytest.raises(InputError, match="without PARAMETERS, DTYPE, init_params, forward"):
        check("2-10-2", kernels=object())
    with pytest.raises(InputError, match="returns float, expected a pair"):
        check(LAB, kernels=Spoiled(lambda loss, _: loss))


def test_kernels_that_raise_are_refused_with_the_place() -> None:
    def broken(loss: float, gradients: dict[str, Any]) -> Any:
        del loss
        return gradients["W9"]

    with pytest.raises(InputError, match=r"loss_and_gradients raises KeyError: 'W9' \(test_check"):
        check(LAB, kernels=Spoiled(broken))


def test_a_network_and_loss_come_from_the_kernels_unless_given() -> None:
    module = EvaluatedModule(network((2, 3, 1), output="identity", loss="mse"), "float64")
    assert spec_of(module) == parse_spec("2-3-1", loss="mse")
    other = spec_of(module, "2-3-1:sigmoid", loss="cross-entropy", l2=0.5)
    assert other == parse_spec("2-3-1:sigmoid", l2=0.5)
    module.DEFINITIONS, module.L2 = ("f(z) = z*sin(z)",), 0.25
    own = parse_spec("2-3:f-1", loss="mse", define=["f(z) = z*sin(z)"], l2=0.25)
    assert spec_of(module, "2-3:f-1") == own
    with pytest.raises(InputError, match="without a SPEC"):
        spec_of(object())


def test_outputs_that_start_far_out_are_brought_in() -> None:
    """Eight layers of log_softmax give 50, and tanh of all but a few of them is 1 or -1."""
    spec = network((1, 5, 8, 2, 3, 9, 3, 7, 2, 8), ["log_softmax"], "tanh", "cross-entropy")
    case = draw_case(spec, 1, 0, "float32")
    loss, gradients = loss_and_gradients(spec, case.params, case.X, case.Y, dtype="float32")
    assert np.isfinite(loss)
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())


def test_a_loss_that_is_nowhere_finite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from runtime import torch_oracle

    monkeypatch.setitem(torch_oracle.LOSSES, "mse", lambda Y, P, _: (P - Y).sum(1) / 0.0)
    spec = network((2, 3, 2), output="identity", loss="mse")
    with pytest.raises(InputError, match="is not a finite number on ordinary inputs"):
        check(spec, kernels=EvaluatedModule(spec, "float64"))


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # import torch raises ModuleNotFoundError
    with pytest.raises(InputError, match=r"pip install 'gradwright\[torch\]'") as caught:
        check(LAB, kernels=EvaluatedModule(LAB, "float64"))
    assert caught.value.exit_status == 2


def test_the_number_of_threads_is_left_as_it_was() -> None:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        check(LAB, kernels=EvaluatedModule(LAB, "float64"))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_generated_kernels_are_right(dtype: str) -> None:
    report = check("2-10-2", dtype=dtype)
    assert report.ok, report.to_text()
    if dtype == "float64":
        assert all(one.relative_error < 1e-10 for one in report.gradients)


def test_reports_are_values() -> None:
    report = check(LAB, kernels=EvaluatedModule(LAB, "float64"))
    assert not replace(report, problems=("loss is nan",)).ok
    assert report == check(LAB, kernels=EvaluatedModule(LAB, "float64"))
