"""It learns what an honest reference learns: not a better figure, and not a worse one.

One run says little: with the lab's settings two seeds in five are below 90 % on Circles after
150 epochs, for any correct programme. So distributions are compared, on the same sets.
"""

import importlib.util
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from data_folder import write_small_mnist
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from numpy_loop import accuracies, draw_orders, draw_starts, train_loop
from real_mnist import real_mnist

import codegen
from runtime.data.circles import circles

Array = NDArray[Any]

SEEDS = 200
BATCH, ETA = 10, 0.03
POINTS = 0.015  # by which medians may differ: three samples of the 200 in a test set


@pytest.fixture(scope="module")
def kernels() -> ModuleType:
    return codegen.compile_module(codegen.generate("2-10-2"))


@pytest.fixture(scope="module")
def mnist_kernels() -> ModuleType:
    return codegen.compile_module(codegen.generate("784-100-10"))


def our_accuracies(
    kernels: ModuleType,
    data_seed: int,
    epochs: Sequence[int],
    *,
    eta: float = ETA,
    scale: float = 0.3,
    shuffled: bool = True,
) -> list[Array]:
    """Return the test accuracy of every seed after each number of epochs."""
    data = circles(data_seed)
    X, Y = data.X_train, data.Y_train
    networks = [kernels.init_params(seed, scale) for seed in range(SEEDS)]
    found = []
    start = 0
    for end in epochs:
        count = end - start
        order = None if shuffled else np.tile(np.arange(len(X)), (count, 1))
        hits = []
        for seed, params in enumerate(networks):
            kernels.train(
                params,
                X,
                Y,
                epochs=count,
                batch=BATCH,
                eta=eta,
                seed=seed,
                order=order,
                start=start,
            )
            P = kernels.forward(params, data.X_test)
            hits.append((P.argmax(axis=1) == data.Y_test.argmax(axis=1)).mean())
        found.append(np.array(hits))
        start = end
    return found


def reference(starts: dict[str, Array], data_seed: int, epochs: Sequence[int]) -> list[Array]:
    """Return the same of the plain NumPy loop, with orders of its own."""
    data = circles(data_seed)
    orders = draw_orders(SEEDS, epochs[-1], len(data.X_train), seed=1)
    params, found, start = starts, [], 0
    for end in epochs:
        part = orders[:, start:end]
        params = train_loop(params, data.X_train, data.Y_train, part, BATCH, ETA)
        found.append(accuracies(params, data.X_test, data.Y_test))
        start = end
    return found


def same_starts(kernels: ModuleType) -> dict[str, Array]:
    """Return the initial parameters that ours has, for the NumPy loop."""
    networks = [kernels.init_params(seed) for seed in range(SEEDS)]
    return {name: np.stack([p[name].astype(float) for p in networks]) for name in networks[0]}


@pytest.fixture(scope="module")
def usual() -> list[Array]:
    """Return what the NumPy loop learns from starts of its own, after 150 and 300 epochs."""
    return reference(draw_starts((2, 10, 2), SEEDS, seed=2), 0, (150, 300))


def apart(ours: Array, theirs: Array) -> float:
    return float(abs(np.median(ours) - np.median(theirs)))


def test_the_median_is_that_of_a_plain_loop(kernels: ModuleType, usual: list[Array]) -> None:
    found = our_accuracies(kernels, 0, (150, 300))
    for ours, theirs in zip(found, usual, strict=True):
        assert apart(ours, theirs) <= POINTS
        assert abs((ours < 0.9).mean() - (theirs < 0.9).mean()) < 0.1
    # and the figures are those of the task: not all seeds are through after 150 epochs, and
    # none comes far above what the best single radius reaches
    assert 0.25 < (found[0] < 0.9).mean() < 0.55
    assert 0.93 <= np.median(found[1]) <= 0.975


