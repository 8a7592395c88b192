import contextlib

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_mutants import mutants
from matrix_values import ShapesDisagreeError, matrix_value
from plain_values import plain_value
from random_statements import TENSORS, random_arrays, random_statement
from sympy import Integer, Piecewise, exp, log, sqrt, tanh

from derive.evaluate import evaluate
from derive.gradient import gradient_program
from derive.matrix_form import matrix_form
from derive.network import loss_program
from derive.printing import matrix_text
from derive.program import BATCH, MaxOver, Program, Statement, Sum, Tensor, index, size
from derive.rewrite import rewrite_program
from derive.spec import parse_spec

i, i2, j, k, m = map(index, ("i", "i2", "j", "k", "m"))
A, dA, C, W, u, v, c, s = TENSORS  # noqa: N816
WIDTH_A, WIDTH_C = A.shape[1], C.shape[1]


def statement(body, *indices, shape=None) -> Statement:
    """Return ``T[indices] := body``, each axis as long as its index says."""
    extents = {i: BATCH, i2: BATCH, j: WIDTH_A, k: WIDTH_C, m: WIDTH_C}
    target = Tensor(name="T", shape=shape or tuple(extents[index] for index in indices))
    return Statement(target=target, indices=indices, body=sympy.sympify(body))


def over_batch(body, at=i):
    return Sum(body, (at, 0, BATCH - 1))


def over_n(body, at=j):
    return Sum(body, (at, 0, WIDTH_A - 1))


def over_m(body, at=k):
    return Sum(body, (at, 0, WIDTH_C - 1))


def derived(spec: str, loss: str = "cross-entropy", *, weighted: bool = False) -> Program:
    program = loss_program(parse_spec(spec, loss=loss), weighted=weighted)
    return rewrite_program(gradient_program(program))


def test_the_labs_network_prints_as_in_a_textbook() -> None:
    assert [matrix_text(statement) for statement in derived("2-10-2").statements] == [
        "Z1 = X W1ᵀ + 1 b1ᵀ",
        "H1 = tanh(Z1)",
        "Z2 = H1 W2ᵀ + 1 b2ᵀ",
        "P = exp(Z2) ⊘ (exp(Z2) 1 1ᵀ)",
        "loss = −1ᵀ (Y ∘ log(P)) 1 / B",
        "dZ2 = (P − Y)/B",
        "dW2 = dZ2ᵀ H1",
        "db2 = dZ2ᵀ 1",
        "dH1 = dZ2 W2",
        "dZ1 = dH1 ∘ (1 − H1 ∘ H1)",
        "dW1 = dZ1ᵀ X",
        "db1 = dZ1ᵀ 1",
    ]


@pytest.mark.parametrize(
    ("spec", "loss", "weighted", "expected"),
    [
        ("3-4:softmax-2", "mse", False, "dZ1 = H1 ∘ (dH1 − (dH1 ∘ H1) 1 1ᵀ)"),
        ("3-2:softmax", "mse", False, "dZ1 = P ∘ (dP − (dP ∘ P) 1 1ᵀ)"),
        ("3-2", "mse", False, "loss = 1ᵀ ((P − Y) ∘ (P − Y)) 1 / (2 B)"),
        ("3-ny", "mse", False, "loss = 1ᵀ ((P − Y) ∘ (P − Y)) 1 / (B ny)"),
        ("3-4:relu-2", "mse", False, "H1 = where(Z1 > 0, Z1, 0)"),
        ("3-4:relu-2", "mse", False, "dZ1 = where(Z1 > 0, dH1, 0)"),
        ("3-4:sigmoid-2", "mse", False, "H1 = 1 ⊘ (1 + exp(−Z1))"),
        ("3-4:sigmoid-2", "mse", False, "dZ1 = dH1 ∘ H1 ∘ (1 − H1)"),
        ("3-4:identity-2", "mse", False, "H1 = Z1"),
        ("3-2", "cross-entropy", True, "loss = −wᵀ (Y ∘ log(P)) 1"),
        ("3-2", "cross-entropy", True, "dZ1 = (w 1ᵀ) ∘ (P − Y)"),
    ],
)
def test_other_networks(spec: str, loss: str, weighted: bool, expected: str) -> None:
    name = expected.partition(" = ")[0]
    assert matrix_text(derived(spec, loss, weighted=weighted).statement(name)) == expected


