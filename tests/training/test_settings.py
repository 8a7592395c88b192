"""Numbers that a run may have, and those that are refused."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from runtime.errors import InputError
from runtime.settings import MOST_EPOCHS, Settings

REFUSED = [
    ("epochs", 0, "epochs: 0. Expected a whole number from 1"),
    ("epochs", -1, "epochs: -1"),
    ("epochs", 2.5, "epochs: 2.5"),
    ("epochs", "150", "epochs: 150"),
    ("epochs", True, "epochs: True"),
    ("epochs", None, "epochs: None"),
    ("epochs", MOST_EPOCHS + 1, "from 1 to 1000000"),
    ("epochs", 10**60, "epochs: 1000"),
    ("batch", 0, "batch: 0. Expected a whole number from 1"),
    ("batch", np.float64(3), "batch"),
    ("seed", -1, "seed: -1. Expected a whole number from 0"),
    ("threads", 0, "threads: 0. Expected a whole number from 1"),
    ("threads", "two", "threads: two"),
    ("eta", float("nan"), "eta: nan. Expected a positive number"),
    ("eta", float("inf"), "eta: inf"),
    ("eta", -1, "eta: -1"),
    ("eta", 0, "eta: 0. Expected a positive number"),
    ("eta", -0.0, "eta: 0"),
    ("eta", 1e39, "eta: 1e+39 is inf in float32"),
    ("eta", 1e-50, "eta: 1e-50 is 0.0 in float32"),
    ("eta", 10**400, "eta: 1000"),
    ("eta", "quick", "eta: quick"),
    ("init_scale", -0.1, "init_scale: -0.1"),
    ("init_scale", float("nan"), "init_scale: nan"),
    ("dtype", "float16", "dtype: float16 is not known. Known: float32, float64"),
    ("dtype", None, "dtype: None"),
    ("dtype", "double trouble", "dtype: double trouble"),
    ("optimizer", "adamw", 'optimizer: "adamw" is not known. Known: sgd, momentum, nesterov, adam'),
    ("schedule", "linear", 'schedule: "linear" is not known. Known: constant, step, cosine'),
    (
        "momentum",
        0.9,
        "momentum: the optimiser sgd does not have it. Use one that has: momentum, n",
    ),
    ("beta1", 0.9, "Use one that has: adam, adam-sklearn."),
    ("weight_decay", -1, "weight_decay: -1. Expected a positive number"),
    ("weight_decay", 1e39, "weight_decay: 1e+39 is inf in float32"),
    ("clip_norm", 0, "clip_norm: 0. Expected a number above 0."),
    ("clip_norm", float("nan"), "clip_norm: nan"),
]


@pytest.mark.parametrize(("name", "value", "message"), REFUSED)
def test_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(InputError) as refusal:
        Settings(**{name: value})
    assert message in str(refusal.value)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("epochs", MOST_EPOCHS, MOST_EPOCHS),
        ("epochs", np.int64(7), 7),
        ("batch", 10**30, 10**30),
        ("seed", 2**200, 2**200),
        ("seed", np.uint8(3), 3),
        ("threads", 4, 4),
        ("threads", None, None),
        ("eta", np.float32(0.5), 0.5),
        ("eta", 1, 1.0),
        ("init_scale", 0, 0.0),  # right for a network without hidden layers
        ("dtype", np.float64, "float64"),
        ("dtype", np.dtype("float32"), "float32"),
    ],
)
def test_kept_as_pythons_own(name: str, value: Any, kept: Any) -> None:
    settings = Settings(**{name: value})
    assert getattr(settings, name) == kept
    assert type(getattr(settings, name)) is type(kept)
    assert json.loads(json.dumps(asdict(settings))) == asdict(settings)


def test_an_optimiser_has_its_own_numbers() -> None:
    adam = Settings(optimizer="adam", beta2=np.float32(0.5), clip_norm=1, schedule="cosine")
    assert (adam.beta1, adam.beta2, adam.eps, adam.momentum) == (0.9, 0.5, 1e-8, None)
    assert adam.training_code == {"optimizer": "adam", "clip_norm": True, "schedule": "cosine"}
    numbers = {"beta1": 0.9, "beta2": 0.5, "eps": 1e-8, "weight_decay": 0.0, "clip_norm": 1.0}
    assert adam.training_numbers == {**numbers, "schedule_epochs": 150}
    stored = adam.as_json()
    assert {name: stored[name] for name in numbers} == numbers
    assert "momentum" not in stored
    with pytest.raises(InputError, match=r"beta1: 1.*below 1"):
        Settings(optimizer="adam", beta1=1)
    with pytest.raises(InputError, match="momentum: the optimiser adam does not have it"):
        Settings(optimizer="adam", momentum=0.9)


def test_gradient_descent_alone_is_the_fastest_code() -> None:
    for plain in (Settings(), Settings(weight_decay=0)):
        assert plain.training_code["optimizer"] is None
        assert plain.training_numbers == {}
    assert Settings(weight_decay=0.1).training_code["optimizer"] == "sgd"
    assert Settings(weight_decay=0.1).training_numbers == {"weight_decay": 0.1}


def test_float64_reaches_further() -> None:
    assert Settings(eta=1e-50, init_scale=1e39, dtype="float64").eta == 1e-50
