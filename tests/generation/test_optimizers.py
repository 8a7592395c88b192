"""Optimisers made of formulas: step by step those of PyTorch, and what the interpreter computes.

Most modules are run by Python; what a compiler could spoil runs compiled as well.
"""

from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from emitted import assert_all_near, same_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from optimizer_cases import (
    ALL,
    BATCH,
    ETA,
    FEW,
    PLAIN_STEP,
    RECIPES,
    SMALL,
    WIDE,
    assert_pytorchs_steps,
    by_torch,
    data,
    orders,
)
from torch_optimizer import DEFAULTS, Recipe
from uncompiled import uncompiled

from codegen.compile import compile_module
from codegen.errors import InputError
from codegen.generation import generate
from codegen.interpreter import interpret
from codegen.optimizer_programs import Optimizer, optimizer_programs
from codegen.optimizers import METHODS, OPTIONS, SCHEDULES, recipe


@cache
def interpreted(network: str, chosen: Recipe, dtype: str = "float64") -> ModuleType:
    return uncompiled(generate(network, dtype=dtype, **chosen.code).text)


@cache
def compiled(network: str, chosen: Recipe) -> ModuleType:
    return compile_module(generate(network, dtype="float64", **chosen.code))


def test_every_two_parts_of_a_recipe_meet() -> None:
    named = [r for r in RECIPES if r.optimizer]
    parts = [
        (r.optimizer, r.schedule, r.clip_norm is None, "weight_decay" in r.keywords) for r in named
    ]
    for one in range(4):
        for other in range(one):
            met = {(p[one], p[other]) for p in parts}
            assert len(met) == len({p[one] for p in parts}) * len({p[other] for p in parts})


# ---------------------------------------------------------------- PyTorch's steps


@pytest.mark.sweep
@pytest.mark.parametrize("chosen", [*RECIPES, ALL, PLAIN_STEP], ids=str)
def test_a_step_in_vectors_is_pytorchs(chosen: Recipe) -> None:
    assert_pytorchs_steps(interpreted(SMALL, chosen).train, chosen)