FORMS = {
    "A": statement(A[i, j], i, j),
    "Aᵀ": statement(A[i, j], j, i),
    "v": statement(v[j], j),
    "1 vᵀ": statement(v[j], i, j),
    "u 1ᵀ": statement(u[i], i, j),
    "u vᵀ": statement(u[i] * v[j], i, j),
    "v uᵀ": statement(u[i] * v[j], j, i),
    "(u vᵀ) ∘ A": statement(u[i] * A[i, j] * v[j], i, j),
    "dA ∘ A": statement(A[i, j] * dA[i, j], i, j),
    "0": statement(0, i, j),
    "2 (1 1ᵀ)": statement(2, i, j),
    "s (1 1ᵀ)": statement(s[()], i, j),
    "s A": statement(s[()] * A[i, j], i, j),
    "A + s": statement(s[()] + A[i, j], i, j),
    "1 cᵀ": statement(c[k, 0], i, k),
    "c": statement(c[k, 0], k, j, shape=(WIDTH_C, Integer(1))),
    "A 1": statement(over_n(A[i, j]), i),
    "Aᵀ 1": statement(over_batch(A[i, j]), j),
    "1 1ᵀ A": statement(over_batch(A[i2, j], i2), i, j),
    "1ᵀ A 1": statement(
        over_batch(over_n(A[i, j])),
    ),
    "(1ᵀ A 1) C": statement(over_batch(over_n(A[i2, j]), i2) * C[i, k], i, k),
    "A v": statement(over_n(A[i, j] * v[j]), i),
    "uᵀ A v": statement(over_batch(over_n(u[i] * A[i, j] * v[j]))),
    "vᵀ v": statement(over_n(v[j] ** 2)),
    "1ᵀ (v ⊘ (1 + v))": statement(over_n(v[j] / (1 + v[j]))),
    "C W": statement(over_m(C[i, k] * W[k, j]), i, j),
    "C diag(c) W": statement(over_m(C[i, k] * c[k, 0] * W[k, j]), i, j),
    "(A − dA)ᵀ C": statement(over_batch((A[i, j] - dA[i, j]) * C[i, k]), j, k),
    "(dA ∘ A)ᵀ C": statement(over_batch(A[i, j] * dA[i, j] * C[i, k]), j, k),
    "A ∘ (C W)": statement(A[i, j] * over_m(C[i, k] * W[k, j]), i, j),
    "A Aᵀ": statement(over_n(A[i, j] * A[i2, j]), i, i2),
    "exp(A 1)": statement(exp(over_n(A[i, j])), i),
    "exp(v) ⊘ (v ∘ v)": statement(exp(v[j]) / v[j] ** 2, j),
    "1 ⊘ A": statement(1 / A[i, j], i, j),
    "A^∘3": statement(A[i, j] ** 3, i, j),
    "1 − tanh²(A)": statement(1 - tanh(A[i, j]) ** 2, i, j),
    "tanh³(A)": statement(tanh(A[i, j]) ** 3, i, j),
    "A ∘ (1 − A) − (1 − A) ∘ log(A)": statement(
        A[i, j] * (1 - A[i, j]) + log(A[i, j]) * (A[i, j] - 1), i, j
    ),
    "A^∘dA": statement(A[i, j] ** dA[i, j], i, j),
    "dA ⊘ √A": statement(dA[i, j] / sqrt(A[i, j]), i, j),
    "A ⊘ (u 1ᵀ)": statement(A[i, j] / u[i], i, j),
    "A/B³": statement(A[i, j] / BATCH**3, i, j),
    "3 A / (2 B)": statement(3 * A[i, j] / (2 * BATCH), i, j),
    "max(1 vᵀ, A)": statement(sympy.Max(A[i, j], v[j]), i, j),
    "where(1 vᵀ < A, u 1ᵀ, 0)": statement(Piecewise((u[i], A[i, j] > v[j]), (0, True)), i, j),
    # the product over k cannot be one matrix product until it is multiplied out
    "(A ∘ A) 1 1ᵀ + 1 1ᵀ (A ∘ A)ᵀ − 2 A Aᵀ": statement(over_n((A[i, j] - A[i2, j]) ** 2), i, i2),
    "−dA ∘ A": statement(-A[i, j] * dA[i, j], i, j),
    "(dA ∘ A)/B": statement(A[i, j] * dA[i, j] / BATCH, i, j),
    "−dA − A": statement(-A[i, j] - dA[i, j], i, j),
}


@pytest.mark.parametrize(("expected", "line"), FORMS.items(), ids=FORMS)
def test_form(expected: str, line: Statement) -> None:
    assert matrix_text(line) == f"T = {expected}"


NOT_RECOGNISED = {
    "largest entry": statement(MaxOver(A[i, j], (j, 0, WIDTH_A - 1)), i),
    "both indices under one function": statement(over_n(log(A[i, j] + A[i2, j])), i, i2),
    "diagonal": statement(A[i, i], i),
    "three axes": Statement(
        target=Tensor(name="T", shape=(BATCH, WIDTH_A, WIDTH_C)),
        indices=(i, j, k),
        body=A[i, j] * c[k, 0],
    ),
    "unknown function": statement(sympy.gamma(A[i, j]), i, j),
}


@pytest.mark.parametrize("line", NOT_RECOGNISED.values(), ids=NOT_RECOGNISED)
def test_what_is_not_recognised_has_no_matrix_form(line: Statement) -> None:
    assert matrix_form(line) is None


