"""The one rule: no derivative is known but what sympy.diff makes of a forward definition."""

import time
from collections.abc import Callable

import numpy as np
import pytest
import sympy
import torch
from catalogue import ACTIVATIONS, LOSSES, network, raw_gradient
from hypothesis import given, settings
from oracles import draw_case, shapes_of, torch_value
from random_formulas import random_formula
from strategies import batches, layer_sizes, seeds
from sympy import Expr, Integer

from derive import definitions
from derive.definitions import Row, Sample, elementwise
from derive.errors import InternalError
from derive.evaluate import evaluate
from derive.gradient import gradient_program, vjp_program
from derive.indices import fresh
from derive.network import loss_program
from derive.program import BATCH, MaxOver, Program, Statement, Sum, Tensor, index, size
from derive.rewrite import rewrite_program
from derive.spec import NetworkSpec
from derive.stable import stable_program
from runtime import torch_oracle
from runtime.check_cases import Case

z, y, p = sympy.symbols("z y p", real=True)
i, j, k = index("i"), index("j"), index("k")


def every_form(spec: NetworkSpec) -> tuple[Program, ...]:
    """Return a network's gradient programme as derived, rewritten, and stable."""
    raw = gradient_program(loss_program(spec))
    rewritten = rewrite_program(raw)
    return raw, rewritten, stable_program(rewritten)


def assert_agrees_with_autograd(spec: NetworkSpec, case: Case, *programs: Program) -> None:
    """Compare loss and gradients of every programme, relative to the largest entry."""
    value, gradients = torch_oracle.loss_and_gradients(spec, case.params, case.X, case.Y)
    for program in programs:
        results = evaluate(program, case.values(), dtype="float64")
        assert results["loss"] == pytest.approx(value, rel=1e-11)
        for name, gradient in gradients.items():
            scale = np.abs(gradient).max() or 1.0
            assert np.abs(results[program.gradients[name]] - gradient).max() <= 1e-10 * scale, name


