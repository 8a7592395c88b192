"""The running error bound: it holds for every order of operations, and it is not loose."""

import itertools

import numpy as np
import pytest
import sympy
from catalogue import ACTIVATIONS, LOSSES, network, raw_gradient, stable_gradient
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import draw_case
from random_statements import TENSORS, random_arrays, random_statement
from strategies import seeds
from sympy import Expr, Integer, Piecewise

from derive.check import check_program
from derive.error_bound import _Bounds, evaluate_with_bound
from derive.errors import InternalError
from derive.evaluate import evaluate
from derive.indices import fresh
from derive.program import BATCH, Program, Statement, Sum, Tensor, size
from derive.spec import OUTPUT_OF_LOSS
from runtime.torch_oracle import loss_and_gradients

SIZES = {"B": 5, "n": 7, "m": 4}
N = size("n")
A = Tensor(name="A", shape=(BATCH, N))
(i,) = sympy.symbols("i,", integer=True, nonnegative=True)
a, b, c = (A[i, n] for n in range(3))


def define(*bodies: Expr) -> Program:
    """Return a programme that writes T0, T1, …, one number for each row of A."""
    names = [f"T{n}" for n in range(len(bodies))]
    statements = tuple(
        Statement(target=Tensor(name=name, shape=(BATCH,)), indices=(i,), body=body)
        for name, body in zip(names, bodies, strict=True)
    )
    return Program(inputs=(A,), parameters=(), statements=statements, outputs=(names[-1],))


def bound_of(body: Expr, *row: float, dtype: str = "float32") -> tuple[float, float]:
    """Return value and bound of a body for one row of A."""
    value, bound = evaluate_with_bound(define(body), {"A": [row]}, dtype)["T0"]
    return float(value[0]), float(bound[0])


@settings(max_examples=200, deadline=None)
@given(seeds, st.sampled_from(["float32", "float64"]))
def test_it_holds_for_any_statement_in_any_order(seed: int, dtype: str) -> None:
    statement = random_statement(seed)
    program = Program(inputs=TENSORS, parameters=(), statements=(statement,), outputs=("T",))
    check_program(program)
    arrays = random_arrays(seed, SIZES)
    arrays = {name: array.astype(dtype) for name, array in arrays.items()}
    value, bound = evaluate_with_bound(program, arrays, dtype)[statement.name]
    axes = {"B": BATCH, "n": N, "m": size("m")}
    generator = np.random.default_rng(seed)
    for _ in range(3):
        # the same numbers, stored in another order, are summed in another order
        order = {axes[name]: generator.permutation(extent) for name, extent in SIZES.items()}
        shuffled = dict(arrays)
        for tensor in TENSORS:
            for position, extent in enumerate(tensor.shape):
                if extent in order:
                    shuffled[tensor.name] = shuffled[tensor.name].take(order[extent], position)
        computed = evaluate(program, shuffled, dtype=dtype)[statement.name]
        for position, extent in enumerate(statement.target.shape):
            if extent in order:
                computed = computed.take(np.argsort(order[extent]), position)
        with np.errstate(all="ignore"):
            off = np.abs(computed - value)
        assert np.all((off <= bound) | (np.isnan(value) & np.isnan(computed)))


TERMS = np.array([1e8, 3.25, -1e8, 7.5e3, -2.125, 1e-3], dtype=np.float32)


def worst_order(value: float) -> float:
    """Return how far the sum of TERMS is from `value` in the worst order."""
    worst = 0.0
    for order in itertools.permutations(TERMS):
        total = np.float32(0)
        for term in order:
            total += term
        worst = max(worst, abs(float(total) - value))
    return worst


def test_a_sum_in_every_order_of_its_terms() -> None:
    k = fresh()
    value, bound = bound_of(Sum(A[i, k], (k, 0, N - 1)), *TERMS)
    worst = worst_order(value)
    assert worst <= bound
    assert bound < 20 * worst  # γ(5) Σ|term| is within that of what really happens


