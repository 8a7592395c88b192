"""`train` of the emitted module: the order, the steps, the history, the callback, the stop.

Most of it runs the module's text by Python; what a compiler or a thread could spoil runs
compiled as well.
"""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.stats
import threadpoolctl
from emitted import (
    BLAS,
    BLAS_IN_PYTHON,
    LAB,
    LAB32,
    LAB32_IN_NUMPY,
    LAB32_IN_PYTHON,
    LAB_IN_NUMPY,
    LAB_IN_PYTHON,
    Case,
    assert_all_near,
    assert_near,
    interpreted,
    same_bytes,
    source,
)
from uncompiled import uncompiled

from codegen.compile import keep_compiled

N, BATCH, ETA = 23, 5, 0.3  # the last batch of an epoch has three samples
# one network is compiled by default, as that takes most of the time; `-m slow` compiles more
SLOW_BLAS = pytest.param(BLAS, marks=pytest.mark.slow, id=str(BLAS))
SLOW_LAB32 = pytest.param(LAB32, marks=pytest.mark.slow, id=str(LAB32))
BOTH = [LAB_IN_PYTHON, LAB_IN_NUMPY, BLAS_IN_PYTHON, LAB, SLOW_BLAS]
QUICK = [LAB_IN_PYTHON, LAB_IN_NUMPY, BLAS_IN_PYTHON]


