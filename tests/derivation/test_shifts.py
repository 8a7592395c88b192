"""Shifted reads: outside of an axis is 0, for values, proofs, gradients and in print."""

from dataclasses import replace

import numpy as np
import pytest
from sympy import Eq, Expr, Integer, Piecewise, Symbol, exp

from derive import InternalError, Program, Statement, Tensor
from derive.check import check_program
from derive.error_bound import evaluate_with_bound
from derive.evaluate import evaluate
from derive.gradient import gradient_program
from derive.high_precision import precise_values
from derive.mathml_notation import MathmlNotation
from derive.matrix_form import matrix_form
from derive.printing import sides, statement_latex, statement_text
from derive.program import BATCH, Sum, index, scalar, size
from derive.proof import local_proof
from derive.proof.explicit import Explicit
from derive.proof.modular import modular_check
from derive.reuse import reuse
from derive.rewrite import rewrite_program
from derive.shifts import is_shifted, shift, solve_shift
from derive.stable import stable_program

N, M, K = size("n"), size("m"), size("k")
X, W, Y = Tensor(name="X", shape=(N,)), Tensor(name="W", shape=(K,)), Tensor(name="V", shape=(M,))
P, LOSS = Tensor(name="P", shape=(M,)), Tensor(name="loss", shape=())
j, k, m = map(index, "jkm")


def program(*statements: Statement, parameters: tuple[str, ...] = ("X",)) -> Program:
    outputs = (statements[-1].name,)
    return check_program(
        Program(inputs=(X, W, Y), parameters=parameters, statements=statements, outputs=outputs)
    )


def define(target: Tensor, indices: tuple[Symbol, ...], body: Expr) -> Statement:
    return Statement(target=target, indices=indices, body=body)


def over(body: Expr, symbol: Symbol, extent: Expr) -> Expr:
    return Sum(body, (symbol, 0, extent - 1))


WINDOW = define(P, (j,), over(X[2 * j + k - 1] * W[k], k, K))
LOSS_OF_P = define(LOSS, (), over(P[j] * Y[j], j, M))
VALUES = {"X": np.array([2.0, 3.0, 5.0, 7.0]), "W": np.array([1.0, 10.0, 100.0])}


# ------------------------------------------------------------------- what a shift is


def test_a_sum_of_indices_is_a_shift() -> None:
    found = shift(2 * j - k + 3)
    assert found is not None
    assert dict(found.factors) == {j: 2, k: -1}
    assert found.offset == 3
    assert found.at({j: 5, k: 1}) == 12
    assert is_shifted(X[j + 1])
    assert not is_shifted(X[j])
    assert not is_shifted(X[Integer(0)])


@pytest.mark.parametrize("position", [j * k, j**2, j / 2, j + N, j + Symbol("x", real=True)])
def test_other_sums_are_none(position: Expr) -> None:
    assert shift(position) is None
    with pytest.raises(InternalError, match="does not run over an axis"):
        program(define(P, (j,), over(X[position] * W[k], k, K)))


def test_a_shift_is_solved_for_an_index_that_another_factor_keeps() -> None:
    assert solve_shift(j + k - 1, m, W[k], (j, k)) == (k, m - j + 1)
    assert solve_shift(j - k, m, W[k] * Y[j], (k, j)) == (k, j - m)
    assert solve_shift(j + k, m, W[k] + 1, (j, k)) is None
    assert solve_shift(j + k, m, W[k + 1], (j, k)) is None
    assert solve_shift(2 * j + 3 * k, m, W[k] * Y[j], (j, k)) is None


# ------------------------------------------------------------------------ what it means


def test_outside_of_an_axis_is_zero() -> None:
    found = evaluate(program(WINDOW, LOSS_OF_P), {**VALUES, "V": np.ones(4)}, dtype="float64")
    # X stands at 0 to 3: positions -1 to 1, 1 to 3, 3 to 5, 5 to 7
    np.testing.assert_array_equal(found["P"], [320.0, 753.0, 7.0, 0.0])


def test_the_proof_reads_zero_there_too() -> None:
    explicit = Explicit(program(WINDOW, LOSS_OF_P), {N: 4, M: 4, K: 3})
    at = {statement: explicit.entry(*statement) for statement in [("X", (3,)), ("W", (0,))]}
    assert explicit.body(WINDOW, (2,)) == at["X", (3,)] * at["W", (0,)]
    assert explicit.body(WINDOW, (3,)) == 0


def test_the_bound_covers_shifted_reads() -> None:
    values = {"X": np.array([0.1, 0.2, 0.3]), "W": np.array([0.7, 0.9]), "V": np.ones(2)}
    given = program(WINDOW, LOSS_OF_P)
    value, bound = evaluate_with_bound(given, values, "float32")["P"]
    assert (bound > 0).all()
    coarse = evaluate(given, values, dtype="float32")["P"]
    assert (np.abs(coarse - value) <= bound).all()
    assert (bound < 1e-6).all()


