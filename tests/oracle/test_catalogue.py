"""The layers of the catalogue against PyTorch: values, every gradient, second order."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from layers import (
    LAYERS,
    Arrays,
    backward,
    draw,
    raw,
    rewritten,
    second_order,
    shift_mutants,
    stable,
    torch_inputs,
)
from mutants import mutants

from derive.error_bound import evaluate_with_bound
from derive.evaluate import evaluate
from derive.printing import statement_text
from derive.program import Program

FIGURE = 1e-10  # relative to the largest entry
FORMS = {"raw": raw, "rewritten": rewritten, "stable": stable}


def oracle(name: str, values: Arrays) -> dict[str, np.ndarray]:
    """Return autograd's output, loss, and gradients by the names of their tensors."""
    tensors = torch_inputs(name, values)
    P = LAYERS[name].oracle(tensors)
    loss = (P * tensors["R"]).sum()
    wanted = {n: tensor for n, tensor in tensors.items() if tensor.requires_grad}
    gradients = torch.autograd.grad(loss, list(wanted.values()))
    found = {f"d{n}": g.numpy() for n, g in zip(wanted, gradients, strict=True)}
    return {"P": P.detach().numpy(), "loss": loss.detach().numpy(), **found}


def departure(computed: np.ndarray, expected: np.ndarray) -> float:
    assert computed.shape == expected.shape
    scale = float(np.abs(expected).max()) or 1.0
    return float(np.abs(computed - expected).max()) / scale


def assert_agrees(computed: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    assert expected
    for what, value in expected.items():
        assert departure(computed[what], value) <= FIGURE, what


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients_are_autograds(name: str, form: str) -> None:
    program = FORMS[form](name)
    for seed in range(8):
        values = draw(name, seed)
        computed = evaluate(program, values, dtype="float64")
        expected = oracle(name, values)
        expected.pop("dX", None)  # no parameter: see the next test
        assert {*program.gradients.values(), "P", "loss"} == expected.keys()
        assert_agrees(computed, expected)


@pytest.mark.parametrize("name", LAYERS)
def test_the_gradient_in_the_input_is_autograds_too(name: str) -> None:
    program = backward(name)
    for seed in range(8):
        values = draw(name, seed)
        expected = oracle(name, values)
        del expected["loss"]
        assert ("dX" in expected) == (name != "embedding")
        given = {**values, "dP": values["R"]}
        assert_agrees(evaluate(program, given, dtype="float64"), expected)


@pytest.mark.parametrize("name", LAYERS)
def test_second_order_is_that_of_double_backward(name: str) -> None:
    program = second_order(name)
    for seed in range(3):
        values = draw(name, seed)
        generator = np.random.default_rng(seed + 1000)
        along = {
            f"v{n}": generator.normal(size=values[n].shape)
            for n in LAYERS[name].define().parameters
        }
        expected = hessian_products(name, values, along)
        computed = evaluate(program, {**values, **along}, dtype="float64")
        assert set(program.hessian_products.values()) == expected.keys()
        assert_agrees(computed, expected)


def hessian_products(name: str, values: Arrays, along: Arrays) -> dict[str, np.ndarray]:
    tensors = torch_inputs(name, values)
    parameters = LAYERS[name].define().parameters
    loss = (LAYERS[name].oracle(tensors) * tensors["R"]).sum()
    wanted = [tensors[n] for n in parameters]
    gradients = torch.autograd.grad(loss, wanted, create_graph=True)
    moved = sum(
        (g * torch.tensor(along[f"v{n}"])).sum() for n, g in zip(parameters, gradients, strict=True)
    )
    zeros = {f"h{n}": np.zeros_like(values[n]) for n in parameters}
    if not moved.requires_grad:
        return zeros
    second = torch.autograd.grad(moved, wanted, allow_unused=True)
    found = {f"h{n}": s.numpy() for n, s in zip(parameters, second, strict=True) if s is not None}
    return zeros | found


@pytest.mark.parametrize("name", LAYERS)
def test_the_error_bound_holds(name: str) -> None:
    """Where float32 is computed, float64 lies within the bound."""
    program = stable(name)
    values = {n: array.astype(np.float32) for n, array in draw(name, 1).items()}
    bounds = evaluate_with_bound(program, values, "float32")
    fine = evaluate(program, values, dtype="float64")
    coarse = evaluate(program, values, dtype="float32")
    for statement in program.statements:
        what = statement.name
        _, bound = bounds[what]
        assert np.isfinite(bound).all(), what
        assert (np.abs(fine[what] - coarse[what]) <= bound).all(), what


# mistakes that are none: the gradients have the values that they should have
EQUAL = {
    "layer norm": {
        # dC is off by the same number all along a row, and dX takes the row's mean out
        "dC[i,j] = (dN[i,j] − X[i,j] Σ_k dN[i,k] C[i,k] / (n sigma[i] √(1/100000 + var[i])))"
        "/sigma[i]",
    },
    "residual": {
        # dF is dP, and relu(z) is above 0 where z is
        "dW2[j,k] = Σ_i dP[i,j] H1[i,k]",
        "db2[j] = Σ_i dP[i,j]",
        "dH1[i,j] = Σ_k dP[i,k] W2[k,j]",
        "dZ1[i,j] = where(H1[i,j] > 0, dH1[i,j], 0)",
        "dX[i,j] = dF[i,j] + Σ_k dZ1[i,k] W1[k,j]",
    },
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_comparison_rejects_every_mutant(name: str) -> None:
    stock = [*mutants(backward(name)), *shift_mutants(backward(name))]
    assert len(stock) >= 5
    for seed in (3, 4, 5):  # an axis of length 1 hides a shift
        values = draw(name, seed)
        expected = oracle(name, values)
        del expected["loss"]
        given = {**values, "dP": values["R"]}
        stock = [mutant for mutant in stock if agrees(mutant.program, given, expected)]
    accepted = {statement_text(mutant.program.statement(mutant.where)) for mutant in stock}
    assert accepted == EQUAL.get(name, set())


def agrees(program: Program, values: Arrays, expected: Mapping[str, np.ndarray]) -> bool:
    computed = evaluate(program, values, dtype="float64")
    return all(departure(computed[what], value) <= FIGURE for what, value in expected.items())


def test_a_number_of_no_row_gives_a_row_of_zeros() -> None:
    values = {"T": np.array([2.0, 0.5, 3.0, -1.0]), "W": np.ones((3, 2)), "R": np.ones((4, 2))}
    found = evaluate(rewritten("embedding"), values, dtype="float64")
    np.testing.assert_array_equal(found["P"], [[1, 1], [0, 0], [0, 0], [0, 0]])
    np.testing.assert_array_equal(found["dW"], [[0, 0], [0, 0], [1, 1]])