def trained(
    case: Case, params: dict[str, np.ndarray] | None = None, count: int = N, **options: Any
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the parameters after training, and the history."""
    found = case.params() if params is None else params
    X, Y, _ = case.batch(count)
    history = case.module.train(found, X, Y, **{"epochs": 3, "batch": BATCH, "eta": ETA, **options})
    return found, history


def drawn_orders(epochs: int, seed: int = 9) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return np.stack([draw.permutation(N) for _ in range(epochs)])


def shuffled(seed: int, epoch: int, count: int = N) -> np.ndarray:
    order: np.ndarray = LAB_IN_PYTHON.module.epoch_order(count, epoch, seed)
    return order


# ---------------------------------------------------------------- the steps


@pytest.mark.sweep
@pytest.mark.parametrize("case", BOTH, ids=str)
@pytest.mark.parametrize("batch", [1, 5, 22, 23, 100])
def test_the_given_order_is_followed(case: Case, batch: int) -> None:
    """The same start and order as PyTorch's give the same parameters, partial batches too."""
    X, Y, _ = case.batch(N)
    orders = drawn_orders(3)
    expected = case.torch.trained(case.params(), X, Y, orders, batch, ETA)
    found, _ = trained(case, order=orders, batch=batch)
    assert_all_near(found, expected, 1e-10)


@pytest.mark.sweep
@pytest.mark.parametrize("case", BOTH, ids=str)
def test_sample_weights_count_within_each_batch(case: Case) -> None:
    X, Y, weights = case.batch(N)
    orders = drawn_orders(3)
    expected = case.torch.trained(case.params(), X, Y, orders, BATCH, ETA, weights)
    found, _ = trained(case, order=orders, weights=weights)
    assert_all_near(found, expected, 1e-10)


@pytest.mark.parametrize("case", [LAB32_IN_PYTHON, LAB32_IN_NUMPY, SLOW_LAB32], ids=str)
def test_float32(case: Case) -> None:
    X, Y, weights = case.batch(N)
    orders = drawn_orders(3)
    expected = case.torch.trained(case.params(), X, Y, orders, BATCH, ETA, weights)
    found, history = trained(case, order=orders, weights=weights, evaluate=True)
    assert all(value.dtype == np.float32 for value in found.values())
    assert_all_near(found, expected, 1e-5)
    assert history.dtype == np.float64


def test_the_comparison_can_fail() -> None:
    """Another order, another mean in the last batch, or a step fewer are all seen."""
    X, Y, weights = LAB_IN_PYTHON.batch(N)
    orders = drawn_orders(3)
    torch, params = LAB_IN_PYTHON.torch, LAB_IN_PYTHON.params()
    found, _ = trained(LAB_IN_PYTHON, order=orders)
    exchanged = orders.copy()
    exchanged[2, [4, 5]] = exchanged[2, [5, 4]]
    wrong = {
        "two samples exchanged": torch.trained(params, X, Y, exchanged, BATCH, ETA),
        "another learning rate": torch.trained(params, X, Y, orders, BATCH, ETA * (1 + 1e-9)),
        "weighted": torch.trained(params, X, Y, orders, BATCH, ETA, weights),
        "an epoch fewer": torch.trained(params, X, Y, orders[:2], BATCH, ETA),
        "the partial batch left out": torch.trained(params, X, Y, orders[:, :20], BATCH, ETA),
    }
    for expected in wrong.values():
        with pytest.raises(AssertionError):
            assert_all_near(found, expected, 1e-10)


@pytest.mark.parametrize("case", QUICK, ids=str)
def test_samples_that_weigh_nothing_teach_nothing(case: Case) -> None:
    """A whole batch of them is no division by 0 but a step that changes nothing."""
    weights = np.ones(N)
    weights[5:10] = 0
    order = np.arange(N)[None]
    found, history = trained(case, order=order, epochs=1, weights=weights, evaluate=True)
    rest = np.r_[0:5, 10:N]
    expected = case.params()
    X, Y, _ = case.batch(N)
    case.module.train(
        expected, X[rest], Y[rest], epochs=1, batch=BATCH, eta=ETA, order=[list(range(N - 5))]
    )
    assert same_bytes(found, expected)
    assert np.isfinite(history[:, :2]).all()


def test_more_samples_than_are_evaluated_together_may_weigh_nothing() -> None:
    module = LAB_IN_PYTHON.module
    count = module.EVALUATED + 3
    weights = np.zeros(count)
    weights[-1] = 2
    params, history = trained(
        LAB_IN_PYTHON, count=count, batch=count, epochs=1, weights=weights, evaluate=True
    )
    X, Y, _ = LAB_IN_PYTHON.batch(count)
    assert_near(history[0, 0], module.loss(params, X[-1:], Y[-1:]), 1e-12)


@pytest.mark.parametrize("case", [LAB, SLOW_BLAS], ids=str)
def test_compiled_and_interpreted_train_alike(case: Case) -> None:
    other = {LAB: LAB_IN_PYTHON, BLAS: BLAS_IN_PYTHON}[case]
    test = case.batch(11)[:2]
    found, history = trained(case, seed=4, test=test)
    expected, expected_history = trained(other, seed=4, test=test)
    assert_all_near(found, expected, 1e-12)
    assert_near(history, expected_history, 1e-12)


# ---------------------------------------------------------------- the order of an epoch


@pytest.mark.parametrize("case", BOTH, ids=str)
def test_the_same_seed_gives_the_same_bytes(case: Case) -> None:
    first, again, other = (trained(case, seed=seed)[0] for seed in (3, 3, 4))
    assert same_bytes(first, again)
    assert not same_bytes(first, other)


@pytest.mark.parametrize("case", [LAB_IN_PYTHON, LAB_IN_NUMPY, LAB, SLOW_BLAS], ids=str)
@pytest.mark.parametrize("parts", [(4, 6), (1,) * 10, (0, 10), (3, 3, 4)], ids=str)
def test_start_continues_exactly(case: Case, parts: tuple[int, ...]) -> None:
    test = case.batch(11)[:2]
    whole, history = trained(case, epochs=10, seed=6, test=test)
    found, rows, start = case.params(), [], 0
    for epochs in parts:
        rows.append(trained(case, found, epochs=epochs, seed=6, start=start, test=test)[1])
        start += epochs
    assert same_bytes(found, whole)
    np.testing.assert_array_equal(np.concatenate(rows), history)


def test_the_order_of_the_seed_is_that_of_epoch_order() -> None:
    by_seed, _ = trained(LAB_IN_PYTHON, epochs=3, seed=12, start=5)
    orders = [shuffled(12, epoch) for epoch in (5, 6, 7)]
    by_order, _ = trained(LAB_IN_PYTHON, epochs=3, order=orders)
    assert same_bytes(by_seed, by_order)


def test_start_does_not_move_a_given_order() -> None:
    orders = drawn_orders(3)
    assert same_bytes(
        trained(LAB_IN_PYTHON, order=orders)[0], trained(LAB_IN_PYTHON, order=orders, start=7)[0]
    )


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1000])
def test_each_epoch_is_a_permutation(count: int) -> None:
    for seed, epoch in ((0, 0), (0, 1), (1, 0), (2**64 - 1, 10**9)):
        np.testing.assert_array_equal(np.sort(shuffled(seed, epoch, count)), np.arange(count))


def test_seeds_and_epochs_differ() -> None:
    orders = {tuple(shuffled(seed, epoch)) for seed in range(30) for epoch in range(30)}
    assert len(orders) == 900


def test_orders_stay_what_they_are() -> None:
    """Runs of an older version are continued exactly, so these never change."""
    found = ["".join(map(str, shuffled(*which, 10))) for which in ((0, 0), (0, 1), (7, 3))]
    assert found == ["4925176038", "6289401375", "7095841632"]


def test_the_mixing_is_splitmix64s() -> None:
    """The published generator from state 0 gives these first three numbers."""
    module = LAB_IN_PYTHON.module
    states = np.arange(1, 4, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        found = [int(module._mix(state)) for state in states]
    assert found == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1])
