import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from derive.program import Program
from runtime.commands.derive import command
from runtime.errors import GradwrightError, InputError, RunError

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> str:
    result = invoke(*arguments)
    assert result.exception is None, result.output
    assert result.stderr == ""
    return result.stdout


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def refusal(*arguments: str) -> GradwrightError:
    result = invoke(*arguments)
    assert isinstance(result.exception, GradwrightError)
    assert result.stdout == ""
    return result.exception


def test_text_is_the_default() -> None:
    text = run("2-10-2")
    assert text.startswith("Network 2-10-2, cross-entropy loss")
    for line in (
        "dZ2 = (P − Y)/B                  (B, 2)",
        "dW2 = dZ2ᵀ H1                    (2, 10)",
        "db2 = dZ2ᵀ 1                     (2,)",
        "dH1 = dZ2 W2                     (B, 10)",
        "dZ1 = dH1 ∘ (1 − H1 ∘ H1)        (B, 10)",
        "dW1 = dZ1ᵀ X                     (10, 2)",
        "db1 = dZ1ᵀ 1                     (10,)",
    ):
        assert f"  {line}\n" in text
    assert "chain rule" not in text


OPTIONS = {
    "--loss mse": "loss = 1ᵀ ((P − Y) ∘ (P − Y)) 1 / (2 B)",
    "--form index": "dW2[j,k] = Σ_i dZ2[i,j] H1[i,k]",
    "--steps": "1. chain rule",
    "--names lab": "dWh = dhtildeᵀ X",
    "--labels one-hot": "every row of Y sums to 1",
    "--labels any": "(Y 1 1ᵀ)",
    "--format latex": r"\mathrm{d}W_{2} &= \mathrm{d}Z_{2}^{\top} H_{1}",
    "--format latex --form index --names lab": r"\tilde{h}_{ij}",
    "--format latex --steps": r"\textbf{1. chain rule",
    "--hvp": "hW2 = hZ2ᵀ H1 + dZ2ᵀ vH1",
    "--hvp --form index --names lab": "vh[i,j] = vhtilde[i,j] (1 − h[i,j]²)",
    "--hvp --format latex": r"\mathrm{h}W_{2} &= \mathrm{h}Z_{2}^{\top} H_{1}",
    "--hvp --steps": "chain rule along v",
    "--hvp --labels any": "hZ2 = ",
    "--format markdown": "## Backward\n\n$$\n",
    "--format html": '<tr id="dW2">',
    "--format html --steps": '<li id="step-1">',
    "--expand": "dW1 = ((((P − Y)/B) W2) ∘ (1 − H1 ∘ H1))ᵀ X",
    "--expand --form index --names lab": "dWy[j,k] = Σ_i ((yhat[i,j] − Y[i,j])/B) h[i,k]",
    "-o -": "dZ2 = (P − Y)/B",
}


@pytest.mark.parametrize(("options", "expected"), OPTIONS.items(), ids=OPTIONS)
def test_option(options: str, expected: str) -> None:
    assert expected in run("2-10-2", *options.split())


def test_json() -> None:
    derivation = json.loads(run("2-10-2", "--format", "json", "--loss", "mse"))
    assert derivation["loss"] == "mse"
    assert derivation["backward"][0]["matrix"] == "dZ2 = (P − Y)/B"
    assert "hvp" not in derivation


def test_json_of_second_order() -> None:
    plain = json.loads(run("2-10-2", "--format", "json"))
    derivation = json.loads(run("2-10-2", "--format", "json", "--hvp"))
    assert derivation["hvp"] == {"W1": "hW1", "b1": "hb1", "W2": "hW2", "b2": "hb2"}
    assert derivation["second_order"][-2]["matrix"] == "hW1 = hZ1ᵀ X"
    assert derivation["second_order"][-2]["from"] == ["rule: dW1 reads dZ1"]
    assert plain["forward"] == derivation["forward"]
    assert plain["backward"] == derivation["backward"]


@pytest.mark.parametrize("spec", ["2-2", "5-4:relu-3:sigmoid-2", "nx-nh-ny"])
@pytest.mark.parametrize("options", ["", "--form index --steps", "--names lab --format json"])
def test_networks(spec: str, options: str) -> None:
    assert spec in run(spec, *options.split())


def test_any_depth() -> None:
    text = run("N")
    for line in (
        "dZ_{N+1} = (P − Y)/B                      (B, n_{N+1})",
        "dZ_ℓ = dH_ℓ ∘ (1 − H_ℓ ∘ H_ℓ)             (B, n_ℓ)",
        "7    n0-n1-…-n8     48            equal, statement for statement",
    ):
        assert f"  {line}\n" in text


@pytest.mark.parametrize(
    ("options", "expected"),
    {
        "N:relu --loss mse": "dZ_{N+1} = 2 (P − Y) / (B n_{N+1})",
        "N --form index": "dW_ℓ[j,k] = Σ_i dZ_ℓ[i,j] H_{ℓ−1}[i,k]",
        "N --labels any": "(Y 1 1ᵀ)",
        "N --steps": "1. chain rule",
        "N --format latex --steps": r"\mathrm{d}H_{\ell} &= \mathrm{d}Z_{\ell+1} W_{\ell+1}",
        "N --format json": '"W_ℓ": "dW_ℓ"',
        "N --format markdown": r"\mathrm{d}H_{\ell} &= \mathrm{d}Z_{\ell+1} W_{\ell+1}",
        "N --format html --steps": '<tr id="dZ_l">',
        "N:relu --prove": "proved: every layer",
    }.items(),
)
def test_options_of_any_depth(options: str, expected: str) -> None:
    assert expected in run(*options.split())


