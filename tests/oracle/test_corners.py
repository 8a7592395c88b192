"""Slopes at the corner itself against autograd of what was written, in both orders.

SymPy makes ``max(z, 0)`` of ``abs(max(z, 0))`` as soon as it is asked for it, and that has
another slope at 0. So every function with a kink is put into every other.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from oracles import autograd_hvp, shapes_of
from second_order import FORMS, directions, second_order
from torch import Tensor as Torch

from derive.definitions import SCALAR
from derive.evaluate import evaluate
from derive.formula import parse_formula
from derive.formula_sympy import to_sympy
from derive.gradient import gradient_program
from derive.program import Program, Statement, Sum, Tensor, index, size
from derive.spec import parse_spec
from runtime.check_cases import Case
from runtime.torch_formula import formula_values
from runtime.torch_oracle import loss_and_gradients

PLACES = np.array([0.0, 0.75, -0.5, 1.0, -1.0])
KINKS = [
    "abs({})",
    "sign({})",
    "max({}, 0)",
    "min(0, {})",
    "max({}, -{})",
    "max({}, min({}, 0))",
    "max({}, max({}, 0))",
    "min(max({}, -1), 1)",
    "max(1 + {}**2, 1)",
    "relu({})",
    "where({} >= 0, {}, x**2)",
    "where({} == 0, 2*{}, {})",
]
SMOOTH = ["x", "x**2", "x**3", "-3*x", "1 - (1 - x)", "x - x**2"]
AROUND = ["({})**2", "({})**3", "x*({})", "cos({})", "sqrt(1 + ({})**2)", "2 - ({})/3", "({})*({})"]


def both_orders(formula: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the slope of a formula in x, and the slope of that, as they are derived."""
    k, n = index("k"), size("n")
    X = Tensor(name="X", shape=(n,))
    read = parse_formula(formula, names=("x",), activations=tuple(SCALAR))
    value = to_sympy(read, {"x": X[k]}, activations=SCALAR)
    total = Statement(
        target=Tensor(name="loss", shape=()), indices=(), body=Sum(value, (k, 0, n - 1))
    )
    first = gradient_program(
        Program(inputs=(X,), parameters=("X",), statements=(total,), outputs=("loss",))
    )
    slope = first.statement("dX")
    G = replace(slope, target=replace(X, name="G"))
    again = replace(total, body=Sum(G.target[k], (k, 0, n - 1)))
    second = gradient_program(
        Program(inputs=(X,), parameters=("X",), statements=(G, again), outputs=("loss",))
    )
    values = {"X": PLACES}
    return tuple(evaluate(p, values, dtype="float64")["dX"] for p in (first, second))


def by_autograd(formula: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the same by PyTorch, from the formula's syntax tree."""
    read = parse_formula(formula, names=("x",), activations=tuple(SCALAR))
    x = torch.tensor(PLACES, requires_grad=True)

    def relu(z: Torch) -> Torch:
        return torch.where(z > 0, z, torch.zeros_like(z))

    slope = x
    orders = []
    value = formula_values(read, {"x": x}, {"relu": relu})
    for _ in range(2):
        slope = torch.zeros_like(x)
        if value.requires_grad:
            (found,) = torch.autograd.grad(value.sum(), x, create_graph=True, allow_unused=True)
            slope = torch.zeros_like(x) if found is None else found
        orders.append(slope.detach().clone().numpy(force=True))
        value = slope
    return orders[0], orders[1]


NEVER_ABOVE = ["max(max(min(x, 0), 0)**2, x)", "min(abs(x*x), 0)**3", "abs(min(sign(x)**2, 0))**2"]


def filled(outer: str, inner: str) -> str:
    return outer.replace("{}", inner if inner == "x" else f"({inner})")


@pytest.mark.sweep
@pytest.mark.parametrize("outer", [*KINKS, *AROUND])
def test_kinks_within_kinks_have_the_slopes_of_what_was_written(outer: str) -> None:
    for inner in [*SMOOTH, *(filled(kink, "x") for kink in KINKS)]:
        formula = filled(outer, inner)
        for derived, expected in zip(both_orders(formula), by_autograd(formula), strict=True):
            np.testing.assert_allclose(derived, expected, 1e-14, 1e-14, err_msg=formula)


@pytest.mark.parametrize("formula", NEVER_ABOVE)
def test_what_is_0_by_its_sign_has_slopes(formula: str) -> None:
    """SymPy, which knows that ``min(x**2, 0)`` is 0, divides by it in the slope of its power."""
    for derived, expected in zip(both_orders(formula), by_autograd(formula), strict=True):
        np.testing.assert_allclose(derived, expected, 1e-14, 1e-14)


@pytest.mark.parametrize(
    "formula", ["abs(max(z, 0))", "abs(z)**2", "max(z, min(z, 0))", "relu(relu(z)) + max(z**2, 0)"]
)
def test_a_network_whose_units_all_stand_at_the_corner(formula: str) -> None:
    spec = parse_spec("2-3:f-2:identity", loss="sum(abs(P - Y)**2)", define=[f"f(z) = {formula}"])
    generator = np.random.default_rng(0)
    params = {name: generator.standard_normal(shape) for name, shape in shapes_of(spec).items()}
    params["b1"][:] = 0.0
    X, Y = np.array([[0.0, 0.0], [0.5, -1.0]]), generator.standard_normal((2, 2))
    Y[0] = params["b2"]  # the loss stands at its corner too
    case, direction = Case(params=params, X=X, Y=Y), directions(shapes_of(spec), 0)
    along = {f"v{name}": array for name, array in direction.items()}
    _, gradients = loss_and_gradients(spec, params, X, Y)
    products = autograd_hvp(spec, case, direction)
    for form in FORMS:
        program = second_order(spec, form)
        found = evaluate(program, {**case.values(), **along}, dtype="float64")
        for name in params:
            np.testing.assert_allclose(
                found[program.gradients[name]], gradients[name], 1e-12, 1e-14, err_msg=name
            )
            np.testing.assert_allclose(
                found[program.hessian_products[name]], products[name], 1e-12, 1e-14, err_msg=name
            )
