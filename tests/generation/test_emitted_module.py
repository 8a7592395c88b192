"""The emitted module: the contract's functions, against PyTorch autograd and against misuse.

Most of this runs the module's text by Python (`uncompiled`), for every network; a few
networks are compiled as a user's are, and `-m slow` compiles them all.
"""

import ast
import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emitted import (
    BLAS,
    BLAS_IN_PYTHON,
    LAB,
    LAB32,
    LAB_IN_NUMPY,
    LAB_IN_PYTHON,
    Case,
    assert_all_near,
    assert_near,
    cases,
    interpreted,
    same_bytes,
    source,
)
from kernels import NETWORKS
from uncompiled import uncompiled

from codegen.errors import InputError
from codegen.generation import generate
from derive.spec import parse_spec

EVERY = list(cases())
IN_NUMPY = [replace(case, target="numpy") for case in EVERY if case.dtype == "float64"]
COMPILED = [LAB, LAB32, BLAS]
ALL_COMPILED = [
    pytest.param(replace(case, is_compiled=True), id=str(case), marks=pytest.mark.slow)
    for case in EVERY
]

# ---------------------------------------------------------------- values and gradients


@pytest.mark.sweep
@pytest.mark.parametrize("case", [*EVERY, *IN_NUMPY, *COMPILED, *ALL_COMPILED], ids=str)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_it_agrees_with_autograd(case: Case, weighted: bool) -> None:
    module, params = case.module, case.params()
    X, Y, weights = case.batch(9)
    given = weights if weighted else None
    value, gradients = case.torch.loss_and_gradients(params, X, Y, given)
    found, found_gradients = module.loss_and_gradients(params, X, Y, given)
    assert isinstance(found, float)
    assert_near(found, value, case.tolerance, "loss")
    assert_near(module.loss(params, X, Y, given), value, case.tolerance, "loss alone")
    assert_all_near(found_gradients, gradients, case.tolerance, "gradient")
    assert all(g.dtype == module.DTYPE for g in found_gradients.values())


@pytest.mark.sweep
@pytest.mark.parametrize("case", [*EVERY, *IN_NUMPY, *COMPILED, *ALL_COMPILED], ids=str)
def test_output_and_vjp_agree_with_autograd(case: Case) -> None:
    module, params = case.module, case.params()
    X, _, _ = case.batch(9)
    P = module.forward(params, X)
    assert_near(P, case.torch.forward(params, X), case.tolerance, "P")
    assert P.dtype == module.DTYPE
    dP = np.random.default_rng(5).standard_normal(P.shape).astype(case.dtype)
    dX, gradients = module.vjp(params, X, dP)
    expected_dX, expected = case.torch.vjp(params, X, dP)
    assert_near(dX, expected_dX, case.tolerance, "dX")
    assert_all_near(gradients, expected, case.tolerance, "gradient")


@pytest.mark.parametrize("text", ["40-60-1-3", "2100-1-2"])
def test_a_matrix_of_one_unit_may_lie_where_a_vector_did(text: str) -> None:
    case = Case(text=text, loss="cross-entropy", dtype="float64", is_compiled=False)
    test_it_agrees_with_autograd(case, weighted=True)
    test_output_and_vjp_agree_with_autograd(case)


@pytest.mark.sweep
@pytest.mark.parametrize("network", NETWORKS, ids=" ".join)
def test_labels_of_any_kind(network: tuple[str, str]) -> None:
    """Without the identity Σ Y = 1, targets may be anything, and gradients stay right."""
    module = interpreted(*network, "float64", "any")
    case = Case(text=network[0], loss=network[1], dtype="float64", is_compiled=False)
    X, _, weights = case.batch(6)
    Y = np.random.default_rng(4).uniform(-0.5, 1.5, (6, module.SIZES[-1]))
    value, gradients = case.torch.loss_and_gradients(case.params(), X, Y, weights)
    found, found_gradients = module.loss_and_gradients(case.params(), X, Y, weights)
    assert_near(found, value, 1e-10)
    assert_all_near(found_gradients, gradients, 1e-10)


