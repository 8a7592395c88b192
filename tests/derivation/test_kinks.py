"""Slopes at the corner itself: of kinks, ties and branches, in first and second order."""

from dataclasses import replace

import numpy as np
import pytest
import sympy

from derive.body_slopes import slopes
from derive.definitions import SCALAR
from derive.errors import InputError
from derive.evaluate import evaluate
from derive.formula import parse_formula
from derive.formula_sympy import to_sympy
from derive.gradient import gradient_program
from derive.network import loss_program
from derive.program import Program, Statement, Sum, Tensor, index, size
from derive.rewrite import rewrite_program
from derive.spec import parse_spec
from derive.stable import stable_program

K = index("k")
X = Tensor(name="X", shape=(size("n"),))
C = Tensor(name="C", shape=(size("n"),))

# formula in x and c -> slope at x = c = 0, slope of the slope there
CORNERS = {
    "abs(x)": (0.0, 0.0),
    "sign(x)": (0.0, 0.0),
    "x*sign(x)": (0.0, 0.0),
    "abs(x)*x": (0.0, 0.0),
    "max(x, 0)": (0.5, 0.0),
    "max(0, x)": (0.5, 0.0),
    "min(x, 0)": (0.5, 0.0),
    "max(x, c)": (0.5, 0.0),
    "min(3*x, c)": (1.5, 0.0),
    "max(x, x)": (1.0, 0.0),
    "max(x, -x)": (0.0, 0.0),
    "max(x, max(c, 2*c))": (0.5, 0.0),
    "max(max(x, c), 2*c)": (0.25, 0.0),
    "min(min(c, 4*x), 2*c)": (1.0, 0.0),
    "max(x, 0)**2": (0.0, 0.5),
    "max(0, 1 - (1 - x))": (0.5, 0.0),
    "where(x > 0, x, 0)": (0.0, 0.0),
    "where(x >= 0, x, 0)": (1.0, 0.0),
    "where(x <= 0, 5*x, 7*x)": (5.0, 0.0),
    "where(x == 0, 2*x, x)": (2.0, 0.0),
    "where(x != 0, 2*x, x**2)": (0.0, 2.0),
    "where(x > 0, log(x), x)": (1.0, 0.0),
    "where(x > 0, sqrt(x), x**2)": (0.0, 2.0),
    "where(x < 0, 1/x, sin(x))": (1.0, 0.0),
    "abs(abs(x) - c)": (0.0, 0.0),
    "relu(x)": (0.0, 0.0),
    "elu(x)": (1.0, 1.0),
    "softplus(abs(x))": (0.0, 0.0),
}


def scalar_program(formula: str) -> Program:
    """Return the programme of the sum of a formula over the entries of X."""
    entries = {"x": X[K], "c": C[K]}
    read = parse_formula(formula, names=("x", "c"), activations=tuple(SCALAR))
    body = Sum(to_sympy(read, entries, activations=SCALAR), (K, 0, size("n") - 1))
    loss = Statement(target=Tensor(name="loss", shape=()), indices=(), body=body)
    return Program(inputs=(X, C), parameters=("X",), statements=(loss,), outputs=("loss",))


def second(program: Program) -> Program:
    """Return the gradient of the sum of the gradient."""
    slope = gradient_program(program).statement("dX")
    first = Statement(target=replace(X, name="G"), indices=slope.indices, body=slope.body)
    body = Sum(first.target[K], (K, 0, size("n") - 1))
    total = Statement(target=Tensor(name="s", shape=()), indices=(), body=body)
    statements = (first, total)
    forward = Program(inputs=(X, C), parameters=("X",), statements=statements, outputs=("s",))
    return gradient_program(forward, of="s")


@pytest.mark.parametrize("formula", CORNERS)
def test_the_slope_at_the_corner(formula: str) -> None:
    first, then = CORNERS[formula]
    values = {"X": np.zeros(1), "C": np.zeros(1)}
    program = gradient_program(scalar_program(formula))
    for form in (program, rewrite_program(program), stable_program(rewrite_program(program))):
        assert evaluate(form, values, dtype="float64")["dX"].tolist() == [first]
    twice = second(scalar_program(formula))
    assert evaluate(twice, values, dtype="float64")["dX"].tolist() == [then]


@pytest.mark.parametrize("formula", CORNERS)
def test_no_delta_and_no_derivative_is_left(formula: str) -> None:
    left = (sympy.DiracDelta, sympy.Heaviside, sympy.Derivative, sympy.Subs)
    for program in (gradient_program(scalar_program(formula)), second(scalar_program(formula))):
        assert not any(statement.body.has(*left) for statement in program.statements)


@pytest.mark.parametrize("formula", ["abs(log(x))", "sign(log(x))*x", "max(log(x), c)"])
def test_what_may_not_be_real_is_differentiated_as_a_real_number(formula: str) -> None:
    (slope, *_) = slopes(scalar_program(formula).statements[0].body, "X")
    assert not slope.value.has(sympy.Derivative, sympy.arg, sympy.conjugate, sympy.im)
    values = {"X": np.array([2.0, 0.5]), "C": np.array([-9.0, -9.0])}
    found = evaluate(gradient_program(scalar_program(formula)), values, dtype="float64")["dX"]
    expected = {"abs(log(x))": [0.5, -2.0], "sign(log(x))*x": [1, -1], "max(log(x), c)": [0.5, 2]}
    np.testing.assert_allclose(found, expected[formula], rtol=1e-15)