def test_output_goes_to_a_file_as_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "derivation.txt"
    path.write_text("old")
    result = invoke("2-10-2", "-o", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"{path} is written\n"
    assert path.read_bytes().decode() == run("2-10-2")
    assert list(tmp_path.iterdir()) == [path]


REFUSED = {
    "2--2": "the size of layer 1 is missing",
    "2": "has no layer",
    "2-0-2": "is 0",
    "2-10:tahn-2": 'Did you mean "tanh"?',
    "2-1": "softmax over a single unit",
    "2-10-2 --loss hinges": "hinges",
    "N:tahn": 'Did you mean "tanh"?',
    "N --l2 0.1": "a sum over the weights of all layers",
    "N --names lab": "its names need a depth",
    "N --hvp": "for the gradients only",
    "N --expand": "no last formula",
    "N-2": 'the input size is "N"',
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.items(), ids=REFUSED)
def test_what_cannot_be_derived_is_refused_and_leaves_the_old_file(
    arguments: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "derivation.txt"
    path.write_text("old")
    error = refusal(*arguments.split(), "-o", str(path))
    assert message in str(error)
    assert error.exit_status == 2
    assert path.read_text() == "old"


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    error = refusal("2-10-2", "-o", str(tmp_path / "missing" / "a.txt"))
    assert isinstance(error, InputError)
    assert "its folder does not exist" in str(error)


def test_an_option_that_is_not_known_is_a_usage_error() -> None:
    assert invoke("2-10-2", "--format", "pdf").exit_code == 2


def test_help_has_examples() -> None:
    text = run("--help")
    assert text.isascii()  # --help must not fail where formulas could not be printed
    assert "  gradwright derive 2-10-2 --steps\n" in text


def test_a_terminal_that_cannot_show_formulas_is_told_the_way_out() -> None:
    result = CliRunner(charset="latin-1").invoke(command, ["2-10-2"])
    assert isinstance(result.exception, InputError)
    assert "PYTHONIOENCODING=utf-8" in str(result.exception)
    assert CliRunner(charset="latin-1").invoke(command, ["2-2", "--format", "latex"]).stdout


def fresh(code: str, **environment: str) -> str:
    paths = os.pathsep.join(filter(None, sys.path))
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": paths} | environment,
        capture_output=True,
        check=True,
    )
    return result.stdout.decode()


def test_importing_the_command_does_not_load_sympy() -> None:
    loaded = fresh("import sys, runtime.commands.derive; print(*sys.modules)").split()
    assert "click" in loaded
    assert not {"sympy", "numpy"} & set(loaded)


def test_the_same_bytes_whatever_the_hash_seed() -> None:
    code = (
        "from runtime.commands.derive import command\n"
        "for options in (['--steps'], ['--format', 'json'], ['--format', 'latex', '--steps'],\n"
        "        ['--format', 'html', '--steps', '--expand'], ['--format', 'markdown']):\n"
        "    command(['2-3:softmax-2:sigmoid', *options], standalone_mode=False)\n"
    )
    first, second = (fresh(code, PYTHONHASHSEED=seed) for seed in "12")
    assert first == second
    assert "dW1" in first


def test_prove_prints_a_certificate() -> None:
    text = run("2-10-2", "--prove")
    assert "\nProof\n" in text
    assert "proved: dZ2, dW2, db2, dH1, dZ1, dW1, db1" in text
    claims = json.loads(run("2-10-2", "--prove", "--format", "json"))["proof"]
    assert {claim["status"] for claim in claims} == {"proved", "checked"}
    assert r"\subsection*{Proof}" in run("2-2", "--prove", "--format", "latex")
    assert "| rung | how | outcome | s |" in run("2-2", "--prove", "--format", "markdown")
    assert '<section class="proof">' in run("2-2", "--prove", "--format", "html")
    assert json.loads(run("2-2", "--format", "json"))["proof"] == []


def test_a_gradient_that_is_not_proved_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mutants import mutants

    from derive.rewrite import rewrite_program

    def wrong(program: Program, *, labels: str) -> Program:
        stock = mutants(rewrite_program(program, labels=labels))
        return next(m.program for m in stock if m.where == "db1" and m.kind == "wrong sign")

    monkeypatch.setattr("derive.network_derivation.rewrite_program", wrong)
    result = invoke("2-2", "--prove")
    assert isinstance(result.exception, RunError)
    assert result.exception.exit_status == 1
    assert "db1" in str(result.exception)
    assert "not proved: db1" in result.stdout  # the certificate is printed all the same


def test_second_order_is_proved_with_the_gradients() -> None:
    text = run("2-2", "--hvp", "--prove")
    assert "proved: vZ1, hZ1, hW1, hb1" in text
    assert "checked: hW1, hb1" in text


def test_it_shows_where_formulas_fail_as_they_are_written() -> None:
    text = run("2-3:softplus-2", "--explain-stability")
    assert "H1 = log(1 + exp(Z1))" in text
    assert "exact 100" in text
    for refused in (("N",), ("2-3-2", "--format", "json")):
        assert isinstance(refusal(*refused, "--explain-stability"), InputError)