def test_any_seed(seed: int) -> None:
    found, _ = trained(LAB, seed=seed, epochs=2)
    expected, _ = trained(LAB_IN_PYTHON, seed=seed, epochs=2)
    assert_all_near(found, expected, 1e-12)


def test_no_argument_is_compiled_anew() -> None:
    """Eight seconds of compilation are for one signature only (this runs after the others)."""
    frozen = [array.copy() for array in LAB.batch(N)]
    for array in frozen:
        array.flags.writeable = False
    X, Y, weights = frozen
    order = np.asfortranarray(drawn_orders(2)).astype(np.int32)
    LAB.module.train(
        LAB.params(), X, Y, epochs=2.0, batch=np.int8(3), eta=1, seed=2**64 - 1, weights=weights,
        order=order, test=(X.tolist(), Y), evaluate=1,
    )  # fmt: skip
    LAB.module.train(LAB.params(), X, Y, epochs=1, batch=10**6, eta=np.float32(0.5), seed=2**65)
    assert len(LAB.module._train.signatures) == 1


# statistics over many orders: deterministic, so that no run fails by chance
TRIALS = 6000


def chi_square(counts: np.ndarray, freedom: int) -> float:
    """Return the probability of counts as uneven as these, where all are as likely."""
    expected = counts.sum() / counts.size
    return float(scipy.stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), freedom))


def plausibility(orders: np.ndarray) -> Iterator[tuple[str, float]]:
    """Yield how plausible it is that orders (trials, n) are drawn evenly, seen in two ways."""
    n = orders.shape[1]
    positions = np.stack([np.bincount(orders[:, p], minlength=n) for p in range(n)])
    yield "positions", chi_square(positions, (n - 1) ** 2)
    ranks = {order: number for number, order in enumerate(permutations(range(n)))}
    whole = np.bincount([ranks[tuple(o)] for o in orders.tolist()], minlength=len(ranks))
    yield "whole orders", chi_square(whole, len(ranks) - 1)


def many(draw: Callable[[int], np.ndarray]) -> np.ndarray:
    return np.stack([draw(trial) for trial in range(TRIALS)])


SAMPLES: dict[str, Callable[[], np.ndarray]] = {
    "over seeds": lambda: many(lambda t: shuffled(t, 0, 5)),
    "over epochs": lambda: many(lambda t: shuffled(0, t, 5)),
    "over seeds far apart": lambda: many(lambda t: shuffled(t << 40, 3, 5)),
    "seed and epoch equal": lambda: many(lambda t: shuffled(t, t, 5)),
    "one epoch seen from the one before": lambda: many(
        lambda t: np.argsort(shuffled(1, t, 5))[shuffled(1, t + 1, 5)]
    ),
    "one seed seen from the one before": lambda: many(
        lambda t: np.argsort(shuffled(t, 2, 5))[shuffled(t + 1, 2, 5)]
    ),
}


@pytest.mark.parametrize("draw", SAMPLES.values(), ids=SAMPLES)
def test_every_order_is_as_likely(draw: Callable[[], np.ndarray]) -> None:
    for name, probability in plausibility(draw()):
        assert 1e-3 < probability < 1 - 1e-6, name


def biased(trial: int) -> np.ndarray:
    """Exchange each entry with any other: the classic mistake."""
    draw = np.random.default_rng(trial)
    order = np.arange(5)
    for i in range(5):
        j = draw.integers(0, 5)
        order[i], order[j] = order[j], order[i]
    return order


WRONG_ORDERS: dict[str, Callable[[int], np.ndarray]] = {
    "exchanged with any": biased,
    "never where it was": lambda t: np.roll(np.arange(5), 1 + t % 4),
    "turned round only": lambda t: np.roll(np.arange(5), t % 5),
}


@pytest.mark.parametrize("draw", WRONG_ORDERS.values(), ids=WRONG_ORDERS)
def test_an_uneven_shuffle_would_be_seen(draw: Callable[[int], np.ndarray]) -> None:
    assert min(probability for _, probability in plausibility(many(draw))) < 1e-6


# ---------------------------------------------------------------- history


def accuracy(module: ModuleType, params: dict[str, np.ndarray], X: Any, Y: Any) -> float:
    P = module.forward(params, X)
    return float((P.argmax(axis=1) == np.asarray(Y).argmax(axis=1)).mean())


@pytest.mark.parametrize("case", BOTH, ids=str)
@pytest.mark.parametrize("blocks", [0, 1], ids=["small", "several blocks"])
def test_history_is_that_of_the_sets_after_each_epoch(case: Case, blocks: int) -> None:
    module, params = case.module, case.params()
    X, Y, weights = case.batch(blocks * module.EVALUATED + N)
    test_X, test_Y, _ = case.batch(2 * blocks * module.EVALUATED + 11, seed=8)
    options = {"epochs": 3, "batch": 50, "eta": ETA, "test": (test_X, test_Y)}
    history = module.train(case.params(), X, Y, weights=weights, **options)
    assert history.shape == (3, 4)
    assert history.dtype == np.float64
    for epoch in range(3):
        module.train(
            params, X, Y, epochs=1, batch=50, eta=ETA, weights=weights, start=epoch, evaluate=False
        )
        expected = [
            module.loss(params, X, Y, weights),
            accuracy(module, params, X, Y),
            module.loss(params, test_X, test_Y),
            accuracy(module, params, test_X, test_Y),
        ]
        assert_near(history[epoch], expected, 1e-12)


