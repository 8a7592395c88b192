"""What is looked at on the way of a run: the right epochs and numbers, and no bit changed."""

from typing import Any

import numpy as np
import pytest
import torch
from command_line import environment
from torch.nn.functional import cross_entropy

import runtime
from runtime import TrainResult
from runtime.snapshots import FRAMES, NORMS, SAMPLES, Snapshots

OPTIONS: dict[str, Any] = {"epochs": 90, "optimizer": "adam", "schedule": "cosine", "eta": 0.01}


@pytest.fixture(scope="module")
def watched() -> TrainResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADWRIGHT_CACHE", environment()["GRADWRIGHT_CACHE"])
        return runtime.train("circles", animate=True, gradient_norms=True, **OPTIONS)


@pytest.mark.parametrize("epochs", [1, 2, 7, 40, 41, 150, 100_000])
def test_the_epochs_are_spread_over_the_run(epochs: int) -> None:
    looks = Snapshots(epochs=epochs, animate=True)
    found = [0]
    while found[-1] < epochs:
        found.append(looks.next_after(found[-1]))
    assert len(found) == min(epochs, FRAMES) + 1
    assert found[-1] == epochs
    assert max(np.diff(found)) - min(np.diff(found)) <= 1


def test_nobody_looks_unless_asked() -> None:
    assert Snapshots(epochs=100).next_after(0) == 100


def test_looking_changes_no_bit(watched: TrainResult) -> None:
    plain = runtime.train("circles", **OPTIONS)
    assert np.array_equal(plain.history.figures, watched.history.figures)
    for name, value in plain.model.params.items():
        assert np.array_equal(value, watched.model.params[name]), name
    for name, value in plain.state.items():
        assert np.array_equal(value, watched.state[name]), name
    assert not plain.copies
    assert plain.gradient_norms is None


def test_a_copy_is_the_network_of_its_epoch(watched: TrainResult) -> None:
    epochs = sorted(watched.copies)
    assert (epochs[0], epochs[-1], len(epochs)) == (0, 90, FRAMES + 1)
    data = watched.data
    for epoch in epochs[1::13]:
        loss = watched.model.module.loss(watched.copies[epoch], data.X_test, data.Y_test)
        assert loss == pytest.approx(watched.history.test_loss[epoch - 1], rel=1e-6)


def test_norms_are_those_of_autograd(watched: TrainResult) -> None:
    measured, data = watched.gradient_norms, watched.data
    assert measured is not None
    assert measured.samples == len(data.X_train) == 200 < SAMPLES
    assert len(measured.by_epoch) == min(90, NORMS) + 1
    for epoch in (0, 90):
        params = {
            name: torch.tensor(value, dtype=torch.float64, requires_grad=True)
            for name, value in watched.copies[epoch].items()
        }
        X, Y = (torch.tensor(a, dtype=torch.float64) for a in (data.X_train, data.Y_train))
        hidden = torch.tanh(X @ params["W1"].T + params["b1"])
        cross_entropy(hidden @ params["W2"].T + params["b2"], Y).backward()
        for layer, norm in enumerate(measured.by_epoch[epoch], start=1):
            parts = [params[f"{kind}{layer}"].grad for kind in "Wb"]
            exact = float(sum((part**2).sum() for part in parts if part is not None)) ** 0.5
            assert norm == pytest.approx(exact, rel=1e-4)


def test_errors_of_real_targets_are_measured_where_the_loss_does_not_tell() -> None:
    X = np.linspace(-1, 1, 40)[:, None]
    sets = X[::2], np.sin(3 * X[::2, 0]), X[1::2], np.sin(3 * X[1::2, 0])
    options: dict[str, Any] = {"spec": "1-2-1", "loss": "mae", "batch": 5, "eta": 0.05}
    result = runtime.train(sets, epochs=40, **options)
    assert sorted(result.errors) == [10, 20, 30, 40]
    scores = result.regression()
    assert scores is not None
    known = [np.flatnonzero(np.isfinite(values)) + 1 for values in scores.values()]
    assert [epochs.tolist() for epochs in known] == [[10, 20, 30, 40]] * 4
    half = runtime.train(sets, epochs=20, **options).regression()
    assert half is not None
    for name, values in half.items():
        assert values[-1] == scores[name][19]


def test_a_run_that_ends_early_is_looked_at_where_it_ends() -> None:
    result = runtime.train(
        "circles", epochs=1_000_000, animate=True, callback=lambda now: now.epoch > 100
    )
    assert max(result.copies) == result.history.epochs < 1_000_000
    for name, value in result.copies[result.history.epochs].items():
        assert np.array_equal(value, result.model.params[name])
