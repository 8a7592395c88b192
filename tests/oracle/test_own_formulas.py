"""Activations and losses of one's own against autograd of the same formulas in PyTorch."""

import pytest
from catalogue import named, rewritten_gradient, stable_gradient
from hypothesis import given, settings
from oracles import Oracle, draw_case
from strategies import batches, layer_sizes, seeds

from derive.spec import NetworkSpec, parse_spec

ACTIVATIONS = [
    "f(z) = z*tanh(log(1+exp(z)))",
    "f(z) = z*sigmoid(1.702*z)",
    "f(z) = where(z > 0, z, 0.01*z)",
    "f(z) = max(0, min(1, z/6 + 0.5))",
    "f(z) = z/(1 + abs(z))",
    "f(z) = 1.0507*where(z > 0, z, 1.67326*(exp(z) - 1))",
    "f(z) = z*erf(log(1+exp(z)))",
    "f(z) = exp(-z**2)",
    "f(z) = atan(z)/(pi/2)",
    "f(z) = z - tanh(z)",
    "f(z) = sinh(z)/cosh(z)",
    "f(z) = sqrt(1 + z**2) - 1",
    "f(z) = log1p(z**2)",
    "f(z) = z*cos(z) + sin(z)**2",
    "f(z) = (1 + z**2)**0.75 - 1",
    "f(z) = sign(z)*log(1 + abs(z))",
    "f(z) = where(abs(z) <= 1, z - z**3/3, 2/3*sign(z))",
    "f(z) = expm1(min(z, 0)) + max(z, 0)",
]
LOSSES = {
    "-sum(Y*(1-P)**2*log(P))": "softmax",
    "-sum(Y*log(0.9*P + 0.1/2))": "softmax",
    "-log(sum(Y*P))": "softmax",
    "1 - sum(P*Y)/sqrt(sum(P**2)*sum(Y**2))": "softmax",
    "sum(log(cosh(P - Y)))": "identity",
    "sum(where(P > Y, 0.9*(P - Y), 0.1*(Y - P)))": "identity",
    "sum(exp(Z) - Y*Z)": "identity",
    "sum(max(0, 1 - (2*Y-1)*Z)**2)": "identity",
    "log(1 + sum((P-Y)**2))": "identity",
    "sqrt(sum((P-Y)**2) + 1e-6)": "identity",
    "sum(abs(P-Y)**1.5)": "identity",
    "sum(Y*log(Y + 0.1) - Y*log(P + 0.1))": "softmax",
    "-sum(Y*P)/sum(P) + sum(max(P, Y))": "sigmoid",
    "sum(min((P-Y)**2, abs(P-Y)))": "identity",
}


def assert_agrees(spec: NetworkSpec, batch: int, seed: int) -> None:
    for program in (rewritten_gradient(named(spec)), stable_gradient(named(spec))):
        for dtype in ("float64", "float32"):
            case = draw_case(spec, batch, seed, dtype)
            for name, found in Oracle(spec, case, program, dtype).departures(program).items():
                assert found.in_bounds <= 1, (name, found)
                if dtype == "float64" and found.relative_bound <= 1e-12:
                    assert found.relative_error <= 1e-12, (name, found)


@pytest.mark.sweep
@pytest.mark.parametrize("formula", ACTIVATIONS)
@settings(max_examples=2, deadline=None)
@given(layer_sizes(hidden=2), batches, seeds)
def test_an_activation(formula: str, sizes: tuple[int, ...], batch: int, seed: int) -> None:
    n, *hidden, last = sizes
    text = "-".join([str(n), *(f"{size}:f" for size in hidden), str(last)])
    assert_agrees(parse_spec(text, define=[formula]), batch, seed)


@pytest.mark.sweep
@pytest.mark.parametrize("loss", LOSSES)
@settings(max_examples=2, deadline=None)
@given(layer_sizes(hidden=1), batches, seeds)
def test_a_loss(loss: str, sizes: tuple[int, ...], batch: int, seed: int) -> None:
    n, hidden, last = sizes
    assert_agrees(parse_spec(f"{n}-{hidden}-{last}:{LOSSES[loss]}", loss=loss), batch, seed)


@settings(max_examples=10, deadline=None)
@given(layer_sizes(hidden=2), batches, seeds)
def test_a_penalty_on_the_weights(sizes: tuple[int, ...], batch: int, seed: int) -> None:
    spec = parse_spec("-".join(map(str, sizes)), l2=0.125)
    assert_agrees(spec, batch, seed)
    plain = parse_spec("-".join(map(str, sizes)))
    program = stable_gradient(named(plain))
    case = draw_case(plain, batch, seed)
    assert not Oracle(spec, case, program).agrees(program)
