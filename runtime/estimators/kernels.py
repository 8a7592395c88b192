"""The kernels of an estimator: compiled for its sizes, or in NumPy for any sizes.

Compiling takes some seconds, once for an architecture and a machine; most fits of a test suite
or of a lesson take less by NumPy. Which of the two trains follows from the size of the task
alone, so that the same fit gives the same bits whatever was compiled before.
"""

from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np

from runtime.estimators.architecture import Architecture

Array = np.ndarray[Any, Any]

OPTIMIZERS = {"adam": "adam-sklearn", "sgd": "momentum", "nesterov": "nesterov"}

# What a step costs in NumPy, on one core: calls of functions for each layer, and arithmetic.
_CALLS = 60e-6
_OPERATIONS_PER_SECOND = 15e9
WORTH_COMPILING = 0.5  # seconds in NumPy; compiling takes about ten times that, and once


@lru_cache(maxsize=32)
def any_size_module(architecture: Architecture, optimizer: str) -> ModuleType:
    """Return the module in plain NumPy, which serves every size and both types of float."""
    import codegen

    source = codegen.generate_any_size_or_recall(
        architecture.of_any_size(), labels=architecture.labels, optimizer=optimizer
    )
    return codegen.compile_module(source)


@lru_cache(maxsize=32)
def compiled_module(
    architecture: Architecture, inputs: int, outputs: int, dtype: str, optimizer: str
) -> ModuleType:
    """Return the module with kernels for these sizes; they are compiled when they first train."""
    import codegen

    source = codegen.generate_or_recall(
        architecture.of_sizes(inputs, outputs),
        dtype=dtype,
        labels=architecture.labels,
        optimizer=optimizer,
        penalty=True,
    )
    return codegen.compile_module(source)


@lru_cache(maxsize=32)  # once a module: it takes a fiftieth of a fit of digits
def keep_kernels(module: ModuleType) -> None:
    """Vouch for the kernels that a module has compiled, so that other processes find them."""
    import codegen

    codegen.keep_compiled(module)


def seconds_in_numpy(sizes: tuple[int, ...], samples: int, batch: int, epochs: int) -> float:
    """Return about how long so many epochs take in NumPy at most."""
    entries = sum(n_in * n_out for n_in, n_out in pairwise(sizes))
    steps = epochs * -(-samples // batch)
    calls = steps * len(sizes) * _CALLS
    return calls + epochs * samples * 6 * entries / _OPERATIONS_PER_SECOND


def forward(
    architecture: Architecture, params: Mapping[str, Array], X: Any, optimizer: str
) -> Array:
    """Return the network's output (B, outputs); no compiled kernel is needed for that."""
    output: Array = any_size_module(architecture, optimizer).forward(params, X)
    return output
