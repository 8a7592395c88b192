"""Optimisers in NumPy and in C: step by step those of PyTorch, and whole runs as Numba's."""

import itertools
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from c_library import SANITIZED, CNetwork, compile_c, compilers, write
from c_optimizer import CTraining
from emitted import assert_all_near, same_bytes
from optimizer_cases import (
    ALL,
    BATCH,
    ETA,
    PLAIN_STEP,
    RECIPES,
    SMALL,
    WIDE,
    assert_pytorchs_steps,
    by_torch,
    data,
    orders,
)
from torch_optimizer import Recipe
from uncompiled import uncompiled

from codegen.generation import generate
from codegen.source import GeneratedSource
from derive.spec import parse_spec

# with clipping and without, each schedule in one target or the other; the rest takes longer
CHOSEN = [RECIPES[8], RECIPES[14], ALL]
IN_C = [ALL, PLAIN_STEP]
EVERY = [*RECIPES, ALL, PLAIN_STEP]


def with_others(chosen: list[Recipe]) -> list[Any]:
    """Return recipes, and all others for ``-m slow``."""
    slow = pytest.mark.slow
    return [*chosen, *(pytest.param(one, marks=slow) for one in EVERY if one not in chosen)]


@cache
def source(network: str, chosen: Recipe, target: str, dtype: str = "float64") -> GeneratedSource:
    return generate(network, target=target, dtype=dtype, **chosen.code)


@cache
def in_numpy(network: str, chosen: Recipe, dtype: str = "float64") -> ModuleType:
    module = ModuleType("numpy_module")
    exec(source(network, chosen, "numpy", dtype).text, vars(module))
    return module


Build = Callable[..., CTraining]


