"""The lab's form of the emitted module: its functions, run as the lab runs them."""

import ast
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from codegen.emit.lab import lab_source
from codegen.errors import InputError
from codegen.generation import generate
from derive.definitions import ACTIVATIONS
from derive.gradient import gradient_program
from derive.names import lab_names
from derive.network import loss_program
from derive.program import occurrences, tensor_of
from derive.rewrite import rewrite_program
from derive.spec import parse_spec
from derive.stable import stable_program
from runtime.data.circles import circles

DEEP = "3-7-5:relu-6:sigmoid-4"
KINDS: dict[str, Callable[[Any], Any]] = {"numpy": np.array, "torch": torch.tensor}


@cache
def text(
    spec: str, loss: str = "cross-entropy", dtype: str = "float32", labels: str = "one-hot"
) -> str:
    return generate(parse_spec(spec, loss=loss), dtype=dtype, labels=labels, names="lab").text


def loaded(source: str) -> ModuleType:
    module = ModuleType("lab_module")
    exec(compile(source, "lab_module.py", "exec"), module.__dict__)
    return module


def lab(spec: str, loss: str = "cross-entropy", **options: str) -> ModuleType:
    return loaded(text(spec, loss, **options))


def lines_of(source: str, function: str) -> list[str]:
    """Return the code of a function, its docstring and comments left out."""
    (found,) = (
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name == function
    )
    return [ast.unparse(statement) for statement in found.body[1:]]


def to_float(value: Any) -> Any:
    return np.asarray(value, dtype=np.float64)


# ------------------------------------------------------------------ what is written


def test_forward_and_backward_are_what_a_textbook_computes() -> None:
    source = text("2-10-2")
    for line in (
        "outputs['htilde'] = X @ params['Wh'].T + params['bh'].T",
        "outputs['h'] = np.tanh(outputs['htilde'])",
        "outputs['ytilde'] = outputs['h'] @ params['Wy'].T + params['by'].T",
        "yhat_max = np.max(outputs['ytilde'], axis=1, keepdims=True)",
        "yhat_sum = np.exp(outputs['ytilde'] - yhat_max).sum(axis=1, keepdims=True)",
        "outputs['yhat'] = np.exp(outputs['ytilde'] - yhat_max) / yhat_sum",
    ):
        assert line in lines_of(source, "forward")
    assert lines_of(source, "backward")[-8:-1] == [
        "dytilde = (outputs['yhat'] - Y) / B",
        "grads['Wy'] = dytilde.T @ outputs['h']",
        "grads['by'] = dytilde.sum(axis=0, keepdims=True).T",
        "dh = dytilde @ params['Wy']",
        "dhtilde = dh * (1 - outputs['h'] ** 2)",
        "grads['Wh'] = dhtilde.T @ outputs['X']",
        "grads['bh'] = dhtilde.sum(axis=0, keepdims=True).T",
    ]
    assert "    # dhtilde = dh ∘ (1 − h ∘ h)    (B, 10)\n" in source
    assert "  dytilde = (yhat − Y)/B " in source.split("import sys")[0]


def test_the_text_is_the_same_for_the_same_network_and_fits_its_lines() -> None:
    for spec in ("2-10-2", DEEP, "-".join(["2"] + ["4"] * 15 + ["3"])):
        first = generate(spec, names="lab")
        assert first.text == generate(spec, names="lab").text
        assert first.reports == {}
        assert first.text.endswith("else 1)\n")
        own = [line for line in first.text.splitlines() if not line.startswith(("SPEC", "SIZES"))]
        body = own[own.index("import sys") :]
        assert max(map(len, body)) <= 100
        assert not [line for line in body if line != line.rstrip()]