EVALUATED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing asked": ({}, "...."),
    "always": ({"evaluate": True}, "xx.."),
    "with a test set": ({"test": True}, "xxxx"),
    "with a callback": ({"callback": lambda rows: None}, "xx.."),
    "never": ({"evaluate": False, "test": True, "callback": lambda rows: None}, "...."),
    "a test set without rows": ({"test": False, "evaluate": True}, "xx.."),
}


@pytest.mark.parametrize(("options", "pattern"), EVALUATED.values(), ids=EVALUATED)
def test_what_is_evaluated(options: dict[str, Any], pattern: str) -> None:
    options = dict(options)
    if "test" in options:
        X, Y, _ = LAB_IN_PYTHON.batch(11 if options["test"] else 0)
        options["test"] = (X, Y)
    _, history = trained(LAB_IN_PYTHON, **options)
    assert history.shape == (3, 4)
    assert ["".join(".x"[int(np.isfinite(f))] for f in row) for row in history] == [pattern] * 3


def test_evaluation_changes_no_parameter() -> None:
    quiet, _ = trained(LAB_IN_PYTHON)
    watched, _ = trained(LAB_IN_PYTHON, test=LAB_IN_PYTHON.batch(70)[:2])
    assert same_bytes(quiet, watched)


@pytest.mark.parametrize(
    ("text", "loss", "threshold"), [("2-3-1:sigmoid", "mse", 0.5), ("2-3-1", "mse", 0.0)]
)
def test_one_output_has_a_threshold(text: str, loss: str, threshold: float) -> None:
    case = Case(text=text, loss=loss, dtype="float64", is_compiled=False)
    X, Y, _ = case.batch(60)
    params = case.params()
    params["b2"][...] = 0  # outputs on both sides of the threshold, and steps that keep them
    _, history = trained(case, params, count=60, eta=1e-3, evaluate=True)
    P = case.module.forward(params, X)
    assert 0 < (threshold < P).mean() < 1, "both classes occur"
    assert history[-1, 1] == ((threshold < P) == (Y > 0.5)).mean()


@pytest.mark.parametrize("case", [LAB_IN_PYTHON, LAB_IN_NUMPY, BLAS_IN_PYTHON, LAB], ids=str)
def test_nan_is_no_hit(case: Case) -> None:
    params = case.params()
    params["b1"][0] = np.nan
    _, history = trained(case, params, evaluate=True)
    assert np.isnan(history[:, 0]).all()
    assert not history[:, 1].any()


@pytest.mark.parametrize("extra", [1, 3, 16])
def test_an_infinite_loss_stays_infinite_in_the_history(extra: int) -> None:
    """What pads the last block has the weight 0, and 0 times an infinite loss is no number."""
    case = Case(text="2-2:relu", loss="cross-entropy", dtype="float64", is_compiled=False)
    params = {"W1": np.array([[1.0, 0.0], [0.0, 1.0]]), "b1": np.zeros(2)}
    X = np.ones((case.module.EVALUATED + extra, 2))
    X[-1, 0] = 0.0  # where the target is, so that the last sample's loss is -log(0)
    Y = np.eye(2)[np.zeros(len(X), int)]
    weights = np.linspace(1.0, 2.0, len(X))
    for given in (None, weights):
        history = case.module.train(
            params, X, Y, epochs=1, batch=16, eta=0.0, weights=given, test=(X, Y)
        )
        assert history[0, 0] == history[0, 2] == np.inf
        assert case.module.loss(params, X, Y, given) == np.inf


def test_no_epoch() -> None:
    before = LAB_IN_PYTHON.params()
    params, history = trained(LAB_IN_PYTHON, epochs=0, evaluate=True)
    assert history.shape == (0, 4)
    assert same_bytes(params, before)


# ---------------------------------------------------------------- callback and stop


@pytest.mark.parametrize("case", [LAB_IN_PYTHON, LAB_IN_NUMPY, LAB], ids=str)
def test_every_row_is_called_back_once_in_order(case: Case) -> None:
    rows: list[np.ndarray] = []
    epochs = {LAB_IN_PYTHON: 30, LAB_IN_NUMPY: 3_000, LAB: 60_000}[case]
    _, history = trained(case, epochs=epochs, callback=rows.append)
    assert len(rows) > 1, "more than one call, or there is nothing to see"
    np.testing.assert_array_equal(np.concatenate(rows), history)
    assert history.shape == (epochs, 4)


