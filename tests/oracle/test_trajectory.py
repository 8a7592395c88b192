"""Whole runs, step by step the same as PyTorch's: same start, same order, same parameters.

Gradients that agree on random inputs say nothing about the gather, the partial batch, the
update or the number of steps. After thousands of steps every one of them shows.
"""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from c_library import CNetwork
from numpy.typing import NDArray
from numpy_loop import SLIPS, draw_orders, train_loop
from real_mnist import real_mnist

import codegen
from derive.spec import parse_spec
from runtime.data.circles import circles
from runtime.data.dataset import Dataset
from runtime.torch_oracle import train_sgd

Array = NDArray[Any]
Params = Mapping[str, Array]

ETA = 0.03
EPOCHS, BATCH = 150, 10  # the lab's run of Circles: 3,000 steps
PRECISE = 1e-9  # relative, in float64: what the project promises
UNIT32 = 2.0**-24  # half an ulp of float32 at 1
CIRCLES, MNIST = parse_spec("2-10-2"), parse_spec("784-100-10")


@pytest.fixture(scope="module")
def kernels64() -> ModuleType:
    return codegen.compile_module(codegen.generate(CIRCLES, dtype="float64"))


@pytest.fixture(scope="module")
def kernels32() -> ModuleType:
    return codegen.compile_module(codegen.generate(CIRCLES, dtype="float32"))


@pytest.fixture(scope="module")
def mnist_kernels() -> ModuleType:
    return codegen.compile_module(codegen.generate(MNIST, dtype="float64"))


def trained(
    kernels: ModuleType,
    params: Params,
    data: Dataset,
    order: NDArray[np.int64],
    batch: int = BATCH,
    eta: float = ETA,
    sparse: str = "auto",
) -> dict[str, Array]:
    """Return the parameters after a run of our kernels; `params` stay as they are."""
    ours = {name: np.array(value, kernels.DTYPE) for name, value in params.items()}
    epochs = len(order)
    X, Y = data.X_train, data.Y_train
    kernels.train(ours, X, Y, epochs=epochs, batch=batch, eta=eta, order=order, sparse=sparse)
    return ours


def by_torch(
    params: Params,
    data: Dataset,
    order: NDArray[np.int64],
    batch: int = BATCH,
    dtype: str = "float64",
) -> dict[str, Array]:
    spec = CIRCLES if data.name == "circles" else MNIST
    return train_sgd(spec, params, data.X_train, data.Y_train, order, batch, ETA, dtype)


def by_numpy(
    params: Params, data: Dataset, order: NDArray[np.int64], batch: int, slip: str | None
) -> dict[str, Array]:
    one = {name: value[None] for name, value in params.items()}
    after = train_loop(one, data.X_train, data.Y_train, order[None], batch, ETA, slip)
    return {name: value[0] for name, value in after.items()}


def differences(ours: Params, theirs: Params) -> dict[str, float]:
    """Return max|a - b| / max|b| for each parameter."""
    return {
        name: float(np.abs(ours[name].astype(float) - b).max() / np.abs(b).max())
        for name, b in theirs.items()
    }


def assert_same(ours: Params, theirs: Params, tolerance: float = PRECISE) -> None:
    found = differences(ours, theirs)
    assert all(value <= tolerance for value in found.values()), (found, tolerance)


def swapped(order: NDArray[np.int64], epoch: int, i: int, j: int) -> NDArray[np.int64]:
    """Return a copy of `order` with two samples exchanged in one epoch."""
    other = order.copy()
    other[epoch, [i, j]] = order[epoch, [j, i]]
    return other


@pytest.mark.parametrize("seed", range(3))
def test_a_run_of_circles_is_pytorchs(kernels64: ModuleType, seed: int) -> None:
    data, params = circles(seed), kernels64.init_params(seed)
    order = draw_orders(1, EPOCHS, 200, seed)[0]
    assert_same(trained(kernels64, params, data, order), by_torch(params, data, order))


def test_the_accuracy_is_exactly_pytorchs_all_along(kernels64: ModuleType) -> None:
    data, params = circles(), kernels64.init_params(5)
    order = draw_orders(1, EPOCHS, 200, 5)[0]
    history = kernels64.train(
        {name: value.copy() for name, value in params.items()},
        data.X_train,
        data.Y_train,
        epochs=EPOCHS,
        batch=BATCH,
        eta=ETA,
        order=order,
        test=(data.X_test, data.Y_test),
    )
    theirs = dict(params)
    rows = []
    for first in range(0, EPOCHS, 10):
        theirs = by_torch(theirs, data, order[first : first + 10])
        rows.append(
            [
                torch_accuracy(theirs, data.X_train, data.Y_train),
                torch_accuracy(theirs, data.X_test, data.Y_test),
            ]
        )
    np.testing.assert_array_equal(history[9::10, [1, 3]], rows)
    assert len({tuple(row) for row in rows}) > 5  # it did learn in between


