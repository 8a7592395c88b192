"""`runtime.train`: one obvious call, with the command's defaults."""

import doctest
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from command_line import environment
from emitted import interpreted

import derive
import runtime
import runtime.training
from derive.spec import parse_spec
from runtime import Dataset, Progress, TrainResult
from runtime.data.circles import circles
from runtime.divergence import DivergenceError, refuse_divergence
from runtime.errors import InputError, RunError
from runtime.history import History
from runtime.result import Model
from runtime.settings import Settings

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def _kernels_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRADWRIGHT_CACHE", "HOME"):
        monkeypatch.setenv(name, environment()[name])


@pytest.fixture(scope="module")
def trained() -> TrainResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADWRIGHT_CACHE", environment()["GRADWRIGHT_CACHE"])
        return runtime.train("circles")


def scaled(factor: float) -> Dataset:
    data = circles()
    return replace(data, X_train=factor * data.X_train, X_test=factor * data.X_test)


def same(one: TrainResult, other: TrainResult) -> bool:
    return np.array_equal(one.history.figures, other.history.figures) and all(
        np.array_equal(value, other.model.params[name]) for name, value in one.model.params.items()
    )


def test_the_defaults_are_the_labs(trained: TrainResult) -> None:
    assert trained.settings == Settings() == Settings(epochs=150, batch=10, eta=0.03, seed=0)
    assert trained.model.spec == "2-10-2"
    assert trained.model.loss == "cross-entropy"
    assert trained.history.epochs == 150
    assert (np.diff(trained.history.seconds) >= 0).all()
    assert trained.history.seconds[0] > 0
    assert trained.data.X_train.dtype == np.float32


def test_it_learns(trained: TrainResult) -> None:
    history = runtime.train("circles", epochs=600).history
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]
    assert history.test_accuracy[-1] > 0.88
    # the first epochs do not depend on how many there are
    assert np.array_equal(history.figures[:150], trained.history.figures)


def test_a_set_and_its_name_are_the_same(trained: TrainResult) -> None:
    assert same(trained, runtime.train(circles(), "2-10-2"))
    assert same(trained, runtime.train("circles", threads=2))
    assert not same(trained, runtime.train("circles", data_seed=1))
    assert not same(trained, runtime.train("circles", seed=1))


def test_the_settings_reach_the_kernels() -> None:
    options: dict[str, Any] = {"epochs": 4, "batch": 7, "eta": 0.2, "seed": 3}
    result = runtime.train("circles", **options, init_scale=0.7)
    module, data = result.model.module, result.data
    params = module.init_params(3, 0.7)
    rows = module.train(
        params, data.X_train, data.Y_train, test=(data.X_test, data.Y_test), **options
    )
    assert np.array_equal(rows, result.history.figures)
    assert all(np.array_equal(params[name], result.model.params[name]) for name in params)


def test_an_optimiser_reaches_the_kernels() -> None:
    options: dict[str, Any] = {"epochs": 3, "batch": 7, "eta": 0.02, "seed": 3}
    numbers = {"beta1": 0.8, "eps": 1e-4, "weight_decay": 0.1, "clip_norm": 0.2}
    result = runtime.train(
        "circles", "2-4-2", optimizer="adam", schedule="cosine", dtype="float64",
        **options, **numbers,
    )  # fmt: skip
    module, data = result.model.module, result.data
    params, state = module.init_params(3), {}
    module.train(params, data.X_train, data.Y_train, state=state, **options, **numbers)
    assert all(np.array_equal(params[name], result.model.params[name]) for name in params)
    assert list(result.state) == list(module.STATE)
    assert all(np.array_equal(state[name], result.state[name]) for name in state)
    assert result.state["step"] == 3 * 29


def test_seeds_from_numpy() -> None:
    results = [runtime.train("circles", seed=seed, epochs=2) for seed in np.arange(3)]
    assert [result.settings.seed for result in results] == [0, 1, 2]
    assert not same(results[0], results[1])