def test_a_bound_without_the_size_of_the_terms_is_seen_to_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_Bounds, "gamma", lambda self, count: count * self.unit * 1e-4)
    k = fresh()
    value, bound = bound_of(Sum(A[i, k], (k, 0, N - 1)), *TERMS)
    assert not worst_order(value) <= bound


def test_a_bias_may_come_first_or_last() -> None:
    k = fresh()
    body = Sum(A[i, k], (k, 0, N - 1)) / 3 + 1e8 * b
    row = np.array([1e8, 1.0, -4e8], dtype=np.float32)
    value, bound = bound_of(body, *row)
    for order in itertools.permutations([*(row / np.float32(3)), np.float32(1e8)]):
        total = np.float32(0)
        for term in order:
            total += term
        assert abs(float(total) - value) <= bound


def test_a_cancelling_batch_sum_loses_digits_and_the_bound_knows() -> None:
    spec = network((2, 3, 2))
    case = draw_case(spec, 2, 3, "float32")
    # nearly the same sample twice, with opposite labels: db2 is a small difference
    X = np.repeat(case.X[:1], 40, axis=0)
    Y = np.tile(np.eye(2), (20, 1))
    params = case.params | {"W2": np.float32(1e-4) * case.params["W2"], "b2": np.zeros(2)}
    values = {**params, "X": X, "Y": Y}
    values = {name: np.asarray(array, np.float32) for name, array in values.items()}
    computed = evaluate(raw_gradient(spec), values, dtype="float32")["db2"]
    value, bound = evaluate_with_bound(raw_gradient(spec), values, "float32")["db2"]
    off = np.abs(computed - value)
    assert np.all(off <= bound)
    assert np.max(off / np.abs(value)) > 1e-4  # a fixed relative tolerance would have to be this
    assert np.max(bound / np.abs(value)) > 1e-4


FUNCTIONS = [
    sympy.exp,
    sympy.tanh,
    sympy.atan,
    sympy.sinh,
    sympy.cosh,
    sympy.sin,
    sympy.cos,
    sympy.Abs,
    lambda x: sympy.log(x + 2),
    lambda x: x**3,
    lambda x: 1 / (x + 2),
    lambda x: sympy.sqrt(x + 2),
    lambda x: sympy.Max(x, b),
]


@pytest.mark.parametrize("function", FUNCTIONS)
@given(st.floats(-1, 1), st.floats(1, 1e6))
@settings(max_examples=30, deadline=None)
def test_an_argument_that_is_off_goes_through_the_function(
    function: type[Expr], x: float, scale: float
) -> None:
    # (a + b) - b, with b large, is off by up to u b in either direction
    argument = (a + b) - c
    row = np.array([x, scale, scale], dtype=np.float32)
    T0 = Tensor(name="T0", shape=(BATCH,))
    program = define(argument, function(T0[i]))
    (value,), (bound,) = evaluate_with_bound(program, {"A": [row]}, "float32")["T1"]
    exact = evaluate(define(function(a)), {"A": [[float(row[0]), row[1], 0]]}, dtype="float64")
    assert abs(exact["T0"][0] - value) <= bound
    off = float(np.spacing(np.float32(scale))) / 2
    for shift in np.linspace(-off, off, 9):
        moved = [[float(row[0]) + shift, row[1], 0]]
        with np.errstate(all="ignore"):
            there = evaluate(define(function(a)), {"A": moved}, dtype="float64")["T0"][0]
        assert abs(there - value) <= bound


def test_a_corner_within_the_error_may_go_either_way() -> None:
    T0 = Tensor(name="T0", shape=(BATCH,))
    slope = Piecewise((Integer(1), T0[i] > 0), (Integer(0), True))
    near = define((a + b) - c, slope)
    # 0.01 + 1e6 - 1e6 is known to some 0.1: its sign is not
    value, bound = evaluate_with_bound(near, {"A": [[0.01, 1e6, 1e6]]}, "float32")["T1"]
    assert value[0] == 1
    assert bound[0] == pytest.approx(1)
    value, bound = evaluate_with_bound(near, {"A": [[2.0, 1e6, 1e6]]}, "float32")["T1"]
    assert (value[0], bound[0]) == (1, 0)


