"""Matrix expressions as NumPy, against the same expressions evaluated without broadcasting."""

from typing import Any

import numpy as np
import pytest
import sympy
from matrix_values import matrix_value
from random_statements import TENSORS, random_arrays, random_statement
from sympy import Integer, Rational

from codegen.emit.matrix_text import FUNCTIONS, matrix_text
from codegen.errors import InternalError
from derive.matrix_expression import (
    Apply,
    Diagonal,
    Hadamard,
    MatMul,
    Matrix,
    Name,
    Number,
    Ones,
    Plus,
    Power,
    Quotient,
    Scaled,
    Size,
    Transpose,
    Where,
)
from derive.matrix_form import matrix_form
from derive.notation import FUNCTIONS as WRITTEN

SIZES = {"B": 3, "n": 2, "m": 4}
SHAPES = {tensor.name: tuple(map(str, tensor.shape)) for tensor in TENSORS}
ARRAYS = random_arrays(0, SIZES)

A, dA, C, W, u, v, s = map(Name, ("A", "dA", "C", "W", "u", "v", "s"))  # noqa: N816
B, m, n = (sympy.Symbol(name, integer=True, positive=True) for name in ("B", "m", "n"))
ONE, ZERO = Number(Integer(1)), Number(Integer(0))
POSITIVE = Where(">", A, ZERO, ONE, ZERO)


def written(expression: Matrix, shape: tuple[str, ...]) -> str:
    return matrix_text(expression, shape, shapes=SHAPES, place=lambda name: name)


def run(source: str) -> Any:
    space: dict[str, Any] = {**ARRAYS, **SIZES, "np": np}
    space |= {name: a[:, None] for name, a in ARRAYS.items() if a.ndim == 1}
    space["_times_log"] = lambda factor, x: factor * np.log(x)
    with np.errstate(all="ignore"):
        exec(compile(f"result = {source}", "line.py", "exec"), space)
    return space["result"]


def held(shape: tuple[str, ...]) -> tuple[int, ...]:
    extents = tuple(SIZES[e] if e in SIZES else int(e) for e in shape)
    return (*extents, 1) if len(extents) == 1 else extents