def test_the_callback_runs_in_the_callers_thread_and_not_too_often() -> None:
    calls: list[tuple[float, int]] = []

    def callback(rows: np.ndarray) -> bool:
        calls.append((time.monotonic(), threading.get_ident()))
        return len(calls) == 12

    begun = time.monotonic()
    trained(LAB, epochs=10**6, callback=callback)
    times = [begun, *(moment for moment, _ in calls)]
    assert {thread for _, thread in calls} == {threading.get_ident()}
    assert min(np.diff(times[:-1])) > 0.045, "at most 20 times a second"
    assert len(calls) in (12, 13), "the rows of the last epochs come at the end"


def test_the_callback_runs_in_the_callers_thread_also_where_that_is_not_the_main_one() -> None:
    threads: list[int] = []

    def caller() -> None:
        threads.append(threading.get_ident())
        trained(LAB_IN_PYTHON, callback=lambda rows: threads.append(threading.get_ident()))

    thread = threading.Thread(target=caller)
    thread.start()
    thread.join()
    assert len(threads) > 1
    assert set(threads) == {threads[0]} != {threading.get_ident()}


@pytest.mark.parametrize("case", [LAB_IN_PYTHON, LAB_IN_NUMPY, LAB], ids=str)
def test_a_true_return_stops_after_the_epoch(case: Case) -> None:
    params, history = trained(case, epochs=10**6, callback=lambda rows: True, seed=2)
    done = len(history)
    assert 0 < done < 10**6
    assert np.isfinite(history[:, :2]).all()
    expected, _ = trained(case, epochs=done, seed=2)
    assert same_bytes(params, expected)