def test_one_name_may_run_over_two_ranges() -> None:
    """Canonical names are used again in sums beside each other."""
    two = over(X[j + k] * W[k], k, K) + over(X[j + k] * Y[k], k, M)
    values = {"X": np.arange(6.0), "W": np.ones(1), "V": np.ones(4)}
    given = program(define(P, (j,), two))
    expected = [j + sum(range(j, min(j + 4, 6))) for j in range(4)]
    np.testing.assert_array_equal(evaluate(given, values, dtype="float64")["P"], expected)
    bounds = evaluate_with_bound(given, values, "float64")
    np.testing.assert_array_equal(bounds["P"][0].astype(float), expected)


# ------------------------------------------------------------------------- its gradient


def test_the_gradient_of_a_strided_window() -> None:
    gradient = gradient_program(program(WINDOW, LOSS_OF_P, parameters=("X", "W")))
    assert str(gradient.statement("dX")) == "dX[j] = Σ_k dP[k] W[j−2k+1]"
    assert str(gradient.statement("dW")) == "dW[j] = Σ_k dP[k] X[j+2k−1]"
    assert all(claim.holds for claim in local_proof(gradient, {N: 5, M: 3, K: 2}))


def test_a_window_squared_reads_the_operand_where_it_is() -> None:
    squared = define(P, (j,), over(X[j + k] ** 2 * W[k], k, K))
    gradient = gradient_program(program(squared, LOSS_OF_P))
    assert str(gradient.statement("dX")) == "dX[j] = 2 X[j] Σ_k dP[j−k] W[k]"
    assert all(claim.holds for claim in local_proof(gradient, {N: 5, M: 3, K: 2}))


def test_products_of_shifted_reads_are_carried() -> None:
    lag = define(P, (j,), over(X[j + k] * X[j] * W[k], k, K))
    lag = replace(lag, target=replace(P, shape=(N,)))
    loss = define(LOSS, (), over(lag.target[j], j, N))
    gradient = gradient_program(program(lag, loss, parameters=("X", "W")))
    claims = local_proof(gradient, {N: 4, M: 5, K: 3})
    assert len(claims) == 3
    assert all(claim.holds for claim in claims)


def test_a_window_over_relu_is_rewritten() -> None:
    """The cotangent of relu's argument takes in a sum of shifted reads, as a case."""
    H = Tensor(name="H", shape=(N,))
    Z = define(Tensor(name="Z", shape=(N,)), (j,), 2 * X[j])
    relu = define(H, (j,), Piecewise((Z.target[j], Z.target[j] > 0), (0, True)))
    window = define(P, (j,), over(H[j + k] * W[k], k, K))
    program_of = program(Z, relu, window, LOSS_OF_P, parameters=("X", "W"))
    gradient = rewrite_program(gradient_program(program_of))
    assert "Z[j] > 0" in str(gradient.statement("dZ"))
    assert all(claim.holds for claim in local_proof(gradient, {N: 5, M: 3, K: 2}))
    assert all(claim.holds for claim in modular_check(gradient, {N: 5, M: 3, K: 2}))


def test_cases_of_shifted_reads_are_carried() -> None:
    chosen = define(P, (j,), over(Piecewise((X[j + k] * W[k], W[k] > 0), (0, True)), k, K))
    gradient = gradient_program(program(chosen, LOSS_OF_P, parameters=("X", "W")))
    assert all(claim.holds for claim in local_proof(gradient, {N: 5, M: 3, K: 2}))


def test_what_no_factor_keeps_in_its_range_is_refused() -> None:
    """The sum over all windows of their sums: no G[j] and no W[k] is there to be 0 outside."""
    loss = define(LOSS, (), over(over(X[j + k], k, K), j, M))
    known = define(P, (j,), Y[j] * 1)
    with pytest.raises(InternalError, match="has the factor 1 or -1 and is the index of another"):
        gradient_program(program(known, loss))


def test_in_a_statement_of_its_own_it_is_carried() -> None:
    window = define(P, (j,), over(X[j + k], k, K))
    loss = define(LOSS, (), over(P[j], j, M))
    with pytest.raises(InternalError, match="the size k"):  # which no input tells
        evaluate(replace(program(window, loss), inputs=(X, Y)), VALUES | {"V": [1]}, dtype="f8")
    gradient = gradient_program(program(window, loss))
    assert str(gradient.statement("dX")) == "dX[j] = Σ_k dP[j−k]"
    assert all(claim.holds for claim in local_proof(gradient, {N: 5, M: 3, K: 2}))


def test_divisibility_is_refused() -> None:
    window = define(P, (j,), over(X[2 * j + 3 * k] * W[k], k, K))
    with pytest.raises(InternalError, match=r"read with the index 2\*.*on an axis of n"):
        gradient_program(program(window, LOSS_OF_P))