def test_the_comparison_can_fail() -> None:
    """Each backward line in turn is spoiled in the text, and seen."""
    text = source("3-4-4-2").text
    case = Case(text="3-4-4-2", loss="cross-entropy", dtype="float64", is_compiled=False)
    X, Y, weights = case.batch(20)  # two blocks of vectors
    _, gradients = case.torch.loss_and_gradients(case.params(), X, Y, weights)
    spoils = {
        "sign": ("(P[j] - Y[j]) * w[0]", "(Y[j] - P[j]) * w[0]"),
        "missing mean": ("(P[j] - Y[j]) * w[0]", "P[j] - Y[j]"),
        "dropped factor": ("(T(1) - H2[j] * H2[j]) * dh2", "dh2"),
        "transposed": ("W2[k, j] * dZ2[k]", "W2[j, k] * dZ2[k]"),
        "another operand": ("dW2[j, k] = dz2 * H1[k]", "dW2[j, k] = dz2 * H2[k]"),
        "dropped bias": ("lanes(b3[j])", "lanes(T(0))"),
        "sum of something else": ("db3[j] = dz3", "db3[j] = Z3[j]"),
        "another place": ("sums(entries, p, here)", "sums(entries, 0, here)"),
        "one block of several": ("gradient[p] += sums", "gradient[p] = sums"),
    }
    for name, (right, wrong) in spoils.items():
        assert right in text, name
        module = uncompiled(text.replace(right, wrong))
        _, found = module.loss_and_gradients(case.params(), X, Y, weights)
        with pytest.raises(AssertionError):
            assert_all_near(found, gradients, 1e-10)


# ---------------------------------------------------------------- any batch, any layout

BOTH = [LAB, LAB_IN_PYTHON, BLAS, BLAS_IN_PYTHON]


@pytest.mark.sweep
@pytest.mark.parametrize("case", BOTH, ids=str)
@pytest.mark.parametrize("count", [1, 7, 10, 15, 16, 17, 33, 1000])
def test_any_batch_size(case: Case, count: int) -> None:
    if count == 1000 and not case.is_compiled:
        count = 100
    module, params = case.module, case.params()
    X, Y, weights = case.batch(count)
    value, gradients = case.torch.loss_and_gradients(params, X, Y, weights)
    found, found_gradients = module.loss_and_gradients(params, X, Y, weights)
    assert_near(found, value, 1e-10)
    assert_all_near(found_gradients, gradients, 1e-10)
    assert_near(module.forward(params, X), case.torch.forward(params, X), 1e-10)
    dX, _ = module.vjp(params, X, Y)
    assert_near(dX, case.torch.vjp(params, X, Y)[0], 1e-10)


@pytest.mark.parametrize("count", [1, 7, 15, 16, 17])
@pytest.mark.parametrize("activation", ["relu", "identity"])
def test_an_infinite_loss_is_infinite_for_any_batch_size(activation: str, count: int) -> None:
    """-log(0) of the last sample: no padding may make it NaN, nor an infinite slope."""
    network = f"2-2:{activation}"
    case = Case(text=network, loss="cross-entropy", dtype="float64", is_compiled=False)
    params = {"W1": np.eye(2), "b1": np.zeros(2)}
    X = np.ones((count, 2))
    X[-1, 0] = 0.0
    Y = np.eye(2)[np.zeros(count, int)]
    assert case.module.loss(params, X, Y) == np.inf
    value, gradients = case.module.loss_and_gradients(params, X, Y)
    assert value == np.inf
    if activation == "identity":
        _, expected = case.torch.loss_and_gradients(params, X, Y)
        for name, gradient in gradients.items():
            np.testing.assert_array_equal(gradient, expected[name])
        _, pulled = case.module.vjp(params, X, np.full((count, 2), np.inf))
        assert (pulled["b1"] == np.inf).all()


@pytest.mark.parametrize("case", BOTH, ids=str)
def test_no_samples(case: Case) -> None:
    """There are no outputs then, and no mean."""
    module, params = case.module, case.params()
    X, Y, weights = case.batch(0)
    assert module.forward(params, X).shape == (0, module.SIZES[-1])
    dX, gradients = module.vjp(params, X, Y)
    assert dX.shape == X.shape
    assert not any(gradient.any() for gradient in gradients.values())
    for function in (module.loss, module.loss_and_gradients):
        for given in (None, weights):
            with pytest.raises(ValueError, match=r"X has no rows|weights must not"):
                function(params, X, Y, given)


def layouts(array: np.ndarray) -> Iterator[tuple[str, Any]]:
    """Yield the same numbers laid out in other ways."""
    rows = array.shape[0]
    yield "Fortran order", np.asfortranarray(array)
    wide = np.full((rows, *(2 * n for n in array.shape[1:])), np.nan)
    strided = wide[(slice(None), *(slice(None, None, 2) for _ in array.shape[1:]))]
    strided[...] = array
    yield "every second column", strided
    tall = np.full((3 * rows, *array.shape[1:]), np.nan)
    tall[::3] = array
    yield "every third row", tall[::3]
    yield "backwards", array[::-1].copy()[::-1]
    big = array.astype(array.dtype.newbyteorder(">"))
    yield "other byte order", big
    frozen = array.copy()
    frozen.flags.writeable = False
    yield "read-only", frozen
    shifted = np.frombuffer(b"\0" + array.tobytes(), np.uint8)[1:].view(array.dtype)
    yield "not aligned", shifted.reshape(array.shape)
    yield "list", array.tolist()
    yield "objects", array.astype(object)