def test_a_sign_within_the_error_may_go_either_way() -> None:
    T0 = Tensor(name="T0", shape=(BATCH,))
    near = define((a + b) - c, sympy.sign(T0[i]))
    value, bound = evaluate_with_bound(near, {"A": [[0.01, 1e6, 1e6]]}, "float32")["T1"]
    assert value[0] == 1
    assert bound[0] == pytest.approx(2)


def test_what_is_exact_has_no_error() -> None:
    k = fresh()
    body = Sum(A[i, k] * A[i, k], (k, 0, N - 1)) + sympy.tanh(a)
    assert bound_of(body, 0.0, 0.0, 0.0) == (0.0, 0.0)
    # so that the corner of relu is decided where it is exact, and checked
    slope = Piecewise((Integer(1), body > 0), (Integer(0), True))
    assert bound_of(slope, 0.0, 0.0, 0.0) == (0.0, 0.0)
    assert bound_of(-a, 0.1, 0.0) == (-float(np.float32(0.1)), 0.0)


def test_underflow_is_covered_in_every_order() -> None:
    small, large = 1e-30, 1e30
    value, bound = bound_of(a * b * c, small, small, large)
    for x, y, z in itertools.permutations(np.array([small, small, large], np.float32)):
        assert abs(float(x * y * z) - value) <= bound
    assert bound < 1e-6
    value, bound = bound_of(sympy.exp(a), -95.0)
    assert abs(0.0 - value) <= bound  # flushed to 0


@pytest.mark.parametrize(
    ("body", "row"),
    [
        (sympy.exp(a), (100.0,)),
        (a * b, (1e30, 1e30)),
        (a + b, (3e38, 3e38)),
        (a * b * c, (1e30, 1e30, 1e-30)),
        (1 / (a + b - c), (0.0, 1e6, 1e6)),
        (sympy.log(a + b - c), (0.0, 1e6, 1e6)),
    ],
    ids=str,
)
def test_nothing_is_said_where_nothing_can_be(body: Expr, row: tuple[float, ...]) -> None:
    row = (*row, 0.0, 0.0)[:3]
    assert bound_of(body, *row)[1] == np.inf


def test_the_ulps_of_elementary_functions_are_a_parameter() -> None:
    program = define(sympy.exp(a))
    bounds = [
        evaluate_with_bound(program, {"A": [[0.3]]}, "float32", ulps=ulps)["T0"][1][0]
        for ulps in (1.0, 4.0)
    ]
    assert bounds[1] == pytest.approx(4 * bounds[0])


@pytest.mark.sweep
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("hidden", ACTIVATIONS)
def test_it_is_tight_for_ordinary_networks(hidden: str, loss: str) -> None:
    spec = network((4, 5, 3), (hidden,), OUTPUT_OF_LOSS[loss], loss)
    case = draw_case(spec, 32, 1, "float32")
    for dtype, least in (("float32", 2e-3), ("float64", 4e-12)):
        for program in (raw_gradient(spec), stable_gradient(spec)):
            found = evaluate_with_bound(program, case.values(), dtype)
            for name in ("loss", *program.gradients.values()):
                value, bound = found[name]
                assert bound.max() < least * np.abs(value).max(), name


def test_autograd_in_float32_keeps_within_it() -> None:
    spec = network((4, 5, 3), ("sigmoid",))
    for seed in range(10):
        case = draw_case(spec, 16, seed, "float32")
        found = evaluate_with_bound(stable_gradient(spec), case.values(), "float32")
        _, gradients = loss_and_gradients(spec, case.params, case.X, case.Y, dtype="float32")
        for name, gradient in gradients.items():
            value, bound = found[f"d{name}"]
            assert np.all(np.abs(gradient - value) <= bound)


def test_what_has_no_bound_is_refused() -> None:
    with pytest.raises(InternalError, match="gamma"):
        bound_of(sympy.gamma(a), 1.0, 1.0, 1.0)
