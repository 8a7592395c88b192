"""``runtime.train(resume=...)``: bit for bit the run that nothing interrupted, or a refusal."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import environment, run_here

import runtime
from runtime import TrainResult
from runtime.data.circles import circles
from runtime.errors import InputError

ADAM: dict[str, Any] = {"optimizer": "adam", "schedule": "cosine", "eta": 0.01, "epochs": 20_000}


@pytest.fixture(scope="module", autouse=True)
def _kernels_are_shared() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADWRIGHT_CACHE", environment()["GRADWRIGHT_CACHE"])
        yield


@pytest.fixture(scope="module")
def short() -> TrainResult:
    return runtime.train("circles", epochs=20)


def assert_same(one: TrainResult, other: TrainResult) -> None:
    assert one.history.figures.tobytes() == other.history.figures.tobytes()
    for kind in (lambda r: r.model.params, lambda r: r.state):
        assert {k: v.tobytes() for k, v in kind(one).items()} == {
            k: v.tobytes() for k, v in kind(other).items()
        }


@pytest.mark.parametrize("patience", [None, 20_000])
def test_a_result_goes_on(patience: int | None) -> None:
    options = ADAM | {"patience": patience}
    whole = runtime.train("circles", **options)
    part = runtime.train("circles", **options, callback=lambda now: now.epoch < 20_000)
    before = {name: value.copy() for name, value in part.model.params.items()}
    assert part.history.epochs < 20_000
    assert_same(runtime.train("circles", **options, resume=part), whole)
    # what it went on from is as it was, and goes on once more
    for name, value in before.items():
        assert np.array_equal(value, part.model.params[name])
    assert_same(runtime.train("circles", **options, resume=part), whole)


def test_more_epochs(short: TrainResult) -> None:
    more = runtime.train("circles", epochs=50, resume=short)
    assert_same(more, runtime.train("circles", epochs=50))
    assert more.history.seconds[19] == short.history.seconds[19]
    # without a number it is that of the run
    assert runtime.train("circles", resume=more).history.epochs == 50


def test_a_folder_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_here("train", "circles", "--no-plot", "--epochs", "20", "--out", "run").status == 0
    more = runtime.train("circles", epochs=50, resume="run")
    assert_same(more, runtime.train("circles", epochs=50))
    assert_same(
        runtime.train("circles", epochs=50, resume=Path("run/checkpoint.safetensors")), more
    )
    with pytest.raises(InputError, match="there is no such file"):
        runtime.train("circles", resume="nowhere")
    with pytest.raises(InputError, match="run: the run has seed 0, and 1 was asked for"):
        runtime.train("circles", resume="run", seed=1)
    with pytest.raises(InputError, match=r"run: the data are not those of the run: .* changed"):
        runtime.train(
            replace(circles(), sources={"circles": "0" * 64}), "2-10-2", batch=10, resume="run"
        )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"eta": 0.1}, "resume: the run has eta 0.03, and 0.1 was asked for"),
        ({"spec": "2-4-2"}, "the run has the network 2-10-2, and 2-4-2 was asked for"),
        ({"patience": 3}, "the run has patience None, and 3 was asked for"),
        ({"data_seed": 3}, "X_train is not that of the run"),
        ({"epochs": 10}, "the run is at epoch 20 already, and epochs=10 is the total"),
    ],
)
def test_another_run_is_refused(short: TrainResult, options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        runtime.train("circles", **options, resume=short)


def test_a_schedule_is_laid_out_for_its_epochs() -> None:
    part = runtime.train("circles", **ADAM, callback=lambda now: True)
    with pytest.raises(InputError, match="the run has epochs 20000, and 30000 was asked for"):
        runtime.train("circles", **ADAM | {"epochs": 30_000}, resume=part)