def assert_pytorchs_run(
    module: ModuleType, network: str, chosen: Recipe, sparse: str, epochs: int, tolerance: float
) -> None:
    """A run in one call over partial batches, and the same in two."""
    params, X, Y = data(network)
    options: dict[str, Any] = {"batch": BATCH, "eta": ETA, "sparse": sparse, **chosen.keywords}
    given = orders(epochs)
    module.train(params, X, Y, epochs=epochs, order=given, **options)
    assert_all_near(params, by_torch(network, chosen, epochs)[-1], tolerance)
    parts = data(network)[0]
    if chosen.schedule != "constant":
        options["schedule_epochs"] = epochs
    state: dict[str, np.ndarray] = {}
    for start, end in ((0, epochs // 3), (epochs // 3, epochs)):
        module.train(
            parts, X, Y, epochs=end - start, start=start, order=given[start:end], state=state,
            **options,
        )  # fmt: skip
    assert same_bytes(parts, params)
    assert state.get("step", 3 * epochs) == 3 * epochs


@pytest.mark.parametrize("sparse", ["never", "always"])
@pytest.mark.parametrize("chosen", [*FEW, RECIPES[-1], PLAIN_STEP], ids=str)
def test_a_run_of_a_wide_network_is_pytorchs(chosen: Recipe, sparse: str) -> None:
    assert_pytorchs_run(interpreted(WIDE, chosen), WIDE, chosen, sparse, 3, 1e-12)


@pytest.mark.parametrize(
    "network",
    [pytest.param(SMALL, marks=pytest.mark.long), pytest.param(WIDE, marks=pytest.mark.slow)],
)  # a wide module takes many seconds to compile
def test_a_compiled_run_of_some_hundred_steps_is_pytorchs(network: str) -> None:
    for sparse in ("never", "always") if network == WIDE else ("never",):  # one way, if small
        assert_pytorchs_run(compiled(network, ALL), network, ALL, sparse, 90, 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("sparse", ["never", "always"])
@pytest.mark.parametrize("chosen", [ALL, RECIPES[-2]], ids=str)
def test_threads_share_an_optimisers_step(chosen: Recipe, sparse: str) -> None:
    """The same but for rounding for any number, and the same bits for the same."""
    runs = {}
    for threads in (1, 2, 2, 3):
        params, X, Y = data(WIDE, 101)
        state: dict[str, np.ndarray] = {}
        compiled(WIDE, chosen).train(
            params, X, Y, epochs=20, batch=48, eta=ETA, seed=1, state=state, threads=threads,
            sparse=sparse, **chosen.keywords,
        )  # fmt: skip
        assert all(same_bytes(params, before) for before in runs.get(threads, ()))
        runs.setdefault(threads, []).append(params)
        assert_all_near(params, runs[1][0], 1e-11)
        assert state["step"] == 60


@pytest.mark.slow
@pytest.mark.parametrize("network", [SMALL, WIDE])
@pytest.mark.parametrize("chosen", [*RECIPES, PLAIN_STEP], ids=str)
def test_compiled_every_run_is_pytorchs(chosen: Recipe, network: str) -> None:
    for sparse in ("never", "always"):
        assert_pytorchs_run(compiled(network, chosen), network, chosen, sparse, 90, 1e-9)


@pytest.mark.parametrize("slip", ["beta2", "eps", "weight_decay", "clip_norm", "eta"])
def test_the_comparison_can_fail(slip: str) -> None:
    params, X, Y = data(SMALL)
    numbers = {"eta": ETA, **ALL.keywords}
    numbers[slip] *= 1 + 1e-8
    interpreted(SMALL, ALL).train(params, X, Y, epochs=2, batch=BATCH, order=orders(2), **numbers)
    with pytest.raises(AssertionError):
        assert_all_near(params, by_torch(SMALL, ALL, 2)[-1], 1e-12)


def test_numbers_of_a_step_are_made_in_float64() -> None:
    """Rounded to float32 first, 1 - 0.999 would be off by 5e-5 of it."""
    module = interpreted(WIDE, Recipe(optimizer="adam"), "float32")
    names = optimizer_programs(recipe("adam"), "float32").numbers
    made = module._numbers(0.1, (0.9, 0.999, 1e-8, 0.01), (np.zeros(()),))
    found = dict(zip(names, made, strict=True))
    assert all(value.dtype == np.float32 for value in made)
    assert found["fresh2"] == np.float32(1 - 0.999) != np.float32(1) - np.float32(0.999)
    assert found["rate"] == np.float32(0.1 / (1 - 0.9))
    assert found["scale"] == np.float32(1 / np.sqrt(1 - 0.999))


# ---------------------------------------------------------------- given gradients


def emitted_steps(
    module: ModuleType, kept: tuple[str, ...], gradients: list[np.ndarray], **numbers: float
) -> np.ndarray:
    """Return a parameter that starts at 1 after steps by given gradients."""
    W = np.ones_like(gradients[0])
    state = [np.zeros_like(W) for _ in kept]
    steps = (np.zeros(()),)
    names = [name for name in OPTIONS if name in numbers]
    options = tuple(numbers[name] for name in names)
    has_steps = "steps" in module._numbers.__code__.co_varnames
    with np.errstate(all="ignore"):
        for g in gradients:
            made = module._numbers(0.1, options, *([steps] if has_steps else []))
            clip = ()
            if "clip_norm" in numbers:
                clip = (module._clipping(module._squares(g), made),)
            module._update(W, g, *state, made, *clip)
    return W


def in_torch(chosen: Recipe, gradients: list[np.ndarray]) -> np.ndarray:
    given = iter(gradients)
    order = np.zeros((len(gradients), 1), int)  # an epoch for each step
    start = {"W": np.ones_like(gradients[0])}
    *_, last = chosen.steps(start, lambda _, rows: {"W": next(given)}, order, 1, 0.1)
    return last["W"]


def by_interpreter(
    optimizer: Optimizer, gradients: list[np.ndarray], **numbers: float
) -> np.ndarray:
    """Return the same by the programmes, as the interpreter runs them."""
    programs = optimizer.programs
    kept = {"W": np.ones_like(gradients[0])}
    kept |= {name: np.zeros_like(gradients[0]) for name in optimizer.entry_state}
    of_steps = {name: np.zeros(()) for name in optimizer.step_state}
    for g in gradients:
        made = {"eta": 0.1, **numbers}
        after = interpret(programs["numbers"], of_steps, made)
        of_steps = {name: after[name] for name in optimizer.step_state}
        made |= {name: float(value) for name, value in after.items()}
        if optimizer.recipe.clips:
            squares = interpret(programs["squares"], {"g": g})["squares"]
            made["clip"] = float(interpret(programs["clip"], {"squares": squares}, made)["clip"])
        after = interpret(programs["update"], {**kept, "g": g}, made)
        kept = {name: after[name] for name in kept}
    return kept["W"]


BELOW_1 = st.floats(0, 0.9999) | st.sampled_from([0.0, 0.5, 0.9, 0.999])
POSITIVE = st.floats(1e-8, 10)
ENTRY = st.floats(-1e3, 1e3).filter(lambda x: x == 0 or abs(x) > 1e-6)
VALUES = {
    "momentum": st.floats(1e-3, 2),  # torch's Nesterov wants one
    "beta1": BELOW_1,
    "beta2": BELOW_1,
    "eps": POSITIVE,
    "weight_decay": st.floats(0, 1),
    "clip_norm": POSITIVE,
}


@pytest.mark.parametrize("clips", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_any_numbers_and_gradients(method: str, clips: bool) -> None:
    """The emitted update, the interpreter and PyTorch, for a parameter of five entries."""
    made = recipe(method, clip_norm=clips)
    optimizer = optimizer_programs(made, "float64")
    code = Recipe(optimizer=method, clip_norm=1.0 if clips else None)
    module = interpreted(WIDE, code)

    @settings(max_examples=10, deadline=None)
    @given(
        numbers=st.fixed_dictionaries({name: VALUES[name] for name in made.options}),
        gradients=st.lists(
            st.lists(ENTRY, min_size=5, max_size=5),
            min_size=1,
            max_size=3,
        ),
    )
    def check(numbers: dict[str, float], gradients: list[list[float]]) -> None:
        given = [np.array(g) for g in gradients]
        rest = {name: value for name, value in numbers.items() if name != "clip_norm"}
        chosen = Recipe(
            optimizer=method, clip_norm=numbers.get("clip_norm"), numbers=tuple(rest.items())
        )
        found = emitted_steps(module, optimizer.entry_state, given, **numbers)
        expected = in_torch(chosen, given)
        scale = 1e-12 * max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=scale)
        again = by_interpreter(optimizer, given, **numbers)
        np.testing.assert_allclose(found, again, rtol=1e-12, atol=scale)

    check()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "g",
    [
        [0.0, 0.0, 0.0],
        [-0.0, 1e-200, 1e-320],
        [np.inf, 1.0, 0.0],
        [np.nan, 1.0, 0.0],
        [1e200, -1e200, 1.0],  # its square overflows
        [3.0, 4.0, 0.0],
    ],
    ids=str,
)
def test_extremes_are_pytorchs(method: str, g: list[float]) -> None:
    gradients = [np.array(g), np.array([0.5, -0.25, 0.0])]
    if np.isinf(g).any():  # weight decay of 0 is left out by PyTorch; here 0 times infinity is NaN
        gradients = gradients[:1]
    for clip in (None, 0.5):
        chosen = Recipe(optimizer=method, clip_norm=clip)
        options = recipe(method, clip_norm=clip is not None).options
        numbers = {name: (DEFAULTS | chosen.keywords)[name] for name in options}
        kept = optimizer_programs(recipe(method), "float64").entry_state
        found = emitted_steps(interpreted(WIDE, chosen), kept, gradients, **numbers)
        np.testing.assert_allclose(found, in_torch(chosen, gradients), rtol=1e-12)


# ---------------------------------------------------------------- state


@pytest.mark.parametrize("network", [SMALL, WIDE])
@pytest.mark.parametrize("chosen", FEW[:1], ids=str)
def test_a_run_continues_bit_for_bit(chosen: Recipe, network: str) -> None:
    module = interpreted(network, chosen)
    total = {"schedule_epochs": 4}
    whole, X, Y = data(network)
    options: dict[str, Any] = {"batch": BATCH, "eta": ETA, "seed": 5, **chosen.keywords}
    state: dict[str, np.ndarray] = {}
    module.train(whole, X, Y, epochs=4, state=state, **options)
    parts, kept = data(network)[0], {}
    for start, end in ((0, 1), (1, 1), (1, 4)):
        module.train(parts, X, Y, epochs=end - start, start=start, state=kept, **options, **total)
    assert same_bytes(whole, parts)
    assert same_bytes(state, kept)
    assert list(state) == list(module.STATE)
    assert any(np.any(value) for value in state.values())
    fresh = data(network)[0]
    module.train(fresh, X, Y, epochs=3, start=1, **options, **total)
    assert not same_bytes(whole, fresh), "then the state does not matter"


def test_the_callers_arrays_are_updated_in_place() -> None:
    module = interpreted(SMALL, Recipe(optimizer="adam"))
    params, X, Y = data(SMALL)
    state = {
        name: np.zeros(shape, np.float32 if name == "m.W1" else np.float64)
        for name, shape in module.STATE.items()
    }
    same = dict(state)
    module.train(params, X, Y, epochs=1, batch=BATCH, eta=ETA, state=state)
    assert all(state[name] is same[name] for name in same)
    assert state["step"] == 3
    assert state["m.W1"].dtype == np.float32
    assert state["m.W1"].any()


def _broken_states(shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[Any, str]]:
    good = {name: np.zeros(shape) for name, shape in shapes.items()}
    frozen = np.zeros(shapes["m.W1"])
    frozen.flags.writeable = False
    return {
        "missing": ({"step": good["step"]}, "expected nothing yet"),
        "unknown": ({**good, "u.W1": np.zeros(3)}, "expected nothing yet"),
        "shape": ({**good, "m.W1": np.zeros(3)}, r"shape \(3,\); expected \(4, 2\)"),
        "integers": ({**good, "v.b1": np.zeros(4, int)}, "is int64; expected an array of floats"),
        "a list": ({**good, "v.b1": [0.0] * 4}, "is list; expected an array of floats"),
        "read-only": ({**good, "m.W1": frozen}, "read-only"),
        "shared": ({**good, "m.W1": good["v.W1"]}, "share memory"),
    }


@pytest.mark.parametrize(
    "problem", ["missing", "unknown", "shape", "integers", "a list", "read-only", "shared"]
)
def test_a_state_that_does_not_fit_is_refused(problem: str) -> None:
    module = interpreted(SMALL, Recipe(optimizer="adam"))
    params, X, Y = data(SMALL)
    before = {name: value.copy() for name, value in params.items()}
    state, message = _broken_states(module.STATE)[problem]
    names = list(state)
    with pytest.raises(ValueError, match=message):
        module.train(params, X, Y, epochs=1, batch=BATCH, eta=ETA, state=state)
    assert same_bytes(params, before)
    assert list(state) == names


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("beta1", 1.0),
        ("beta2", -0.1),
        ("eps", np.nan),
        ("eps", "small"),
        ("weight_decay", np.inf),
        ("clip_norm", -1),
        ("clip_norm", True),
        ("schedule_epochs", 2),
        ("schedule_epochs", 3.5),
    ],
)
def test_numbers_out_of_range_are_refused(name: str, value: Any) -> None:
    chosen = Recipe(optimizer="adam", clip_norm=1.0, schedule="cosine")
    params, X, Y = data(SMALL)
    numbers = {"clip_norm": 1.0, name: value}
    with pytest.raises(ValueError, match=f"{name} is .*; expected"):
        interpreted(SMALL, chosen).train(
            params, X, Y, epochs=2, start=1, batch=BATCH, eta=ETA, **numbers
        )


