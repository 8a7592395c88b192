"""Programmes in numbers: against nested loops, and what is refused."""

import time

import numpy as np
import pytest
import sympy
from catalogue import network, raw_gradient, stable_gradient
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_values import plain_value
from random_statements import TENSORS, random_arrays, random_statement
from strategies import seeds
from sympy import Integer, Piecewise

from derive.check import check_program
from derive.errors import InputError, InternalError
from derive.evaluate import evaluate
from derive.indices import fresh
from derive.network import loss_program
from derive.program import BATCH, MaxOver, Program, Statement, Sum, Tensor, size

SIZES = {"B": 2, "n": 3, "m": 4}
N = size("n")
A = Tensor(name="A", shape=(BATCH, N))
ROW = Tensor(name="T", shape=(BATCH,))
(i, j) = sympy.symbols("i j", integer=True, nonnegative=True)


def of_one(statement: Statement, inputs: tuple[Tensor, ...] = TENSORS) -> Program:
    return Program(inputs=inputs, parameters=(), statements=(statement,), outputs=("T",))


def define(body: sympy.Expr, target: Tensor = ROW) -> Program:
    indices = (i, j)[: len(target.shape)]
    return of_one(Statement(target=target, indices=indices, body=body), (A,))


@settings(max_examples=150, deadline=None)
@given(seeds)
def test_any_statement_has_the_value_of_nested_loops(seed: int) -> None:
    statement = random_statement(seed)
    check_program(of_one(statement))
    arrays = random_arrays(seed, SIZES)
    value = evaluate(of_one(statement), arrays, dtype="float64")[statement.name]
    expected = plain_value(statement, arrays, SIZES)
    assert value.shape == expected.shape
    assert value.dtype == np.float64
    np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble"])
def test_everything_is_computed_in_the_type_asked_for(dtype: str) -> None:
    spec = network((3, 4, 2), ("sigmoid",))
    values = {
        tensor.name: np.ones([3 if e == BATCH else int(e) for e in tensor.shape]) / 3
        for tensor in raw_gradient(spec).inputs
    }
    results = evaluate(raw_gradient(spec), values, dtype=dtype)
    assert {value.dtype for value in results.values()} == {np.dtype(dtype)}
    assert results["loss"].shape == ()


def test_constants_have_the_digits_of_a_wide_type() -> None:
    body = sympy.pi + sympy.Rational(1, 3) + 0 * A[i, 0]
    value = evaluate(define(body), {"A": np.ones((1, 2))}, dtype="longdouble")["T"]
    exact = sympy.pi + sympy.Rational(1, 3)
    off = abs(sympy.Float(np.format_float_positional(value[0], 30), 30) - exact.evalf(30))
    assert off < 4 * float(np.finfo(np.longdouble).eps)


def test_the_largest_entry_of_a_row() -> None:
    k = fresh()
    program = define(MaxOver(A[i, k], (k, 0, N - 1)))
    value = evaluate(program, {"A": [[1.0, -2.0], [-5.0, -3.0]]}, dtype="float64")["T"]
    assert value.tolist() == [1.0, -3.0]


def test_a_sum_of_what_has_not_its_index_counts() -> None:
    k = fresh()
    program = define(Sum(A[i, 0], (k, 0, N - 1)))
    assert evaluate(program, {"A": [[2.0, 0, 0]]}, dtype="float64")["T"].tolist() == [6.0]


def test_what_has_no_index_fills_the_target() -> None:
    program = define(Integer(0), Tensor(name="T", shape=(BATCH, N)))
    value = evaluate(program, {"A": np.ones((2, 3))}, dtype="float64")["T"]
    assert value.tolist() == [[0.0] * 3] * 2


def test_results_are_arrays_of_their_own() -> None:
    given_array = np.ones((2, 3))
    body = A[i, j]
    program = define(body, Tensor(name="T", shape=(BATCH, N)))
    value = evaluate(program, {"A": given_array}, dtype="float64")["T"]
    value[...] = 7
    assert given_array.tolist() == np.ones((2, 3)).tolist()