def test_the_result_shows_itself(trained: TrainResult, tmp_path: Path) -> None:
    assert str(trained) == f"circles, 2-10-2, 150 epochs\n{trained.history.last_line()}"
    for name, picture in (
        ("curves.png", trained.plot(tmp_path / "curves.png")),
        ("decision.png", trained.plot_decision(tmp_path / "decision.png")),
    ):
        assert picture.png.startswith(PNG)
        assert (tmp_path / name).read_bytes() == picture.png == picture._repr_png_()
    assert trained.history.last_line() in trained._repr_html_()
    assert "Model(" in repr(trained.model)


def test_the_example_in_the_docstring() -> None:
    finder = doctest.DocTestFinder(recurse=False)
    (example,) = finder.find(runtime.train, "train", globs={})
    assert len(example.examples) > 3
    assert doctest.DocTestRunner().run(example).failed == 0


def test_progress_is_reported_and_can_stop_the_run() -> None:
    seen: list[Progress] = []

    def stop_at_once(progress: Progress) -> bool:
        seen.append(progress)
        return True

    result = runtime.train("circles", epochs=1_000_000, callback=stop_at_once)
    assert 1 <= seen[0].epoch <= result.history.epochs < 1_000_000
    row = result.history.figures[seen[0].epoch - 1]
    assert (seen[0].train_loss, seen[0].train_accuracy) == tuple(row[:2])
    assert (seen[0].test_loss, seen[0].test_accuracy) == tuple(row[2:])
    assert seen[0].epochs == 1_000_000
    assert 0 < seen[0].seconds == result.history.seconds[seen[0].epoch - 1]


def test_the_last_report_is_of_the_epoch_at_which_the_run_ends() -> None:
    """The kernel runs past it, and the run goes back."""
    seen: list[Progress] = []
    result = runtime.train("circles", epochs=20_000, target_accuracy=0.9, callback=seen.append)
    assert seen[-1].epoch == result.history.epochs < 20_000
    assert seen[-1].test_accuracy == result.history.test_accuracy[-1] >= 0.9
    assert seen[-1].train_loss == result.history.train_loss[-1]


def test_an_exception_in_the_report_reaches_the_caller() -> None:
    def interrupt(progress: Progress) -> NoReturn:
        del progress
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        runtime.train("circles", epochs=1_000_000, callback=interrupt)
    assert signal.getsignal(signal.SIGINT) == before


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("unknown activation", {"spec": "2-10:tahn-2"}, 'Did you mean "tanh"'),
    ("size 0", {"spec": "2-0-2"}, "the size of layer 1 is 0"),
    ("no size", {"spec": "2--2"}, "the size of layer 1 is missing"),
    ("no network", {"spec": ""}, "has no layer"),
    ("inputs", {"spec": "3-10-2"}, "has 3 inputs and 2 outputs, but circles has 2 columns"),
    ("outputs", {"spec": "2-5"}, "Expected 2-2."),
    ("names", {"spec": "2-nh-2"}, "Write every size as an integer"),
    ("giant", {"spec": "2-9999999-9999999-2"}, "not enough memory. Use smaller layers"),
    ("loss", {"loss": "hubber"}, '"hubber" is not known'),
    ("data", {"data": "moon"}, "data: moon is not known"),
    ("epochs", {"epochs": 0}, "epochs: 0"),
    ("data seed", {"data_seed": -1}, "data seed -1"),
]