@pytest.mark.parametrize(
    ("expression", "shape", "source"),
    [
        (MatMul((Transpose(A), C)), ("n", "m"), "A.T @ C"),
        (MatMul((A, Transpose(W))), ("B", "m"), "A @ W.T"),
        (Hadamard((A, dA, dA)), ("B", "n"), "A * dA ** 2"),
        (Hadamard((dA, Plus((ONE, Scaled(Integer(-1), (), (), Hadamard((A, A))))))),
         ("B", "n"), "dA * (1 - A ** 2)"),
        (Scaled(Integer(1), (), (Size("B"),), Plus((A, Scaled(Integer(-1), (), (), dA)))),
         ("B", "n"), "(A - dA) / B"),
        (Scaled(Rational(-2, 3), (), (Size("B"), s), MatMul((C, W))),
         ("B", "n"), "-2 * (C @ W) / (3 * B * s)"),
        (Scaled(Rational(1, 2), (), (), A), ("B", "n"), "A / 2"),
        (MatMul((Transpose(A), Ones(B))), ("n",), "A.sum(axis=0, keepdims=True).T"),
        (MatMul((A, Ones(n))), ("B",), "A.sum(axis=1, keepdims=True)"),
        (MatMul((Transpose(Ones(B)), A, Ones(n))), (), "A.sum()"),
        (MatMul((Transpose(u), u)), (), "(u.T @ u)[0, 0]"),
        (Plus((MatMul((C, W)), MatMul((Ones(B), Transpose(v))))), ("B", "n"), "C @ W + v.T"),
        (Plus((A, MatMul((u, Transpose(Ones(n)))))), ("B", "n"), "A + u"),
        (MatMul((u, Transpose(Ones(n)))), ("B", "n"), "np.repeat(u, n, axis=1)"),
        (MatMul((Ones(B), Transpose(Ones(n)))), ("B", "n"), "np.full((B, n), 1)"),
        (MatMul((A, Ones(n), Transpose(Ones(m)))), ("B", "m"),
         "np.repeat(A.sum(axis=1, keepdims=True), m, axis=1)"),
        (Hadamard((A, MatMul((dA, Ones(n), Transpose(Ones(n)))))), ("B", "n"),
         "A * dA.sum(axis=1, keepdims=True)"),
        (MatMul((A, Ones(n), Transpose(Ones(B)), C)), ("B", "m"),
         "A.sum(axis=1, keepdims=True) * C.sum(axis=0, keepdims=True)"),
        (MatMul((MatMul((u, Transpose(Ones(n)))), Transpose(W))), ("B", "m"),
         "np.repeat(u, n, axis=1) @ W.T"),
        (MatMul((Transpose(A), Diagonal(u), C)), ("n", "m"), "A.T @ (u * C)"),
        (Hadamard((dA, POSITIVE)), ("B", "n"), "dA * (A > 0)"),
        (POSITIVE, ("B", "n"), "np.where(A > 0, 1, 0)"),
        (Hadamard((A, Apply("log", (dA,)))), ("B", "n"), "_times_log(A, dA)"),
        (Quotient(ONE, Plus((ONE, Apply("exp", (Scaled(Integer(-1), (), (), A),))))),
         ("B", "n"), "1 / (1 + np.exp(-A))"),
        (Power(Plus((A, ONE)), Rational(3, 2)), ("B", "n"), "(A + 1) ** 1.5"),
        (Apply("max", (A, ZERO, dA)), ("B", "n"), "np.maximum(np.maximum(A, 0), dA)"),
        (ZERO, ("m", "n"), "np.full((m, n), 0)"),
        (Number(Integer(-1)), (), "-1"),
    ],
)  # fmt: skip
def test_it_is_written_as_by_hand(expression: Matrix, shape: tuple[str, ...], source: str) -> None:
    assert written(expression, shape) == source
    assert np.shape(run(source)) == held(shape)


def agrees(source: str, expression: Matrix, shape: tuple[str, ...]) -> bool:
    found = np.asarray(run(source), dtype=float)
    with np.errstate(all="ignore"):
        expected = np.broadcast_to(matrix_value(expression, ARRAYS, SIZES), held(shape))
    return found.shape == held(shape) and np.allclose(found, expected, rtol=1e-9, equal_nan=True)


def test_random_statements_have_the_value_of_their_matrix_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FUNCTIONS, "erf", "np.tanh")  # NumPy has none
    monkeypatch.setitem(matrix_value.__globals__["FUNCTIONS"], "erf", np.tanh)
    seen = wrong = 0
    for seed in range(800):
        statement = random_statement(seed)
        expression = matrix_form(statement)
        if expression is None:
            continue
        shape = tuple(map(str, statement.target.shape))
        source = written(expression, shape)
        assert agrees(source, expression, shape), f"seed {seed}: {source}"
        seen += 1
        for right, mistaken in ((".T", ""), (" * ", " + "), ("axis=0", "axis=1"), (" - ", " + ")):
            if right in source:
                wrong += not agrees_or_fails(source.replace(right, mistaken), expression, shape)
    assert seen > 700
    assert wrong > 300  # what is compared can differ


def agrees_or_fails(source: str, expression: Matrix, shape: tuple[str, ...]) -> bool:
    try:
        return agrees(source, expression, shape)
    except (ValueError, TypeError):
        return False


def test_a_function_that_numpy_does_not_have_is_refused() -> None:
    assert set(WRITTEN.values()) <= set(FUNCTIONS)
    with pytest.raises(InternalError, match="the function gamma has no form in NumPy"):
        written(Apply("gamma", (A,)), ("B", "n"))
