"""Worksheets: both sheets are one text, every formula is the derivation's, every number right."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import mpmath
import numpy as np
import pytest
import sympy
from latex_compiler import assert_compiles
from torch_network import TorchNetwork

import derive
from derive.blanks import STYLES
from derive.board import told_steps
from derive.errors import InputError, InternalError
from derive.matrix_expression import MatMul, Name, Transpose
from derive.matrix_form import matrix_form
from derive.matrix_shapes import column_shape, shape_of
from derive.printing import TEXT, statement_text
from derive.worked_example import WorkedExample, rounded
from derive.worksheets import Worksheet

# depth, loss, level, names: no hidden layer to three of them, one with kinks
CASES: dict[str, dict[str, object]] = {
    "2-10-2": {"level": 2},
    "nx-ny": {"level": 3},
    "4-8:relu-3": {"level": 1, "loss": "mse"},
    "3-4-5:relu-6-2": {"level": 3, "names": "lab", "seed": 5},
    "N:relu": {"level": 2},
    "2-3:sigmoid-1": {"level": 2, "loss": "binary-cross-entropy", "l2": 0.25},
}
NETWORKS = [spec for spec in CASES if not spec.startswith("N")]
# a blank and an answer in each format, with the number in group 1
BLANKS: dict[str, tuple[str, str]] = {
    "text": (r"⟨(\d+): _+⟩", r"⟨(\d+): ([^⟨⟩]*)⟩"),
    "markdown": (
        r"\\underset{\((\d+)\)}{\\boxed{[\\quad]+}}",
        r"\\underset{\((\d+)\)}{\\boxed{(BALANCED)}}",
    ),
    "latex": (
        r"\\underset{\((\d+)\)}{\\underline{\\hspace{\d+em}}}",
        r"\\underset{\((\d+)\)}{\\boxed{(BALANCED)}}",
    ),
    "html": (
        r'<munder class="blank"><mspace width="\d+em" height="1.2em"></mspace>'
        r"<mtext>\((\d+)\)</mtext></munder>",
        r'<munder class="answer"><mrow>((?:(?!<munder class="answer">).)*?)</mrow>'
        r"<mtext>\((\d+)\)</mtext></munder>",
    ),
}


@pytest.fixture(scope="module")
def sheet() -> Callable[[str], Worksheet]:
    made: dict[str, Worksheet] = {}

    def of(spec: str) -> Worksheet:
        if spec not in made:
            made[spec] = derive.worksheet(spec, **CASES[spec])
        return made[spec]

    return of


def answers(solution: str, format_: str) -> dict[str, str]:
    """Return each answer as the whole of what stands in the place of the blank, by number."""
    found: dict[str, str] = {}
    pattern = BLANKS[format_][1]
    if "BALANCED" in pattern:
        start = re.compile(r"\\underset{\((\d+)\)}{\\boxed{")
        for match in start.finditer(solution):
            depth, end = 2, match.end()
            while depth:
                depth += {"{": 1, "}": -1}.get(solution[end], 0)
                end += 1
            found[match[1]] = solution[match.start() : end]
        return found
    for match in re.finditer(pattern, solution, re.DOTALL):
        number = match[1] if format_ == "text" else match[2]
        found[number] = match[0]
    return found


@pytest.mark.parametrize("spec", CASES)
def test_the_answers_in_the_blanks_make_the_solution(spec: str, sheet) -> None:
    for format_ in STYLES:
        worksheet, solution = sheet(spec).reports(format_)
        given = answers(solution, format_)
        blank = re.compile(BLANKS[format_][0])
        numbers = [match[1] for match in blank.finditer(worksheet)]
        assert numbers == [str(n) for n in range(1, len(numbers) + 1)]
        assert list(given) == numbers
        assert len(numbers) > 10
        filled = blank.sub(lambda match, given=given: given[match[1]], worksheet)
        assert filled.replace("Worksheet:", "Solution:") == solution
        assert "\ue000" not in worksheet + solution


@pytest.mark.parametrize("spec", NETWORKS)
def test_the_solution_tells_the_derivation_and_the_worksheet_keeps_it(spec: str, sheet) -> None:
    options = {k: v for k, v in CASES[spec].items() if k not in ("level", "seed")}
    program = derive.derivation(spec, **options).program
    worksheet, solution = sheet(spec).reports()
    plain = re.sub(r"⟨\d+: ([^⟨⟩]*)⟩", r"\1", solution)
    words = re.sub(r"\s+", " ", plain)  # long formulas go over several lines
    for statement in program.statements:
        assert statement_text(statement, form="matrix") in words
    for statement in program.backward:
        assert statement_text(statement, form="matrix") not in worksheet.partition("By hand")[0]
    if CASES[spec]["level"] == 1:
        return
    for steps in told_steps(program, notation=TEXT).values():
        for one in steps:
            if one.step.rule != "derivative":
                assert f"{one.left} = {one.forms[-1]}" in words


def test_levels_leave_more_and_more_blank() -> None:
    texts = [derive.worksheet("2-3-2", level=level, example=False).report() for level in (1, 2, 3)]
    assert "dW2 = dZ2ᵀ ⟨" in texts[0]
    assert "chain rule" not in texts[0]
    assert "dH1[i,j] = Σ_i2 Σ_k dZ2[i2,k] ∂Z2[i2,k]/∂H1[i,j]\n" in texts[1]
    assert "∂H1[i2,k]/∂Z1[i,j] = ⟨" in texts[1]
    assert "dZ1 = dH1 ∘ (⟨" in texts[1]
    assert "∂Z2[i2,k]/∂H1[i,j]\n" not in texts[2]
    assert re.search(r"dZ1 = ⟨\d+: _+⟩", texts[2])
    counts = [text.count("____⟩") for text in texts]
    assert counts == sorted(counts)


@pytest.mark.parametrize("spec", NETWORKS)
def test_every_formula_has_the_shape_of_what_it_defines(spec: str) -> None:
    options = {k: v for k, v in CASES[spec].items() if k not in ("level", "seed")}
    program = derive.derivation(spec, **options).program
    checked = 0
    for statement in program.statements:
        matrix = matrix_form(statement)
        if matrix is not None and statement.body != 0:
            shape = shape_of(matrix, program.tensors())
            assert shape == column_shape(statement.target), statement
            checked += 1
    assert checked > 4


def test_all_of_a_local_derivative_is_asked_for() -> None:
    sheet = derive.worksheet("2-3:sigmoid-2", level=1, example=False)
    worksheet, solution = sheet.reports()
    assert re.search(r"dZ1 = dH1 ∘ ⟨\d+: _+⟩\n", worksheet)
    assert re.search(r"dZ1 = dH1 ∘ ⟨\d+: H1 ∘ \(1 − H1\)⟩\n", solution)
    assert "1 ⊘ (B × 3) = ⟨" in worksheet


def test_any_depth_is_a_recurrence_with_an_example_of_two_hidden_layers(sheet) -> None:
    worksheet, solution = sheet("N:relu").reports()
    plain = re.sub(r"⟨\d+: ([^⟨⟩]*)⟩", r"\1", solution)
    recurrence = derive.layer_recurrence("N:relu", depths=())
    for statement in (*recurrence.output.statements, *recurrence.layer.backward):
        assert statement_text(statement, form="matrix") in plain
    assert "Why this is the gradient" in worksheet
    assert "compared" not in worksheet
    assert re.search(r"dH_ℓ = dZ_{ℓ\+1} ⟨\d+: _+⟩\n", worksheet)
    assert re.search(r"\(B × n_{ℓ\+1}\) \(n_{ℓ\+1} × n_ℓ\) = ⟨", worksheet)
    assert sheet("N:relu").example.spec.text == "2-2:relu-2:relu-2:softmax"


def test_shapes_that_do_not_fit_are_seen() -> None:
    tensors = derive.loss_program("2-3-4").tensors()
    X, W1, W2 = map(Name, ("X", "W1", "W2"))
    shape_of(MatMul((X, Transpose(W1))), tensors)
    for wrong in (MatMul((X, W1)), MatMul((W1, W2))):
        with pytest.raises(InternalError, match="meet"):
            shape_of(wrong, tensors)


def by_pytorch(example: WorkedExample, loss: str) -> dict[str, np.ndarray]:
    given = {name: array.astype(float) for name, array in example.inputs.items()}
    params = {name: given[name] for name in example.program.parameters}
    network = TorchNetwork(example.spec.text, loss)
    value, gradients = network.loss_and_gradients(params, given["X"], given["Y"])
    return {"loss": np.asarray(value), **{f"d{name}": g for name, g in gradients.items()}}


@pytest.mark.parametrize("spec", ["2-10-2", "nx-ny", "4-8:relu-3"])
def test_the_example_agrees_with_autograd(spec: str, sheet) -> None:
    example = sheet(spec).example
    expected = by_pytorch(example, str(CASES[spec].get("loss", "cross-entropy")))
    assert expected.keys() >= {"loss", "dW1", "db1"}
    for name, array in expected.items():
        statement = example.program.statement(name)
        entries = example.of(statement)
        assert len(entries) == array.size
        for entry in entries:
            there = float(array[entry.place])
            assert abs(float(entry.decimal) - there) <= 1e-14
            shown = entry.exact if entry.exact is not None else rounded(entry)
            assert abs(float(shown) - there) <= 1e-14 + 5e-5 * abs(there)


@pytest.mark.parametrize("spec", CASES)
def test_exact_values_are_exact_and_others_are_marked(spec: str, sheet) -> None:
    example = sheet(spec).example
    for entry in example.entries.values():
        value = example.value(entry, TEXT)
        if entry.exact is None:
            assert value.startswith(" ≈ ")
            continue
        assert value.startswith(" = ")
        with mpmath.workdps(40):
            exact = mpmath.mpf(int(entry.exact.p)) / int(entry.exact.q)
            assert abs(exact - entry.decimal) < mpmath.mpf(10) ** -40
    first = example.of(example.program.forward[0])
    assert all(entry.exact is not None for entry in first)  # an affine map of fractions


def test_a_rational_network_stays_in_fractions_to_the_end(sheet) -> None:
    example = sheet("4-8:relu-3").example
    assert all(entry.exact is not None for entry in example.entries.values())
    F = np.vectorize(lambda x: Fraction(int(x.p), int(x.q)), otypes=[object])
    X, Y, W1, b1, W2, b2 = (F(example.inputs[n]) for n in ("X", "Y", "W1", "b1", "W2", "b2"))
    H = np.maximum(X @ W1.T + b1, Fraction(0))
    dP = (H @ W2.T + b2 - Y) * 2 / Y.size
    dZ1 = (dP @ W2) * (H > 0)
    for name, array in {"dW2": dP.T @ H, "dW1": dZ1.T @ X, "db1": dZ1.sum(axis=0)}.items():
        for entry in example.of(example.program.statement(name)):
            exact = Fraction(int(entry.exact.p), int(entry.exact.q))
            assert exact == array[entry.place]


def test_what_is_written_of_an_entry_has_its_value(sheet) -> None:
    example = sheet("2-10-2").example
    names = {"exp": sympy.exp, "tanh": sympy.tanh, "log": sympy.log}
    for entry in example.entries.values():
        text = TEXT.signed(example.substituted(entry, TEXT))

        def number(match: re.Match[str]) -> str:
            name, place = match[1], tuple(int(k) - 1 for k in match[2].split(","))
            return f"({mpmath.nstr(example.entries[name, place].decimal, 30)})"

        text = re.sub(r"(\w+)\[([\d,]+)\]", number, text)
        text = text.replace("·", "*").replace("−", "-").replace("²", "**2")
        value = sympy.sympify(text, locals=names, rational=True)
        assert abs(float(value.evalf(20)) - float(entry.decimal)) < 1e-15


def test_another_seed_gives_other_numbers_and_the_same_one_the_same() -> None:
    def inputs(seed: int) -> str:
        example = derive.worksheet("2-2", level=1, seed=seed).example
        assert example is not None
        return str(example.inputs)

    assert inputs(1) == inputs(1)
    assert inputs(1) != inputs(2)


def test_a_good_example_has_no_gradient_of_zeros() -> None:
    for seed in range(2):
        example = derive.worksheet("2-8:relu-2", loss="mse", level=1, seed=seed).example
        assert example is not None
        for gradient in example.program.gradients.values():
            entries = example.of(example.program.statement(gradient))
            assert any(entry.exact for entry in entries)


def test_a_loss_that_is_never_real_has_no_example_and_says_so() -> None:
    text = derive.worksheet("2-2:identity", loss="sum(log(P-1000)*P)", level=1).report()
    assert "There is none: of small numbers the loss is no real number." in text


def test_formulas_in_the_page_are_well_formed(sheet) -> None:
    for page in sheet("2-10-2").reports("html"):
        formulas = re.findall(r"<math.*?</math>", page, re.DOTALL)
        assert len(formulas) > 100
        for formula in formulas:
            ElementTree.fromstring(formula)


def test_latex_compiles(sheet, tmp_path: Path) -> None:
    for text in sheet("3-4-5:relu-6-2").reports("latex"):
        assert_compiles(text, tmp_path)


def test_the_text_does_not_depend_on_hashes() -> None:
    code = "import derive; print(derive.worksheet('2-3-2').report('markdown', solution=True))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    here = derive.worksheet("2-3-2").report("markdown", solution=True)
    assert done.stdout.rstrip() == here.rstrip()


def test_what_cannot_be_is_refused() -> None:
    for bad in ({"level": 4}, {"spec": "N", "names": "lab"}, {"names": "mine"}):
        with pytest.raises(InputError):
            derive.worksheet(**bad)
    with pytest.raises(InputError, match="format"):
        derive.worksheet("2-2", example=False).report("json")