def test_the_module_imports_numpy_and_nothing_of_ours_or_of_torch(tmp_path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(text(DEEP))):
        if isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
        assert not isinstance(node, ast.ImportFrom)
    assert imported == {"sys", "numpy"}
    (tmp_path / "lab_module.py").write_text(text("2-10-2"), "utf-8")
    program = (
        "import sys, numpy as np, lab_module as m\n"
        "p = m.init_params(2, 10, 2)\n"
        "yhat, outputs = m.forward(p, np.ones((3, 2)))\n"
        "m.sgd(p, m.backward(p, outputs, np.eye(2)[[0, 1, 0]]), 0.03)\n"
        "print([n for n in ('torch', 'sympy', 'numba', 'derive', 'codegen') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_names_are_refused_that_are_not_known() -> None:
    with pytest.raises(InputError, match=r'names: "labs" is not known\. Known: plain, lab'):
        generate("2-10-2", names="labs")


def test_a_loss_of_more_than_output_and_targets_is_refused() -> None:
    spec = parse_spec("2-3-2:identity", loss="mse")
    program = loss_program(spec)
    loss = program.statement("loss")
    Z = program.tensors()["Z2"]
    body = loss.body.xreplace(
        {read: Z[tuple(read.indices)] for read in occurrences(loss.body) if tensor_of(read) == "P"}
    )
    of_Z = replace(program, statements=(*program.statements[:-1], replace(loss, body=body)))
    gradient = lab_names(rewrite_program(gradient_program(of_Z)))
    with pytest.raises(InputError, match=r"depends on ytilde too. Use --names plain"):
        lab_source(
            header="",
            spec=str(spec),
            sizes=(2, 3, 2),
            output="identity",
            dtype="float32",
            printed=gradient,
            stable=stable_program(gradient),
        )


# ------------------------------------------------------------------ what is computed

TORCH: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "identity": lambda z: z,
    "softmax": lambda z: torch.softmax(z, dim=1),
}


def layers(spec: str, loss: str) -> list[tuple[str, str, str]]:
    """Return the names of each layer's weight and bias, and its activation."""
    activations = parse_spec(spec, loss=loss).activations
    hidden = range(1, len(activations))
    suffixes = [f"h{n}" if len(hidden) > 1 else "h" for n in hidden] + ["y"]
    return [(f"W{s}", f"b{s}", act) for s, act in zip(suffixes, activations, strict=True)]