def test_a_module_takes_the_numbers_of_its_own_optimiser() -> None:
    params, X, Y = data(SMALL)
    given = {"epochs": 1, "batch": BATCH, "eta": ETA}
    for chosen, name in (
        (Recipe(optimizer=None, schedule="step"), "weight_decay"),
        (Recipe(optimizer="momentum"), "beta1"),
        (Recipe(optimizer="adam"), "clip_norm"),
    ):
        with pytest.raises(TypeError, match=name):
            interpreted(SMALL, chosen).train(params, X, Y, **given, **{name: 0.1})
    with pytest.raises(ValueError, match="keeps none"):
        interpreted(SMALL, Recipe(optimizer="sgd")).train(
            params, X, Y, **given, state={"m.W1": np.zeros((4, 2))}
        )


# ---------------------------------------------------------------- programmes and text


def test_only_a_step_of_nothing_else_is_folded() -> None:
    folds = {
        str(r): optimizer_programs(recipe(**r.code), "float32").rate is not None
        for r in (*RECIPES, PLAIN_STEP, Recipe(optimizer=None))
    }
    assert [name for name, folded in folds.items() if folded] == ["plain step", "plain constant"]


@pytest.mark.parametrize("method", METHODS)
def test_the_lines_of_an_update_become_one_loop(method: str) -> None:
    for clips in (False, True):
        programs = optimizer_programs(recipe(method, clip_norm=clips), "float32").programs
        assert len(programs["update"].nodes) == 1


