"""Training shared by processes: the trajectory of one process with whole batches."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from emitted import same_bytes
from shards import Sum, train_in_shards
from uncompiled import uncompiled

import codegen
from codegen.errors import InputError
from codegen.source import GeneratedSource
from derive.spec import parse_spec

N, BATCH, EPOCHS = 23, 10, 2  # the last batch has 3 samples: four shards are not all given one
STEPS = 3 * EPOCHS

# text, loss, l2, optimiser, whether it clips
PLAIN = ("3-4-2", "cross-entropy", 0.0, "sgd", False)
PENALISED = ("3-5:relu-4-2", "cross-entropy", 0.02, "adam", True)  # clipped with its penalty
REGRESSION = ("3-4-1", "mse", 0.1, "momentum", False)
WIDE = ("40-36-3", "huber", 0.0, "adam", True)  # by BLAS, and over inputs that are not 0
CIRCLES = ("2-10-2", "cross-entropy", 0.0, "sgd", False)
CASES = [(PLAIN, ""), (PENALISED, ""), (REGRESSION, ""), (WIDE, "always"), (WIDE, "never")]
Network = tuple[str, str, float, str, bool]


def generated(network: Network, *, shards: bool) -> GeneratedSource:
    text, loss, l2, optimizer, clips = network
    return codegen.generate(
        parse_spec(text, loss=loss, l2=l2),
        dtype="float64",
        labels="one-hot" if loss == "cross-entropy" else "any",
        optimizer=optimizer,
        clip_norm=clips,
        shards=shards,
    )


@cache
def in_python(network: Network, *, shards: bool) -> ModuleType:
    return uncompiled(generated(network, shards=shards).text)


def problem(network: Network) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    sizes = in_python(network, shards=True).SIZES
    draw = np.random.default_rng(4)
    X = draw.standard_normal((N, sizes[0])) * (draw.random((N, sizes[0])) < 0.3)
    Y = np.eye(sizes[-1])[draw.integers(0, sizes[-1], N)]
    options = {"epochs": EPOCHS, "batch": BATCH, "eta": 0.05, "seed": 3, "test": (X[:9], Y[:9])}
    return X, Y, options | ({"clip_norm": 0.1} if network[4] else {})


def alone(network: Network, **options: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    module = in_python(network, shards=False)
    X, Y, given = problem(network)
    params = module.init_params(seed=1)
    return params, module.train(params, X, Y, **given | options)


@pytest.mark.parametrize(("network", "sparse"), CASES, ids=str)
def test_shards_take_the_steps_of_whole_batches(network: Network, sparse: str) -> None:
    module = in_python(network, shards=True)
    X, Y, options = problem(network)
    weights = None if network is PLAIN else np.random.default_rng(5).uniform(0, 2, N)
    options |= {"sparse": sparse or "auto", "weights": weights}
    expected, history = alone(network, **options)
    for count in (1, 4) if network is WIDE else (1, 2, 7):
        start = module.init_params(seed=1)
        given = {**options, "threads": 2 if count == 2 else 1}
        found, rows, total = train_in_shards(module, count, start, X, Y, **given)
        for params, figures in zip(found, rows, strict=True):
            assert same_bytes(params, found[0])
            assert figures.tobytes() == rows[0].tobytes()
        for name, value in expected.items():
            np.testing.assert_allclose(found[0][name], value, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(rows[0], history, rtol=1e-10)
        # one sum a step, and one for the figures of an epoch
        assert total.calls == [0 if count == 1 else STEPS + EPOCHS] * count


def test_weights_of_samples_are_summed_once_all_threads_have_gathered_theirs() -> None:
    text = generated(PENALISED, shards=True).text
    step = text[text.index("def _step(") : text.index("def _step_work(")]
    assert "_total(w[:n])" in step
    assert step.index("_meet(team)") < step.index("_total(w[:n])")


def test_the_comparison_can_fail() -> None:
    module = in_python(PENALISED, shards=True)
    X, Y, options = problem(PENALISED)
    expected, _ = alone(PENALISED)

    def mean(array: np.ndarray) -> None:
        array /= 2

    params = module.init_params(seed=1)
    module.train(params, X, Y, **options, shards=2, shard=0, reduce=mean)
    assert any(np.abs(params[name] - expected[name]).max() > 1e-3 for name in params)


def test_in_the_same_order_when_it_goes_on() -> None:
    module = in_python(PENALISED, shards=True)
    X, Y, options = problem(PENALISED)
    whole, rows, _ = train_in_shards(module, 2, module.init_params(seed=1), X, Y, **options)
    first = dict(options, epochs=1)
    params, states = [module.init_params(seed=1) for _ in range(2)], [{}, {}]

    def part(start: int) -> np.ndarray:
        total = Sum(2)

        def train(shard: int) -> np.ndarray:
            given = {"shard": shard, "shards": 2, "reduce": total.of(shard), "start": start}
            return module.train(params[shard], X, Y, **first, **given, state=states[shard])

        with ThreadPoolExecutor(2) as pool:
            return next(iter(pool.map(train, range(2))))

    assert np.concatenate([part(0), part(1)]).tobytes() == rows[0].tobytes()
    assert same_bytes(params[1], whole[0])


@pytest.mark.long
def test_compiled_shards_stop_together_and_pass_on_what_fails() -> None:
    # compiled for gradwright train circles, under mpiexec, too
    module = codegen.compile_module(codegen.generate("2-10-2", optimizer="sgd", shards=True))
    X, Y, options = problem(CIRCLES)
    expected, history = alone(CIRCLES)
    start = module.init_params(seed=1)
    found, rows, _ = train_in_shards(module, 2, start, X, Y, **options)
    assert same_bytes(*found)
    for name, value in expected.items():
        np.testing.assert_allclose(found[0][name], value, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(rows[0], history, rtol=1e-5)
    # one asks for an end: all stop after the same epoch
    long = dict(options, epochs=200_000)
    callbacks = [lambda rows: False, lambda rows: True]
    found, rows, _ = train_in_shards(module, 2, start, X, Y, **long, callback=callbacks)
    assert len(rows[0]) == len(rows[1]) < 200_000
    assert same_bytes(*found)

    def fail(array: np.ndarray) -> None:
        del array
        raise OSError("the network is down")

    with pytest.raises(OSError, match="the network is down"):
        module.train(start, X, Y, **long, shards=2, shard=1, reduce=fail)


def test_refuses_what_cannot_be_shared() -> None:
    for options in ({"optimizer": None}, {"optimizer": "sgd", "target": "c"}):
        with pytest.raises(InputError, match="only the target numba has them, with an optimizer"):
            codegen.generate("2-3-2", shards=True, **options)
    module = in_python(PLAIN, shards=True)
    X, Y, options = problem(PLAIN)
    wrong = [
        ({"shard": 2, "shards": 2}, "shard is 2; expected less than shards, 2"),
        ({"shards": 0}, "shards is 0; expected a whole number from 1"),
        ({"shards": 2}, "reduce is None; expected a function"),
    ]
    for given, message in wrong:
        with pytest.raises(ValueError, match=message):
            module.train(module.init_params(), X, Y, **options, **given)