def autograd(
    spec: str, loss: str, params: dict[str, Any], X: Any, Y: Any
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Return output, loss and gradients by PyTorch, from a forward pass written here."""
    leaves = {n: torch.tensor(np.asarray(p), requires_grad=True) for n, p in params.items()}
    H, Y = torch.as_tensor(X), torch.as_tensor(Y)
    for W, b, activation in layers(spec, loss):
        H = TORCH[activation](H @ leaves[W].T + leaves[b].T)
    value = -(Y * H.log()).sum(dim=1).mean() if loss == "cross-entropy" else ((H - Y) ** 2).mean()
    value.backward()
    return H.detach(), value.detach(), {n: leaf.grad for n, leaf in leaves.items()}


def sample(module: ModuleType, labels: str, seed: int) -> tuple[Any, Any, Any]:
    """Return random parameters, inputs and targets in float64."""
    generator = np.random.default_rng(seed)
    params = {n: 0.5 * generator.standard_normal(s) for n, s in module.PARAMETERS.items()}
    n_in, n_out = module.SIZES[0], module.SIZES[-1]
    X = generator.standard_normal((9, n_in))
    if labels == "one-hot" and n_out > 1:
        return params, X, np.eye(n_out)[generator.integers(0, n_out, 9)]
    return params, X, generator.uniform(0.1, 0.9, (9, n_out))


@pytest.mark.sweep
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("spec", "loss", "labels"),
    [
        ("2-10-2", "cross-entropy", "one-hot"),
        ("2-10-2", "cross-entropy", "any"),
        ("2-3", "cross-entropy", "one-hot"),
        ("3-7-5-6-4", "cross-entropy", "one-hot"),
        (DEEP, "cross-entropy", "one-hot"),
        (DEEP, "cross-entropy", "any"),
        ("2-4:sigmoid-3:sigmoid", "cross-entropy", "any"),
        ("2-5:softmax-3", "cross-entropy", "one-hot"),
        ("3-4:relu-2", "mse", "any"),
        ("3-1-2:softmax", "mse", "any"),
        ("3-4-1:sigmoid", "mse", "any"),
        ("1-1-1", "mse", "any"),
    ],
)
def test_gradients_are_autograds(spec: str, loss: str, labels: str, kind: str) -> None:
    module = lab(spec, loss, labels=labels)
    params, X, Y = sample(module, labels, seed=len(spec))
    output, value, expected = autograd(spec, loss, params, X, Y)
    make = KINDS[kind]
    params = {name: make(array) for name, array in params.items()}
    yhat, outputs = module.forward(params, make(X))
    grads = module.backward(params, outputs, make(Y))
    np.testing.assert_allclose(to_float(yhat), output, rtol=1e-12)
    np.testing.assert_allclose(to_float(module.loss_accuracy(yhat, make(Y))[0]), value, rtol=1e-12)
    assert list(grads) == list(module.PARAMETERS)
    for name, grad in grads.items():
        error = np.abs(to_float(grad) - expected[name].numpy()).max()
        assert error <= 1e-10 * expected[name].abs().max(), name
        assert grad.shape == expected[name].shape


def test_outputs_hold_every_value_by_the_labs_name() -> None:
    module = lab(DEEP)
    params, X, _ = sample(module, "one-hot", 0)
    yhat, outputs = module.forward(params, X)
    assert list(outputs) == [
        "X", "htilde1", "h1", "htilde2", "h2", "htilde3", "h3", "ytilde", "yhat",
    ]  # fmt: skip
    np.testing.assert_array_equal(outputs["X"], X)
    np.testing.assert_array_equal(outputs["yhat"], yhat)
    np.testing.assert_allclose(outputs["h1"], np.tanh(X @ params["Wh1"].T + params["bh1"].T))
    assert [outputs[n].shape[1] for n in outputs] == list(module.OUTPUTS.values())
    assert list(lab("2-3").forward(lab("2-3").init_params(2, 3), np.ones((1, 2)))[1]) == [
        "X", "ytilde", "yhat",
    ]  # fmt: skip


@pytest.mark.sweep
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("labels", ["one-hot", "any"])
@pytest.mark.parametrize("loss", ["cross-entropy", "mse"])
def test_every_activation_is_written_and_checks_itself(name: str, loss: str, labels: str) -> None:
    assert lab(f"2-3:{name}-2", loss, labels=labels, dtype="float64")._check()
    assert lab(f"2-3-2:{name}", "mse", labels=labels)._check()


# ------------------------------------------------------------------ the lab's loop

# Part 1 of the lab as it stands there, its three blanks filled in
LOOP = """
N = data.Xtrain.shape[0]
Nbatch = 10
nx = data.Xtrain.shape[1]
nh = 10
ny = data.Ytrain.shape[1]
eta = 0.03

params = init_params(nx, nh, ny)

curves = [[],[], [], []]

# epoch
for iteration in range(EPOCHS):

    # permute
    perm = np.random.permutation(N)
    Xtrain = data.Xtrain[perm, :]
    Ytrain = data.Ytrain[perm, :]

    for j in range(N // Nbatch):

        indsBatch = range(j * Nbatch, (j+1) * Nbatch)
        X = Xtrain[indsBatch, :]
        Y = Ytrain[indsBatch, :]

        Y_hat, outputs = forward(params, X)
        loss, accuracy = loss_accuracy(Y_hat, Y)
        grads = backward(params, outputs, Y)
        params = sgd(params, grads, eta)


    Yhat_train, _ = forward(params, data.Xtrain)
    Yhat_test, _ = forward(params, data.Xtest)
    Ltrain, acctrain = loss_accuracy(Yhat_train, data.Ytrain)
    Ltest, acctest = loss_accuracy(Yhat_test, data.Ytest)
    Ygrid, _ = forward(params, data.Xgrid)

    title = 'Iter {}: Acc train {:.1f}% ({:.2f}), acc test {:.1f}% ({:.2f})'.format(iteration, acctrain, Ltrain, acctest, Ltest)
    print(title)
    data.plot_data_with_grid(Ygrid, title)

    curves[0].append(acctrain)
    curves[1].append(acctest)
    curves[2].append(Ltrain)
    curves[3].append(Ltest)
"""  # noqa: E501


def run_loop(module: ModuleType, make: Callable[[Any], Any], dtype: Any, epochs: int) -> Any:
    """Run the lab's loop on two rings, and return what it leaves behind."""
    rings = circles().astype(dtype)
    shown: list[Any] = []
    data = SimpleNamespace(
        Xtrain=make(rings.X_train),
        Ytrain=make(rings.Y_train),
        Xtest=make(rings.X_test),
        Ytest=make(rings.Y_test),
        Xgrid=make(rings.grid),
        plot_data_with_grid=lambda grid, title: shown.append((grid, title)),
    )
    functions = ("init_params", "forward", "loss_accuracy", "backward", "sgd")
    space = {name: getattr(module, name) for name in functions}
    space |= {"data": data, "np": np, "EPOCHS": epochs}
    np.random.seed(0)
    exec(compile(LOOP, "part_1.py", "exec"), space)
    return SimpleNamespace(shown=shown, **{n: space[n] for n in ("params", "curves", "Ygrid")})


@pytest.mark.parametrize("kind", KINDS)
def test_the_loop_of_part_1_runs_unchanged_and_learns(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_loop(lab("2-10-2"), KINDS[kind], np.float32, epochs=150)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Iter 149: Acc train 9") or last.startswith("Iter 149: Acc train 8")
    assert 85 < done.curves[1][-1] < 99
    assert done.curves[2][-1] < 0.6 * done.curves[2][0]
    expected = torch.Tensor if kind == "torch" else np.ndarray
    assert isinstance(done.Ygrid, expected)
    assert done.Ygrid.shape == (1600, 2)
    assert len(done.shown) == 150


def test_the_loop_is_the_same_for_arrays_and_tensors() -> None:
    module = lab("2-10-2")
    runs = [run_loop(module, make, np.float32, epochs=3) for make in KINDS.values()]
    assert runs[0].shown[-1][1] == runs[1].shown[-1][1]
    for name in module.PARAMETERS:
        np.testing.assert_array_equal(runs[0].params[name], runs[1].params[name])


def test_the_loop_takes_the_steps_that_autograd_takes() -> None:
    module = lab("2-10-2", dtype="float64")
    done = run_loop(module, np.array, np.float64, epochs=5)
    rings = circles()
    np.random.seed(0)
    params = {n: torch.tensor(p) for n, p in module.init_params(2, 10, 2).items()}
    for _ in range(5):
        perm = np.random.permutation(200)
        for batch in np.split(perm, 20):
            _, _, grads = autograd(
                "2-10-2", "cross-entropy", params, rings.X_train[batch], rings.Y_train[batch]
            )
            params = {name: value - 0.03 * grads[name] for name, value in params.items()}
    for name, value in params.items():
        np.testing.assert_allclose(done.params[name], value, rtol=1e-10, atol=1e-12)


# ------------------------------------------------------------------ kinds and types


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_are_of_the_callers_kind_and_type(dtype: str) -> None:
    for spec, loss in (("2-10-2", "cross-entropy"), (DEEP, "cross-entropy"), ("3-4:relu-2", "mse")):
        module = lab(spec, loss)
        params, X, Y = sample(module, "one-hot", 0)
        arrays = {n: p.astype(dtype) for n, p in params.items()}
        yhat, outputs = module.forward(arrays, X.astype(dtype))
        value, accuracy = module.loss_accuracy(yhat, Y.astype(dtype))
        grads = module.backward(arrays, outputs, Y.astype(dtype))
        for array in (yhat, *outputs.values(), *grads.values()):
            assert isinstance(array, np.ndarray)
            assert array.dtype == dtype
        assert isinstance(value, np.floating)
        assert isinstance(accuracy, np.floating)
        assert value.dtype == accuracy.dtype == dtype

        tensors = {n: torch.tensor(p) for n, p in arrays.items()}
        yhat, outputs = module.forward(tensors, torch.tensor(X.astype(dtype)))
        value, accuracy = module.loss_accuracy(yhat, torch.tensor(Y.astype(dtype)))
        grads = module.backward(tensors, outputs, torch.tensor(Y.astype(dtype)))
        for tensor in (yhat, *outputs.values(), *grads.values(), value, accuracy):
            assert isinstance(tensor, torch.Tensor)
            assert tensor.dtype == getattr(torch, dtype)
        assert value.shape == accuracy.shape == ()
        assert f"{accuracy:.1f}%" == f"{accuracy.item():.1f}%"


def test_params_as_arrays_and_data_as_tensors_go_together() -> None:
    module = lab("2-10-2")
    params = module.init_params(2, 10, 2)
    X, Y = torch.randn(6, 2), torch.eye(2)[[0, 1, 0, 1, 1, 0]]
    yhat, outputs = module.forward(params, X)
    assert all(isinstance(value, torch.Tensor) for value in (yhat, *outputs.values()))
    grads = module.backward(params, outputs, Y)
    assert all(isinstance(grad, np.ndarray) for grad in grads.values())
    assert all(p.dtype == np.float32 for p in module.sgd(params, grads, 0.03).values())


def test_integers_are_taken_as_data() -> None:
    module = lab("2-10-2")
    params = module.init_params(2, 10, 2)
    yhat, outputs = module.forward(params, np.array([[1, 2], [3, 4]]))
    assert yhat.dtype == np.float32
    labels = np.eye(2, dtype=np.int64)
    assert module.backward(params, outputs, labels)["Wh"].dtype == np.float32
    assert module.loss_accuracy(yhat, labels)[0].dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
def test_sgd_works_in_place_and_returns_its_argument(kind: str) -> None:
    module = lab("2-10-2")
    make = KINDS[kind]
    params = {n: make(p) for n, p in module.init_params(2, 10, 2).items()}
    same = dict(params)
    before = {n: np.asarray(p).copy() for n, p in params.items()}
    grads = {n: make(np.full(s, 2, np.float32)) for n, s in module.PARAMETERS.items()}
    assert module.sgd(params, grads, 0.25) is params
    for name, value in params.items():
        assert value is same[name]
        np.testing.assert_array_equal(np.asarray(value), before[name] - np.float32(0.5))


def test_tensors_that_autograd_follows_are_taken_and_left_alone() -> None:
    module = lab("2-10-2")
    params = {
        n: torch.tensor(p, requires_grad=True) for n, p in module.init_params(2, 10, 2).items()
    }
    yhat, outputs = module.forward(params, torch.randn(4, 2))
    grads = module.backward(params, outputs, torch.eye(2)[[0, 1, 1, 0]])
    assert not yhat.requires_grad
    module.sgd(params, grads, 0.1)
    assert all(p.requires_grad and p.is_leaf and p.grad is None for p in params.values())


def test_init_params_are_the_labs() -> None:
    module = lab("40-300-20")
    np.random.seed(3)
    params = module.init_params(nx=40, nh=300, ny=20)
    assert {n: p.shape for n, p in params.items()} == module.PARAMETERS
    assert all(p.dtype == np.float32 for p in params.values())
    for name in ("Wh", "Wy"):
        assert abs(params[name].mean()) < 0.02
        assert 0.28 < params[name].std() < 0.32
    assert not params["bh"].any()
    assert not params["by"].any()
    np.random.seed(3)
    np.testing.assert_array_equal(module.init_params(40, 300, 20)["Wh"], params["Wh"])
    assert (module.init_params(40, 300, 20)["Wh"] != params["Wh"]).any()
    assert lab(DEEP, dtype="float64").init_params(3, 7, 5, 6, 4)["Wh3"].dtype == np.float64


# ------------------------------------------------------------------ corners


def test_zero_times_log_zero_is_zero_and_nothing_else_is_hidden() -> None:
    module = lab("2-10-2")
    Y = np.eye(2)
    loss, accuracy = module.loss_accuracy(np.eye(2), Y)
    assert (loss, accuracy) == (0, 100)
    loss, accuracy = module.loss_accuracy(np.array([[0.0, 1.0], [0.5, 0.5]]), Y)
    assert loss == np.inf  # a true class of probability 0 is no small matter
    assert accuracy == 0  # the second row is a tie, and the first class is the answer
    loss, accuracy = module.loss_accuracy(np.array([[np.nan, np.nan], [0.25, 0.75]]), Y)
    assert np.isnan(loss)
    assert accuracy == 50  # NaN is no hit
    np.testing.assert_allclose(
        module.loss_accuracy(np.array([[0.5, 0.5], [0.25, 0.75]]), Y)[0],
        -(np.log(0.5) + np.log(0.75)) / 2,
    )


@pytest.mark.parametrize(("spec", "threshold"), [("2-3-1:sigmoid", 0.5), ("2-3-1", 0.0)])
def test_a_single_output_answers_by_its_threshold(spec: str, threshold: float) -> None:
    module = lab(spec, "mse")
    Yhat = np.array([[threshold + 0.1], [threshold - 0.1], [threshold + 0.1], [np.nan]])
    assert module.loss_accuracy(Yhat, np.array([[1.0], [0.0], [0.0], [0.0]]))[1] == 50


@pytest.mark.parametrize("spec", ["2-10-2", "2-6:sigmoid-3:softmax-2", "2-4:relu-2"])
def test_extreme_values_stay_finite_and_nothing_is_warned_about(spec: str) -> None:
    module = lab(spec)
    params, X, Y = sample(module, "one-hot", 1)
    large = {n: (1e4 * p).astype(np.float32) for n, p in params.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yhat, outputs = module.forward(large, (1e4 * X).astype(np.float32))
        grads = module.backward(large, outputs, Y.astype(np.float32))
    np.testing.assert_allclose(yhat.sum(axis=1), 1, rtol=1e-6)
    assert all(np.isfinite(grad).all() for grad in grads.values())


def test_what_does_not_fit_is_refused_by_name() -> None:
    module = lab("2-10-2")
    params = module.init_params(2, 10, 2)
    X, Y = np.ones((3, 2)), np.eye(2)[[0, 1, 0]]
    _, outputs = module.forward(params, X)
    grads = module.backward(params, outputs, Y)
    without = {name: value for name, value in params.items() if name != "bh"}
    flat = params | {"bh": np.zeros(10)}
    for call, message in (
        (lambda: module.init_params(2, 7, 2), r"nh is 7; .* nx = 2, nh = 10, ny = 2"),
        (lambda: module.forward(params, np.ones(2)), r"X has shape \(2,\); expected \(B, 2\)"),
        (lambda: module.forward(params, np.ones((3, 4))), r"X has shape \(3, 4\); expected"),
        (lambda: module.forward(without, X), r"params has no 'bh'; expected \['Wh', 'bh'"),
        (lambda: module.forward(flat, X), r"params\['bh'\] has shape \(10,\); expected \(10, 1\)"),
        (lambda: module.loss_accuracy(X, Y[:2]), r"Yhat has shape \(3, 2\) and Y \(2, 2\)"),
        (lambda: module.loss_accuracy(X[:0], Y[:0]), "Y has no rows"),
        (lambda: module.backward(params, outputs, Y[:2]), r"outputs\['X'\] has shape|X has shape"),
        (lambda: module.backward(params, {"X": X}, Y), r"outputs has no 'htilde'"),
        (lambda: module.backward(params, outputs, 2 * Y), r"Y\[0\] sums to 2; expected 1"),
        (lambda: module.backward(params, outputs, np.nan * Y), r"Y\[0\] sums to nan; expected 1"),
        (lambda: module.sgd(params, grads, np.nan), "eta is nan; expected a finite number"),
        (lambda: module.sgd(params, {"Wh": grads["Wh"]}, 0.1), "grads has no 'bh'"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_other_labels_are_taken_where_the_derivation_assumed_nothing() -> None:
    module = lab("2-10-2", labels="any")
    params = module.init_params(2, 10, 2)
    _, outputs = module.forward(params, np.ones((3, 2)))
    module.backward(params, outputs, np.full((3, 2), 2.0))


# ------------------------------------------------------------------ the self-check


def test_the_module_checks_itself_when_it_is_run(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(text(DEEP), "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(" ok\n") == 8
    assert "extreme inputs: finite" in done.stdout

    path.write_text(text(DEEP).replace("(1 - outputs", "(2 - outputs"), "utf-8")
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "WRONG" in done.stdout


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (" - Y) / B\n", " - Y)\n"),
        ('outputs["yhat"] - Y', 'Y - outputs["yhat"]'),
        ("dh * (1 - ", "(1 - "),
        ('(1 - outputs["h"] ** 2)', '(1 - outputs["h"])'),
        ("dhtilde = dh * ", "dhtilde = 1.01 * dh * "),
        ("dhtilde.sum(axis=0", "dhtilde.mean(axis=0"),
        ('grads["Wy"] = ', 'grads["Wy"] = np.nan * '),
        ('outputs["ytilde"] - yhat_max', 'outputs["ytilde"]'),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_self_check_can_fail(right: str, wrong: str) -> None:
    source = text("2-10-2")
    head, backward = source.split("def forward(")
    assert right in backward
    assert not loaded(head + "def forward(" + backward.replace(right, wrong))._check()


def test_the_self_check_of_two_hidden_softmax_layers_sees_an_overflow() -> None:
    source = text("2-4:softmax-3:softmax-2")
    right = 'np.exp(outputs["htilde1"] - h1_max)'
    assert source.count(right) == 2
    assert loaded(source)._check()
    assert not loaded(source.replace(right, 'np.exp(outputs["htilde1"])'))._check()


def test_the_self_check_does_not_blame_formulas_for_products_that_overflow() -> None:
    assert lab("-".join(["3"] + ["60:relu"] * 12 + ["2"]))._check()
