"""Functions that are computed up to a bound, in loops without a branch."""

import re
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from emitted import source
from kernels import at, elementwise, kernel_program
from numba import njit
from uncompiled import uncompiled

from codegen.approximation import FMA, with_needed
from codegen.elementary.pieces import FMA_IMPORTS
from codegen.emit.loops import kernel_source
from codegen.interpreter import interpret
from codegen.kernel import BATCH, Binary, Call, KernelProgram, Value

Z, D = at("Z[j,i]"), at("D[j,i]")
ROWS, SAMPLES = 3, 70


def program(value: Value) -> KernelProgram:
    """Return ``A := value``, of `Z` and `D`."""
    shape = (ROWS, BATCH)
    return kernel_program(
        elementwise("A[j,i]", value),
        outputs=("A",),
        inputs={"Z": shape, "D": shape},
        parameters={"W": (1,)},
        work={"A": shape},
    )


SLOPE = program(Binary("*", D, Call("cos", (Z,))))


def lines_of(value: Value) -> list[str]:
    """Return the loops of ``A := value``, without indentation of the function."""
    text = kernel_source(program(value)).split("n = ")[1].split("\n\n")[0]
    return [line[4:] for line in text.split("\n")[2:] if line]


def test_a_loop_without_a_branch_comes_first() -> None:
    assert lines_of(SLOPE.nodes[0].stores[0].value) == [
        "beyond = False",
        "for j in range(A.shape[0]):",
        "    for i in range(n):",
        "        A[j, i] = D[j, i] * near_cos(Z[j, i])",
        "        beyond |= abs(Z[j, i]) > T(1048576)",
        "if beyond:  # seldom: not by vectors",
        "    for j in range(A.shape[0]):",
        "        for i in range(n):",
        "            A[j, i] = D[j, i] * cos(Z[j, i])",
    ]


def test_every_call_is_noted_once() -> None:
    inner = Call("sin", (Z,))
    lines = lines_of(Binary("*", Call("cos", (Z,)), Call("tan", (Binary("+", inner, D),))))
    assert [line.strip() for line in lines if "beyond |=" in line] == [
        "beyond |= abs(Z[j, i]) > T(1048576)",
        "beyond |= abs(near_sin(Z[j, i]) + D[j, i]) > T(1048576)",
    ]
    repeated = lines_of(Binary("*", inner, inner))
    assert repeated[3:6] == [
        "        part1 = near_sin(Z[j, i])",
        "        A[j, i] = part1 * part1",
        "        beyond |= abs(Z[j, i]) > T(1048576)",
    ]


def test_other_functions_have_one_loop() -> None:
    assert lines_of(Call("tanh", (Z,))) == [
        "for j in range(A.shape[0]):",
        "    for i in range(n):",
        "        A[j, i] = tanh(Z[j, i])",
    ]


@pytest.fixture(scope="module")
def kernel() -> Any:
    """Compile the loops of `SLOPE`, as a module does."""
    module = ModuleType("slope")
    vars(module).update(
        T=np.float64,
        _kernel=njit(nogil=True, error_model="numpy", fastmath={"contract"}),
    )
    functions = [function.source for function in with_needed("cos", "float64")]
    text = "\n".join([FMA_IMPORTS, FMA, *functions, kernel_source(SLOPE)])
    exec(f"import math\nimport numpy as np\n{text}", vars(module))
    return module._test


def run(kernel: Any, Z: np.ndarray, D: np.ndarray) -> np.ndarray:
    found = np.zeros_like(Z)
    kernel((np.zeros(1),), Z, D, found, (np.zeros(1),))
    return found


def test_numbers_beyond_the_bound_are_right(kernel: Any) -> None:
    """Those, and all others of the node, which is computed anew."""
    draw = np.random.default_rng(0)
    Z, D = draw.normal(0, 3, (2, ROWS, SAMPLES))
    small = run(kernel, Z, D)
    Z[1, 3], Z[2, 69], Z[0, 0], Z[0, 1] = 1e15, -3e200, np.inf, np.nan
    found = run(kernel, Z, D)
    with np.errstate(invalid="ignore"):
        expected = interpret(SLOPE, {"Z": Z, "D": D, "W": np.zeros(1)}, {})["A"]
    np.testing.assert_allclose(found, expected, rtol=1e-15)
    assert np.isnan(found[0, :2]).all()
    usual = np.abs(Z) < 100
    np.testing.assert_array_equal(found[usual], small[usual])


def test_the_first_loop_is_one_of_vectors(kernel: Any) -> None:
    run(kernel, np.ones((ROWS, SAMPLES)), np.ones((ROWS, SAMPLES)))
    (llvm,) = kernel.inspect_llvm().values()
    assert re.search(r"call (contract )?<\d+ x double> @llvm\.fmuladd", llvm)
    assert re.search(r"call double @(llvm\.)?cos(\.f64)?\(", llvm)  # the second loop


def test_the_module_is_right_where_a_sum_is_large() -> None:
    """A network of loops, read as plain Python: its first layer's sums are near 1e15."""
    module = uncompiled(source("2-90:sin-20:tanh-2", dtype="float64").text)
    params = module.init_params(seed=0)
    X = np.array([[1e15, 0.0], [0.5, 0.0], [0.0, -2e9]])
    W1, b1, W2, b2, W3, b3 = (params[name] for name in module.PARAMETERS)
    Z = np.tanh(np.sin(X @ W1.T + b1) @ W2.T + b2) @ W3.T + b3
    expected = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(module.forward(params, X), expected, rtol=1e-12)