@pytest.mark.parametrize("x", [-1.0, 0.0, np.nan, np.inf, -np.inf])
def test_a_branch_that_is_not_taken_contributes_nothing(x: float) -> None:
    # for negative x the first branch is NaN, and at 0 it is infinite; no warning either
    body = Piecewise((sympy.log(A[i, 0]) / A[i, 0], A[i, 0] > 0), (Integer(7), True))
    value = evaluate(define(body), {"A": [[x]]}, dtype="float64")["T"][0]
    if x == np.inf:
        assert np.isnan(value)
    else:
        assert value == 7.0


def test_the_corner_of_relu_has_slope_zero() -> None:
    spec = network((2, 3, 2), ("relu",))
    values = {"X": np.zeros((2, 2)), "Y": np.eye(2), "W1": np.ones((3, 2)), "b1": np.zeros(3)}
    values |= {"W2": np.ones((2, 3)), "b2": np.zeros(2)}
    results = evaluate(raw_gradient(spec), values, dtype="float64")
    assert not results["Z1"].any()
    assert not results["dZ1"].any()


def test_logits_far_apart_give_finite_values_in_the_stable_form() -> None:
    spec = network((1, 2))
    values = {"X": [[1e5]], "Y": [[0.0, 1.0]], "W1": [[1.0], [-1.0]], "b1": [0.0, 0.0]}
    results = evaluate(stable_gradient(spec), values, dtype="float32")
    assert results["loss"] == 2e5
    assert results["dW1"].ravel().tolist() == [1e5, -1e5]


def test_an_epoch_sized_batch_takes_milliseconds() -> None:
    spec = network((784, 100, 10))
    program = stable_gradient(spec)
    generator = np.random.default_rng(0)
    values = {
        tensor.name: generator.normal(size=[100 if e == BATCH else int(e) for e in tensor.shape])
        for tensor in program.inputs
    }
    evaluate(program, values, dtype="float32")
    start = time.perf_counter()
    evaluate(program, values, dtype="float32")
    # an array over (batch, output, input) would hold 8 million numbers and take a second
    assert time.perf_counter() - start < 0.3


def test_sizes_that_do_not_fit_are_named() -> None:
    program = loss_program("nx-ny")
    values = {"X": np.ones((5, 3)), "Y": np.ones((4, 2)), "W1": np.ones((2, 3)), "b1": np.ones(2)}
    with pytest.raises(InputError, match=r"Y has the shape \(4, 2\), expected \(B = 5, ny\)"):
        evaluate(program, values, dtype="float64")
    with pytest.raises(InputError, match=r"W1 has the shape \(2, 4\), expected \(ny = 2, nx = 3\)"):
        evaluate(program, values | {"Y": np.ones((5, 2)), "W1": np.ones((2, 4))}, dtype="float64")
    with pytest.raises(InputError, match=r"X has the shape \(3,\)"):
        evaluate(program, values | {"X": np.ones(3)}, dtype="float64")
    del values["b1"]
    with pytest.raises(InputError, match="b1 is missing"):
        evaluate(program, values | {"Y": np.ones((5, 2))}, dtype="float64")


@pytest.mark.parametrize(
    "body",
    [
        sympy.gamma(A[i, 0]),
        sympy.oo * A[i, 0],
        sympy.I + A[i, 0],
        sympy.Product(A[i, j], (j, 0, 1)),
        sympy.Symbol("q", integer=True, positive=True) * A[i, 0],
        Piecewise((A[i, 0], A[i, 0] > 0)),
        Piecewise((A[i, 0], (A[i, 0] > 0) & (A[i, 1] > 0)), (0, True)),
        A[i, i],
        i + A[i, 0],
    ],
    ids=str,
)
def test_what_is_not_of_the_grammar_is_refused(body: sympy.Expr) -> None:
    with pytest.raises(InternalError):
        evaluate(define(body), {"A": np.ones((2, 2))}, dtype="float64")


@given(st.integers(-9, 9).filter(bool))
def test_powers_are_those_of_numbers(exponent: int) -> None:
    program = define(A[i, 0] ** exponent)
    value = evaluate(program, {"A": [[1.25]]}, dtype="float64")["T"][0]
    assert value == pytest.approx(1.25**exponent, rel=1e-14)