@pytest.mark.sweep
@pytest.mark.parametrize("case", [LAB, LAB32, LAB_IN_PYTHON, LAB_IN_NUMPY, BLAS], ids=str)
def test_any_layout(case: Case) -> None:
    module, params = case.module, case.params()
    # numbers that every type holds exactly
    X, Y, weights = (np.round(4 * array) / 4 + (array is None) for array in case.batch(9))
    weights += 0.25
    expected = module.loss_and_gradients(params, X, Y, weights)
    P = module.forward(params, X)
    dX, _ = module.vjp(params, X, Y)
    for other_X, other_Y, other_w in zip(layouts(X), layouts(Y), layouts(weights), strict=True):
        name = other_X[0]
        value, gradients = module.loss_and_gradients(params, other_X[1], other_Y[1], other_w[1])
        assert value == expected[0], name
        assert same_bytes(gradients, expected[1]), name
        assert module.forward(params, other_X[1]).tobytes() == P.tobytes(), name
        assert module.vjp(params, other_X[1], other_Y[1])[0].tobytes() == dX.tobytes(), name


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", "int8", "bool"])
def test_any_type_of_number(dtype: str) -> None:
    module, params = LAB.module, LAB.params()
    X = np.random.default_rng(0).integers(0, 2, (9, 2))
    Y = np.eye(2)[X[:, 0]]
    expected = module.loss_and_gradients(params, X.astype("float64"), Y)
    found = module.loss_and_gradients(params, X.astype(dtype), Y.astype(dtype))
    assert found[0] == expected[0]
    assert same_bytes(found[1], expected[1])


@pytest.mark.parametrize("case", [LAB, LAB_IN_PYTHON, LAB_IN_NUMPY, BLAS], ids=str)
def test_parameters_in_any_layout(case: Case) -> None:
    module, params = case.module, case.params()
    X, Y, _ = case.batch(9)
    _, expected = module.loss_and_gradients(params, X, Y)
    named = {name: list(layouts(value)) for name, value in params.items()}
    for number, (layout, _) in enumerate(named["W1"]):
        other = {name: found[number][1] for name, found in named.items()}
        _, gradients = module.loss_and_gradients(other, X, Y)
        assert same_bytes(gradients, expected), layout


def test_no_layout_is_compiled_anew() -> None:
    """Each kernel has one signature, whatever it was given (this test runs after those)."""
    for case in (LAB, BLAS):
        module, params = case.module, case.params()
        X, Y, weights = case.batch(9)
        for (_, x), (_, y), (_, w) in zip(layouts(X), layouts(Y), layouts(weights), strict=True):
            module.loss(params, x, y, w)
            module.loss_and_gradients(params, x, y, w)
            module.forward(params, x)
        for kernel in (module._forward, module._loss, module._gradients, module._vjp):
            assert len(kernel.signatures) <= 1, kernel.signatures


@pytest.mark.parametrize("case", [LAB, LAB_IN_PYTHON, LAB_IN_NUMPY, BLAS], ids=str)
def test_nothing_that_was_given_is_changed(case: Case) -> None:
    module, params = case.module, case.params()
    X, Y, weights = case.batch(9)
    given = {**params, "X": X, "Y": Y, "weights": weights}
    before = {name: array.copy() for name, array in given.items()}
    P = module.forward(params, X)
    module.loss(params, X, Y, weights)
    module.loss_and_gradients(params, X, Y, weights)
    module.vjp(params, X, P)
    assert same_bytes(given, before)


@pytest.mark.parametrize("case", [LAB, LAB_IN_PYTHON, LAB_IN_NUMPY, BLAS], ids=str)
def test_results_are_the_callers_own(case: Case) -> None:
    module, params = case.module, case.params()
    X, Y, _ = case.batch(9)
    P, again = module.forward(params, X), module.forward(params, X)
    P[...] = 7
    assert not np.array_equal(P, again)
    assert again.flags.c_contiguous
    _, gradients = module.loss_and_gradients(params, X, Y)
    kept = {name: array.copy() for name, array in gradients.items()}
    module.loss_and_gradients(params, -X, Y)
    assert same_bytes(gradients, kept)


# ---------------------------------------------------------------- what is refused

X, Y, WEIGHTS = LAB_IN_PYTHON.batch(9)
PARAMS = LAB_IN_PYTHON.params()


def without(name: str) -> dict[str, np.ndarray]:
    return {key: value for key, value in PARAMS.items() if key != name}