def of_entries(formula: Expr) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda tensor: torch_value(formula, {z: tensor})


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if "softmax" not in name])
def test_any_formula_in_the_place_of_an_activation(
    name: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = network((3, 5, 4, 2), (name,), output=name, loss="mse")
    case = draw_case(spec, 6, seed)
    formula = random_formula(seed, [z])
    define = elementwise(lambda entry: formula.xreplace({z: entry}))
    monkeypatch.setitem(definitions.ACTIVATIONS, name, define)
    monkeypatch.setitem(torch_oracle.ACTIVATIONS, name, of_entries(formula))
    assert_agrees_with_autograd(spec, case, *every_form(spec))


@pytest.mark.parametrize("seed", range(2))
def test_any_formula_of_a_row_in_the_place_of_softmax(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = network((3, 5, 4, 2), ("softmax", "tanh"), output="softmax", loss="mse")
    case = draw_case(spec, 6, seed)
    above, below = random_formula(seed, [z]), 1 + random_formula(seed + 100, [z]) ** 2

    def define(row: Row, place: Expr) -> Expr:
        return above.xreplace({z: row(place)}) / row.total(lambda q: below.xreplace({z: row(q)}))

    def oracle(tensor: torch.Tensor) -> torch.Tensor:
        return of_entries(above)(tensor) / of_entries(below)(tensor).sum(1, keepdim=True)

    monkeypatch.setitem(definitions.ACTIVATIONS, "softmax", define)
    monkeypatch.setitem(torch_oracle.ACTIVATIONS, "softmax", oracle)
    assert_agrees_with_autograd(spec, case, *every_form(spec))


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", LOSSES)
def test_any_formula_in_the_place_of_a_loss(
    name: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_oracle, "_from_logits", lambda *_: None)
    spec = network((3, 5, 2), output="sigmoid", loss=name)
    case = draw_case(spec, 6, seed)
    formula = random_formula(seed, [y, p])
    outer = random_formula(seed + 100, [z])

    def define(sample: Sample) -> Expr:
        P, Y = sample.P, sample.Y
        total = P.total(lambda q: formula.xreplace({y: Y(q), p: P(q)}))
        return outer.xreplace({z: total})

    def oracle(Y: torch.Tensor, P: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return of_entries(outer)(torch_value(formula, {y: Y, p: P}).sum(1))

    monkeypatch.setitem(definitions.LOSSES, name, define)
    monkeypatch.setitem(torch_oracle.LOSSES, name, oracle)
    assert_agrees_with_autograd(spec, case, *every_form(spec))


def test_a_sum_of_exponentials_within_another_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    def define(sample: Sample) -> Expr:
        P, Y = sample.P, sample.Y
        return sympy.log(P.total(lambda q: sympy.exp(P(q) - Y(q))))

    monkeypatch.setitem(definitions.LOSSES, "mse", define)
    monkeypatch.setitem(torch_oracle.LOSSES, "mse", lambda Y, P, _: torch.logsumexp(P - Y, 1))
    spec = network((3, 5, 2), output="sigmoid", loss="mse")
    stable = stable_program(rewrite_program(gradient_program(loss_program(spec))))
    case = Case(
        params={n: np.full(s, 0.3) for n, s in shapes_of(spec).items()},
        X=np.ones((4, 3)),
        Y=np.eye(2)[[0, 1, 1, 0]],
    )
    assert_agrees_with_autograd(spec, case, stable)


def test_the_replacement_reaches_the_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The three tests above can fail: one side alone with the new formula differs."""
    spec = network((3, 4, 2))
    case = draw_case(spec, 6, 1)
    monkeypatch.setitem(definitions.ACTIVATIONS, "tanh", elementwise(sympy.sin))
    with pytest.raises(AssertionError):
        assert_agrees_with_autograd(spec, case, *every_form(spec))


def test_a_parameter_that_nothing_reads_has_gradient_zero_and_says_so() -> None:
    plain = loss_program("2-3-2")
    V = Tensor(name="V", shape=(size(4), size(2)))
    program = Program(
        inputs=(*plain.inputs, V),
        parameters=(*plain.parameters, "V"),
        statements=plain.statements,
        outputs=plain.outputs,
    )
    gradient = gradient_program(program)
    statement = gradient.statement("dV")
    assert statement.body == 0
    assert statement.origin == ("loss does not depend on V",)
    values = draw_case(network((2, 3, 2)), 5, 0).values() | {"V": np.ones((4, 2))}
    assert evaluate(gradient, values, dtype="float64")["dV"].tolist() == [[0.0, 0.0]] * 4


def test_what_stands_before_a_constant_has_gradient_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    define = elementwise(lambda entry: sympy.Rational(1, 2) + 0 * entry)
    monkeypatch.setitem(definitions.ACTIVATIONS, "tanh", define)
    gradient = gradient_program(loss_program(network((2, 3, 2))))
    assert gradient.statement("dW1").body == 0
    assert gradient.statement("db1").body == 0
    assert gradient.statement("dW2").body != 0


@settings(max_examples=10, deadline=None)
@given(layer_sizes(hidden=2), batches, seeds)
def test_sample_weights_are_those_of_the_weighted_mean(
    sizes: tuple[int, ...], batch: int, seed: int
) -> None:
    spec = network(sizes)
    case = draw_case(spec, batch, seed)
    weights = np.random.default_rng(seed).uniform(0.1, 2.0, batch)
    program = gradient_program(loss_program(spec, weighted=True))
    values = case.values() | {"w": weights / weights.sum()}
    results = evaluate(program, values, dtype="float64")
    loss, gradients = torch_oracle.loss_and_gradients(spec, case.params, case.X, case.Y, weights)
    assert results["loss"] == pytest.approx(loss, rel=1e-12)
    for name, gradient in gradients.items():
        scale = np.abs(gradient).max() or 1.0
        assert np.abs(results[f"d{name}"] - gradient).max() <= 1e-10 * scale


@pytest.mark.sweep
@pytest.mark.parametrize("output", ACTIVATIONS)
@pytest.mark.parametrize("hidden", ACTIVATIONS)
def test_the_vector_jacobian_product_is_that_of_autograd(hidden: str, output: str) -> None:
    spec = network((3, 5, 4), (hidden,), output, "mse")
    case = draw_case(spec, 6, 2)
    dP = np.random.default_rng(7).standard_normal((6, 4))
    program = vjp_program(loss_program(spec))
    given_values = case.values() | {"dP": dP}
    tensors = {
        name: torch.from_numpy(array.copy()).requires_grad_()
        for name, array in {"X": case.X, **case.params}.items()
    }
    H = torch_oracle.ACTIVATIONS[hidden](tensors["X"] @ tensors["W1"].T + tensors["b1"])
    P = torch_oracle.ACTIVATIONS[output](H @ tensors["W2"].T + tensors["b2"])
    expected = torch.autograd.grad(P, list(tensors.values()), torch.from_numpy(dP))
    for form in (program, rewrite_program(program)):
        results = evaluate(form, given_values, dtype="float64")
        for name, gradient in zip(tensors, expected, strict=True):
            scale = float(gradient.abs().max()) or 1.0
            assert np.abs(results[f"d{name}"] - gradient.numpy()).max() <= 1e-12 * scale


def scalar_program(*statements: Statement) -> Program:
    """Return a programme in one parameter A (B, n) and a constant C (n, n)."""
    n = size("n")
    inputs = (Tensor(name="A", shape=(BATCH, n)), Tensor(name="C", shape=(n, n)))
    return Program(
        inputs=inputs, parameters=("A",), statements=statements, outputs=(statements[-1].name,)
    )


def numeric_gradient(program: Program, values: dict[str, np.ndarray]) -> np.ndarray:
    """Return central differences of the scalar in every entry of A."""
    gradient, step = np.empty_like(values["A"]), 1e-6
    for place in np.ndindex(gradient.shape):
        change = np.zeros_like(values["A"])
        change[place] = step
        up = evaluate(program, values | {"A": values["A"] + change}, dtype="float64")["loss"]
        down = evaluate(program, values | {"A": values["A"] - change}, dtype="float64")["loss"]
        gradient[place] = (up - down) / (2 * step)
    return gradient


def loss_of(body: Expr) -> Statement:
    return Statement(target=Tensor(name="loss", shape=()), indices=(), body=body)


n = size("n")
A, C = scalar_program(loss_of(Integer(0))).inputs
OVER_I, OVER_J, OVER_K = (i, 0, BATCH - 1), (j, 0, n - 1), (k, 0, n - 1)
SQUARES = Sum(A[i, j] ** 2, OVER_J)
SEVERAL = {
    "read twice": Sum(Sum(A[i, j] * A[i, k] * C[j, k], OVER_K), OVER_J, OVER_I),
    "inside and outside of a sum": Sum(A[i, j] * Sum(sympy.exp(A[i, k]), OVER_K), OVER_J, OVER_I),
    "a sum in a function": Sum(sympy.log(SQUARES) * sympy.sqrt(SQUARES), OVER_I),
    "sums of sums": sympy.exp(-Sum(Sum(A[i, j] ** 2 * Sum(A[i, k], OVER_K), OVER_J), OVER_I) / 9),
    "a product of independent sums": Sum(A[i, j] ** 2, OVER_J, OVER_I)
    * Sum(sympy.sin(A[i, j]), OVER_J, OVER_I),
}


@pytest.mark.parametrize("body", SEVERAL.values(), ids=SEVERAL)
def test_each_occurrence_counts(body: Expr) -> None:
    program = scalar_program(loss_of(body))
    generator = np.random.default_rng(3)
    values = {"A": generator.uniform(0.5, 1.5, (2, 3)), "C": generator.standard_normal((3, 3))}
    gradient = evaluate(gradient_program(program), values, dtype="float64")["dA"]
    expected = numeric_gradient(program, values)
    np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-7)


def test_fifty_layers_are_derived_in_a_moment() -> None:
    spec = network([3, *range(4, 54), 2])
    start = time.process_time()  # not what others take meanwhile
    program = rewrite_program(gradient_program(loss_program(spec)))
    assert time.process_time() - start < 5  # 1.5 s on a quiet machine
    assert len(program.gradients) == 2 * 51


@pytest.mark.parametrize(
    "body",
    [
        Sum(MaxOver(A[i, k], OVER_K), OVER_I),
        Sum(A[i, 0], OVER_I),
    ],
    ids=["largest entry", "part of an axis"],
)
def test_what_the_rule_does_not_carry_is_refused(body: Expr) -> None:
    with pytest.raises(InternalError):
        gradient_program(scalar_program(loss_of(body)))


def test_a_gradient_is_that_of_a_scalar() -> None:
    with pytest.raises(InternalError, match="a gradient is that of a scalar"):
        gradient_program(loss_program("2-2"), of="P")


def test_the_programme_is_the_same_each_time() -> None:
    spec = network((2, 3, 4, 2), ("softmax", "relu"))
    assert gradient_program(loss_program(spec)) == raw_gradient(spec)
    m = fresh()
    assert gradient_program(loss_program(spec)) == raw_gradient(spec)
    assert m != fresh()


def test_layers_of_one_form_are_differentiated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from derive import body_slopes

    calls = []
    diff = sympy.diff
    monkeypatch.setattr(sympy, "diff", lambda *given: calls.append(given) or diff(*given))
    counts = []
    for depth in (3, 12):
        body_slopes._derivative.cache_clear()
        calls.clear()
        gradient_program(loss_program(network([*range(2, depth + 3)], ["tanh"])))
        counts.append(len(calls))
    assert counts[0] == counts[1] > 0
