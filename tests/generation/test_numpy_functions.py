"""The error function that the NumPy target brings along: its error, its ends, its text."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mpmath import mp

from codegen.emit.numpy_functions import ULP, erf_source
from codegen.errors import InputError

DTYPES = ("float32", "float64")
Function = Callable[[np.ndarray], np.ndarray]


def erf(dtype: str) -> Function:
    module: dict[str, Any] = {"np": np}
    exec(erf_source(dtype), module)
    function: Function = module["_erf"]
    return function


def worst_error(function: Function, dtype: str, count: int) -> float:
    """Return the largest error in units in the last place, against mpmath."""
    draw = np.random.default_rng(0)
    info = np.finfo(dtype)
    x = np.concatenate(
        [
            draw.uniform(-6.5, 6.5, count),
            draw.uniform(0.9, 1.1, count),  # where the two forms meet, and weigh most
            np.exp2(draw.uniform(info.minexp + 30, 0, count)),
            np.nextafter(np.array([1, 1, 6, 6], dtype), np.array([0, 2, 0, 9], dtype)),
        ]
    ).astype(dtype)
    found = function(x)
    assert found.dtype == dtype
    worst = 0.0
    with mp.workprec(120):
        for argument, value in zip(x.tolist(), found.tolist(), strict=True):
            exact = mp.erf(mp.mpf(argument))
            spacing = float(np.spacing(np.abs(np.array(float(exact), dtype))))
            worst = max(worst, float(abs(mp.mpf(value) - exact)) / spacing)
    return worst


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_error_is_within_what_is_stated(dtype: str) -> None:
    worst = worst_error(erf(dtype), dtype, 1500)
    assert 0.5 < worst <= ULP[dtype]
    assert f"within {ULP[dtype]:g} ulp" in erf_source(dtype)


def test_a_wrong_coefficient_is_seen() -> None:
    source = erf_source("float64")
    line = next(line for line in source.split("\n") if "0.1283791" in line)
    module: dict[str, Any] = {"np": np}
    exec(source.replace(line, line.replace("0.12837916", "0.12837917")), module)
    assert worst_error(module["_erf"], "float64", 100) > 1e3


@pytest.mark.parametrize("dtype", DTYPES)
def test_ends_and_signs(dtype: str) -> None:
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 30.0, -30.0], dtype)
    found = erf(dtype)(x)
    np.testing.assert_array_equal(found, np.array([0, 0, 1, -1, np.nan, 1, -1], dtype))
    assert np.signbit(found[:2]).tolist() == [False, True]
    x = np.linspace(0, 7, 1001).astype(dtype).reshape(7, 143)
    np.testing.assert_array_equal(erf(dtype)(-x), -erf(dtype)(x))


def test_another_type_is_not_known() -> None:
    with pytest.raises(InputError, match="float16"):
        erf_source("float16")
