"""The emitted `hvp`: against PyTorch's double backward, against misuse, and its own check."""

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from emitted import TOLERANCE, Case, assert_all_near, assert_near, source
from kernels import NETWORKS, assert_same_results
from second_order import directions, second_order
from uncompiled import uncompiled

from codegen.compile import compile_module
from codegen.emit.loops import kernel_source
from codegen.errors import InputError
from codegen.generation import generate
from codegen.lowering import lower
from codegen.passes import PIPELINE, run_passes
from derive.gradient import gradient_program
from derive.program import BATCH, Program, Statement, Sum, Tensor, index, size
from derive.second_order import hvp_program
from derive.spec import parse_spec

Arrays = dict[str, np.ndarray]


@cache
def module_of(text: str, loss: str, dtype: str, *, is_compiled: bool = False) -> ModuleType:
    """Return the module of a network with `hvp`, run by Python or compiled."""
    made = source(text, loss, dtype, hvp=True)
    return compile_module(made) if is_compiled else uncompiled(made.text)


def case_of(text: str, loss: str, dtype: str) -> Case:
    return Case(text=text, loss=loss, dtype=dtype, is_compiled=False)


def direction_of(module: ModuleType, seed: int = 3) -> Arrays:
    drawn = directions(module.PARAMETERS, seed)
    return {name: array.astype(module.DTYPE) for name, array in drawn.items()}


def assert_agrees(module: ModuleType, case: Case, count: int = 9, *, weighted: bool) -> None:
    params, direction = case.params(), direction_of(module)
    X, Y, weights = case.batch(count)
    given = weights if weighted else None
    expected = case.torch.hvp(params, X, Y, direction, given)
    found = module.hvp(params, X, Y, direction, given)
    assert_all_near(found, expected, case.tolerance, "Hessian times direction")
    assert all(product.dtype == module.DTYPE for product in found.values())
    assert any(np.abs(product).max() > 1e-4 for product in found.values())


@pytest.mark.sweep
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("network", NETWORKS, ids=" ".join)
def test_it_agrees_with_double_backward(
    network: tuple[str, str], dtype: str, weighted: bool
) -> None:
    text, loss = network
    assert_agrees(module_of(text, loss, dtype), case_of(text, loss, dtype), weighted=weighted)


@pytest.mark.parametrize(
    ("text", "loss", "dtype"),
    [
        pytest.param("2-10-2", "cross-entropy", "float32", marks=pytest.mark.slow),
        # its products go through BLAS
        pytest.param("20-40-30-3", "cross-entropy", "float64", marks=pytest.mark.long),
        pytest.param("2-10-2", "cross-entropy", "float64", marks=pytest.mark.slow),
        pytest.param("3-4:relu-3:softmax-2:sigmoid", "mse", "float64", marks=pytest.mark.slow),
    ],
)
def test_compiled_it_is_the_same(text: str, loss: str, dtype: str) -> None:
    module = module_of(text, loss, dtype, is_compiled=True)
    for count in (1, 9, 33):  # shorter than a vector of samples, and not a multiple of one
        assert_agrees(module, case_of(text, loss, dtype), count, weighted=True)


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 40])
def test_any_batch_size(count: int) -> None:
    text, loss = "3-4:relu-5-2", "cross-entropy"
    assert_agrees(
        module_of(text, loss, "float64"), case_of(text, loss, "float64"), count, weighted=False
    )


def test_any_layout_and_type() -> None:
    text, loss = "3-4:sigmoid-2", "cross-entropy"
    module, case = module_of(text, loss, "float64"), case_of(text, loss, "float64")
    params, direction = case.params(), direction_of(module)
    X, Y, _ = case.batch(11)
    expected = module.hvp(params, X, Y, direction)
    wide = np.zeros((22, 6))
    wide[::2, ::2] = X
    turned = {name: np.asfortranarray(array) for name, array in direction.items()}
    read_only = {name: array.copy() for name, array in params.items()}
    for array in read_only.values():
        array.flags.writeable = False
    found = module.hvp(read_only, wide[::2, ::2], np.asfortranarray(Y), turned)
    assert_all_near(found, expected, 0.0)
    listed = module.hvp(params, X.tolist(), Y.tolist(), {n: v.tolist() for n, v in turned.items()})
    assert_all_near(listed, expected, 1e-15)
    assert_all_near(direction, direction_of(module), 0.0)  # what was given is left as it was


def test_it_is_linear_in_the_direction_and_symmetric() -> None:
    text, loss = "3-4-5:softmax-2:sigmoid", "mse"
    module, case = module_of(text, loss, "float64"), case_of(text, loss, "float64")
    params = case.params()
    X, Y, _ = case.batch(8)
    u, v = direction_of(module, 1), direction_of(module, 2)
    Hu, Hv = module.hvp(params, X, Y, u), module.hvp(params, X, Y, v)
    both = module.hvp(params, X, Y, {name: 2 * u[name] - 3 * v[name] for name in u})
    assert_all_near(both, {name: 2 * Hu[name] - 3 * Hv[name] for name in u}, 1e-12)
    inner = [sum(float((a[n] * b[n]).sum()) for n in u) for a, b in ((u, Hv), (v, Hu))]
    assert abs(inner[0]) > 1e-3
    assert_near(inner[0], inner[1], 1e-13)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda a: a["direction"].pop("b1"), "direction has no 'b1'; expected"),
        (
            lambda a: a["direction"].update(W2=np.zeros((4, 2))),
            r"direction\['W2'\] has shape \(4, 2\); expected \(2, 4\)",
        ),
        (
            lambda a: a["params"].update(W1=np.zeros((3, 3))),
            r"params\['W1'\] has shape \(3, 3\); expected \(4, 3\)",
        ),
        (lambda a: a.update(X=a["X"][:, :2]), r"X has shape \(6, 2\); expected \(B, 3\)"),
        (lambda a: a.update(Y=a["Y"][:4]), r"Y has shape \(4, 2\) and X \(6, 3\)"),
        (lambda a: a.update(Y=2 * a["Y"]), r"Y\[0\] sums to 2; expected 1"),
        (lambda a: a.update(X=a["X"][:0], Y=a["Y"][:0]), "X has no rows"),
        (lambda a: a.update(weights=np.ones(3)), r"weights has shape \(3,\); expected \(6,\)"),
    ],
)
def test_misuse_is_refused_by_name(spoil: Callable[[dict[str, Any]], Any], message: str) -> None:
    module = module_of("3-4-2", "cross-entropy", "float64")
    case = case_of("3-4-2", "cross-entropy", "float64")
    X, Y, _ = case.batch(6)
    arguments = {"params": case.params(), "X": X, "Y": Y, "direction": direction_of(module)}
    module.hvp(**arguments)
    spoil(arguments)
    with pytest.raises(ValueError, match=message):
        module.hvp(**arguments)


