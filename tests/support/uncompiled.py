"""Emitted modules run by Python itself: slow, and ready at once.

Compiling a module takes many seconds, so that few networks can be compiled in a test run.
Read as plain Python, the same text shows whether it says what it should, for any number of
networks; the compiled ones show that Numba makes of it what Python does.
"""

import ctypes
import inspect
import itertools
import re
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from codegen.emit import lane_functions
from runtime.bench.products import scipy_gemm

# the module's only lines about Numba, and what stands for them here
_IMPORTS = {
    "from numba import njit, typeof, types\n": "from uncompiled import njit, types\n",
    "from numba.core import cgutils\n": "",
    "from numba.core.codegen import JITCodeLibrary\n": "JITCodeLibrary = object\n",
    "from numba.core.compiler import CompilerBase, DefaultPassBuilder\n": "CompilerBase = object\n",
    "from numba.core.typing import signature, templates\n": "",
    "from numba.core.typing import templates\n": "",
    "from numba.extending import lower_builtin, models, register_model\n": "",
    "from numba.extending import lower_builtin, models, overload, register_model\n": (
        "from uncompiled import overload\n"
    ),
    "from numba.extending import lower_builtin\n": "",
    "from llvmlite import ir\n": "",
    lane_functions.FMA: "from uncompiled import fma\n",
    lane_functions.ANY_LANE: "from numpy import any as any_lane\n",
    "_train.overloads": "True",
    "\n_register_gemm()\n": "\n",
    "\n_can_wait = _register_waiting()\n": "\n_can_wait = True\n",
    "\nEVALUATED = 512 ": "\nEVALUATED = 32 ",  # several blocks of few samples, or it takes minutes
}


# how a function is made that Numba builds, and what stands for it here
_INTRINSIC = re.compile(r"^def _intrinsic\(.*?(?=^@_intrinsic)", re.MULTILINE | re.DOTALL)
_NO_INTRINSIC = "from uncompiled import intrinsic as _intrinsic\n\n\n"
# the section about vectors, and what stands for it here
_VECTORS = re.compile(r"^# -+ vectors$.*?(?=^# -{60,} )", re.MULTILINE | re.DOTALL)
# the section about kernels that are called where they lie, and what stands for it here
_APART = re.compile(
    r"^# -+ kernels called where they lie$.*?(?=^# -{60,} )", re.MULTILINE | re.DOTALL
)
# the section about products of our own, which multiply as BLAS does
_PRODUCTS = re.compile(r"^# -+ products of our own$.*?(?=^# -{60,} )", re.MULTILINE | re.DOTALL)
_NO_PRODUCTS = """
_product = _gemm


def _place_products():
    pass


"""
# what writes some rows of a product of units
_ROWS = re.compile(r"^def _rows_of_product\(.*?(?=^def )", re.MULTILINE | re.DOTALL)
_PLAIN_ROWS = "from uncompiled import rows_of_product as _rows_of_product\n\n\n"
_NOT_APART = """
from uncompiled import _apart, _kernel, _pack, _place, _unpack
"""
_PLAIN_VECTORS = """
from uncompiled import copysign, maximum, total, where
from uncompiled import vectors as _vectors
lanes, rows, numbers, sums, bits, from_bits, sqrt, _by_lane = _vectors(T, LANES)
"""


def uncompiled(text: str) -> ModuleType:
    """Return the module of a text, with its kernels left to the interpreter."""
    for line, instead in _IMPORTS.items():
        text = text.replace(line, instead)
    text = _INTRINSIC.sub(_NO_INTRINSIC, text)
    text = _APART.sub(_NOT_APART, _VECTORS.sub(_PLAIN_VECTORS, text))
    text = _ROWS.sub(_PLAIN_ROWS, _PRODUCTS.sub(_NO_PRODUCTS, text))
    assert "numba import" not in text
    assert "EVALUATED = 32 " in text
    module = ModuleType("uncompiled_module")
    exec(compile(text, "<emitted module>", "exec"), vars(module))
    return module


def njit(function: Callable[..., Any] | None = None, *, cache: bool = False, **_: object) -> Any:
    """Stand for Numba's decorator, with or without options."""
    if function is None:
        return njit_entry if cache else njit
    return function


def njit_entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """Stand for the decorator of what is called from outside: integers wrap, as compiled."""
    return np.errstate(all="ignore")(function)


