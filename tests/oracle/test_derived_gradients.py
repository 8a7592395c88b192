"""Derived gradients against PyTorch autograd, entry by entry within the error bound."""

from dataclasses import replace

import numpy as np
import pytest
from catalogue import (
    ACTIVATIONS,
    DEPTHS,
    LOSSES,
    PAIRS,
    named,
    network,
    raw_gradient,
    rewritten_gradient,
    stable_gradient,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import Oracle, draw_case, shapes_of
from strategies import batches, hidden_activations, layer_sizes, seeds

from derive.evaluate import evaluate
from derive.spec import OUTPUT_OF_LOSS, NetworkSpec
from runtime.torch_oracle import train_sgd

FORMS = {"raw": raw_gradient, "rewritten": rewritten_gradient, "stable": stable_gradient}
FLOAT64_FIGURE = 1e-12  # relative, where the bound lies below it


def assert_agrees(spec: NetworkSpec, batch: int, seed: int, dtype: str, form: str) -> None:
    """Check a form of the derived programme, with names for sizes, on drawn numbers."""
    program = FORMS[form](named(spec))
    oracle = Oracle(spec, draw_case(spec, batch, seed, dtype), program, dtype)
    for name, found in oracle.departures(program).items():
        if dtype == "float32" and found.relative_bound == np.inf:
            continue  # it may leave its domain in this type: log(1 - P) where P rounds to 1
        assert found.in_bounds <= 1, (name, found)
        if dtype == "float64" and found.relative_bound <= FLOAT64_FIGURE:
            assert found.relative_error <= FLOAT64_FIGURE, (name, found)


@pytest.mark.sweep
@pytest.mark.parametrize(("output", "loss"), PAIRS)
@settings(max_examples=2, deadline=None)
@given(
    st.sampled_from(ACTIVATIONS),
    layer_sizes(hidden=1),
    batches,
    seeds,
    st.sampled_from(["float32", "float64"]),
    st.sampled_from(sorted(FORMS)),
)
def test_every_output_with_every_loss(
    output: str,
    loss: str,
    hidden: str,
    sizes: tuple[int, ...],
    batch: int,
    seed: int,
    dtype: str,
    form: str,
) -> None:
    assert_agrees(network(sizes, (hidden,), output, loss), batch, seed, dtype, form)


@pytest.mark.sweep
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("hidden", ACTIVATIONS)
@settings(max_examples=2, deadline=None)
@given(layer_sizes(hidden=1), batches, seeds, st.sampled_from(["float32", "float64"]))
def test_every_hidden_activation_with_every_loss(
    hidden: str, loss: str, sizes: tuple[int, ...], batch: int, seed: int, dtype: str
) -> None:
    spec = network(sizes, (hidden,), OUTPUT_OF_LOSS[loss], loss)
    assert_agrees(spec, batch, seed, dtype, "stable")


@pytest.mark.sweep
@pytest.mark.parametrize("hidden_layers", DEPTHS)
@settings(max_examples=2, deadline=None)
@given(st.data(), hidden_activations, st.sampled_from(LOSSES), batches, seeds)
def test_every_depth(
    hidden_layers: int,
    data: st.DataObject,
    activations: list[str],
    loss: str,
    batch: int,
    seed: int,
) -> None:
    sizes = data.draw(layer_sizes(hidden=hidden_layers))
    spec = network(sizes, activations, "softmax", loss)
    assert_agrees(spec, batch, seed, "float64", "raw")
    assert_agrees(spec, batch, seed, "float32", "stable")


@settings(max_examples=25, deadline=None)
@given(
    layer_sizes(hidden=2),
    hidden_activations,
    batches,
    seeds,
    st.sampled_from(["float32", "float64"]),
)
def test_weights_as_in_the_lab(
    sizes: tuple[int, ...], activations: list[str], batch: int, seed: int, dtype: str
) -> None:
    """0.3 times normal, biases 0: sums cancel more than in the cases drawn elsewhere."""
    spec = network(sizes, activations)
    case = draw_case(spec, batch, seed, dtype)
    generator = np.random.default_rng(seed)
    params = {
        name: 0.3 * generator.standard_normal(shape) * (len(shape) == 2)
        for name, shape in shapes_of(spec).items()
    }
    program = raw_gradient(named(spec))
    lab = replace(case, params=params).rounded(dtype)
    assert Oracle(spec, lab, program, dtype).agrees(program)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(
    st.data(),
    st.sampled_from(DEPTHS),
    st.lists(st.sampled_from(ACTIVATIONS), min_size=1, max_size=3),
    st.sampled_from(PAIRS),
    batches,
    seeds,
    st.sampled_from(["float32", "float64"]),
    st.sampled_from(sorted(FORMS)),
)
def test_anything_with_anything(
    data: st.DataObject,
    hidden_layers: int,
    activations: list[str],
    pair: tuple[str, str],
    batch: int,
    seed: int,
    dtype: str,
    form: str,
) -> None:
    sizes = data.draw(layer_sizes(hidden=hidden_layers))
    assert_agrees(network(sizes, activations, *pair), batch, seed, dtype, form)


def test_sizes_in_numbers_give_the_same_as_names() -> None:
    spec = network((3, 5, 1, 4), ("relu", "sigmoid"))
    values = draw_case(spec, 7, 3).values()
    numbers, names = (
        evaluate(raw_gradient(s), values, dtype="float64") for s in (spec, named(spec))
    )
    assert numbers.keys() == names.keys()
    for name, value in numbers.items():
        np.testing.assert_array_equal(value, names[name])


def test_the_bound_lies_below_the_figure_for_ordinary_networks() -> None:
    """Else the figure 1e-12 would be asked of nobody."""
    spec = network((4, 6, 3))
    program = raw_gradient(spec)
    found = Oracle(spec, draw_case(spec, 16, 0), program).departures(program)
    assert all(one.relative_bound < FLOAT64_FIGURE for one in found.values())
    assert max(one.relative_error for one in found.values()) < 1e-14


def test_a_trajectory_is_that_of_autograd_and_sgd() -> None:
    spec = network((3, 5, 2))
    program = rewritten_gradient(spec)
    case = draw_case(spec, 20, 0)
    order = np.array([np.random.default_rng(epoch).permutation(20) for epoch in range(40)])
    params = {name: array.copy() for name, array in case.params.items()}
    for epoch in order:
        for first in range(0, 20, 6):  # the last batch has two samples
            chosen = epoch[first : first + 6]
            values = {**params, "X": case.X[chosen], "Y": case.Y[chosen]}
            results = evaluate(program, values, dtype="float64")
            for name, gradient in program.gradients.items():
                params[name] -= 0.5 * results[gradient]
    oracle = train_sgd(spec, case.params, case.X, case.Y, order, 6, 0.5)
    for name, value in params.items():
        assert np.abs(oracle[name] - case.params[name]).max() > 0.05, "it has learnt nothing"
        assert np.abs(value - oracle[name]).max() <= 1e-12, name