# arguments after `params` and what the message names
SHAPES: dict[str, tuple[str, tuple[Any, ...], str]] = {
    "X too wide": ("forward", (np.zeros((9, 3)),), r"X has shape \(9, 3\); expected \(B, 2\)"),
    "X transposed": ("forward", (X.T,), r"X has shape \(2, 9\); expected \(B, 2\)"),
    "X a row": ("forward", (X[0],), r"X has shape \(2,\); expected \(B, 2\)"),
    "X a number": ("forward", (1.0,), r"X has shape \(\); expected \(B, 2\)"),
    "X three axes": ("forward", (X[None],), r"X has shape \(1, 9, 2\); expected \(B, 2\)"),
    "loss, X": ("loss", (X[:, :1], Y), r"X has shape \(9, 1\); expected \(B, 2\)"),
    "loss, Y too narrow": ("loss", (X, Y[:, :1]), r"Y has shape \(9, 1\); expected \(B, 2\)"),
    "loss, Y as numbers": ("loss", (X, Y[:, 0]), r"Y has shape \(9,\); expected \(B, 2\)"),
    "loss, fewer Y": (
        "loss",
        (X, Y[:8]),
        r"Y has shape \(8, 2\) and X \(9, 2\); expected as many rows",
    ),
    "loss, weights too short": (
        "loss",
        (X, Y, WEIGHTS[:8]),
        r"weights has shape \(8,\); expected \(9,\)",
    ),
    "loss, weights a column": (
        "loss",
        (X, Y, WEIGHTS[:, None]),
        r"weights has shape \(9, 1\); expected \(9,\)",
    ),
    "vjp, dP": ("vjp", (X, X[:8]), r"dP has shape \(8, 2\) and X \(9, 2\)"),
    "vjp, dP too wide": ("vjp", (X, np.zeros((9, 3))), r"dP has shape \(9, 3\); expected \(B, 2\)"),
}


@pytest.mark.parametrize(("function", "arguments", "message"), SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("case", [LAB_IN_PYTHON, LAB_IN_NUMPY, LAB], ids=str)
def test_wrong_shapes(case: Case, function: str, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(case.module, function)(PARAMS, *arguments)


@pytest.mark.parametrize("function", ["forward", "loss", "loss_and_gradients", "vjp"])
@pytest.mark.parametrize(
    ("params", "message"),
    [
        (without("b2"), r"params has no 'b2'; expected \['W1', 'b1', 'W2', 'b2'\]"),
        ({}, "params has no 'W1'"),
        (
            PARAMS | {"W1": PARAMS["W1"].T},
            r"params\['W1'\] has shape \(2, 10\); expected \(10, 2\)",
        ),
        (PARAMS | {"b1": PARAMS["b1"][:, None]}, r"params\['b1'\] has shape \(10, 1\); expected"),
        (PARAMS | {"W2": 0.0}, r"params\['W2'\] has shape \(\); expected \(2, 10\)"),
    ],
    ids=["one missing", "none", "transposed", "a column", "a number"],
)
def test_wrong_parameters(function: str, params: dict[str, Any], message: str) -> None:
    arguments = {"forward": (X,), "vjp": (X, Y)}.get(function, (X, Y))
    with pytest.raises(ValueError, match=message):
        getattr(LAB_IN_PYTHON.module, function)(params, *arguments)


@pytest.mark.parametrize("case", [LAB_IN_PYTHON, LAB_IN_NUMPY, LAB, LAB32], ids=str)
def test_the_first_row_that_does_not_sum_to_one_is_named(case: Case) -> None:
    module = case.module
    wrong = Y.copy()
    wrong[[4, 6]] = [[1.0, 0.25], [0.0, 0.0]]
    for function in (module.loss, module.loss_and_gradients):
        with pytest.raises(ValueError, match=r"Y\[4\] sums to 1.25; expected 1"):
            function(case.params(), X, wrong)
    params = case.params()
    with pytest.raises(ValueError, match=r"Y\[4\] sums to 1.25"):
        module.train(params, X, wrong, epochs=1, batch=3, eta=0.1)
    with pytest.raises(ValueError, match=r"test\[1\]\[4\] sums to 1.25"):
        module.train(params, X, Y, epochs=1, batch=3, eta=0.1, test=(X, wrong))
    assert same_bytes(params, case.params()), "nothing was learnt from what was refused"


@pytest.mark.parametrize(
    ("row", "is_refused"),
    [
        ([1 + 9e-7, 0.0], False),
        ([1 - 9e-7, 0.0], False),
        ([1 + 1.1e-6, 0.0], True),
        ([1 - 1.1e-6, 0.0], True),
        ([0.5, 0.5], False),
        ([2.0, -1.0], False),
        ([np.nan, 1.0], True),
        ([np.inf, -np.inf], True),
    ],
)
def test_how_near_to_one_a_row_must_be(row: list[float], is_refused: bool) -> None:
    targets = Y.copy()
    targets[3] = row
    if is_refused:
        with pytest.raises(ValueError, match=r"Y\[3\] sums to"):
            LAB_IN_PYTHON.module.loss(PARAMS, X, targets)
    else:
        LAB_IN_PYTHON.module.loss(PARAMS, X, targets)


def test_rows_of_any_sum_where_the_identity_is_not_used() -> None:
    for module in (interpreted("2-10-2", labels="any"), interpreted("5-4-3", "mse")):
        count, n_in, n_out = 4, module.SIZES[0], module.SIZES[-1]
        module.loss(module.init_params(), np.ones((count, n_in)), np.ones((count, n_out)))


@pytest.mark.parametrize(
    "weights",
    [
        np.zeros(9),
        np.r_[WEIGHTS[:8], -0.1],
        np.r_[WEIGHTS[:8], np.nan],
        np.r_[WEIGHTS[:8], np.inf],
    ],
    ids=["all 0", "negative", "NaN", "infinite"],
)
def test_weights_that_make_no_mean(weights: np.ndarray) -> None:
    for function in (LAB_IN_PYTHON.module.loss, LAB_IN_PYTHON.module.loss_and_gradients):
        with pytest.raises(ValueError, match="weights must not be negative"):
            function(PARAMS, X, Y, weights)


def test_a_weight_of_zero_is_as_if_the_sample_were_not_there() -> None:
    module = LAB_IN_PYTHON.module
    weights = WEIGHTS.copy()
    weights[[0, 8]] = 0
    _, found = module.loss_and_gradients(PARAMS, X, Y, weights)
    _, expected = module.loss_and_gradients(PARAMS, X[1:8], Y[1:8], weights[1:8])
    assert_all_near(found, expected, 1e-13)


def test_only_the_ratio_of_weights_counts() -> None:
    module = LAB_IN_PYTHON.module
    value, found = module.loss_and_gradients(PARAMS, X, Y, 1e3 * WEIGHTS)
    expected_value, expected = module.loss_and_gradients(PARAMS, X, Y, WEIGHTS)
    assert_near(value, expected_value, 1e-13)
    assert_all_near(found, expected, 1e-13)


# ---------------------------------------------------------------- extremes


@pytest.mark.parametrize("case", [LAB, LAB32, LAB_IN_PYTHON, LAB_IN_NUMPY, BLAS], ids=str)
@pytest.mark.parametrize("scale", [1e3, 1e15])
def test_extreme_inputs_give_finite_results(case: Case, scale: float) -> None:
    module = case.module
    params = {name: (100 * value).astype(case.dtype) for name, value in case.params().items()}
    inputs, targets, weights = case.batch(50)
    value, gradients = module.loss_and_gradients(params, scale * inputs, targets, weights)
    assert np.isfinite(value)
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())
    P = module.forward(params, scale * inputs)
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-6)


