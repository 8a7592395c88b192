"""The matrix products of a step in BLAS, and the gather of its samples: the work that remains.

For layers 1, …, L with activations H0 = X, H1, … a step has 3 L − 1 products: forward
Z = H Wᵀ, and backward dW = dZᵀ H for every layer and dH = dZ W for all but the first. They
run as our kernels run them: in SciPy's BLAS held to one thread, called from compiled code;
several threads take parts of the rows of each result, and never wait for one another.
"""

import ctypes
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.bench.workload import Array, Workload

_LETTERS = np.frombuffer(b"NT", np.uint8)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product of a step: C (rows, columns) = op(A) op(B), summed over `summed`.

    Attributes
    ----------
    name
        As the derivation writes it: ``dW1 = dZ1ᵀ X``.
    left, right, result
        Names of the matrices.
    transposed
        Whether the left and the right one are.
    rows, columns, summed
        Sizes; a multiply-add for each triple.
    """

    name: str
    left: str
    right: str
    result: str
    transposed: tuple[bool, bool]
    rows: int
    columns: int
    summed: int

    @property
    def multiply_adds(self) -> int:
        """How many of them it takes."""
        return self.rows * self.columns * self.summed


def products(work: Workload) -> tuple[Product, ...]:
    """Return the products of a step: forward, then backward from the last layer."""
    layers = range(1, len(work.sizes))
    forward: list[Product] = []
    backward: list[Product] = []
    for layer in layers:
        inputs, units, B = work.sizes[layer - 1], work.sizes[layer], work.batch
        H = "X" if layer == 1 else f"H{layer - 1}"
        W, Z, dW, dZ = f"W{layer}", f"Z{layer}", f"dW{layer}", f"dZ{layer}"
        forward.append(_product(Z, H, W, (False, True), (B, units, inputs)))
        gradients = [_product(dW, dZ, H, (True, False), (units, inputs, B))]
        if layer > 1:
            gradients.append(_product(f"d{H}", dZ, W, (False, False), (B, inputs, units)))
        backward = gradients + backward
    return (*forward, *backward)


def _product(
    result: str,
    left: str,
    right: str,
    transposed: tuple[bool, bool],
    sizes: tuple[int, int, int],
) -> Product:
    marks = ["ᵀ" if flag else "" for flag in transposed]
    rows, columns, summed = sizes
    return Product(
        name=f"{result} = {left}{marks[0]} {right}{marks[1]}",
        left=left,
        right=right,
        result=result,
        transposed=transposed,
        rows=rows,
        columns=columns,
        summed=summed,
    )


class Products:
    """The products of a network's step on matrices of its own, ready to be timed."""

    def __init__(self, work: Workload, X: Array, order: NDArray[np.int64], threads: int) -> None:
        self.products = products(work)
        self._work, self._X, self._order = work, X, order
        self.matrices = _matrices(work)
        self._numbers: list[Array | NDArray[np.int32]] = []  # keeps them where they are
        parts = range(threads)
        self._tables = [self._table(part, threads) for part in parts]
        # each thread gathers its part of the samples
        self._shares = [
            (work.batch * part // threads, work.batch * (part + 1) // threads) for part in parts
        ]
        self._pool = ThreadPoolExecutor(threads)
        self._multiply, self._train = _loops(work.dtype)
        self.multiply(1)  # compiles
        self.epoch()

    def multiply(self, times: int, only: int | None = None) -> float:
        """Return the seconds that all products, or one of them, take per step."""
        rows = slice(None) if only is None else slice(only, only + 1)
        return self._timed(self._multiply, [(t[rows], times) for t in self._tables]) / times

    def epoch(self, *, multiplying: bool = True) -> float:
        """Return the seconds of an epoch of gathers and products, or of gathers alone."""
        whole = len(self._order) // self._work.batch * self._work.batch
        arguments = [
            (
                table if multiplying else table[:0],
                self._X,
                self._order[:whole],
                self.matrices["X"],
                *share,
            )
            for table, share in zip(self._tables, self._shares, strict=True)
        ]
        # the last batch may be short: it is counted by its samples
        return self._timed(self._train, arguments) * len(self._order) / whole

    def _timed(self, function: Any, arguments: Sequence[tuple[Any, ...]]) -> float:
        before = time.perf_counter()
        if len(arguments) == 1:
            function(*arguments[0])
        else:
            for job in [self._pool.submit(function, *given) for given in arguments]:
                job.result()
        return time.perf_counter() - before

    def _table(self, part: int, parts: int) -> NDArray[np.uint64]:
        """Return the addresses of gemm's arguments (products, 13), for a part of the rows."""
        table = [self._arguments(product, part, parts) for product in self.products]
        return np.array(table, np.uint64)

    def _arguments(self, product: Product, part: int, parts: int) -> list[int]:
        """Return addresses for cᵀ = op(b)ᵀ op(a)ᵀ, since BLAS counts by column."""
        begin, end = product.rows * part // parts, product.rows * (part + 1) // parts
        a, b = self.matrices[product.left], self.matrices[product.right]
        c = self.matrices[product.result][begin:end]
        a = a[:, begin:end] if product.transposed[0] else a[begin:end]
        strides = [matrix.strides[0] // matrix.itemsize for matrix in (b, a, c)]
        sizes = np.array([c.shape[1], end - begin, product.summed, *strides], np.int32)
        scales = np.array([1, 0], self._work.dtype)
        self._numbers += [sizes, scales]
        n, m, k, ldb, lda, ldc = (sizes.ctypes.data + 4 * place for place in range(6))
        alpha, beta = (scales.ctypes.data + scales.itemsize * place for place in range(2))
        letter_a, letter_b = (_LETTERS.ctypes.data + flag for flag in product.transposed)
        addresses = [letter_b, letter_a, n, m, k, alpha, b.ctypes.data, ldb]
        return [*addresses, a.ctypes.data, lda, beta, c.ctypes.data, ldc]


def _matrices(work: Workload) -> dict[str, Array]:
    """Return every matrix that a product reads or writes, filled with small numbers."""
    rng = np.random.Generator(np.random.PCG64(0))
    shapes: dict[str, tuple[int, int]] = {"X": (work.batch, work.sizes[0])}
    for layer in range(1, len(work.sizes)):
        inputs, units = work.sizes[layer - 1], work.sizes[layer]
        shapes |= dict.fromkeys((f"W{layer}", f"dW{layer}"), (units, inputs))
        names = (f"Z{layer}", f"dZ{layer}", f"H{layer}", f"dH{layer}")
        shapes |= dict.fromkeys(names, (work.batch, units))
    return {name: rng.standard_normal(shape).astype(work.dtype) for name, shape in shapes.items()}


@cache
def _loops(dtype: str) -> tuple[Any, Any]:
    """Return the two loops, compiled when first called: products alone, and with gathers."""
    from numba import njit

    gemm = scipy_gemm(dtype)

    @njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
    def multiply(table: Any, times: int) -> None:
        for _ in range(times):
            for p in range(len(table)):
                t = table[p]
                # fmt: off
                gemm(t[0], t[1], t[2], t[3], t[4], t[5], t[6],
                     t[7], t[8], t[9], t[10], t[11], t[12])
                # fmt: on

    @njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
    def train(table: Any, X: Any, order: Any, batch: Any, begin: int, end: int) -> None:
        for first in range(0, len(order), len(batch)):
            for sample in range(begin, end):
                batch[sample] = X[order[first + sample]]
            multiply(table, 1)

    return multiply, train


def scipy_gemm(dtype: str) -> Any:
    """Return SciPy's gemm; it takes every argument by address, here as a number."""
    from scipy.linalg import cython_blas

    capsule = cython_blas.__pyx_capi__["sgemm" if dtype == "float32" else "dgemm"]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    address = api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
    return ctypes.CFUNCTYPE(None, *[ctypes.c_size_t] * 13)(address)