def test_plain_gradient_descent_is_the_module_as_ever() -> None:
    assert generate(SMALL, schedule="constant", clip_norm=False).text == generate(SMALL).text
    assert "STATE" not in generate(SMALL).text


@pytest.mark.parametrize("network", [SMALL, WIDE])
def test_each_formula_stands_in_the_module_once_above_its_lines(network: str) -> None:
    chosen = recipe("adam", clip_norm=True, schedule="cosine")
    text = generate(network, optimizer="adam", clip_norm=True, schedule="cosine").text
    body = text.split('"""\n\nimport', 1)[1]
    for line in chosen.formulas:
        assert body.count(f"\n        {line}\n") == 1, line
    assert text == generate(network, optimizer="adam", clip_norm=True, schedule="cosine").text


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(InputError, match=r'optimizer: "adamw" is not known\. Known: sgd, momentum'):
        generate(SMALL, optimizer="adamw")
    with pytest.raises(InputError, match=r'schedule: "linear" is not known\. Known: constant, st'):
        generate(SMALL, schedule="linear")
    with pytest.raises(InputError, match="the lab's sgd"):
        generate(SMALL, names="lab", optimizer="sgd")


def test_the_readme_has_the_formulas() -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")
    for method in METHODS.values():
        for line in method.formulas:
            assert f"`{line}`" in readme, line
    for text in SCHEDULES.values():
        assert f"`{text}`" in readme
