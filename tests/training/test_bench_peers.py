"""Other tools: each does the very work, and says where it does not; those not installed skip."""

import importlib.util
import os
import re
from dataclasses import replace

import numpy as np
import pytest

from derive.spec import parse_spec
from runtime.bench.peers import PEERS, contender, difference, why_not
from runtime.bench.workload import Params, Workload, start, training_set, workload
from runtime.errors import InputError
from runtime.torch_oracle import train_sgd


def some_work(spec: str, loss: str = "cross-entropy", dtype: str = "float64") -> Workload:
    return replace(workload(spec, loss=loss, dtype=dtype, batch=7), samples=60, epochs=3)


def need(name: str) -> None:
    """Skip where a peer is not installed, or fail under ``CI=true``."""
    if importlib.util.find_spec(PEERS[name][0]) is None:
        message = f"{PEERS[name][1]} is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{message}; CI needs it, and .ci/run installs it")
        pytest.skip(message)


def trained(name: str, work: Workload) -> tuple[Params, Params]:
    """Return the parameters of the peer and those of the oracle, in the same order."""
    need(name)
    rng = np.random.default_rng(1)
    order = np.stack([rng.permutation(work.samples) for _ in range(work.epochs)])
    X, Y = training_set(work)
    params = start(work)
    contender(name, work, X, Y, 1).train(params, work.epochs, order)
    spec = parse_spec(work.spec, loss=work.loss)
    return params, train_sgd(spec, start(work), X, Y, order, work.batch, work.eta)


CASES = [
    ("jax", "3-5-4", "cross-entropy"),
    ("jax", "3-5:relu-4:sigmoid-6:identity-3", "mse"),
    ("jax", "3-5:softmax-4:sigmoid", "cross-entropy"),
    ("jax-step", "3-5-4", "cross-entropy"),
    ("torch-tutorial", "3-5:relu-4", "cross-entropy"),
    ("torch-tutorial", "3-5-4:sigmoid", "mse"),
    ("sklearn", "3-5-4", "cross-entropy"),
    ("sklearn", "3-5:relu-6:relu-3", "cross-entropy"),
    ("sklearn", "3-3", "cross-entropy"),
]


@pytest.mark.parametrize(("name", "spec", "loss"), CASES)
def test_a_peer_does_the_work(name: str, spec: str, loss: str) -> None:
    ours, expected = trained(name, some_work(spec, loss))
    for key, value in expected.items():
        np.testing.assert_allclose(ours[key], value, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")
@pytest.mark.parametrize(("spec", "loss"), [("3-5-4", "cross-entropy"), ("3-4:relu-2", "mse")])
def test_compiled_torch_does_the_work(spec: str, loss: str) -> None:
    work = some_work(spec, loss, "float32")
    if reason := why_not("torch-compile", work):
        pytest.skip(reason)
    ours, expected = trained("torch-compile", work)
    for key, value in expected.items():
        np.testing.assert_allclose(ours[key], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["torch-tutorial", "jax", "jax-step", "sklearn"])
def test_a_peer_shuffles_anew_for_each_run(name: str) -> None:
    need(name)
    work = some_work("3-5-4", dtype="float32")
    runner = contender(name, work, *training_set(work), 1)
    results = []
    for _ in range(2):
        params = start(work)
        runner.train(params, work.epochs)
        results.append(params["W1"])
    assert not np.allclose(*results, rtol=1e-6)
    assert np.allclose(*results, atol=0.05)


@pytest.mark.parametrize(
    ("name", "spec", "loss", "stranger"),
    [
        ("jax", "3-5:gelu-2", "cross-entropy", "the activation gelu"),
        ("jax-step", "3-5-2", "huber", "the loss huber"),
        ("torch-tutorial", "3-5-3:sigmoid", "cross-entropy", "3-5-3:sigmoid is another"),
        ("sklearn", "3-5:softmax-3", "cross-entropy", "the activation softmax"),
        ("sklearn", "3-5:relu-4-3", "cross-entropy", "the activations relu, tanh"),
        ("sklearn", "3-5-3:sigmoid", "cross-entropy", "the output sigmoid"),
        ("sklearn", "3-5-3:softmax", "mse", "the loss mse"),
    ],
)
def test_a_peer_refuses_what_it_is_not_written_for(
    name: str, spec: str, loss: str, stranger: str
) -> None:
    work = workload(spec, loss=loss)
    assert stranger in str(why_not(name, work))
    with pytest.raises(InputError, match=stranger):
        contender(name, work, *training_set(work), 1)
    penalised = workload("3-5-3", l2=0.5)
    assert re.search("l2( 0.5|, and)", str(why_not(name, penalised)))
    assert why_not(name, workload("3-5-3")) is None


def test_the_compiled_step_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    work = workload("3-5-3")
    assert why_not("torch-compile", work) == "there is no C++ compiler called no-such-compiler"
    monkeypatch.setenv("CXX", "true")  # there is one, but it is for another network
    assert "is another under huber" in str(why_not("torch-compile", workload("3-2", loss="huber")))


def test_only_scikit_learn_with_two_classes_is_not_compared() -> None:
    assert "one logistic output" in str(difference("sklearn", workload("3-5-2")))
    assert difference("sklearn", workload("3-5-3")) is None
    others = [name for name in PEERS if name != "sklearn"]
    assert not [name for name in others if difference(name, workload("3-5-2"))]