@pytest.mark.parametrize(("options", "part"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_refused(options: dict[str, Any], part: str) -> None:
    with pytest.raises(InputError) as refusal:
        runtime.train(**{"data": "circles", **options})
    assert part in str(refusal.value)


def test_labels_is_one_of_two() -> None:
    with pytest.raises(InputError, match="labels"):
        runtime.train("circles", labels="soft")


def test_weights_beyond_the_type_are_refused() -> None:
    with pytest.raises(InputError, match=r"init_scale: 3e\+38 gives weights beyond"):
        runtime.train("circles", init_scale=3e38)


def test_data_beyond_the_type_are_refused() -> None:
    with pytest.raises(InputError, match="Use --dtype float64"):
        runtime.train(scaled(1e300), "2-10-2")


@pytest.mark.parametrize("eta", [1e4, 1e9, 1e38])
def test_training_that_diverges(eta: float) -> None:
    with pytest.raises(RunError) as failure:
        runtime.train("circles", eta=eta)
    message = str(failure.value)
    assert "training diverged: the loss is" in message
    assert "after epoch 1" in message
    assert "0.6" in message  # ln 2, more or less, before the first
    assert "--eta 0.03" in message


def test_weights_that_are_no_numbers_are_a_divergence_where_the_loss_hides_them() -> None:
    """relu is 0 where its input is NaN, so that a network of dead units has a finite loss."""
    data = circles()
    module = interpreted("2-10:relu-2")
    settings = Settings(epochs=2, batch=10, eta=100.0)
    params = module.init_params()
    params["W1"][3] = np.nan
    params["b1"][0] = -np.inf
    assert np.isfinite(module.loss(params, data.X_train, data.Y_train))
    network = derive.parse_spec("2-10:relu-2")
    model = Model(network=network, labels="one-hot", params=params, module=module, source="")
    history = History(figures=np.full((2, 4), 0.6), seconds=np.array([1.0, 2.0]))
    with pytest.raises(RunError) as error:
        refuse_divergence(history, model, data, settings)
    message = str(error.value)
    assert "not all of W1, b1 is finite, although the loss is 0.6 after epoch 2" in message
    assert "--eta" in message


def test_a_large_loss_alone_is_no_divergence() -> None:
    # the outputs are about 1e6 times too large from the start, and get better
    result = runtime.train("circles", init_scale=1e6, epochs=5)
    assert result.history.train_loss[-1] > 1e4


# a second network, shared with test_run_output; its loss can overflow
SQUARES: dict[str, Any] = {
    "spec": "2-2:relu-2",
    "loss": "mse",
    "labels": "any",
    "dtype": "float64",
}


@pytest.mark.long
def test_a_loss_that_is_no_number_from_the_start() -> None:
    with pytest.raises(
        RunError, match=r"is (inf|nan) before the first step.*identity does not suit.*init-scale\.$"
    ):
        runtime.train(scaled(1e200), **SQUARES)


def test_a_loss_that_is_no_number_says_nothing_of_epochs() -> None:
    with pytest.raises(RunError, match=r"nan before the first step.*--init-scale\.$"):
        runtime.train("circles", spec="2-10-2:tanh", epochs=200)


def test_divergence_stops_the_run() -> None:
    epochs = []
    with pytest.raises(RunError, match=r"the loss is nan after epoch 1, and was 0\.\d+ before"):
        runtime.train(
            "circles",
            **SQUARES,
            eta=1e200,
            epochs=1_000_000,
            callback=lambda progress: epochs.append(progress.epoch),
        )
    assert epochs[-1] < 1_000_000


def test_what_was_good_before_a_divergence_is_not_lost() -> None:
    options: dict[str, Any] = {**SQUARES, "batch": 200, "eta": 3.0}
    for patience in (None, 5):
        with pytest.raises(DivergenceError, match="after epoch 8") as caught:
            runtime.train("circles", **options, epochs=2000, patience=patience)
        result = caught.value.result
        assert result is not None
        assert result.history.epochs == 7
        assert result.stopped_because == "training diverged in epoch 8"
        best = 7 if patience is None else int(result.history.test_loss.argmin()) + 1
        assert result.epoch == best < 8
        short = runtime.train("circles", **options, epochs=best)
        for name, value in short.model.params.items():
            assert np.array_equal(value, result.model.params[name]), name
    with pytest.raises(DivergenceError) as caught:
        runtime.train("circles", **SQUARES, eta=1e200)
    assert caught.value.result is None


def test_check_refuses_kernels_that_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    settings = Settings()
    data = circles()
    network = runtime.training.default_network(data, parse_spec)
    network = replace(network, sizes=(2, 10, 2))
    model = runtime.training.prepare(network, data, settings)
    runtime.training.check_kernels(model, settings)
    right = model.module.loss_and_gradients

    def doubled(*arguments: Any, **options: Any) -> Any:
        loss, gradients = right(*arguments, **options)
        return loss, {**gradients, "W1": 2 * gradients["W1"]}

    monkeypatch.setattr(model.module, "loss_and_gradients", doubled)
    with pytest.raises(RunError, match=r"(?s)nothing was trained.*dW1.*WRONG"):
        runtime.training.check_kernels(model, settings)


def test_without_pytorch_check_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"gradwright\[torch\]"):
        runtime.train("circles", check=True)
