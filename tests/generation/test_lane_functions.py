"""Elementary functions of vectors: the same bits as those of numbers."""

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from emitted import source
from numba import njit

from codegen.approximation import (
    BOUNDED,
    FMA,
    KNOWN,
    ElementaryFunction,
    elementary_function,
    with_needed,
)
from codegen.elementary.pieces import FMA_IMPORTS
from codegen.emit import lane_functions
from codegen.emit.lane_functions import lane_source
from codegen.errors import InternalError

ROWS = 20_000


def every_function(dtype: str) -> list[ElementaryFunction]:
    """Return all functions, those that others call first."""
    return [function for name in KNOWN for function in with_needed(name, dtype)]


def of_numbers(dtype: str) -> ModuleType:
    """Return every elementary function as it is for numbers."""
    module = ModuleType("numbers")
    exec(f"import math\nimport numpy as np\n{FMA_IMPORTS}\n{FMA}", vars(module))
    for function in every_function(dtype):
        exec(function.source, vars(module))
    return module


def of_vectors(dtype: str) -> ModuleType:
    """Return every elementary function as it is for vectors, with the vectors of a module."""
    text = source("2-10-2", dtype=dtype).text
    text = text[
        : text.index("# ------------------------------------------------------------------ ele")
    ]
    text += lane_functions.FMA + lane_functions.ANY_LANE
    functions = every_function(dtype)
    bounded = [function.name for function in functions if function.name in BOUNDED]
    text += "".join(f"library_{name} = _by_lane(math.{name})\n" for name in bounded)
    text += "".join(map(lane_source, functions))
    module = ModuleType("vectors")
    exec(text, vars(module))
    return module


def _text(name: str, dtype: str) -> str:
    return elementary_function(name, dtype).source


def any_numbers(dtype: str) -> np.ndarray:
    """Return numbers of any bits, many of usual size, and the special ones."""
    draw = np.random.default_rng(3)
    count = ROWS * 16
    found = draw.integers(0, 2 ** (8 * np.dtype(dtype).itemsize), count, np.uint64)
    found = found.astype(f"u{np.dtype(dtype).itemsize}").view(dtype)
    found[: count // 2] = draw.normal(0, 4, count // 2)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, np.finfo(dtype).tiny]
    found[: len(special)] = special
    return found


@pytest.mark.long
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_every_bit_is_the_same(dtype: str) -> None:
    vectors, numbers = of_vectors(dtype), of_numbers(dtype)
    rows: Any = vectors.rows
    given = any_numbers(dtype)
    for name in KNOWN:
        of_one, of_many = getattr(numbers, name), getattr(vectors, name)

        @njit(error_model="numpy")
        def one_by_one(x: Any, y: Any, function: Any = of_one) -> None:
            for i in range(x.size):
                y[i] = function(x[i])

        @njit(error_model="numpy")
        def by_vectors(x: Any, y: Any, function: Any = of_many) -> None:
            for row in range(ROWS):
                rows(y, row, 1)[0] = function(rows(x, row, 1)[0])

        start = -(given.ctypes.data // given.itemsize) % 16  # vectors start cache lines
        room = np.zeros(given.size + 16, dtype)
        start = -(room.ctypes.data // room.itemsize) % 16
        aligned = room[start : start + given.size]
        aligned[:] = given
        expected = np.zeros(given.size, dtype)
        found_room = np.zeros(given.size + 16, dtype)
        start = -(found_room.ctypes.data // found_room.itemsize) % 16
        found = found_room[start : start + given.size]
        one_by_one(given, expected, of_one)
        by_vectors(aligned, found, of_many)
        unlike = (found.view(f"u{given.itemsize}") != expected.view(f"u{given.itemsize}")) & ~(
            np.isnan(found) & np.isnan(expected)
        )
        assert not unlike.any(), f"{name}({given[unlike][0]!r})"
        assert not np.isnan(expected).all()


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        (
            "tanh",
            [
                (
                    "return np.copysign(near if a < BORDER else far, x)",
                    "return copysign(where(a < BORDER, near, far), x)",
                )
            ],
        ),
        (
            "exp",
            [
                ("y = OVERFLOW if x > OVERFLOW else x", "y = where(x > OVERFLOW, OVERFLOW, x)"),
                ("y = UNDERFLOW if y < UNDERFLOW else y", "y = where(y < UNDERFLOW, UNDERFLOW, y)"),
                (
                    "exponent = np.int32(np.float32(shifted).view(np.int32) - 0x4B400000)",
                    "exponent = bits(shifted) - 0x4B400000",
                ),
                (
                    "first = np.int32((half + 127) << 23).view(np.float32)",
                    "first = from_bits((half + 127) << 23)",
                ),
                (
                    "second = np.int32((exponent - half + 127) << 23).view(np.float32)",
                    "second = from_bits((exponent - half + 127) << 23)",
                ),
            ],
        ),
        (
            "near_cos",
            [
                ("k_bits = np.float32(shifted).view(np.int32)", "k_bits = bits(shifted)"),
                (
                    "odd = np.int32((k_bits & 1) << 30).view(np.float32)  # 2 or 0",
                    "odd = from_bits((k_bits & 1) << 30)  # 2 or 0",
                ),
                (
                    "value = sine if odd > np.float32(0.0) else cosine",
                    "value = where(odd > np.float32(0.0), sine, cosine)",
                ),
                (
                    "sign = np.int32((((k_bits + 1) & 2) << 30) + 0x3F800000).view(np.float32)",
                    "sign = from_bits((((k_bits + 1) & 2) << 30) + 0x3F800000)",
                ),
            ],
        ),
        (
            "cos",
            [
                (
                    "return math.cos(x) if abs(x) > BOUND else value",
                    "return where(abs(x) > BOUND, library_cos(x), value)"
                    " if any_lane(abs(x) > BOUND) else value",
                ),
            ],
        ),
    ],
)
def test_all_but_selections_and_bits_stays(name: str, changed: list[tuple[str, str]]) -> None:
    before = _text(name, "float32").split("\n")
    after = lane_source(elementary_function(name, "float32")).split("\n")
    assert len(before) == len(after)
    pairs = zip(before, after, strict=True)
    assert [(a.strip(), b.strip()) for a, b in pairs if a != b] == changed


@pytest.mark.parametrize(
    "body", ["if x > 0:\n        return x\n    return x", "return x if x > 0 and x < 1 else x"]
)
def test_a_branch_is_refused(body: str) -> None:
    function = replace(
        elementary_function("exp", "float32"), source=f"@njit\ndef exp(x):\n    {body}\n"
    )
    with pytest.raises(InternalError, match="exp: line"):
        lane_source(function)