def _kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Stand for the decorator of what other kernels call where it lies."""
    return function


def _apart(function: Callable[..., Any], result: object = None) -> Callable[..., Any]:
    """Stand for what calls a kernel where it lies."""
    return function


def _pack(values: tuple[object, ...]) -> tuple[object, ...]:
    """Stand for what hands arrays over to a kernel, and for what takes them there."""
    return values


_unpack = _pack


def _place(kernel: Callable[..., Any], *arguments: object) -> None:
    """Check that a kernel takes so many arguments, where a compiled one would be placed."""
    inspect.signature(kernel).bind(*arguments)


class types:  # noqa: N801  # as Numba calls it
    """Stand for what Numba knows of types: here, how to wait for another thread."""

    float32 = float64 = none = None
    int32 = staticmethod(lambda: None)
    intp = staticmethod(lambda *_: None)
    UniTuple = staticmethod(lambda *_: None)

    @staticmethod
    def ExternalFunction(name: str, kind: object) -> Callable[..., int]:
        assert name in ("sched_yield", "sched_getcpu", "syscall")
        return lambda *_: time.sleep(0) or 0


def overload(function: Callable[..., Any], **_: object) -> Callable[..., Any]:
    """Stand for the decorator of what Numba takes in a function's place, which is that one."""

    def check(typed: Callable[..., Any]) -> Callable[..., Any]:
        assert typed(*inspect.signature(function).parameters) is function
        return typed

    return check


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Stand for an intrinsic by what it is there for."""
    return _INTRINSICS[function.__name__]


def fma(x: Any, y: Any, z: Any) -> Any:
    """Compute as a processor does that cannot fuse a product and a sum."""
    return x * y + z


def _load(address: int) -> int:
    return ctypes.c_int64.from_address(address).value


def _store(address: int, value: int) -> None:
    ctypes.c_int64.from_address(address).value = value


def _add(address: int, value: int) -> None:
    ctypes.c_int64.from_address(address).value += value


def _call(address: int, number: int) -> None:
    ctypes.CFUNCTYPE(None, ctypes.c_int64)(address)(number)


def _gemm(
    transpose_a: bool, transpose_b: bool, alpha: Any, a: Any, b: Any, beta: Any, c: Any
) -> None:
    """Call SciPy's gemm of the type of alpha, every argument by its address."""
    for number in (alpha, beta, a, b, c):
        assert number.dtype == alpha.dtype
    inner = a.shape[0] if transpose_a else a.shape[1]
    outer = (a.shape[1] if transpose_a else a.shape[0], b.shape[0] if transpose_b else b.shape[1])
    assert c.shape == outer
    assert inner == (b.shape[1] if transpose_b else b.shape[0])

    def letter(transpose: bool) -> Any:
        return np.int32(ord("T" if transpose else "N"))

    def matrix(array: Any) -> tuple[Any, Any]:
        assert array.strides[1] == array.itemsize
        return array, np.int32(array.strides[0] // array.itemsize)

    # BLAS counts by column, and so sees each matrix transposed
    given = [letter(transpose_b), letter(transpose_a)]
    given += [np.int32(size) for size in (*reversed(c.shape), inner)]
    given += [alpha, *matrix(b), *matrix(a), beta, *matrix(c)]
    in_memory = [np.asarray(x) for x in given]  # an array is itself; a number, until the call ends
    scipy_gemm(alpha.dtype.name)(*(x.ctypes.data for x in in_memory))


def _prefetch(address: int) -> None:
    """Do nothing: it only makes a later read faster."""


def _not_0(tensor: "Rows", place: int) -> Any:
    """Return which of 16 numbers are not 0, a bit for each."""
    found = tensor.numbers[tensor.start + place :][:16] != 0
    assert found.size == 16, "past the end of the memory"
    return np.uint64(np.packbits(found, bitorder="little").view(np.uint16)[0])


def _lowest(bits: Any) -> Any:
    assert bits
    return np.uint64((int(bits) & -int(bits)).bit_length() - 1)


def _ones(bits: Any) -> Any:
    return np.uint64(int(bits).bit_count())


def _blocks(given: "Rows", first: int, width: int, taken: "Rows", place: int, pitch: int) -> Any:
    """Return 16 by 16 numbers, and the places that they go to, transposed."""
    row, column = np.ogrid[:16, :16]
    given_at, taken_at = given.start + first, taken.start + place
    places = taken_at + pitch * row + column
    return given.numbers[given_at + width * row + column].T, places


def _copy_block(given: "Rows", first: int, width: int, taken: "Rows", *to: int) -> None:
    block, places = _blocks(given, first, width, taken, *to)
    taken.numbers[places] = block


def _add_block(given: "Rows", first: int, width: int, taken: "Rows", *to: int) -> None:
    block, places = _blocks(given, first, width, taken, *to)
    taken.numbers[places] += block


def turn_block(given: "Rows", first: int, step: int, taken: "Rows", to: int, pitch: int) -> None:
    """Write as many vectors across as each has lanes."""
    matrix = np.stack([given[first + step * lane] for lane in range(given.lanes)])
    for lane, vector in enumerate(matrix.T):
        taken[to + pitch * lane] = vector


def rows_of_product(rows: int, vectors: int) -> Callable[..., None]:
    """Return what writes some rows of some vectors of a product, sums in parts as in registers."""
    parts = 2 // vectors

    def write(
        out: "Rows", j: int, v: int, start: "Rows", step: int, left: "Rows", row_step: int,
        term_step: int, right: "Rows", terms: int, columns: int,
    ) -> None:  # fmt: skip
        for r, k in itertools.product(range(j, j + rows), range(v, v + vectors)):
            first = start[r * step + k]
            sums = [first, *(0 * first for _ in range(1, parts))]
            for t in range(terms):
                part = t % parts if t < terms - terms % parts else 0
                sums[part] = (
                    sums[part] + left[r * row_step + t * term_step] * right[t * columns + k]
                )
            out[r * columns + k] = sum(sums[1:], sums[0])

    return write


_INTRINSICS = {
    "_fewer": min,
    "_larger": max,
    "fma": fma,
    "turn_block": turn_block,
    "_load": _load,
    "_store": _store,
    "_add": _add,
    "_call": _call,
    "_gemm": _gemm,
    "_prefetch": _prefetch,
    "_not_0": _not_0,
    "_lowest": _lowest,
    "_ones": _ones,
    "_copy_block": _copy_block,
    "_add_block": _add_block,
}


# ---------------------------------------------------------------- vectors, as NumPy has them

where, copysign = np.where, np.copysign


def total(vector: Any, here: int) -> Any:
    """Return the sum of a vector's first lanes."""
    return vector[:here].sum()


def maximum(x: Any, y: Any) -> Any:
    """Return the first, where the second is not larger."""
    return np.where(y > x, y, x)


class Rows:
    """Entries in memory, each of some numbers; assignment copies, as it does in memory."""

    def __init__(self, memory: Any, start: int, columns: int, lanes: int) -> None:
        self.numbers = memory.numbers if isinstance(memory, Rows) else memory.reshape(-1)
        self.start, self.columns, self.lanes = int(start), columns, lanes

    def _place(self, index: Any) -> slice:
        j, k = index if isinstance(index, tuple) else (0, index)
        first = self.start + (j * self.columns + k) * self.lanes
        assert first >= 0
        assert first + self.lanes <= self.numbers.size, "past the end of the memory"
        return slice(first, first + self.lanes)

    def __getitem__(self, index: Any) -> Any:
        found = self.numbers[self._place(index)]
        return found.copy() if self.lanes > 1 else found[0]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.numbers[self._place(index)] = value


def vectors(number: Any, count: int) -> tuple[Callable[..., Any], ...]:
    """Return what stands for the functions of vectors that depend on the type and the length."""
    word = np.dtype(f"i{np.dtype(number).itemsize}")

    def start(memory: Any) -> int:
        return memory.start if isinstance(memory, Rows) else 0

    def rows(memory: Any, row: int, columns: int) -> Rows:
        return Rows(memory, start(memory) + row * count, columns, count)

    def numbers(memory: Any, place: int, columns: int) -> Rows:
        return Rows(memory, start(memory) + place, columns, 1)

    def sums(tensor: Rows, row: int, here: int) -> Any:
        assert tensor.lanes == count
        return np.array([tensor[row * count + lane][:here].sum() for lane in range(count)], number)

    def by_lane(function: Callable[..., Any]) -> Callable[..., Any]:
        def of_vectors(*vectors: Any) -> Any:
            lanes = zip(*(np.broadcast_to(vector, count) for vector in vectors), strict=True)
            return np.array([function(*numbers) for numbers in lanes], number)

        return of_vectors

    return (
        lambda value: np.full(count, value, number),
        rows,
        numbers,
        sums,
        lambda x: np.asarray(x, number).view(word),
        lambda n: np.asarray(n, word).view(number),
        np.sqrt,
        by_lane,
    )