def test_a_case_distinction_stays_within_the_sums_that_bind_its_indices() -> None:
    """SymPy 1.14 folds it out of the inner sum, and its index is bound nowhere then."""
    i = index("i")
    entry = Tensor(name="A", shape=(size("m"), size("n")))[i, K]
    inner = Sum(sympy.Piecewise((entry, entry > 0), (0, True)), (K, 0, size("n") - 1))
    total = Sum(inner / size("n"), (i, 0, size("m") - 1))
    assert total.atoms(sympy.Piecewise) == inner.atoms(sympy.Piecewise)
    assert not total.free_symbols & {i, K}


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ("sum(Y)", "does not depend on the output"),
        ("sum(sign(P))", "slope 0 everywhere"),
        ("sum(P)", "slope 0 everywhere"),  # 1, after softmax
        ("log(sum(P)**2)", "slope 0 everywhere"),
        ("sum(max(P, Y) - where(P > Y, P, Y))", "slope 0 everywhere"),
        ("sum(Y*(tanh(P) - sinh(P)/cosh(P)))", "slope 0 everywhere"),
        ("sum(where(P > 3, P, 0))", "slope 0 everywhere"),  # no output of softmax is above 1
        ("sum(sqrt(-1-P**2))", "not real"),
        ("sum(log(-1-exp(P)))", "not real"),
        ("P*Y", "sum"),
        ("sum(Q)", '"Q"'),
        ("crossentropy", 'Did you mean "cross-entropy"'),
    ],
)
def test_what_cannot_learn_is_refused(loss: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        loss_program(parse_spec("2-3-2", loss=loss))
    assert words in str(caught.value)


FLAT = [
    "sign(z)",
    "sin(z)**2 + cos(z)**2",
    "tanh(z) - sinh(z)/cosh(z)",
    "z - z",
    "max(z, 0) - relu(z)",
    "max(min(z, 0), 0)",
    "where(z > 0, 1, 2)",
    "where(exp(z) > 2, 1, tanh(z)*cosh(z)/sinh(z))",
    "abs(abs(z)) - sqrt(z**2)",
    "atan(z) + atan(1/z)",
    "exp(log(1 + exp(z))) - exp(z)",
    "where(z**2 > 2, tanh(sign(z)), 3)",
]
SLOPED = [
    "where(z > 3, z, 0)",
    "max(z - 2, 0)",
    "max(z - 1e9, 0)",
    "where(z > 1e12, where(z < 1.0000001e12, z, 0), 0)",
    "max(0, 1e-6 - abs(z - 5))",
    "where(abs(z**3 - z - 7) < 1e-9, z, 1)",
    "exp(-1e6*(z - 5)**2)",
    "1e-30*z",
    "exp(exp(exp(exp(z))))",
    "log(z - 1e7)",
    "sqrt(z**2 + z**4) - z*sqrt(1 + z**2)",
]


@pytest.mark.parametrize("formula", FLAT)
def test_an_activation_that_is_a_constant_in_disguise_is_refused(formula: str) -> None:
    for spec, loss in (("2-3:f-2", "cross-entropy"), ("2-3-2:f", "mse")):
        with pytest.raises(InputError, match=r'^define: "f\(z\) = .*" has slope 0 everywhere'):
            loss_program(parse_spec(spec, loss=loss, define=[f"f(z) = {formula}"]))


@pytest.mark.parametrize("formula", SLOPED)
def test_an_activation_with_a_slope_anywhere_is_not_refused(formula: str) -> None:
    assert loss_program(parse_spec("2-3:f-2", define=[f"f(z) = {formula}"]))


@pytest.mark.parametrize(
    "loss", ["sum(where(P > 3, P, 0))", "sum(max(P - 1e4, Y))", "sum(1e-25*P)"]
)
def test_a_loss_with_a_slope_far_out_is_not_refused(loss: str) -> None:
    assert loss_program(parse_spec("2-3-2:identity", loss=loss))


def test_an_output_may_be_flat_where_the_loss_is_of_what_is_before_it() -> None:
    step = ["f(z) = where(z > 0, 1, 0)"]
    assert loss_program(parse_spec("2-3-2:f", loss="hinge", define=step))
    assert loss_program(parse_spec("2-3-2", define=step))  # not used


def test_a_branch_that_is_not_taken_adds_nothing_to_an_infinite_slope() -> None:
    """PyTorch's where masks the cotangent; infinity times a slope of 0 would be NaN."""
    program = rewrite_program(gradient_program(loss_program("2-2:relu")))
    values = {"X": np.ones((1, 2)), "Y": np.array([[1.0, 0.0]])}
    values |= {"W1": np.zeros((2, 2)), "b1": np.array([-1.0, 1.0])}
    found = evaluate(stable_program(program), values, dtype="float64")
    assert np.isinf(found["P"]).sum() == 0
    assert found["dZ1"].tolist() == [[0.0, -0.0]]


@pytest.mark.parametrize("loss", ["sum(P**2)*max(sum(2), 0.5)", "sum(P**2)*min(sum(pi), 3)"])
def test_a_sum_of_a_constant_may_be_compared(loss: str) -> None:
    for spec in ("2-2:identity", "n-ny:identity"):
        assert loss_program(parse_spec(spec, loss=loss)).statement("loss")


@pytest.mark.long
def test_a_long_product_is_rewritten() -> None:
    """Cancelled as a polynomial in a variable for each exp, it never ended."""
    product = "*".join(f"(1 + exp(z*{n}/7))" for n in range(1, 13))
    spec = parse_spec("2-3:f-2", define=[f"f(z) = {product}"])
    assert rewrite_program(gradient_program(loss_program(spec))).statement("dZ1").body != 0