@pytest.fixture(scope="module")
def in_c(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return what compiles a network's C, by one compiler after the other, each once."""
    built: dict[object, CTraining] = {}
    turns = itertools.cycle(compilers())

    def get(network: str, chosen: Recipe, dtype: str = "float64") -> CTraining:
        key = (network, chosen, dtype)
        if key not in built:
            text = source(network, chosen, "c", dtype)
            folder = tmp_path_factory.mktemp("c")
            c = CNetwork.built(text, folder, ("-O0",), compiler=next(turns))
            built[key] = CTraining(c, chosen.code)
        return built[key]

    return get


# ---------------------------------------------------------------- PyTorch's steps


@pytest.mark.parametrize("chosen", with_others(CHOSEN), ids=str)
def test_a_step_in_numpy_is_pytorchs(chosen: Recipe) -> None:
    assert_pytorchs_steps(in_numpy(SMALL, chosen).train, chosen)


@pytest.mark.parametrize("chosen", with_others(IN_C), ids=str)
def test_a_step_in_c_is_pytorchs(in_c: Build, chosen: Recipe) -> None:
    assert_pytorchs_steps(in_c(SMALL, chosen).train, chosen)


@pytest.mark.parametrize("slip", ["beta2", "eps", "weight_decay", "clip_norm", "eta"])
def test_the_comparison_can_fail(in_c: Build, slip: str) -> None:
    numbers = {"eta": ETA, **ALL.keywords}
    numbers[slip] *= 1 + 1e-8
    given = {"epochs": 2, "batch": BATCH, "order": orders(2), **numbers}
    for train in (in_numpy(SMALL, ALL).train, in_c(SMALL, ALL).train):
        params, X, Y = data(SMALL)
        train(params, X, Y, **given)
        with pytest.raises(AssertionError):
            assert_all_near(params, by_torch(SMALL, ALL, 2)[-1], 1e-12)


# ---------------------------------------------------------------- Numba's runs


@pytest.mark.parametrize(
    ("network", "dtypes"), [(WIDE, ("float64", "float32")), ("2-16-2", ("float64",))]
)
def test_a_run_is_numbas(in_c: Build, network: str, dtypes: tuple[str, ...]) -> None:
    """In loops over chunks, of which a batch takes two; with units in lanes, where state is turned.

    In float32 more is rounded.
    """

    def run(train: Callable[..., Any]) -> dict[str, np.ndarray]:
        params, X, Y = data(network, 140)
        state: dict[str, Any] = {}
        given = {"batch": 135, "eta": ETA, "seed": 4, "state": state, **ALL.keywords}
        train(params, X, Y, epochs=1, schedule_epochs=3, **given)
        train(params, X, Y, epochs=2, start=1, schedule_epochs=3, **given)
        assert (state["C"].step if "C" in state else state["step"]) == 6
        return params

    expected = run(uncompiled(generate(network, dtype="float64", **ALL.code).text).train)
    for dtype in dtypes:
        tolerance = {"float64": 1e-12, "float32": 2e-5}[dtype]
        assert_all_near(run(in_numpy(network, ALL, dtype).train), expected, tolerance)
        assert_all_near(run(in_c(network, ALL, dtype).train), expected, tolerance)


# ---------------------------------------------------------------- state and numbers


def test_a_run_continues_bit_for_bit(in_c: Build) -> None:
    for train in (in_numpy(SMALL, ALL).train, in_c(SMALL, ALL).train):
        whole, X, Y = data(SMALL)
        given: dict[str, Any] = {"batch": BATCH, "eta": ETA, "seed": 5, **ALL.keywords}
        train(whole, X, Y, epochs=4, **given)
        parts, kept = data(SMALL)[0], dict[str, Any]()
        for start, end in ((0, 1), (1, 1), (1, 4)):
            train(
                parts, X, Y, epochs=end - start, start=start, state=kept, schedule_epochs=4,
                **given,
            )  # fmt: skip
        assert same_bytes(whole, parts)
        fresh = data(SMALL)[0]
        train(fresh, X, Y, epochs=3, start=1, schedule_epochs=4, **given)
        assert not same_bytes(whole, fresh), "then the state does not matter"


def test_the_state_of_numpy_is_numbas() -> None:
    module, other = in_numpy(SMALL, ALL), uncompiled(generate(SMALL, **ALL.code).text)
    assert module.STATE == other.STATE
    params, X, Y = data(SMALL)
    state: dict[str, np.ndarray] = {}
    module.train(params, X, Y, epochs=1, batch=BATCH, eta=ETA, state=state, **ALL.keywords)
    assert list(state) == list(module.STATE)
    assert state["step"] == 3
    with pytest.raises(ValueError, match="beta1 is 1; expected a finite number from 0, and below"):
        module.train(params, X, Y, epochs=1, batch=BATCH, eta=ETA, **{**ALL.keywords, "beta1": 1})


@pytest.mark.parametrize(
    "wrong",
    [
        {"beta1": 1.0},
        {"beta2": -0.1},
        {"eps": np.nan},
        {"weight_decay": np.inf},
        {"clip_norm": -1.0},
        {"schedule_epochs": 2},
    ],
    ids=str,
)
def test_numbers_out_of_range_are_refused_in_c(in_c: Build, wrong: dict[str, Any]) -> None:
    params, X, Y = data(SMALL)
    before = {name: value.copy() for name, value in params.items()}
    state: dict[str, Any] = {}
    given: dict[str, Any] = {"epochs": 2, "batch": BATCH, "eta": ETA, "state": state}
    train = in_c(SMALL, ALL).train
    assert train(params, X, Y, start=1, **given, **{**ALL.keywords, **wrong}) == 2
    assert same_bytes(params, before)
    assert not any(bytes(state["C"]))
    assert train(params, X, Y, start=1, **given, **ALL.keywords) == 0
    assert state["C"].step == 6


# ---------------------------------------------------------------- how it compiles

DRIVER = """
#include "net.h"
#include <stdlib.h>
/* every array as long as it must be: the sanitizer sees a step beyond */
int main(void)
{
    NUMBER x[5 * NET_INPUTS] = {1, -2, 1}, y[5 * NET_OUTPUTS] = {0};
    NUMBER *params = malloc(NET_PARAMETERS * sizeof(NUMBER));
    net_state *state = calloc(1, sizeof(net_state));
    net_options options = NET_DEFAULTS(1.0);
    for (int i = 0; i < 5; i++)
        y[i * NET_OUTPUTS] = 1;
    for (int i = 0; i < NET_PARAMETERS; i++)
        params[i] = (NUMBER)(i * 29 % 97) / 400;
    int wrong = !net_train(params, x, y, 5, 2, 2, 1, 3, NULL, NULL, 0, NULL, state);
    for (int extreme = 0; extreme < 2; extreme++) {
        wrong |= net_train(params, x, y, 5, 2, 2, 1, 3, NULL, NULL, 0, &options, state);
        params[0] *= (NUMBER)1e30; /* inf and NaN are numbers like others */
    }
    wrong |= state->step != 12;
    free(params), free(state);
    return wrong;
}
"""


@pytest.mark.parametrize(("network", "dtype"), [(SMALL, "float64"), (WIDE, "float32")])
def test_clean_under_the_sanitizers(tmp_path: Path, network: str, dtype: str) -> None:
    path = write(source(network, ALL, "c", dtype), tmp_path)
    driver = tmp_path / "driver.c"
    driver.write_text(DRIVER.replace("NUMBER", "float" if dtype == "float32" else "double"))
    out = compile_c(path, driver, out=tmp_path / "a.out", flags=SANITIZED)
    done = subprocess.run([out], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "chosen",
    [ALL, *(pytest.param(r, marks=pytest.mark.slow) for r in (PLAIN_STEP, RECIPES[8]))],
    ids=str,
)
def test_its_main_trains_circles(tmp_path: Path, chosen: Recipe) -> None:
    path = write(generate("2-10-2", target="c", **chosen.code), tmp_path)
    out = compile_c(path, out=tmp_path / "a.out", flags=("-O0", "-DNET_MAIN"))
    done = subprocess.run([out], capture_output=True, text=True, check=True)
    assert float(done.stdout.split()[2]) > 80, done.stdout


@pytest.mark.slow
def test_every_recipe_compiles_without_a_warning(tmp_path: Path) -> None:
    for chosen, dtype in itertools.product(EVERY, ("float32", "float64")):
        path = write(generate("2-3-2", target="c", dtype=dtype, **chosen.code), tmp_path)
        for compiler, flags in itertools.product(compilers(), ((), ("-DNET_PORTABLE",))):
            flags = ("-fsyntax-only", "-DNET_MAIN", *flags)
            compile_c(path, out=tmp_path / "none", flags=flags, compiler=compiler)


# ---------------------------------------------------------------- the text


def test_numpys_step_is_one_function() -> None:
    text = source(SMALL, ALL, "numpy").text
    _, _, step = text.partition("\ndef _step(params, X, Y, w, eta, options, steps, state):\n")
    step = step.partition("\n\n\n")[0]
    for line in (
        "        W = W - rate*m/(scale*sqrt(v) + eps)\n",
        "    gradients = _gradients(params, X, Y, w)\n",
        "    fresh2 = 1 - beta2\n",
        "    for W, g, m, v in zip(params, gradients, *state, strict=True):\n",
        "        m[...] = beta1 * m + fresh1 * decayed\n",
        "        W -= rate * m / (eps + scale * np.sqrt(v))",
    ):
        assert line in step


def test_the_header_tells_numbers_and_state() -> None:
    generated = source(SMALL, ALL, "c")
    header = generated.header or ""
    for line in (
        " *     W = W - rate*m/(scale*sqrt(v) + eps)\n",
        "    double beta2; /* Share of the mean square that is kept. From 0, and below 1. */\n",
        "#define NET_DEFAULTS(clip_norm) {0.9, 0.999, 1e-08, 0.0, clip_norm, 0}\n",
        "    double m[NET_PARAMETERS], v[NET_PARAMETERS];\n    double step;\n} net_state;\n",
        "    size_t start, const net_options *options, net_state *state);\n",
    ):
        assert line in header
    assert generated.reports["update"], "--explain tells its passes"


def test_gradients_that_are_the_same_for_all_samples() -> None:
    """Clipping sums over every entry of a gradient, however it is computed."""
    chosen = Recipe(optimizer="momentum", clip_norm=0.01)
    spec = parse_spec("2-3-2:identity", loss="sum(P)")
    runs = []
    for target in ("numpy", "numba"):
        text = generate(spec, target=target, dtype="float64", **chosen.code).text
        module = uncompiled(text)
        params, X, Y = data("2-3-2")
        module.train(params, X, Y, epochs=2, batch=BATCH, eta=ETA, **chosen.keywords)
        runs.append(params)
    assert_all_near(runs[0], runs[1], 1e-12)
