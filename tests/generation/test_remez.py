"""Best approximation: known cases, equal peaks, and what must be refused."""

from collections.abc import Callable

import pytest
from mpmath import mp

from codegen.errors import InternalError
from codegen.remez import PRECISION, Minimax, Real, evaluate, minimax


def one(_: Real) -> Real:
    return mp.mpf(1)


def peaks(found: Minimax, function: Callable[[Real], Real], low: float, high: float) -> list[float]:
    """Return the highest error between each two sign changes, on a fine grid with the ends."""
    grid = [low + (high - low) * mp.mpf(j) / 2000 for j in range(2001)]
    errors = [function(x) - evaluate(found.coefficients, x) for x in grid]
    tops = [errors[0]]
    for error in errors[1:]:
        if error * tops[-1] < 0:
            tops.append(error)
        elif abs(error) > abs(tops[-1]):
            tops[-1] = error
    return [float(abs(top)) for top in tops]


@pytest.mark.parametrize("degree", [1, 2, 5, 9])
def test_a_power_leaves_a_chebyshev_polynomial(degree: int) -> None:
    """The best approximation of x**(n + 1) on [-1, 1] is off by 2**-n, and by no less."""
    found = minimax(lambda x: x ** (degree + 1), one, degree=degree, low=-1, high=1)
    assert found.error == pytest.approx(2.0**-degree, rel=0.02)
    assert found.lower_bound <= 2.0**-degree * (1 + 1e-12)


def test_the_parabola_on_the_unit_interval() -> None:
    """The best straight line under x² on [0, 1] is x − 1/8."""
    found = minimax(lambda x: x * x, one, degree=1, low=0, high=1)
    assert [float(c) for c in found.coefficients] == pytest.approx([-0.125, 1.0], abs=2e-3)


@pytest.mark.parametrize("degree", [2, 4, 7, 10])
def test_the_error_has_equal_peaks_of_alternating_sign(degree: int) -> None:
    found = minimax(mp.exp, one, degree=degree, low=-1, high=1)
    assert found.lower_bound <= found.error <= 1.02 * found.lower_bound
    with mp.workprec(PRECISION):
        heights = peaks(found, mp.exp, -1.0, 1.0)
    assert len(heights) == degree + 2
    assert max(heights) <= 1.03 * min(heights)


def test_powers_that_are_left_out_are() -> None:
    """The best c·x² + d under x⁴ on [0, 1] is x² − 1/8, as the best straight line under x²."""
    found = minimax(lambda x: x**4, one, degree=2, low=0, high=1, without=[1])
    assert found.coefficients[1] == 0
    assert [float(c) for c in found.coefficients] == pytest.approx([-0.125, 0, 1.0], abs=2e-3)
    assert found.error == pytest.approx(0.125, rel=0.02)


def test_it_beats_taylor_by_what_theory_says() -> None:
    found = minimax(mp.exp, one, degree=4, low=-1, high=1)
    with mp.workprec(PRECISION):
        taylor = mp.e - sum(1 / mp.factorial(n) for n in range(5))
    assert found.error == pytest.approx(float(taylor) / 2**4, rel=0.15)


def test_the_weight_decides_where_to_be_exact() -> None:
    """Weighted by x², the error may grow as 1/x² towards 0, and the singularity is harmless."""
    found = minimax(
        lambda x: (mp.exp(x) - 1 - x) / x**2, lambda x: x**2, degree=3, low=-0.5, high=0.5
    )

    def absolute(x: Real) -> Real:
        return mp.exp(x) - 1 - x - x**2 * evaluate(found.coefficients, x)

    with mp.workprec(PRECISION):
        worst = max(abs(absolute(mp.mpf(j) / 1000)) for j in range(-500, 501) if j)
    assert float(worst) == pytest.approx(found.error, rel=0.02)


def test_the_same_coefficients_whatever_the_caller_s_precision() -> None:
    first = minimax(mp.exp, one, degree=5, low=0, high=1)
    with mp.workdps(15):
        second = minimax(mp.exp, one, degree=5, low=0, high=1)
    with mp.workdps(80):
        third = minimax(mp.exp, one, degree=5, low=0, high=1)
    assert first == second == third


def test_what_is_a_polynomial_already_is_refused() -> None:
    with pytest.raises(InternalError, match="alternating peaks, expected 4"):
        minimax(lambda _: mp.mpf(0), one, degree=2, low=0, high=1)


def test_an_exchange_that_does_not_settle_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codegen.remez._MAX_EXCHANGES", 1)
    with pytest.raises(InternalError, match=r"degree 6 on \[0.0, 9.0\].* after 1 exchanges"):
        minimax(lambda x: mp.exp(x) * mp.sin(3 * x), one, degree=6, low=0, high=9)