# ------------------------------------------------------- what is not of the grammar


@pytest.mark.parametrize(
    "body",
    [
        exp(X[j + 1]),
        1 / X[j + 1],
        Piecewise((Y[j], X[j + 1] > 0), (0, True)),
        over(exp(X[j + k] * W[k]), k, K),
    ],
)
def test_shifted_reads_stand_in_polynomials_and_cases_only(body: Expr) -> None:
    with pytest.raises(InternalError, match=r"shifted read .* a statement of its own"):
        program(define(P, (j,), body))


def test_an_index_of_a_shift_is_in_scope() -> None:
    with pytest.raises(InternalError, match="does not run over an axis"):
        program(define(P, (j,), X[j + k]))


@pytest.mark.parametrize("body", [Y[j] * j, exp(j) * Y[j], Piecewise((j, Y[j] > 0), (0, True))])
def test_an_index_is_a_number_in_comparisons_only(body: Expr) -> None:
    with pytest.raises(InternalError, match="index j is used as a number"):
        program(define(P, (j,), body))


def test_a_cotangent_that_is_read_outside_of_its_axis_is_not_put_in() -> None:
    """Put in, dP[j - k] = 3 would count what stands outside of P; and it would be shorter."""
    window = define(P, (j,), over(X[j + k] / 3, k, K))
    loss = define(LOSS, (), over(3 * P[j], j, M))
    gradient = gradient_program(program(window, loss))
    rewritten = rewrite_program(gradient)
    assert str(rewritten.statement("dP")) == "dP[j] = 3"
    assert str(rewritten.statement("dX")) == "dX[j] = Σ_k dP[j−k] / 3"
    assert all(claim.holds for claim in local_proof(rewritten, {N: 5, M: 3, K: 2}))
    assert stable_program(rewritten).statement("dX") == rewritten.statement("dX")


def test_a_value_does_not_take_the_place_of_its_name_outside() -> None:
    """H[j + k] would be 0 where the case that it stands for is 1."""
    s = scalar("s")

    def case(position: Expr) -> Expr:
        return Piecewise((X[position], s > 0), (1, True))

    known = define(Tensor(name="H", shape=(N,)), (j,), case(j))
    assert reuse(case(m) * W[k], known) == known.target[m] * W[k]
    assert reuse(case(j + k) * W[k], known) == case(j + k) * W[k]


def test_many_digits_are_refused_for_shifts_and_numbered_indices() -> None:
    three = size(3)
    operand = Tensor(name="X", shape=(three,))
    target = Tensor(name="P", shape=(three,))
    for body in (operand[j + 1], Piecewise((operand[j], j > 1), (0, True))):
        given = check_program(
            Program(
                inputs=(operand,),
                parameters=(),
                statements=(define(target, (j,), body),),
                outputs=("P",),
            )
        )
        with pytest.raises(InternalError, match="no digits for it"):
            precise_values(given, {"X": np.ones(3)}, batch=1, digits=30)


# -------------------------------------------------------------------------- in print


def test_shifts_in_print() -> None:
    given = define(P, (j,), over(X[2 * j - k - 3] * W[k], k, K))
    assert statement_text(given) == "P[j] = Σ_k W[k] X[2j−k−3]"
    assert statement_latex(given) == r"P_{j} = \sum_{k} W_{k} X_{2j-k-3}"
    minus = define(P, (j,), over(X[-j + k] * W[k], k, K))
    assert statement_text(minus) == "P[j] = Σ_k W[k] X[k−j]"
    alone = define(P, (j,), X[-j])
    assert statement_text(alone) == "P[j] = X[−j]"


def test_latex_sets_commas_where_an_index_is_a_sum() -> None:
    T = Tensor(name="T", shape=(BATCH, N))
    i = index("i")
    given = define(Tensor(name="Q", shape=(BATCH, M)), (i, j), T[i, j + 1] + T[i, j])
    assert r"T_{i,j+1}" in statement_latex(given)
    assert r"T_{ij}" in statement_latex(given)


def test_mathml_sets_commas_there_too() -> None:
    T = Tensor(name="T", shape=(BATCH, N))
    given = define(Tensor(name="Q", shape=(BATCH, M)), (index("i"), j), T[index("i"), j + 1])
    left, right = sides(given, MathmlNotation(), "index")
    assert '<mi>i</mi><mo>,</mo><mi>j</mi><mo form="infix">+</mo><mn>1</mn>' in right
    assert "<mi>i</mi><mi>j</mi>" in left


def test_shifts_and_numbered_indices_have_no_matrix_form() -> None:
    assert matrix_form(define(P, (j,), X[j + 1] * 1)) is None
    assert matrix_form(WINDOW) is None
    chosen = define(P, (j,), over(Piecewise((1, Eq(Y[j], k)), (0, True)) * W[k], k, K))
    assert matrix_form(chosen) is None