def test_the_loss_of_a_hopeless_case_is_its_margin() -> None:
    """P of the right class is 0 in any float; the loss is still a number."""
    module = interpreted("3-2")
    params = {"W1": np.array([[1e4, 0, 0], [0, 0, 0]]), "b1": np.zeros(2)}
    value, gradients = module.loss_and_gradients(params, [[1.0, 0, 0]], [[0.0, 1.0]])
    assert value == 1e4
    np.testing.assert_array_equal(gradients["b1"], [1.0, -1.0])


@pytest.mark.parametrize("case", [LAB, LAB_IN_PYTHON, LAB_IN_NUMPY, BLAS], ids=str)
@pytest.mark.parametrize("row", [0, 8])
def test_nan_in_the_inputs_is_not_hidden(case: Case, row: int) -> None:
    inputs, targets, _ = case.batch(9)
    inputs[row, 0] = np.nan
    value, _ = case.module.loss_and_gradients(case.params(), inputs, targets)
    assert np.isnan(value)
    P = case.module.forward(case.params(), inputs)
    assert np.isnan(P[row]).all()
    assert np.isfinite(np.delete(P, row, axis=0)).all()


def test_the_slope_of_relu_at_its_corner_is_zero() -> None:
    module = interpreted("1-1:relu-2", "mse")
    params = {"W1": [[1.0]], "b1": [0.0], "W2": [[1.0], [1.0]], "b2": [0.0, 0.0]}
    for x, slope in ((-1.0, 0.0), (0.0, 0.0), (1.0, 2.0)):
        dX, _ = module.vjp(params, [[x]], [[1.0, 1.0]])
        assert dX.item() == slope


# ---------------------------------------------------------------- constants and init_params


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_public_names(case: Case) -> None:
    module = case.module
    sizes = tuple(int(part.partition(":")[0]) for part in case.text.split("-"))
    assert sizes == module.SIZES
    assert parse_spec(module.SPEC, loss=case.loss) == parse_spec(case.text, loss=case.loss)
    assert np.dtype(module.DTYPE) == np.dtype(case.dtype)
    shapes = {}
    for layer, (n_out, n_in) in enumerate(zip(sizes[1:], sizes, strict=False), start=1):
        shapes |= {f"W{layer}": (n_out, n_in), f"b{layer}": (n_out,)}
    assert shapes == module.PARAMETERS
    assert list(module.PARAMETERS) == list(shapes)