def test_what_the_callback_raises_ends_the_training() -> None:
    class Enough(Exception):
        pass

    def callback(rows: np.ndarray) -> None:
        raise Enough

    begun = time.monotonic()
    with pytest.raises(Enough):
        trained(LAB, epochs=10**6, evaluate=False, callback=callback)
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("case", [LAB_IN_PYTHON, LAB_IN_NUMPY, LAB], ids=str)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, MemoryError])
def test_rows_that_nobody_has_seen_are_shown_before_an_exception_goes_on(
    case: Case, kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ends the training, the rows are those of the epochs that are in the parameters."""
    real, waits = case.module.wait, []

    def interrupted(futures: Any, timeout: float) -> Any:
        waits.append(timeout)
        if len(waits) == 3:
            raise kind
        return real(futures, timeout=timeout)

    monkeypatch.setattr(case.module, "wait", interrupted)
    params, rows = case.params(), []
    with pytest.raises(kind):
        trained(case, params, epochs=10**6, seed=2, callback=rows.append)
    expected, history = trained(case, epochs=sum(map(len, rows)), seed=2, evaluate=True)
    assert same_bytes(params, expected)
    np.testing.assert_array_equal(np.concatenate(rows), history)


def test_rows_are_shown_when_the_kernel_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any) -> None:
        at = [getattr(a, "shape", ())[1:] for a in arguments].index((4,))
        history, progress = arguments[at : at + 2]
        history[:2] = 7
        progress[0] = 2
        raise MemoryError

    monkeypatch.setattr(LAB_IN_PYTHON.module, "_train", fails)
    rows: list[np.ndarray] = []
    with pytest.raises(MemoryError):
        trained(LAB_IN_PYTHON, callback=rows.append)
    np.testing.assert_array_equal(np.concatenate(rows), np.full((2, 4), 7.0))


def test_a_callback_that_raises_is_not_called_again() -> None:
    calls: list[int] = []

    def callback(rows: np.ndarray) -> None:
        calls.append(len(rows))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        trained(LAB, epochs=10**6, callback=callback)
    assert len(calls) == 1


def test_the_callback_cannot_change_the_history() -> None:
    def callback(rows: np.ndarray) -> None:
        rows[...] = -1

    _, history = trained(LAB_IN_PYTHON, callback=callback)
    assert (history[:, :2] > 0).all()


INTERRUPTED = """
import importlib.util, json, pathlib, signal, sys
import numpy as np

signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts in the background ignores it
file, folder = sys.argv[1:]
name = pathlib.Path(file).stem
spec = importlib.util.spec_from_file_location(name, file)
module = sys.modules[name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
data = np.load(folder + "/data.npz")
params = {name: data[name].copy() for name in module.PARAMETERS}
seen = []

def callback(rows):
    if not seen:
        print("running", flush=True)
    seen.append(len(rows))

try:
    module.train(
        params, data["X"], data["Y"], epochs=10**6, batch=10, eta=0.03, seed=3,
        evaluate=False, callback=callback,
    )
except KeyboardInterrupt:
    np.savez(folder + "/params.npz", **params)
    print(json.dumps({"rows": sum(seen)}), flush=True)
"""


def test_ctrl_c_stops_after_an_epoch(tmp_path: Path) -> None:
    """The signal comes in mid-run; the parameters are those after some whole epochs."""
    module = LAB.module
    trained(LAB)
    keep_compiled(module)
    X, Y, _ = LAB.batch(100_000)
    np.savez(tmp_path / "data.npz", X=X, Y=Y, **LAB.params())
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(module.__file__), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(0.2)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert first == "running\n", err
    assert process.returncode == 0, err
    assert time.monotonic() - begun < 5
    found = dict(np.load(tmp_path / "params.npz"))
    reported = json.loads(out)["rows"]
    # every epoch was called back, those after the signal too
    params = LAB.params()
    module.train(params, X, Y, epochs=reported, batch=10, eta=0.03, seed=3)
    assert same_bytes(params, found)


def test_two_trainings_at_once_do_not_disturb_each_other() -> None:
    expected = [trained(LAB, epochs=3000, seed=seed) for seed in (1, 2)]
    found: dict[int, tuple[dict[str, np.ndarray], np.ndarray]] = {}

    def run(seed: int) -> None:
        found[seed] = trained(LAB, epochs=3000, seed=seed)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same_bytes(found[1][0], expected[0][0])
    assert same_bytes(found[2][0], expected[1][0])


def blas_threads() -> set[int]:
    return {
        pool["num_threads"]
        for pool in threadpoolctl.threadpool_info()
        if pool["user_api"] == "blas"
    }


@pytest.mark.parametrize("case", [BLAS_IN_PYTHON, SLOW_BLAS], ids=str)
def test_blas_is_held_to_one_thread_and_let_go(case: Case) -> None:
    inside: list[set[int]] = []
    with threadpoolctl.threadpool_limits(3, "blas"):
        before = blas_threads()
        trained(case, callback=lambda rows: inside.append(blas_threads()))
        assert blas_threads() == before
        with pytest.raises(ZeroDivisionError):
            trained(case, callback=lambda rows: 1 / 0)
        assert blas_threads() == before
    assert before == {3}, "or there is nothing to see"
    assert inside
    assert all(threads == {1} for threads in inside)


OVERLAPS = {"first in, first out": (0, 1), "last in, first out": (1, 0)}


@pytest.mark.parametrize("ends", OVERLAPS.values(), ids=OVERLAPS)
@pytest.mark.parametrize("is_same", [True, False], ids=["one module", "two modules"])
def test_blas_is_let_go_whatever_the_overlap_of_trainings(
    ends: tuple[int, int], is_same: bool
) -> None:
    """A second training finds one thread: when it ends last, that is not what was there."""
    one = BLAS_IN_PYTHON.module
    two = one if is_same else uncompiled(source(BLAS_IN_PYTHON.text, dtype="float32").text)
    ending, running = ([threading.Event(), threading.Event()] for _ in range(2))

    def run(number: int) -> None:
        def callback(rows: np.ndarray) -> bool:
            running[number].set()
            return ending[number].is_set()

        module = (one, two)[number]
        X, Y, _ = BLAS_IN_PYTHON.batch(N)
        module.train(
            module.init_params(), X, Y, epochs=10**6, batch=BATCH, eta=1e-3, callback=callback
        )

    with threadpoolctl.threadpool_limits(3, "blas"):
        threads = [threading.Thread(target=run, args=(number,)) for number in (0, 1)]
        for number in (0, 1):
            threads[number].start()
            assert running[number].wait(60)
        for number in ends:
            assert blas_threads() == {1}
            ending[number].set()
            threads[number].join(60)
        assert blas_threads() == {3}


# ---------------------------------------------------------------- arrays in place


@pytest.mark.parametrize("case", BOTH, ids=str)
def test_parameters_are_updated_in_place(case: Case) -> None:
    params = case.params()
    kept = dict(params)
    trained(case, params)
    assert all(params[name] is array for name, array in kept.items())
    assert not same_bytes(params, case.params())


def strided(array: np.ndarray) -> np.ndarray:
    wide = np.zeros(tuple(2 * n for n in array.shape), array.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    return view


OTHER_ARRAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Fortran order": np.asfortranarray,
    "strided": strided,
    "other byte order": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "wider": lambda array: array.astype(np.longdouble),
}


@pytest.mark.parametrize("make", OTHER_ARRAYS.values(), ids=OTHER_ARRAYS)
def test_arrays_of_another_kind_are_updated_in_place_too(
    make: Callable[[np.ndarray], np.ndarray],
) -> None:
    params = {name: make(value) for name, value in LAB_IN_PYTHON.params().items()}
    kept = dict(params)
    trained(LAB_IN_PYTHON, params)
    expected, _ = trained(LAB_IN_PYTHON)
    assert all(params[name] is array for name, array in kept.items())
    for name, array in expected.items():
        np.testing.assert_array_equal(params[name].astype("float64"), array)


def test_float64_parameters_of_float32_kernels() -> None:
    expected, _ = trained(LAB32_IN_PYTHON)
    params = {name: v.astype("float64") for name, v in LAB32_IN_PYTHON.params().items()}
    trained(LAB32_IN_PYTHON, params)
    for name, array in expected.items():
        assert params[name].dtype == np.float64
        np.testing.assert_array_equal(params[name].astype("float32"), array)


def test_copied_parameters_are_written_back_when_training_is_stopped() -> None:
    params = {name: np.asfortranarray(value) for name, value in LAB_IN_PYTHON.params().items()}

    def callback(rows: np.ndarray) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(LAB_IN_PYTHON, params, epochs=10**6, callback=callback)
    assert not np.array_equal(params["W1"], LAB_IN_PYTHON.params()["W1"])


def test_what_else_is_in_the_dictionary_stays() -> None:
    params = LAB_IN_PYTHON.params() | {"note": np.ones(3)}
    trained(LAB_IN_PYTHON, params)
    assert list(params) == ["W1", "b1", "W2", "b2", "note"]
    np.testing.assert_array_equal(params["note"], 1)


@pytest.mark.parametrize("case", BOTH, ids=str)
def test_the_data_are_not_changed(case: Case) -> None:
    X, Y, weights = case.batch(N)
    orders, test = drawn_orders(2), case.batch(7)[:2]
    given = {"X": X, "Y": Y, "w": weights, "order": orders, "tX": test[0], "tY": test[1]}
    before = {name: array.copy() for name, array in given.items()}
    case.module.train(
        case.params(), X, Y, epochs=2, batch=4, eta=0.1, order=orders, weights=weights, test=test
    )
    assert same_bytes(given, before)


# ---------------------------------------------------------------- what is refused

X, Y, WEIGHTS = LAB_IN_PYTHON.batch(N)
FROZEN = LAB_IN_PYTHON.params()
FROZEN["W2"].flags.writeable = False

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "epochs negative": ({"epochs": -1}, "epochs is -1; expected a whole number from 0"),
    "epochs a half": ({"epochs": 1.5}, "epochs is 1.5; expected a whole number from 0"),
    "epochs NaN": ({"epochs": np.nan}, "epochs is nan"),
    "epochs infinite": ({"epochs": np.inf}, "epochs is inf"),
    "epochs a word": ({"epochs": "3"}, "epochs is '3'"),
    "epochs true": ({"epochs": True}, "epochs is True"),
    "epochs none": ({"epochs": None}, "epochs is None"),
    "batch 0": ({"batch": 0}, "batch is 0; expected a whole number from 1"),
    "start negative": ({"start": -3}, "start is -3; expected a whole number from 0"),
    "seed negative": ({"seed": -1}, "seed is -1; expected a whole number from 0"),
    "threads 0": ({"threads": 0}, "threads is 0; expected a whole number from 1"),
    "eta NaN": ({"eta": np.nan}, "eta is nan; expected a finite number"),
    "eta infinite": ({"eta": -np.inf}, "eta is -inf; expected a finite number"),
    "state": ({"state": {"v": 1}}, r"state has \['v'\]; plain SGD keeps none"),
    "no samples": ({"X": X[:0], "Y": Y[:0]}, "X has no rows"),
    "X too wide": ({"X": np.zeros((N, 3))}, rf"X has shape \({N}, 3\); expected \(B, 2\)"),
    "fewer Y": ({"Y": Y[:9]}, rf"Y has shape \(9, 2\) and X \({N}, 2\)"),
    "Y of no class": ({"Y": 0 * Y}, r"Y\[0\] sums to 0; expected 1"),
    "test X too wide": (
        {"test": (np.zeros((3, 5)), Y[:3])},
        r"test\[0\] has shape \(3, 5\); expected \(B, 2\)",
    ),
    "fewer test Y": (
        {"test": (X[:5], Y[:3])},
        r"test\[1\] has shape \(3, 2\) and test\[0\] \(5, 2\)",
    ),
    "test Y of no class": ({"test": (X, 0 * Y)}, r"test\[1\]\[0\] sums to 0"),
    "weights too few": ({"weights": WEIGHTS[:9]}, rf"weights has shape \(9,\); expected \({N},\)"),
    "weights negative": ({"weights": -WEIGHTS}, "weights must not be negative"),
    "order of too few epochs": (
        {"order": drawn_orders(2)},
        rf"order has shape \(2, {N}\); expected \(3, {N}\)",
    ),
    "order of too few samples": (
        {"order": drawn_orders(3)[:, :9]},
        rf"order has shape \(3, 9\); expected \(3, {N}\)",
    ),
    "order one row": ({"order": np.arange(N)}, rf"order has shape \({N},\)"),
    "order beyond the data": ({"order": drawn_orders(3) + 1}, rf"outside of 0 … {N - 1}"),
    "order negative": ({"order": drawn_orders(3) - 1}, rf"outside of 0 … {N - 1}"),
    "order of fractions": ({"order": drawn_orders(3) + 0.5}, "order holds float64; expected whole"),
    "parameter missing": ({"params": {}}, "params has no 'W1'"),
    "parameter read-only": ({"params": FROZEN}, r"params\['W2'\] is read-only"),
    "parameter a list": (
        {"params": {n: v.tolist() for n, v in LAB_IN_PYTHON.params().items()}},
        r"params\['W1'\] is list; expected an array of floats",
    ),
    "parameter of whole numbers": (
        {"params": {n: v.astype(int) for n, v in LAB_IN_PYTHON.params().items()}},
        r"params\['W1'\] is int64; expected an array of floats",
    ),
}


SHARED = LAB_IN_PYTHON.params()
SHARED_MEMORY = {
    "one array": SHARED | {"b1": SHARED["W1"][:, 0].copy()} | {"W2": SHARED["W1"].T},
    "a part": SHARED | {"b1": SHARED["W1"][:, 0]},
}


@pytest.mark.parametrize("params", SHARED_MEMORY.values(), ids=SHARED_MEMORY)
@pytest.mark.parametrize("case", [LAB_IN_PYTHON, LAB32_IN_PYTHON], ids=str)
def test_one_array_under_two_names_is_refused(case: Case, params: dict[str, np.ndarray]) -> None:
    """Each of its steps would undo or double the other's, and no gradient is of that."""
    before = {name: value.copy() for name, value in params.items()}
    names = r"params\['W1'\] and params\['(b1|W2)'\] share memory; expected one array for each"
    with pytest.raises(ValueError, match=names):
        trained(case, params)
    assert same_bytes(params, before)
    X, Y, _ = case.batch(N)
    case.module.loss_and_gradients(params, X, Y)  # where nothing is updated it may be


def test_parts_of_one_array_that_do_not_overlap_are_trained() -> None:
    expected, _ = trained(LAB_IN_PYTHON)
    flat = np.zeros(2 * sum(value.size for value in expected.values()))
    params, first = {}, 0
    for name, value in LAB_IN_PYTHON.params().items():
        params[name] = flat[first : first + 2 * value.size : 2].reshape(value.shape)
        first += 2 * value.size
        params[name][...] = value
    trained(LAB_IN_PYTHON, params)
    assert all(np.shares_memory(params[name], flat) for name in params)
    assert same_bytes(params, expected)


@pytest.mark.parametrize(("changed", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("case", [LAB_IN_PYTHON, LAB_IN_NUMPY, LAB], ids=str)
def test_what_is_refused(case: Case, changed: dict[str, Any], message: str) -> None:
    params = LAB_IN_PYTHON.params()
    given = {"params": params, "X": X, "Y": Y, "epochs": 3, "batch": BATCH, "eta": ETA} | changed
    with pytest.raises(ValueError, match=message):
        case.module.train(given.pop("params"), given.pop("X"), given.pop("Y"), **given)
    assert same_bytes(params, LAB_IN_PYTHON.params()), "nothing was begun"


def test_no_positional_numbers() -> None:
    with pytest.raises(TypeError):
        LAB_IN_PYTHON.module.train(LAB_IN_PYTHON.params(), X, Y, 3, 5, 0.1)


def test_threads_change_nothing() -> None:
    one, two = (trained(LAB_IN_PYTHON, threads=threads)[0] for threads in (1, 2))
    assert same_bytes(one, two)


def test_it_learns() -> None:
    """Two rings that no line separates."""
    draw = np.random.default_rng(0)
    angle, outer = draw.uniform(0, 2 * np.pi, 200), np.arange(200) % 2
    radius = np.where(outer, 1.0, 0.3) + 0.05 * draw.standard_normal(200)
    inputs = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    params = LAB.module.init_params()
    history = LAB.module.train(
        params, inputs, np.eye(2)[1 - outer], epochs=300, batch=10, eta=0.3, evaluate=True
    )
    assert history[0, 1] < 0.8
    assert history[-1, 1] > 0.99
    assert history[-1, 0] < 0.1 * history[0, 0]


def test_another_dtype_follows_the_same_orders() -> None:
    narrow = interpreted("2-10-2", dtype="float32")
    for module in (narrow, LAB_IN_PYTHON.module):
        order = np.zeros(N, np.int64)
        module._write_order(order, np.uint64(5), 6)
        np.testing.assert_array_equal(order, shuffled(5, 6))