def torch_accuracy(params: Params, X: Array, Y: Array) -> float:
    W1, b1, W2, b2 = (torch.from_numpy(params[name]) for name in ("W1", "b1", "W2", "b2"))
    P = torch.softmax(torch.tanh(torch.from_numpy(X) @ W1.T + b1) @ W2.T + b2, dim=1)
    return float((P.argmax(1).numpy() == Y.argmax(1)).mean())


@pytest.mark.parametrize("batch", [7, 64, 150, 199, 200, 500])
def test_partial_batches_are_pytorchs(kernels64: ModuleType, batch: int) -> None:
    data, params = circles(), kernels64.init_params(1)
    order = draw_orders(1, 12, 200, 1)[0]
    ours = trained(kernels64, params, data, order, batch)
    assert_same(ours, by_torch(params, data, order, batch))


@pytest.mark.parametrize("seed", range(2))
def test_float32_drifts_no_further_than_its_roundings(
    kernels32: ModuleType, kernels64: ModuleType, seed: int
) -> None:
    """Compare with PyTorch in float64 and float32, with a tolerance that the run itself gives.

    Each step rounds every parameter once, by at most UNIT32 of its size; what enters through
    the gradient is smaller, since eta times a gradient is a small part of a parameter. A
    perturbation of that size grows by some factor until the end of the run: it is measured,
    in float64, on the start. Roundings are as good as independent, so together they weigh
    like the root of their number.
    """
    data, params = circles(seed), kernels32.init_params(seed)
    order = draw_orders(1, EPOCHS, 200, seed)[0]
    tolerance = growth(kernels64, params, data, order) * UNIT32 * np.sqrt(EPOCHS * 20)
    assert tolerance < 1e-3
    ours = trained(kernels32, params, data, order)
    assert_same(ours, by_torch(params, data, order), tolerance)
    assert_same(ours, by_torch(params, data, order, dtype="float32"), tolerance)
    for slip in ("factor", "sign", "transposed", "sum"):  # the tolerance is not too wide
        with pytest.raises(AssertionError):
            assert_same(ours, by_numpy(params, data, order, BATCH, slip), tolerance)


def growth(kernels: ModuleType, params: Params, data: Dataset, order: NDArray[np.int64]) -> float:
    """Return by how much a small change of the start is larger at the end of the run."""
    rng = np.random.default_rng(0)
    straight = trained(kernels, params, data, order)
    factors = []
    for _ in range(8):
        moved = {
            name: value + UNIT32 * np.abs(value).max() * rng.choice([-1, 1], value.shape)
            for name, value in params.items()
        }
        found = differences(trained(kernels, moved, data, order), straight)
        factors.append(max(found.values()) / UNIT32)
    return max(factors)


Run = tuple[Params, NDArray[np.int64], Params]


@pytest.fixture(scope="module")
def run(kernels64: ModuleType) -> Run:
    """Return a start, an order, and where PyTorch comes to."""
    params, order = kernels64.init_params(2), draw_orders(1, EPOCHS, 200, 2)[0]
    return params, order, by_torch(params, circles(), order)