def test_on_a_harder_set_each_seed_learns_what_it_should(kernels: ModuleType) -> None:
    data_seed = 5
    # from the same start only the shuffles differ, and they decide little
    (ours,) = our_accuracies(kernels, data_seed, (150,))
    (theirs,) = reference(same_starts(kernels), data_seed, (150,))
    assert apart(ours, theirs) <= POINTS
    assert np.abs(ours - theirs).mean() < 0.01


@pytest.mark.parametrize(
    "mistake",
    [{"shuffled": False}, {"eta": 0.025}, {"scale": 0.2}, {"scale": 0.4}],
    ids=["no shuffle", "learning rate", "small start", "large start"],
)
def test_the_comparison_can_fail(
    kernels: ModuleType, usual: list[Array], mistake: dict[str, Any]
) -> None:
    (ours,) = our_accuracies(kernels, 0, (150,), **mistake)
    assert apart(ours, usual[0]) > POINTS


def mnist_accuracies(kernels: ModuleType, seed: int, epochs: int) -> Array:
    """Return training and test accuracy after the last epoch."""
    data = real_mnist()
    history: Array = kernels.train(
        kernels.init_params(seed),
        data.X_train,
        data.Y_train,
        epochs=epochs,
        batch=100,
        eta=ETA,
        seed=seed,
        test=(data.X_test, data.Y_test),
    )
    assert np.isfinite(history).all()
    return history[-1, [1, 3]]


@pytest.mark.long
def test_mnist_after_one_epoch(mnist_kernels: ModuleType) -> None:
    train, test = mnist_accuracies(mnist_kernels, 0, 1)
    assert 0.82 <= test <= 0.85
    assert abs(train - test) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_mnist_after_ten_epochs(mnist_kernels: ModuleType, seed: int) -> None:
    train, test = mnist_accuracies(mnist_kernels, seed, 10)
    assert 0.920 <= test <= 0.931  # 92.3 to 92.8 %, give or take 0.3
    assert 0.922 <= train <= 0.932


def test_the_example_shows_the_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(__file__).resolve().parents[2] / "examples" / "seed_distribution.py"
    spec = importlib.util.spec_from_file_location("seed_distribution", path)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["seed_distribution.py", "--help"])
    with pytest.raises(SystemExit) as left:
        example.main()
    assert left.value.code == 0
    assert "PICTURE.png" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(example, "SEEDS", 20)
    monkeypatch.setattr(sys, "argv", ["seed_distribution.py", str(tmp_path / "seeds.png")])
    example.main()
    header, after_150, after_300, *_ = capsys.readouterr().out.splitlines()
    median = header.split().index("median")
    figures = [line.replace(" %", "").split() for line in (after_150, after_300)]
    assert [row[0] for row in figures] == ["150", "300"]
    # "5 %" and the like are two words of the header
    medians = [float(row[median - header[: header.index("median")].count("%")]) for row in figures]
    assert 75 < medians[0] < medians[1] < 98.5
    assert (tmp_path / "seeds.png").read_bytes().startswith(b"\x89PNG")


def test_without_mnist_ci_fails_and_others_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_folder._PLACES", ())
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI needs them"):
        real_mnist()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="real data are not here"):
        real_mnist()


def test_part_4_of_the_lab_gives_the_same_network_twice(
    mnist_kernels: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lab = Path(__file__).resolve().parents[2] / "examples" / "lab"
    data = write_small_mnist(tmp_path / "data", train=200)
    options = ["--epochs", "2", "--every", "2", "--data-dir", str(data), "--folder", "pictures"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(lab))
    mpl.use("Agg")
    monkeypatch.setattr(sys, "argv", ["part4_mnist.py", *options])
    done = runpy.run_path(str(lab / "part4_mnist.py"))
    plt.close("all")
    assert done["kernels"] is mnist_kernels
    assert done["steps"] == 4
    assert 0 < done["apart"] < 1e-6
    assert np.abs(done["params"]["Wh"] - done["start"]["Wh"]).max() > 1e-3
    assert "times as fast" in capsys.readouterr().out
    pictures = {path.name for path in (tmp_path / "pictures").glob("*.png")}
    assert pictures == {"digits.png", "epoch-000.png", "epoch-001.png", "curves.png"}