SIGNATURES = {
    "init_params": "(seed=0, scale=0.3)",
    "forward": "(params, X)",
    "loss": "(params, X, Y, weights=None)",
    "loss_and_gradients": "(params, X, Y, weights=None)",
    "vjp": "(params, X, dP)",
    "train": (
        "(params, X, Y, *, epochs, batch, eta, seed=0, order=None, start=0, state=None, "
        "test=None, evaluate=None, weights=None, threads=None, callback=None, sparse='auto', "
        "reuse=None)"
    ),
    "epoch_order": "(samples, epoch, seed=0)",
    "threads_used": "(samples, *, epochs, batch)",
}


@pytest.mark.parametrize(("name", "signature"), SIGNATURES.items(), ids=SIGNATURES)
def test_signatures_are_the_contracts(name: str, signature: str) -> None:
    for module in (LAB.module, BLAS.module):
        function = getattr(module, name)
        assert str(inspect.signature(function)) == signature
        brief = ("forward", "vjp", "epoch_order", "threads_used")
        assert "Parameters" in function.__doc__ or name in brief
        assert "Returns" in function.__doc__ or "Return" in function.__doc__


def test_init_params_draws_weights_and_leaves_biases_zero() -> None:
    module = BLAS_IN_PYTHON.module
    params = module.init_params(seed=3, scale=0.5)
    assert {name: value.shape for name, value in params.items()} == module.PARAMETERS
    weights = np.concatenate([v.ravel() for n, v in params.items() if n.startswith("W")])
    assert weights.std() == pytest.approx(0.5, rel=0.05)
    assert abs(weights.mean()) < 0.05
    assert not any(value.any() for name, value in params.items() if name.startswith("b"))
    assert all(value.dtype == module.DTYPE for value in params.values())


def test_init_params_is_seeded() -> None:
    first, again, other = (LAB_IN_PYTHON.module.init_params(seed=s) for s in (7, 7, 8))
    assert same_bytes(first, again)
    assert not np.array_equal(first["W1"], other["W1"])
    first["W1"][...] = 0
    assert again["W1"].any()


def test_both_types_start_from_the_same_weights() -> None:
    narrow, wide = interpreted("2-10-2", dtype="float32"), LAB_IN_PYTHON.module
    for name, value in wide.init_params(seed=5).items():
        np.testing.assert_array_equal(value.astype("float32"), narrow.init_params(seed=5)[name])


# ---------------------------------------------------------------- the text

TEXTS = [*NETWORKS, ("784-100-10", "cross-entropy")]


def tree(network: tuple[str, str], dtype: str = "float32") -> ast.Module:
    return ast.parse(source(*network, dtype).text)


