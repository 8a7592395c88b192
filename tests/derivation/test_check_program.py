"""The invariants of a programme: each one, broken, is named."""

from dataclasses import replace

import pytest
from sympy import Derivative, Integer, KroneckerDelta, exp

from derive import InternalError, Program, Statement, Tensor
from derive.check import check_program
from derive.program import BATCH, Sum, index, size

X = Tensor(name="X", shape=(BATCH, size(3)))
V = Tensor(name="V", shape=(size(4),))
T = Tensor(name="T", shape=(BATCH, size(3)))
ONE = Tensor(name="ONE", shape=(BATCH, size(1)))
i, j, k = map(index, "ijk")
GOOD = Statement(target=T, indices=(i, j), body=exp(X[i, j]))


def program(*statements: Statement, outputs: tuple[str, ...] = ("T",)) -> Program:
    return Program(inputs=(X, V, ONE), parameters=(), statements=statements, outputs=outputs)


def test_a_good_one_is_returned() -> None:
    good = program(GOOD)
    assert check_program(good) is good


def test_a_constant_index_may_read_an_axis_of_one() -> None:
    check_program(program(replace(GOOD, body=X[i, j] * ONE[i, Integer(0)])))


BROKEN = {
    "written twice": (GOOD, GOOD),
    "before that is written": (replace(GOOD, body=Tensor(name="Q", shape=T.shape)[i, j]),),
    "is not in scope": (replace(GOOD, body=X[i, j] * k),),
    "does not run over an axis": (replace(GOOD, body=V[j]),),
    "bound twice": (replace(GOOD, body=Sum(X[i, j], (j, 0, 2))),),
    "not 0": (replace(GOOD, body=Sum(X[i, k], (k, 1, 2))),),
    "a derivative or delta": (replace(GOOD, body=KroneckerDelta(j, k) * X[i, j]),),
    "one index per axis": (replace(GOOD, indices=(i,)),),
    "used for two axes": (replace(GOOD, indices=(i, i)),),
}


@pytest.mark.parametrize("words", BROKEN)
def test_refuses(words: str) -> None:
    with pytest.raises(InternalError, match=words):
        check_program(program(*BROKEN[words]))


def test_refuses_a_derivative() -> None:
    x = X[i, j]
    with pytest.raises(InternalError, match="a derivative or delta"):
        check_program(program(replace(GOOD, body=Derivative(exp(x), x, evaluate=False))))


def test_refuses_an_output_that_nothing_writes() -> None:
    with pytest.raises(InternalError, match="Q is asked for"):
        check_program(program(GOOD, outputs=("Q",)))


def test_refuses_an_input_declared_twice() -> None:
    with pytest.raises(InternalError, match="declared twice"):
        check_program(replace(program(GOOD), inputs=(X, X)))
