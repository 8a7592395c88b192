"""Products of our own: what BLAS would give, and nothing read or written beside the matrices."""

import ctypes
import mmap
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from emitted import BLAS, Case
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numba import njit

from codegen.emit.tiles import ROWS, tile_rows

CASES = {
    "float64": BLAS,
    "float32": Case(text=BLAS.text, loss=BLAS.loss, dtype="float32", is_compiled=True),
}
_NO_ACCESS = 0


@cache
def product_of(dtype: str) -> Callable[..., None]:
    """Return the compiled product of an emitted module, whether or not it is used here."""
    module: Any = CASES[dtype].module
    one = module.T(1)
    module._place(module._multiply, False, False, one, 0, 0, 0, 0, one, *[0] * 5)
    own = module._own_gemm

    @njit(error_model="numpy")
    def call(turned_a, turned_b, alpha, a, b, beta, c):  # type: ignore[no-untyped-def]
        own(turned_a, turned_b, alpha, a, b, beta, c)

    return call


@pytest.fixture(scope="module")
def at_the_end() -> Callable[[np.ndarray], np.ndarray]:
    """Return what copies a matrix to the end of memory beyond which nothing may be touched."""
    rooms = []

    def placed(matrix: np.ndarray) -> np.ndarray:
        pages = -(-matrix.nbytes // mmap.PAGESIZE)
        room = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
        rooms.append(room)
        memory = np.frombuffer(room, np.uint8)
        guard = ctypes.c_void_p(memory.ctypes.data + pages * mmap.PAGESIZE)
        assert ctypes.CDLL(None).mprotect(guard, ctypes.c_size_t(mmap.PAGESIZE), _NO_ACCESS) == 0
        end = pages * mmap.PAGESIZE
        copy = memory[end - matrix.nbytes : end].view(matrix.dtype).reshape(matrix.shape)
        copy[:] = matrix
        return copy

    return placed


@pytest.mark.parametrize("dtype", CASES)
@settings(deadline=None)  # the first example compiles
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 80),
    depth=st.integers(1, 40),
    turned_a=st.booleans(),
    turned_b=st.booleans(),
    beta=st.sampled_from([0, 1]),
)
@example(rows=9, columns=33, depth=257, turned_a=False, turned_b=True, beta=0)  # DEPTH and one
@example(rows=10, columns=64, depth=600, turned_a=True, turned_b=False, beta=1)
def test_it_is_the_product_and_touches_nothing_else(
    dtype: str,
    rows: int,
    columns: int,
    depth: int,
    turned_a: bool,
    turned_b: bool,
    beta: int,
    at_the_end: Callable[[np.ndarray], np.ndarray],
) -> None:
    random = np.random.default_rng(rows * columns + depth)
    a, b = random.standard_normal((rows, depth)), random.standard_normal((depth, columns))
    before = random.standard_normal((rows, columns))
    expected = 0.5 * a.astype(dtype).astype(float) @ b.astype(dtype).astype(float)
    expected += beta * before.astype(dtype)
    given_a = at_the_end(np.ascontiguousarray(a.T if turned_a else a, dtype))
    given_b = at_the_end(np.ascontiguousarray(b.T if turned_b else b, dtype))
    around = np.full((rows + 2, columns + 3), np.nan, dtype)
    c = around[1:-1, 1:-2]  # NaN around it, and in it where it is not read
    if beta:
        c[:] = before
    one = np.dtype(dtype).type
    product_of(dtype)(turned_a, turned_b, one(0.5), given_a, given_b, one(beta), c)
    bound = 4 * np.finfo(dtype).eps * (np.abs(a) @ np.abs(b) + np.abs(before)) * np.sqrt(depth + 1)
    assert (np.abs(c - expected) <= bound).all()
    c[:] = np.nan
    assert np.isnan(around).all()


def test_a_product_on_the_last_places_of_memory(
    at_the_end: Callable[[np.ndarray], np.ndarray],
) -> None:
    """The result, too, may lie at the end of memory: its last vector is not written whole."""
    a, b = np.ones((11, 5)), np.ones((5, 19))
    c = at_the_end(np.full((11, 19), np.nan))
    product_of("float64")(False, False, 1.0, a, b, 0.0, c)
    assert (c == 5).all()


@given(st.lists(st.integers(1, 300), min_size=2, max_size=6))
def test_tiles_compute_little_in_vain(sizes: list[int]) -> None:
    def in_vain(rows: int) -> int:
        products = [2 * (-units % rows) * before for before, units in pairwise(sizes)]
        back = [(-before % rows) * units for before, units in pairwise(sizes[1:])]
        return sum(products) + sum(back)

    assert tile_rows(tuple(sizes)) in ROWS
    assert in_vain(tile_rows(tuple(sizes))) == min(map(in_vain, ROWS))


def test_layers_of_the_lab_fill_their_tiles() -> None:
    assert tile_rows((784, 100, 10)) == 10
    assert tile_rows((64, 64, 64, 64)) == 8
