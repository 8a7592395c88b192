"""The module in plain NumPy: what it says, what it needs, and that it is the same programme.

What it computes is tested beside the compiled module (`test_emitted_module`, `test_train`,
`test_trajectory`), whose interface it shares.
"""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from emitted import LAB, LAB_IN_NUMPY, in_numpy, interpreted, source

from codegen.compile import compile_module
from codegen.generation import generate
from derive.spec import parse_spec

TEXT = source("2-10-2", dtype="float32", target="numpy").text


def test_each_statement_is_a_line_below_its_formula() -> None:
    for lines in (
        "    # Z1 = X W1ᵀ + 1 b1ᵀ    (B, 10)\n    Z1 = X @ W1.T + b1\n",
        "    # dZ2 = (w 1ᵀ) ∘ (P − Y)    (B, 2)\n    dZ2 = w * (P - Y)\n",
        "    # dZ1 = dH1 ∘ (1 − H1 ∘ H1)    (B, 10)\n    dZ1 = dH1 * (1 - H1 ** 2)\n",
        "    # db1 = dZ1ᵀ 1    (10,)\n    db1 = dZ1.sum(axis=0)\n",
        "    # W1 := W1 − η dW1\n    W1 -= eta * dW1\n",
    ):
        assert lines in TEXT


def test_it_needs_numpy_alone(tmp_path: Path) -> None:
    """erf included, which NumPy does not have."""
    text = source("3-4:gelu-2", target="numpy").text
    imported = {
        alias.name.partition(".")[0] if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported - set(sys.stdlib_module_names) - {"concurrent.futures"} == {"numpy"}
    path = tmp_path / "net.py"
    path.write_text(text, "utf-8")
    program = (
        "import sys\n"
        "for name in ('numba', 'llvmlite', 'scipy', 'sympy', 'derive', 'codegen'):\n"
        "    sys.modules[name] = None\n"
        "import runpy; runpy.run_path('net.py', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" ok\n") == 4


def test_the_order_of_a_seed_is_the_compiled_modules() -> None:
    one, other = LAB_IN_NUMPY.module, interpreted("2-10-2")
    for seed, epoch, count in ((0, 0, 1), (0, 0, 200), (2**64 - 1, 7, 33), (5, 2**40, 1000)):
        order = other.epoch_order(count, epoch, seed)
        np.testing.assert_array_equal(one.epoch_order(count, epoch, seed), order)


def test_the_same_names_as_the_compiled_module() -> None:
    public = {
        name
        for name, value in vars(LAB_IN_NUMPY.module).items()
        if not name.startswith("_") and not isinstance(value, type(np)) and name != "EVALUATED"
    }
    assert public >= {"SPEC", "DTYPE", "SIZES", "PARAMETERS", "LOSS", "DEFINITIONS", "L2"}
    assert public >= {"init_params", "forward", "loss", "loss_and_gradients", "vjp", "train"}
    assert public <= {name for name in vars(LAB.module) if not name.startswith("_")}


def test_a_product_with_the_hessian_is_that_of_the_compiled_text() -> None:
    text = "3-4:softplus-2"
    module = compile_module(source(text, "mse", hvp=True, target="numpy"))
    params = module.init_params(3)
    draw = np.random.default_rng(0)
    X, Y = draw.standard_normal((9, 3)), draw.standard_normal((9, 2))
    along = {name: draw.standard_normal(p.shape) for name, p in params.items()}
    found = module.hvp(params, X, Y, along)
    step = 1e-6

    def gradients(distance: float) -> dict[str, np.ndarray]:
        moved = {name: p + distance * along[name] for name, p in params.items()}
        return dict(module.loss_and_gradients(moved, X, Y)[1])

    above, below = gradients(step), gradients(-step)
    for name, product in found.items():
        np.testing.assert_allclose(product, (above[name] - below[name]) / (2 * step), atol=1e-8)


@pytest.mark.parametrize("loss", ["log(1+sum((P-Y)**2))", "sum(where(P>Y, P-Y, 0)**2)"])
def test_losses_of_ones_own(loss: str) -> None:
    spec = parse_spec("2-5:mish-3", loss=loss, l2=0.2, define=("mish(z) = z*tanh(log(1+exp(z)))",))
    module = compile_module(generate(spec, target="numpy", dtype="float64"))
    assert spec.loss == module.LOSS
    assert module._check()


def test_no_line_is_long_and_nothing_is_left_open() -> None:
    for text in (TEXT, source("3-5-4:sigmoid", target="numpy", hvp=True).text):
        assert "$" not in text
        lines = text.split('"""', 2)[2].split("\n")  # the header's formulas may be long
        code = [line for line in lines if not line.lstrip().startswith("#")]
        assert max(map(len, code)) <= 105, max(code, key=len)


def test_a_network_without_a_hidden_layer_has_its_name_for_a_tuple() -> None:
    module = in_numpy("3-2")
    assert module._check()
