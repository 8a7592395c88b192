"""What the layers of the catalogue are, what is derived from them, and what is refused."""

import doctest
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import pytest
from layers import LAYERS, backward, raw, rewritten, second_order, stable
from matplotlib.mathtext import MathTextParser

import derive
from derive import InputError, InternalError, catalogue, convolutions
from derive.index_form import index_form
from derive.printing import (
    TEXT,
    expression_text,
    program_latex,
    program_text,
    statement_latex,
    statement_text,
)
from derive.program import Program
from derive.replay import replay

BACKWARD = {
    "layer norm": """
        dg = (dP ∘ N)ᵀ 1
        db = dPᵀ 1
        dN = dP ∘ (1 gᵀ)
        dC = (dN − ((C ∘ ((dN ∘ C) 1 1ᵀ)) ⊘ ((sigma ∘ √(1/100000 + var)) 1ᵀ))/n) ⊘ (sigma 1ᵀ)
        dX = dC − dC 1 1ᵀ / n""",
    "residual": """
        dF = dP
        dW2 = dFᵀ H1
        db2 = dFᵀ 1
        dH1 = dF W2
        dZ1 = where(Z1 > 0, dH1, 0)
        dX = dP + dZ1 W1
        dW1 = dZ1ᵀ X
        db1 = dZ1ᵀ 1""",
    "dropout": """
        dW = dPᵀ H
        db = dPᵀ 1
        dH = dP W
        dX = 10 (dH ∘ M) / 7""",
    "attention": """
        dA[i,j,k] = Σ_m dP[i,j,m] V[i,k,m]
        dS[i,j,k] = A[i,j,k] (dA[i,j,k] − Σ_m dA[i,j,m] A[i,j,m])
        dV[i,j,k] = Σ_m dP[i,m,k] A[i,m,j]
        dWV[j,k] = Σ_i Σ_m dV[i,m,j] X[i,m,k]
        dK[i,j,k] = Σ_m dS[i,m,j] Q[i,m,k] / √c
        dWK[j,k] = Σ_i Σ_m dK[i,m,j] X[i,m,k]
        dQ[i,j,k] = Σ_m dS[i,j,m] K[i,m,k] / √c
        dX[i,j,k] = Σ_m dK[i,j,m] WK[m,k] + Σ_m dQ[i,j,m] WQ[m,k] + Σ_m dV[i,j,m] WV[m,k]
        dWQ[j,k] = Σ_i Σ_m dQ[i,m,j] X[i,m,k]""",
    "embedding": """
        dW[j,k] = Σ_i where(j == T[i], dP[i,k], 0)""",
    "conv 1d": """
        dX[i,j,k] = Σ_p Σ_m dP[i,p,k−m] W[p,j,m]
        dW[j,k,m] = Σ_i Σ_p dP[i,j,p] X[i,k,m+p]
        db[j] = Σ_i Σ_k dP[i,j,k]""",
    "conv 1d, stride 2, padding 1": """
        dX[i,j,k] = Σ_p Σ_m dP[i,p,m] W[p,j,k−2m+1]
        dW[j,k,m] = Σ_i Σ_p dP[i,j,p] X[i,k,m+2p−1]
        db[j] = Σ_i Σ_k dP[i,j,k]""",
    "conv 2d, dilation 2, padding 1": """
        dX[i,j,k,m] = Σ_r Σ_q Σ_p dP[i,r,k−2p+1,m−2q+1] W[r,j,p,q]
        dW[j,k,m,p] = Σ_i Σ_r Σ_q dP[i,j,r,q] X[i,k,2m+r−1,2p+q−1]
        db[j] = Σ_i Σ_m Σ_k dP[i,j,m,k]""",
}


@pytest.mark.parametrize("name", BACKWARD)
def test_the_gradients_read_as_in_a_textbook(name: str) -> None:
    """In matrix form where there is one: tensors with more than two axes have none."""
    written = [statement_text(s, form="matrix") for s in backward(name).backward]
    assert written == [line.strip() for line in BACKWARD[name].strip().splitlines()]


@pytest.mark.parametrize("name", LAYERS)
def test_everything_prints(name: str) -> None:
    programs: list[Program] = [
        rewritten(name),
        backward(name),
        stable(name),
        second_order(name),
    ]
    for program in programs:
        assert len(program_text(program).splitlines()) == len(program.statements)
        assert len(program_text(program, form="index").splitlines()) == len(program.statements)
        assert program_latex(program).count(r"\\") == len(program.statements) - 1
        assert program_latex(program, form="index").count("&&") == len(program.statements)
        for step in program.steps:
            assert expression_text(step.before, step.indices)
            assert index_form(step.after, step.indices, TEXT).text


@pytest.mark.parametrize("name", LAYERS)
def test_latex_is_read_by_a_parser_of_another(name: str) -> None:
    parser = MathTextParser("path")
    for statement in (*backward(name).statements, *second_order(name).second_order):
        for form in ("matrix", "index"):
            parser.parse(f"${statement_latex(statement, form=form)}$")


@pytest.mark.parametrize("name", LAYERS)
def test_the_same_call_gives_the_same_text(name: str) -> None:
    again = derive.rewrite_program(derive.gradient_program(LAYERS[name].define()))
    assert program_text(again) == program_text(rewritten(name))
    assert again == rewritten(name)