class TestTheComparisonCanFail:
    """The same comparison, with something wrong."""

    @pytest.mark.parametrize("epoch", [0, EPOCHS // 2, EPOCHS - 1])
    def test_by_two_samples_exchanged(self, kernels64: ModuleType, run: Run, epoch: int) -> None:
        params, order, theirs = run
        with pytest.raises(AssertionError):
            assert_same(trained(kernels64, params, circles(), swapped(order, epoch, 3, 17)), theirs)
        # within a batch the order is of no account: it was the exchange that showed
        assert_same(trained(kernels64, params, circles(), swapped(order, epoch, 3, 7)), theirs)

    def test_by_a_step_a_ten_millionth_too_long(self, kernels64: ModuleType, run: Run) -> None:
        params, order, theirs = run
        ours = trained(kernels64, params, circles(), order, eta=ETA * (1 + 1e-7))
        with pytest.raises(AssertionError):
            assert_same(ours, theirs)

    def test_by_one_step_left_out(self, kernels64: ModuleType, run: Run) -> None:
        params, order, theirs = run
        ours = trained(kernels64, params, circles(), order[:-1])
        last = order[-1:, :-BATCH]
        data = circles()
        X, Y = data.X_train[last[0]], data.Y_train[last[0]]
        straight = np.arange(len(X))[None]
        kernels64.train(ours, X, Y, epochs=1, batch=BATCH, eta=ETA, order=straight)
        with pytest.raises(AssertionError):
            assert_same(ours, theirs)

    @pytest.mark.parametrize("slip", [None, *SLIPS])
    def test_by_each_slip_in_the_update(self, slip: str | None) -> None:
        batch = 7  # 28 steps, and one of 4 samples
        rng = np.random.default_rng(3)
        shapes = {"W1": (10, 2), "b1": (10,), "W2": (2, 10), "b2": (2,)}
        params = {name: 0.3 * rng.standard_normal(shape) for name, shape in shapes.items()}
        order = draw_orders(1, 20, 200, 3)[0]
        theirs = by_torch(params, circles(), order, batch)
        loop = by_numpy(params, circles(), order, batch, slip)
        if slip is None:  # two opinions that owe each other nothing
            assert_same(loop, theirs)
        else:
            with pytest.raises(AssertionError):
                assert_same(loop, theirs)

    @pytest.mark.parametrize("name", ["W1", "b1", "W2", "b2"])
    def test_by_what_is_not_a_number(self, run: Run, name: str) -> None:
        theirs = run[2]
        ours = {key: value.copy() for key, value in theirs.items()}
        assert_same(ours, theirs)
        ours[name].flat[0] = np.nan
        with pytest.raises(AssertionError):
            assert_same(ours, theirs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_in_c_and_in_numpy_is_the_compiled_one(
    kernels64: ModuleType, kernels32: ModuleType, tmp_path: Path, dtype: str
) -> None:
    """With the same seed, and so the same order, and with a given order."""
    data = circles()
    module = kernels64 if dtype == "float64" else kernels32
    in_c = CNetwork.built(codegen.generate(CIRCLES, target="c", dtype=dtype), tmp_path, ("-O3",))
    in_numpy = ModuleType("in_numpy")
    exec(codegen.generate(CIRCLES, target="numpy", dtype=dtype).text, vars(in_numpy))
    tolerance = PRECISE if dtype == "float64" else 1e-4
    order = draw_orders(1, 20, 200, 5)[0]
    runs: list[tuple[int, dict[str, Any]]] = [
        (10, {"seed": 2**63 + 5}),
        (17, {"order": order}),
        (300, {"seed": 1}),
    ]
    for batch, options in runs:
        start = module.init_params(3)
        given = {"epochs": 20, "batch": batch, "eta": ETA, **options}
        histories, results = [], []
        for one in (module, in_numpy):
            results.append({name: value.copy() for name, value in start.items()})
            X, Y = data.X_train, data.Y_train
            histories.append(one.train(results[-1], X, Y, evaluate=True, **given))
        status, ours, losses = in_c.train(
            start, data.X_train, data.Y_train, with_losses=True, **given
        )
        assert status == 0
        assert_same(ours, results[0], tolerance)
        assert_same(results[1], results[0], tolerance)
        np.testing.assert_allclose(losses, histories[0][:, 0], rtol=10 * tolerance)
        np.testing.assert_allclose(histories[1][:, 0], histories[0][:, 0], rtol=10 * tolerance)
        assert any(np.abs(ours[name] - start[name]).max() > 1e-3 for name in start)


@pytest.mark.slow
def test_an_epoch_of_mnist_is_pytorchs(mnist_kernels: ModuleType) -> None:
    data = real_mnist()
    params = mnist_kernels.init_params(0)
    order = draw_orders(1, 1, 60_000, 0)[0]
    theirs = by_torch(params, data, order, batch=100)
    by_nonzeros, by_all = (
        trained(mnist_kernels, params, data, order, batch=100, sparse=sparse)
        for sparse in ("auto", "never")
    )
    assert_same(by_nonzeros, theirs)
    assert_same(by_all, theirs)
    assert differences(by_nonzeros, by_all)["W1"] > 0, "four fifths of MNIST are 0"
    last_step = swapped(order, 0, 59_950, 5)
    with pytest.raises(AssertionError):
        assert_same(trained(mnist_kernels, params, data, last_step, batch=100), theirs)
    # it went somewhere: 600 steps from the start are not the start
    assert all(np.abs(theirs[name] - params[name]).max() > 1e-3 for name in params)