@pytest.mark.sweep
@pytest.mark.parametrize("network", TEXTS, ids=" ".join)
def test_it_imports_nothing_of_this_project(network: tuple[str, str]) -> None:
    found = set()
    for node in ast.walk(tree(network)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(str(node.module).split(".")[0])
    assert "numpy" in found
    third = found - sys.stdlib_module_names
    blas = {"scipy", "threadpoolctl"} if "_gemm" in source(*network, "float32").text else set()
    assert third == {"numpy", "numba", "llvmlite"} | blas


def test_blas_is_imported_only_where_it_is_used() -> None:
    assert "scipy" not in source("2-10-2").text.split('"""', 2)[2]
    assert "scipy" in source("20-40-30-3").text.split('"""', 2)[2]


@pytest.mark.parametrize("network", TEXTS, ids=" ".join)
def test_nothing_outside_of_the_standard_library_is_called_by_name_only(
    network: tuple[str, str],
) -> None:
    """No eval, exec, open or import by name."""
    names = {node.id for node in ast.walk(tree(network)) if isinstance(node, ast.Name)}
    assert not names & {"eval", "exec", "compile", "open", "__import__", "globals", "setattr"}


CONSTRUCTORS = {
    "zeros",
    "empty",
    "ones",
    "full",
    "arange",
    "array",
    "copy",
    "asarray",
    "zeros_like",
}


def allocations(module: ast.Module) -> list[str]:
    """Return what the epoch loop of `_train` allocates, in it and in all that it calls."""
    functions = {
        node.name: node
        for node in module.body
        if isinstance(node, ast.FunctionDef)
        and "_intrinsic" not in map(ast.unparse, node.decorator_list)  # runs when compiled
    }
    functions |= {f"{name}_apart": node for name, node in functions.items()}  # as kernels call it
    (loop,) = [n for n in functions["_train"].body if isinstance(n, ast.For)]
    waiting: list[ast.AST] = [loop]
    seen: set[str] = set()
    found = []
    while waiting:
        for node in ast.walk(waiting.pop()):
            match node:
                case ast.Call(func=ast.Attribute(attr=name)) if name in CONSTRUCTORS:
                    found.append(f"{ast.unparse(node)}, line {node.lineno}")
                case ast.ListComp() | ast.List() | ast.Dict() | ast.BinOp(op=ast.MatMult()):
                    found.append(f"{ast.unparse(node)}, line {node.lineno}")
                case ast.Call(func=ast.Name(id=name)) if name in functions and name not in seen:
                    seen.add(name)
                    waiting.append(functions[name])
    seen = {name.removesuffix("_apart") for name in seen}
    assert {"_step", "_gather", "_shuffle", "_evaluate"} <= seen
    return found


@pytest.mark.parametrize("network", TEXTS, ids=" ".join)
def test_an_epoch_allocates_nothing(network: tuple[str, str]) -> None:
    assert allocations(tree(network)) == []


@pytest.mark.parametrize(
    "line",
    ["spare = np.zeros(3)", "spare = order.copy()", "spare = [epoch]", "spare = X @ X"],
)
def test_an_allocation_is_seen(line: str) -> None:
    text = source("2-10-2").text
    place = "        if orders.shape[0]:\n"
    assert text.count(place) == 1
    assert allocations(ast.parse(text.replace(place, f"        {line}\n{place}")))


@pytest.mark.parametrize("network", TEXTS, ids=" ".join)
def test_the_text_is_tidy(network: tuple[str, str]) -> None:
    text = source(*network, "float32").text
    lines = text.split("\n")
    assert not any(line != line.rstrip() for line in lines)
    assert text.endswith("1)\n")
    assert "\n\n\n\n" not in text
    assert "${" not in text


def test_no_line_of_the_labs_network_is_long() -> None:
    for dtype in ("float32", "float64"):
        assert max(map(len, source("2-10-2", dtype=dtype).text.split("\n"))) <= 110


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_header_says_what_it_is(dtype: str) -> None:
    header = ast.get_docstring(ast.parse(source("2-10-2", dtype=dtype).text)) or ""
    assert header.startswith(f"The network 2-10-2 with the loss cross-entropy: kernels in {dtype}.")
    for formula in ("dZ2 = (P − Y)/B", "dW2 = dZ2ᵀ H1", "dZ1 = dH1 ∘ (1 − H1 ∘ H1)"):
        assert formula in header
    for name in ("gradwright", "sympy", "numba", "llvmlite", "numpy", "scipy"):
        assert f"{name} " in header.splitlines()[-1]


def test_each_formula_stands_above_the_lines_that_compute_it() -> None:
    text = source("2-10-2").text
    step = text[text.index("def _step_block(") : text.index("# What Python calls")]
    for formula in ("dW2 = dZ2ᵀ H1", "dH1 = dZ2 W2", "db1 = dZ1ᵀ 1", "  W1 := W1 − η dW1"):
        assert f"    # {formula}\n" in step, formula


def test_the_same_text_in_another_process() -> None:
    """No set, hash or date is in it."""
    program = (
        "import sys; from codegen.generation import generate; from derive.spec import parse_spec; "
        "sys.stdout.buffer.write("
        "generate(parse_spec('2-3:relu-4:sigmoid-2', loss='mse'), dtype='float32').text.encode())"
    )
    expected = source("2-3:relu-4:sigmoid-2", "mse", "float32").text
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
        assert found.stdout.decode() == expected


def test_the_same_text_again() -> None:
    assert generate("2-10-2", dtype="float64").text == source("2-10-2").text
    assert str(source("2-10-2")) == source("2-10-2").text


# ---------------------------------------------------------------- what cannot be generated

NOT_GENERATED: dict[str, tuple[Callable[[], object], str]] = {
    "a size that is a name": (
        lambda: generate("2-nh-2"),
        r'sizes\[1\] is called "nh"; code needs numbers',
    ),
    "a type that is not known": (
        lambda: generate("2-10-2", dtype="float16"),
        'dtype: "float16" is not known. Known: float32, float64',
    ),
    "a network that cannot be read": (lambda: generate("2--2"), "missing"),
    "labels of a kind that is not known": (
        lambda: generate("2-10-2", labels="some"),
        'labels: "some" is not known',
    ),
}


@pytest.mark.parametrize(("make", "message"), NOT_GENERATED.values(), ids=NOT_GENERATED)
def test_what_cannot_be_generated(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


# ---------------------------------------------------------------- self-check


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_the_self_check_passes(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert case.module._check()
    printed = capsys.readouterr().out
    for name in case.module.PARAMETERS:
        assert f"d{name} " in printed
    assert printed.count("ok") == len(case.module.PARAMETERS)
    assert "extreme inputs: finite" in printed


SPOILS = {
    "sign": ("(P[j] - Y[j]) * w[0]", "(Y[j] - P[j]) * w[0]"),
    "missing mean": ("(P[j] - Y[j]) * w[0]", "P[j] - Y[j]"),
    "dropped factor": ("(T(1) - H1[j] * H1[j]) * dh1", "dh1"),
    "another operand": ("dW1[j, k] = dz1 * X[k]", "dW1[j, k] = dz1 * X[0]"),
    "loss off by a little": ("    return loss\n", "    return loss * T(1.01)\n"),
    "overflow": ("exp(Z2[j] - p_max)", "exp(Z2[j])"),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_self_check_fails_on_a_spoiled_kernel(
    spoil: tuple[str, str], dtype: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = source("2-10-2", dtype=dtype).text
    right, wrong = spoil
    assert right in text
    assert not uncompiled(text.replace(right, wrong))._check()
    printed = capsys.readouterr().out
    assert "WRONG" in printed or "NOT FINITE" in printed or "loss" in right


NOT_ALWAYS_FINITE = [
    ("2-10-2:relu", "cross-entropy"),
    ("2-10-2:identity", "cross-entropy"),
    ("2-10-2:tanh", "cross-entropy"),
    ("3-4:relu-5:relu", "cross-entropy"),
    ("20-40:relu-30:relu-7:identity", "cross-entropy"),
]


@pytest.mark.parametrize("network", NOT_ALWAYS_FINITE, ids=" ".join)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.filterwarnings("error")
def test_the_self_check_looks_for_where_the_loss_is_finite(
    network: tuple[str, str], dtype: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log of an output that is not positive is none; that is no mistake of the kernels."""
    module = interpreted(*network, dtype=dtype)
    assert module._check() is True
    printed = capsys.readouterr().out
    assert printed.count("  ok\n") == len(module.PARAMETERS)
    assert "not checked, the loss itself is not finite there" in printed


MISTAKES = {
    "sign": ("z2 += W2[j, k]", "z2 -= W2[j, k]"),
    "another operand": ("dW1[j, k] = dz1 * X[k]", "dW1[j, k] = dz1 * X[0]"),
    "dropped factor": ("(T(1) - H1[j] * H1[j]) * dh1", "dh1"),
    "loss off by a little": ("    return loss\n", "    return loss * T(1.01)\n"),
    "no number": ("    return loss\n", "    return loss * T(np.nan)\n"),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
@pytest.mark.parametrize("network", NOT_ALWAYS_FINITE[:3], ids=" ".join)
def test_the_self_check_fails_there_too(
    network: tuple[str, str], mistake: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = source(*network).text
    right, wrong = mistake
    assert right in text
    with np.errstate(all="ignore"):
        assert uncompiled(text.replace(right, wrong))._check() is False
    assert "WRONG" in capsys.readouterr().out


def test_the_self_check_says_what_it_cannot_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = uncompiled(source("2-2").text)
    monkeypatch.setattr(module, "_reference_loss", lambda *arguments: np.nan)
    assert module._check() is None
    assert "not checked" in capsys.readouterr().out


def run_alone(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a module as a user would, where this project cannot be imported."""
    file = folder / "kernels.py"
    file.write_text(text, "utf-8")
    program = (
        "import runpy, sys\n"
        "for name in ('derive', 'codegen', 'runtime', 'sympy'):\n"
        "    sys.modules[name] = None\n"
        f"runpy.run_path({str(file)!r}, run_name='__main__')\n"
    )
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_as_a_programme_of_its_own(tmp_path: Path) -> None:
    text = source("2-2", dtype="float32").text
    done = run_alone(text, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "2-2, float32: gradients against finite differences in float64"
    assert len(lines) == 4


def test_as_a_programme_of_its_own_where_the_loss_is_not_always_finite(tmp_path: Path) -> None:
    done = run_alone(source("2-2:relu", dtype="float32").text, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "WRONG" not in done.stdout


def test_as_a_programme_of_its_own_without_an_answer(tmp_path: Path) -> None:
    text = source("2-2", dtype="float32").text
    done = run_alone(
        text.replace("    return float(loss)\n", "    return float('nan')\n"), tmp_path
    )
    assert (done.returncode, done.stderr) == (2, "")
    assert "not checked" in done.stdout


def test_as_a_programme_of_its_own_that_is_wrong(tmp_path: Path) -> None:
    text = source("2-2", dtype="float32").text
    wrong = text.replace("(P[j] - Y[j]) * w[0]", "(Y[j] - P[j]) * w[0]")
    assert wrong != text
    done = run_alone(wrong, tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.count("WRONG") == 2