@pytest.mark.parametrize("module", [catalogue, convolutions])
def test_examples_run(module: ModuleType) -> None:
    outcome = doctest.testmod(module)
    assert outcome.attempted >= 3
    assert outcome.failed == 0


def test_sizes_may_be_numbers() -> None:
    program = catalogue.attention(4, 5, 6, 7)
    shapes = {t.name: tuple(map(str, t.shape)) for t in program.tensors().values()}
    assert shapes["X"] == ("B", "4", "5")
    assert shapes["WK"] == ("6", "5")
    assert shapes["P"] == ("B", "4", "7")


@pytest.mark.parametrize(
    ("length", "kernel", "steps", "outputs"),
    [
        (5, 3, {}, 3),
        (5, 3, {"padding": 1}, 5),
        (6, 3, {"stride": 2}, 2),
        (7, 3, {"dilation": 3}, 1),
        (5, 5, {"stride": 4, "padding": 2}, 2),
    ],
)
def test_the_number_of_outputs_follows_from_numbers(
    length: int, kernel: int, steps: dict[str, int], outputs: int
) -> None:
    line = catalogue.convolution_1d(2, length, 3, kernel, **steps)
    assert line.tensors()["P"].shape[2] == outputs
    plane = catalogue.convolution_2d(2, (length, 9), 3, (kernel, 2), **steps)
    assert plane.tensors()["P"].shape[2] == outputs


REFUSED = {
    "layer norm of width 0": (lambda: catalogue.layer_norm(0), "features: 0 is no size"),
    "a width of True": (lambda: catalogue.layer_norm(True), "features: True is no size"),
    "a width of 2.0": (lambda: catalogue.layer_norm(2.0), "features: 2.0 is no size"),
    "code for a name": (lambda: catalogue.layer_norm("n+1"), "features: 'n\\+1' is no size"),
    "a tensor's name": (lambda: catalogue.layer_norm("X"), "X is a tensor of this layer"),
    "eps of 0": (lambda: catalogue.layer_norm(eps=0.0), "eps: 0.0 is not above 0"),
    "eps that is none": (lambda: catalogue.layer_norm(eps=float("nan")), "eps: nan is not"),
    "infinite eps": (lambda: catalogue.layer_norm(eps=float("inf")), "eps: inf is not"),
    "everything dropped": (lambda: catalogue.dropout(rate=1.0), "rate: 1.0 is not at least 0"),
    "a rate below 0": (lambda: catalogue.dropout(rate=-0.1), "rate: -0.1 is not at least 0"),
    "a stride of 0": (lambda: catalogue.convolution_1d(stride=0), "stride: 0 is not an integer"),
    "half a stride": (lambda: catalogue.convolution_1d(stride=0.5), "stride: 0.5 is not an"),
    "padding below 0": (lambda: catalogue.convolution_2d(padding=-1), "padding: -1 is not an"),
    "divisibility": (
        lambda: catalogue.convolution_1d(stride=2, dilation=3),
        "stride 2 with dilation 3: .* divisibility",
    ),
    "a kernel that does not fit": (
        lambda: catalogue.convolution_2d(image=(9, 3), kernel=(2, 4)),
        "kernel: 4 entries do not fit into 3 with padding 0",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refuses(what: str) -> None:
    make, words = REFUSED[what]
    with pytest.raises(InputError, match=words):
        make()


def test_decimals_are_those_that_were_written() -> None:
    H = catalogue.dropout(rate=0.1).statement("H")
    assert str(H) == "H[i,j] = 10 M[i,j] X[i,j] / 9"
    assert "1/1000 + var[i]" in str(catalogue.layer_norm(eps=1e-3).statement("sigma"))


def test_the_catalogue_is_loaded_when_it_is_asked_for() -> None:
    program = (
        "import sys, derive\n"
        "assert 'derive.catalogue' not in sys.modules\n"
        "assert 'catalogue' in dir(derive)\n"
        "print(derive.catalogue.embedding(5, 2).outputs)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "('P', 'loss')\n"


@pytest.mark.parametrize("form", [raw, rewritten])
@pytest.mark.parametrize("name", LAYERS)
def test_the_recorded_steps_lead_there_again(name: str, form: Callable[[str], Program]) -> None:
    program = form(name)
    done = replay(LAYERS[name].define(), program.steps)
    assert [(s.name, s.body) for s in done] == [(s.name, s.body) for s in program.backward]


@pytest.mark.parametrize("name", ["conv 1d, stride 2, padding 1", "attention", "embedding"])
def test_a_step_that_was_changed_is_refused(name: str) -> None:
    program = rewritten(name)
    deltas = [n for n, step in enumerate(program.steps) if step.rule == "delta"]
    assert deltas
    for n in deltas:
        wrong = replace(program.steps[n], after=2 * program.steps[n].after)
        steps = (*program.steps[:n], wrong, *program.steps[n + 1 :])
        with pytest.raises(InternalError, match=f"step {n + 1}, delta: .* does not apply"):
            replay(LAYERS[name].define(), steps)
