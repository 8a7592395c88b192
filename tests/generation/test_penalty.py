"""The penalty whose number is a keyword of ``train``, and the loss that steps see."""

import numpy as np
import pytest

import codegen
from codegen import generation
from codegen.errors import InputError, InternalError
from codegen.generation import generate_any_size
from derive.spec import parse_spec

SPEC = parse_spec("6-5:relu-3")


def data(inputs: int, outputs: int, count: int = 50) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    X = generator.standard_normal((count, inputs)) * (generator.random((count, inputs)) < 0.2)
    return X, np.eye(outputs)[generator.integers(0, outputs, count)]


def any_size(**options: str) -> object:
    source = generate_any_size("n0-n1:relu-n2", optimizer="adam-sklearn", **options)
    return codegen.compile_module(source)


def test_the_module_for_any_sizes_steps_along_the_derivative_of_its_loss() -> None:
    module = any_size()
    X, Y = data(6, 3)
    generator = np.random.default_rng(1)
    shapes = {"W1": (5, 6), "b1": (5,), "W2": (3, 5), "b2": (3,)}
    params = {name: generator.standard_normal(shape) for name, shape in shapes.items()}
    w, l2 = np.full((50, 1), 1 / 50), 0.3
    found, *gradients = module._gradients(tuple(params.values()), X, Y, w, l2)
    P = module.forward(params, X)
    squares = sum((params[name] ** 2).sum() for name in ("W1", "W2"))
    assert np.isclose(found, -(Y * np.log(P)).sum() / 50 + l2 / 2 * squares, rtol=1e-12)
    for name, gradient in zip(params, gradients, strict=True):
        place = np.unravel_index(gradient.size // 2, gradient.shape)
        sides = []
        for step in (1e-6, -1e-6):
            moved = {n: value.copy() for n, value in params.items()}
            moved[name][place] += step
            sides.append(module._gradients(tuple(moved.values()), X, Y, w, l2)[0])
        assert np.isclose((sides[0] - sides[1]) / 2e-6, gradient[place], rtol=1e-6)


def test_a_penalty_that_is_no_decay_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    generation._check_penalty(SPEC, derived(), "one-hot")
    real = generation.loss_program

    def twice(spec: object, **options: bool) -> object:
        other = parse_spec("6-5:relu-3", l2=0.5) if options.get("penalty") else spec
        return real(other, **options)

    monkeypatch.setattr(generation, "loss_program", twice)
    with pytest.raises(InternalError, match=r"the penalty adds .* to dW1"):
        generation._check_penalty(SPEC, derived(), "one-hot")


def derived() -> object:
    loss = generation.loss_program(SPEC, weighted=True)
    return generation.rewrite_program(generation.gradient_program(loss))


def test_refuses_what_has_no_penalty() -> None:
    with pytest.raises(InputError, match="only the target numba has it, with an optimizer"):
        codegen.generate(SPEC, penalty=True)
    with pytest.raises(InputError, match=r"has a size that is a number; expected names"):
        generate_any_size("2-n1-n2", optimizer="momentum")


@pytest.mark.slow
def test_compiled_steps_are_those_of_numpy_over_inputs_that_are_not_0_too() -> None:
    X, Y = data(784, 10, 300)
    source = codegen.generate(
        "784-64:relu-10", dtype="float64", optimizer="adam-sklearn", penalty=True
    )
    compiled, plain = codegen.compile_module(source), any_size()
    order = np.array([np.random.default_rng(e).permutation(300) for e in range(3)])
    weights = np.random.default_rng(2).random(300)
    results = []
    for train, options in (
        (plain.train, {}),
        (compiled.train, {"sparse": "always", "threads": 1}),
        (compiled.train, {"sparse": "always", "threads": 2}),
        (compiled.train, {"sparse": "never", "threads": 2}),
    ):
        params, losses = compiled.init_params(seed=0, scale=0.1), np.zeros(3)
        given = {"epochs": 3, "batch": 40, "eta": 0.01, "order": order, "alpha": 3.0}
        train(params, X, Y, **given, weights=weights, losses=losses, state={}, **options)
        results.append((losses, params))
    for losses, params in results[1:]:
        np.testing.assert_allclose(losses, results[0][0], rtol=1e-11)
        for name, value in params.items():
            np.testing.assert_allclose(value, results[0][1][name], rtol=1e-6, atol=1e-9)
