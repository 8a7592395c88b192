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


def test_float64_reaches_further() -> None:
    assert Settings(eta=1e-50, init_scale=1e39, dtype="float64").eta == 1e-50
