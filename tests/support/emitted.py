"""Emitted modules for tests: compiled once a session, or run by Python at once."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from kernels import NETWORKS
from torch_network import TorchNetwork
from uncompiled import uncompiled

from codegen.compile import compile_module
from codegen.generation import generate
from codegen.source import GeneratedSource
from derive.spec import parse_spec

TOLERANCE = {"float64": 1e-10, "float32": 2e-4}  # of the largest entry


@cache
def source(
    text: str,
    loss: str = "cross-entropy",
    dtype: str = "float64",
    labels: str = "one-hot",
    hvp: bool = False,
    target: str = "numba",
) -> GeneratedSource:
    """Return the generated source of a network."""
    spec = parse_spec(text, loss=loss)
    return generate(spec, target=target, dtype=dtype, labels=labels, hvp=hvp)


@cache
def interpreted(
    text: str, loss: str = "cross-entropy", dtype: str = "float64", labels: str = "one-hot"
) -> ModuleType:
    """Return the module of a network, run by Python."""
    return uncompiled(source(text, loss, dtype, labels).text)


@cache
def in_numpy(text: str, loss: str = "cross-entropy", dtype: str = "float64") -> ModuleType:
    """Return the module of a network in plain NumPy."""
    module = ModuleType("numpy_module")
    exec(source(text, loss, dtype, target="numpy").text, vars(module))
    return module


def compiled(text: str, loss: str = "cross-entropy", dtype: str = "float64") -> ModuleType:
    """Return the module of a network as a user has it."""
    return compile_module(source(text, loss, dtype))


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network, its module, and the same network in PyTorch."""

    text: str
    loss: str
    dtype: str
    is_compiled: bool
    target: str = "numba"

    def __str__(self) -> str:
        kind = " compiled" if self.is_compiled else " in NumPy" * (self.target == "numpy")
        return f"{self.text} {self.loss} {self.dtype}{kind}"

    @property
    def module(self) -> ModuleType:
        made = compiled if self.is_compiled else interpreted
        if self.target == "numpy":
            made = in_numpy
        return made(self.text, self.loss, self.dtype)

    @property
    def torch(self) -> TorchNetwork:
        return TorchNetwork(self.text, self.loss)

    @property
    def tolerance(self) -> float:
        return TOLERANCE[self.dtype]

    def params(self, seed: int = 1) -> dict[str, np.ndarray]:
        """Return parameters without a 0 or a saturated unit."""
        draw = np.random.default_rng(seed)
        return {
            name: (
                draw.standard_normal(shape) / np.sqrt(shape[-1])
                if len(shape) == 2
                else draw.uniform(0.1, 0.9, shape)
            ).astype(self.dtype)
            for name, shape in self.module.PARAMETERS.items()
        }

    def batch(self, count: int, seed: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return inputs, targets whose rows sum to 1, and sample weights."""
        draw = np.random.default_rng(seed)
        n_in, n_out = self.module.SIZES[0], self.module.SIZES[-1]
        X = draw.standard_normal((count, n_in)).astype(self.dtype)
        Y = np.eye(n_out)[draw.integers(0, n_out, count)].astype(self.dtype)
        if n_out == 1:
            Y = draw.integers(0, 2, (count, 1)).astype(self.dtype)
            if self.loss == "cross-entropy":
                Y[:] = 1
        return X, Y, draw.uniform(0.1, 2.0, count).astype(self.dtype)


def cases() -> Iterator[Case]:
    """Yield every network in both types, run by Python."""
    for text, loss in NETWORKS:
        for dtype in TOLERANCE:
            yield Case(text=text, loss=loss, dtype=dtype, is_compiled=False)


LAB = Case(text="2-10-2", loss="cross-entropy", dtype="float64", is_compiled=True)
LAB32 = Case(text="2-10-2", loss="cross-entropy", dtype="float32", is_compiled=True)
BLAS = Case(text="20-40-30-3", loss="cross-entropy", dtype="float64", is_compiled=True)
# the same networks run by Python, where nothing depends on the compiler
LAB_IN_PYTHON = Case(text="2-10-2", loss="cross-entropy", dtype="float64", is_compiled=False)
LAB32_IN_PYTHON = Case(text="2-10-2", loss="cross-entropy", dtype="float32", is_compiled=False)
BLAS_IN_PYTHON = Case(text="20-40-30-3", loss="cross-entropy", dtype="float64", is_compiled=False)
# the module in plain NumPy, which has the same interface
LAB_IN_NUMPY = replace(LAB_IN_PYTHON, target="numpy")
LAB32_IN_NUMPY = replace(LAB32_IN_PYTHON, target="numpy")


def assert_near(found: Any, expected: Any, tolerance: float, name: str = "") -> None:
    """No entry differs by more than `tolerance` times the largest entry; NaN never passes."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape, name
    worst = np.abs(found - expected).max(initial=0.0)
    largest = np.abs(expected).max(initial=0.0)
    assert worst <= tolerance * (largest or 1.0), f"{name}: off by {worst}, largest {largest}"


def assert_all_near(
    found: dict[str, Any], expected: dict[str, Any], tolerance: float, name: str = ""
) -> None:
    """Every array of two dictionaries agrees."""
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert_near(found[key], value, tolerance, f"{name} {key}".strip())


def same_bytes(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    """Whether two dictionaries hold the same arrays, bit by bit."""
    return list(one) == list(other) and all(
        one[name].dtype == other[name].dtype and one[name].tobytes() == other[name].tobytes()
        for name in one
    )
