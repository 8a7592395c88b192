"""Hessian times direction against PyTorch's double backward, over every kind of network."""

from dataclasses import replace

import numpy as np
import pytest
from catalogue import ACTIVATIONS, LOSSES, PAIRS, named, network
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from oracles import autograd_hvp, draw_case, shapes_of
from second_order import FORMS, directions, second_order, wrong
from strategies import batches, hidden_activations, layer_sizes, seeds

from derive.error_bound import evaluate_with_bound
from derive.errors import InputError
from derive.program import Program
from derive.spec import OUTPUT_OF_LOSS, NetworkSpec, parse_spec

FIGURE = 1e-10  # of the largest entry


def worst(program: Program, spec: NetworkSpec, batch: int, seed: int) -> float:
    """Return the largest departure from autograd, relative to the largest entry of an array.

    What rounding alone may move by more than the figure is measured by its error bound: what
    cancels, such as the second derivative of a softmax's sum, and what blows up, such as that
    of log(1 - P) near 1.
    """
    try:
        case = draw_case(spec, batch, seed)
    except InputError:  # the loss is not finite at these numbers: draw others
        reject()
    direction = directions(shapes_of(spec), seed)
    expected = autograd_hvp(spec, case, direction)
    along = {f"v{name}": array for name, array in direction.items()}
    values = evaluate_with_bound(program, {**case.values(), **along}, "float64")
    off = 0.0
    assert list(program.hessian_products) == list(expected)
    for name, product in program.hessian_products.items():
        value, bound = values[product]
        assert value.shape == expected[name].shape
        difference = float(np.abs(value - expected[name]).max())
        assert difference == difference, name
        scale = float(np.abs(expected[name]).max()) or 1.0
        most = 2 * float(bound.max())  # autograd rounds as well
        if most > FIGURE * scale:
            assert difference <= most, name
            continue
        off = max(off, difference / scale)
    return off


def assert_agrees(spec: NetworkSpec, batch: int, seed: int, form: str) -> None:
    assert worst(second_order(named(spec), form), spec, batch, seed) <= FIGURE


@pytest.mark.sweep
@pytest.mark.parametrize(("output", "loss"), PAIRS)
@settings(max_examples=1, deadline=None)
@given(
    st.sampled_from(ACTIVATIONS),
    layer_sizes(hidden=1),
    batches,
    seeds,
    st.sampled_from(FORMS),
)
def test_every_output_with_every_loss(
    output: str,
    loss: str,
    hidden: str,
    sizes: tuple[int, ...],
    batch: int,
    seed: int,
    form: str,
) -> None:
    assert_agrees(network(sizes, (hidden,), output, loss), batch, seed, form)


@pytest.mark.sweep
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("hidden", ACTIVATIONS)
@settings(max_examples=1, deadline=None)
@given(layer_sizes(hidden=1), batches, seeds)
def test_every_hidden_activation_with_every_loss(
    hidden: str, loss: str, sizes: tuple[int, ...], batch: int, seed: int
) -> None:
    spec = network(sizes, (hidden,), OUTPUT_OF_LOSS[loss], loss)
    assert_agrees(spec, batch, seed, "stable")


@pytest.mark.parametrize("l2", [0.5, 3.0])
def test_squared_weights_add_the_direction(l2: float) -> None:
    spec = replace(network((3, 4, 2)), l2=l2)
    assert_agrees(spec, 7, 0, "rewritten")
    bare = second_order(network((3, 4, 2))).statement("hW1").body
    assert second_order(spec).statement("hW1").body != bare


def test_a_loss_and_an_activation_of_ones_own() -> None:
    spec = parse_spec(
        "3-4:mish-3",
        loss="-sum(Y*(1-P)**2*log(P))",
        define=["mish(z) = z*tanh(log(1+exp(z)))"],
    )
    for form in FORMS:
        assert worst(second_order(spec, form), spec, 9, 0) <= FIGURE


@pytest.mark.sweep
@pytest.mark.parametrize("hidden_layers", range(6))
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
    for form in FORMS:
        assert_agrees(spec, batch, seed, form)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(
    st.data(),
    st.integers(0, 5),
    st.lists(st.sampled_from(ACTIVATIONS), min_size=1, max_size=3),
    st.sampled_from(PAIRS),
    batches,
    seeds,
    st.sampled_from(FORMS),
)
def test_anything_with_anything(
    data: st.DataObject,
    hidden_layers: int,
    activations: list[str],
    pair: tuple[str, str],
    batch: int,
    seed: int,
    form: str,
) -> None:
    sizes = data.draw(layer_sizes(hidden=hidden_layers))
    assert_agrees(network(sizes, activations, *pair), batch, seed, form)


@pytest.mark.sweep
@pytest.mark.parametrize(
    "spec",
    [
        network((3, 4, 2)),
        pytest.param(
            network((2, 3, 4, 3), ("sigmoid", "softmax"), "identity", "mse"), marks=pytest.mark.slow
        ),
        network((3, 5, 2), ("relu",), "softmax", "mse"),
        network((2, 3), (), "tanh", "mse"),
    ],
    ids=str,
)
def test_every_mistake_is_seen(spec: NetworkSpec) -> None:
    """A lost term or factor, a wrong sign: none passes for right."""
    program = second_order(spec)
    assert worst(program, spec, 5, 0) <= FIGURE
    mistakes = dict(wrong(program))
    assert len(mistakes) >= 2 * len(program.second_order)
    passed = [what for what, spoilt in mistakes.items() if not worst(spoilt, spec, 5, 0) > 1e-4]
    assert passed == []