@pytest.mark.sweep
@pytest.mark.parametrize("scale", [1e1, 1e2, 1e3, 1e4])
@pytest.mark.parametrize(
    ("text", "loss"),
    [
        ("3-4-2", "cross-entropy"),
        ("3-4:sigmoid-3:softmax-2", "mse"),
        ("3-4:sigmoid-2", "mse"),
        ("3-4:sin-3:log_softmax", "cross-entropy"),
        ("3-4:softplus-3:sigmoid", "binary-cross-entropy"),
        ("3-4:elu-5:gelu-2:silu", "huber"),
    ],
)
def test_extreme_inputs_stay_finite_in_float32(text: str, loss: str, scale: float) -> None:
    module, case = module_of(text, loss, "float32"), case_of(text, loss, "float32")
    X, Y, _ = case.batch(9)
    large = {name: (scale * value).astype(np.float32) for name, value in case.params().items()}
    products = module.hvp(large, np.float32(scale) * X, Y, direction_of(module))
    assert all(np.isfinite(product).all() for product in products.values())


def test_its_formulas_stand_in_the_header_and_above_the_loops() -> None:
    text = source("2-10-2", dtype="float32", hvp=True).text
    header, rest = text.split('"""', 2)[1:]
    formulas = (
        "vZ1 = X vW1ᵀ + 1 vb1ᵀ",
        "hZ1 = hH1 ∘ (1 − H1 ∘ H1) − 2 (dH1 ∘ H1 ∘ vH1)",
        "hW2 = hZ2ᵀ H1 + dZ2ᵀ vH1",
    )
    for formula in formulas:
        assert formula in header
        assert f"# {formula}" in rest
    assert "Hessian times v" in header


def test_it_is_there_only_where_asked_for() -> None:
    plain, asked = source("2-10-2", dtype="float32"), source("2-10-2", dtype="float32", hvp=True)
    assert "hvp" not in plain.text
    assert list(asked.reports) == [*plain.reports, "hvp"]
    assert asked == generate("2-10-2", hvp=True)


def test_the_module_checks_itself(tmp_path: Path) -> None:
    """In NumPy, where nothing waits for a compiler: the check is the same text in every module."""
    text = generate("2-10-2", target="numpy", dtype="float64", hvp=True).text
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(text, "utf-8")
    term = "- 2 * (dH1 * H1 * vH1)"
    assert text.count(term) == 1
    wrong.write_text(text.replace(term, term.replace("2", "1", 1)), "utf-8")
    outputs = {}
    for path, status in ((right, 0), (wrong, 1)):
        done = subprocess.run(
            [sys.executable, path],
            check=False,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=300,
        )
        assert done.returncode == status, done.stdout + done.stderr
        outputs[path] = done.stdout
    assert outputs[right].count("ok") == 8
    assert "extreme inputs: finite" in outputs[right]
    spoilt = [line.split()[0] for line in outputs[wrong].splitlines() if line.endswith("WRONG")]
    assert spoilt == ["hW1", "hb1"]


def test_the_labs_names_are_refused_in_words() -> None:
    with pytest.raises(InputError, match="the lab has no function for it"):
        generate("2-10-2", names="lab", hvp=True)


def test_a_hessian_of_zeros_is_a_kernel_too() -> None:
    """A loss that is linear in the parameters: nothing is read, and there is no batch."""
    W, X = Tensor(name="W1", shape=(size(2),)), Tensor(name="X", shape=(BATCH, size(2)))
    i, j = index("i"), index("j")
    body = Sum(W[j] * X[i, j], (j, 0, 1), (i, 0, BATCH - 1))
    loss = Statement(target=Tensor(name="loss", shape=()), indices=(), body=body)
    linear = Program(inputs=(X, W), parameters=("W1",), statements=(loss,), outputs=("loss",))
    second = hvp_program(gradient_program(linear))
    kernel, _ = run_passes(lower(second, name="hvp", outputs=("hW1",)), PIPELINE)
    assert kernel_source(kernel).startswith("@_kernel\ndef _hvp(params, hW1, work):\n")
    assert "n =" not in kernel_source(kernel).split("def _hvp_work")[0]


@pytest.mark.parametrize("network", NETWORKS, ids=" ".join)
def test_no_pass_changes_the_result(network: tuple[str, str]) -> None:
    text, loss = network
    second = second_order(parse_spec(text, loss=loss), "stable")
    products = tuple(second.hessian_products.values())
    kernel = lower(second, name="hvp", outputs=products, dtype="float64")
    optimised, _ = run_passes(kernel, PIPELINE)
    assert_same_results(kernel, optimised)