UNEQUAL = st.permutations([2, 3, 4, 5])


def assert_same_value(line: Statement, arrays: dict, sizes: dict[str, int]) -> None:
    expression = matrix_form(line)
    assert expression is not None
    wanted = plain_value(line, arrays, sizes)
    value = matrix_value(expression, arrays, sizes)
    wanted = wanted[:, None] if wanted.ndim == 1 else wanted
    if value.ndim == 0 and value == 0:
        value = np.zeros(wanted.shape)  # 0 stands for a matrix of zeros
    if wanted.size == value.size == 1:
        wanted = wanted.reshape(value.shape)  # a matrix of 1 x 1 and a scalar are the same
    assert value.shape == wanted.shape
    np.testing.assert_allclose(value, wanted, rtol=1e-11, atol=1e-11)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), extents=UNEQUAL)
def test_it_has_the_value_of_the_index_form(seed: int, extents: list[int]) -> None:
    sizes = dict(zip("Bnm", extents, strict=False))
    line = random_statement(seed)
    if matrix_form(line) is not None:
        assert_same_value(line, random_arrays(seed, sizes), sizes)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 3, 2), (3, 1, 2), (3, 2, 1)], ids=str)
def test_axes_of_length_one(sizes: tuple[int, ...]) -> None:
    named = dict(zip("Bnm", sizes, strict=True))
    for form in FORMS.values():
        assert_same_value(form, random_arrays(0, named), named)


@pytest.mark.parametrize("line", FORMS.values(), ids=FORMS)
def test_the_forms_above_have_the_value_of_the_index_form(line: Statement) -> None:
    sizes = {"B": 3, "n": 4, "m": 2}
    assert_same_value(line, random_arrays(1, sizes), sizes)


def test_nearly_everything_of_the_grammar_is_recognised() -> None:
    forms = [matrix_form(random_statement(seed)) for seed in range(300)]
    assert sum(form is not None for form in forms) >= 290  # else the property above is empty


SPECS = st.sampled_from(
    [
        "{}-{}",
        "{}-{}-{}",
        "{}-{}:relu-{}",
        "{}-{}:softmax-{}:sigmoid",
        "{}-{}:sigmoid-{}:softmax-{}",
    ]
)


def network_values(program: Program, seed: int, batch: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    values = {
        tensor.name: generator.normal(size=[batch if e == BATCH else int(e) for e in tensor.shape])
        for tensor in program.inputs
    }
    values["Y"] = np.abs(values["Y"]) / np.abs(values["Y"]).sum(axis=1, keepdims=True)
    return values | evaluate(program, values, dtype="float64")


@settings(max_examples=25, deadline=None)
@given(
    spec=SPECS,
    loss=st.sampled_from(["cross-entropy", "mse"]),
    extents=st.permutations([2, 3, 4, 5, 6]),
    seed=st.integers(0, 2**32 - 1),
    weighted=st.booleans(),
)
def test_every_statement_of_a_network_has_its_value(
    spec: str, loss: str, extents: list[int], seed: int, weighted: bool
) -> None:
    network = spec.format(*extents)
    for program in (
        gradient_program(loss_program(parse_spec(network, loss=loss), weighted=weighted)),
        derived(network, loss, weighted=weighted),
    ):
        values = network_values(program, seed, extents[-1])
        for line in program.statements:
            assert is_value_of(matrix_form(line), line.name, values, extents[-1])


def is_value_of(expression, name: str, values: dict[str, np.ndarray], batch: int) -> bool:
    value = matrix_value(expression, values, {"B": batch})
    wanted = values[name][:, None] if values[name].ndim == 1 else values[name]
    return value.shape == wanted.shape and np.allclose(value, wanted, rtol=1e-9, atol=1e-12)


def wrong_forms() -> list:
    programs = [
        derived("4-3-2"),
        derived("4-3:softmax-2", "mse", weighted=True),
        derived("4-3:relu-5:sigmoid-2:sigmoid"),
    ]
    return [
        pytest.param(program, line.name, wrong, id=f"{n}: {line.name}, {what}, {serial}")
        for n, program in enumerate(programs)
        for line in program.statements
        for serial, (what, wrong) in enumerate(mutants(matrix_form(line)))
    ]


@pytest.mark.parametrize(("program", "name", "wrong"), wrong_forms())
def test_the_comparison_rejects_wrong_forms(program: Program, name: str, wrong) -> None:
    values = network_values(program, 0, 6)
    with contextlib.suppress(ShapesDisagreeError):  # rejected as well
        assert not is_value_of(wrong, name, values, 6)


def test_sizes_that_are_names_do_not_change_the_form() -> None:
    named = [matrix_text(line) for line in derived("nx-nh-ny").statements]
    assert named == [matrix_text(line) for line in derived("2-10-3").statements]
    assert size("nh") in derived("nx-nh-ny").statement("H1").target.shape
