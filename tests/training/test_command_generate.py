"""``gradwright generate``, called as the command line calls it."""

import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from codegen.generation import generate
from codegen.passes import LANES_PIPELINE, PIPELINE, Pass
from derive.spec import parse_spec
from runtime.commands.generate import command, explained_products, explanation
from runtime.errors import GradwrightError, InputError


def call(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def refused(*arguments: str) -> GradwrightError:
    """Return the error that `runtime.cli` turns into a message and an exit status."""
    result = call(*arguments)
    assert result.output == ""
    assert isinstance(result.exception, GradwrightError), result.exception
    return result.exception


def test_without_a_file_the_module_is_printed_and_nothing_else() -> None:
    result = call("2-10-2")
    assert result.exit_code == 0
    assert result.stdout == generate("2-10-2").text
    assert result.stderr == ""


def test_options_reach_the_module() -> None:
    result = call("2-3-1", "--loss", "mse", "--dtype", "float64", "--labels", "any")
    expected = generate(parse_spec("2-3-1", loss="mse"), dtype="float64", labels="any").text
    assert result.stdout == expected
    assert "DTYPE = np.float64" in expected
    result = call("2-10-2", "--labels", "any")
    assert result.stdout == generate("2-10-2", labels="any").text != generate("2-10-2").text
    result = call("2-10-2", "--hvp")
    assert result.stdout == generate("2-10-2", hvp=True).text
    assert "def hvp(params, X, Y, direction, weights=None):" in result.stdout
    assert call("2-10-2", "--target", "numba").stdout == generate("2-10-2").text
    result = call("2-10-2", "--optimizer", "adam", "--clip-norm", "--schedule", "step")
    expected = generate("2-10-2", optimizer="adam", clip_norm=True, schedule="step").text
    assert result.stdout == expected
    assert call("2-10-2", "--optimizer", "sgd").stdout == generate("2-10-2", optimizer="sgd").text


def test_names_lab_gives_the_labs_functions() -> None:
    result = call("2-10-2", "--names", "lab")
    assert result.stdout == generate("2-10-2", names="lab").text
    defined = [n.name for n in ast.parse(result.stdout).body if isinstance(n, ast.FunctionDef)]
    public = [name for name in defined if not name.startswith("_")]
    assert public == ["init_params", "forward", "loss_accuracy", "backward", "sgd"]


@pytest.mark.parametrize("locale", ["ascii", "latin-1", "utf-8"])
def test_the_module_is_utf_8_whatever_the_locale(locale: str) -> None:
    result = CliRunner(charset=locale).invoke(command, ["2-3-2", "--names", "lab"])
    assert result.exit_code == 0
    assert result.stdout_bytes.decode("utf-8") == generate("2-3-2", names="lab").text


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text("old")
    result = call("2-3-2", "-o", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"{path} is written\n"
    assert path.read_text("utf-8") == generate("2-3-2").text
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_run_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text("old")
    assert refused("2-3-nope", "-o", str(path)).exit_status == 2
    assert path.read_text() == "old"
    missing = tmp_path / "missing" / "net.py"
    error = refused("2-3-2", "-o", str(missing))
    assert isinstance(error, InputError)
    assert str(missing) in str(error)
    assert list(tmp_path.iterdir()) == [path]


def test_the_target_numpy_is_printed(tmp_path: Path) -> None:
    result = call("2-3-2", "--target", "numpy", "--hvp", "--dtype", "float64")
    expected = generate("2-3-2", target="numpy", hvp=True, dtype="float64").text
    assert (result.stdout, result.stderr) == (expected, "")
    result = call("2-3-2", "--target", "numpy", "--names", "lab")
    assert result.stdout == generate("2-3-2", names="lab").text
    result = call("2-3-2", "--target", "numpy", "--explain", "-o", str(tmp_path / "net.py"))
    assert result.stdout.startswith("No pass has run: ")


def test_the_target_c_writes_two_files_and_replaces_both(tmp_path: Path) -> None:
    path = tmp_path / "rings.c"
    path.write_text("old")
    result = call("2-3-2", "--target", "c", "-o", str(path), "--explain")
    source = generate("2-3-2", target="c", prefix="rings")
    assert result.stdout == explanation(source.reports)
    assert result.stderr == f"{path} and {tmp_path / 'rings.h'} are written\n"
    assert path.read_text("utf-8") == source.text
    assert (tmp_path / "rings.h").read_text("utf-8") == source.header
    assert {p.name for p in tmp_path.iterdir()} == {"rings.c", "rings.h"}


def test_where_the_header_cannot_be_written_the_c_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "net.c"
    path.write_text("old")
    (tmp_path / "net.h").mkdir()
    error = refused("2-3-2", "--target", "c", "-o", str(path))
    assert str(tmp_path / "net.h") in str(error)
    assert path.read_text() == "old"
    assert {p.name for p in tmp_path.iterdir()} == {"net.c", "net.h"}


@pytest.mark.parametrize(
    "options", [(), ("--names", "lab"), ("--target", "numpy")], ids=["numba", "lab", "numpy"]
)
def test_the_written_module_checks_itself(tmp_path: Path, options: Sequence[str]) -> None:
    path = tmp_path / "net.py"
    assert call("2-4-3", *options, "-o", str(path)).exit_code == 0
    done = subprocess.run(
        [sys.executable, path.name], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" ok\n") == 4


@pytest.mark.parametrize(
    ("spec", "pipeline"), [("2-10-2", LANES_PIPELINE), ("90-80-70-2", PIPELINE)]
)
def test_explain_shows_each_pass_for_each_kernel(
    spec: str, pipeline: Sequence[Pass], tmp_path: Path
) -> None:
    source = generate(spec)
    table = explanation(source.reports)
    table += explained_products(source.programs["step"], source.spec.sizes)
    result = call(spec, "--explain")  # the module has standard output for itself
    assert (result.stdout, result.stderr) == (source.text, table)
    path = tmp_path / "net.py"
    result = call(spec, "--explain", "-o", str(path))
    assert result.stdout == table
    lines = table.splitlines()
    counted = ["nodes", "buffers", "operations", "functions", "bytes", "memory"]
    assert lines[0].split() == ["kernel", "pass", *counted]
    passes = [step.__name__ for step in pipeline]
    shown = [line.split() for line in lines[1 : 1 + len(source.reports) * len(passes)]]
    kernels = [words[0] for words in shown if words[0] not in passes]
    assert kernels == list(source.reports)
    assert [words[words[0] not in passes] for words in shown] == passes * len(kernels)
    step = dict(zip(passes, source.reports["step"], strict=True))["fuse"]
    assert step.changed
    fused = next(line for line in reversed(lines) if line.split()[:1] == ["fuse"] and "->" in line)
    before, after = step.costs
    reused = source.reports["step"][-1].memory
    assert f"{step.nodes[0]} -> {step.nodes[1]}" in fused
    assert f"{before.bytes:,} -> {after.bytes:,}" in fused
    if pipeline is PIPELINE:  # bytes of memory, when what it all is in is known
        (last,) = {line for line in lines[1:] if line.split()[:1] == ["reuse_memory"]} & {
            line for line in lines if line.endswith(f"{reused[0]:,} -> {reused[1]:,}")
        }
        assert reused[1] < reused[0], last
    for name in passes:  # and what each is for
        assert any(line.startswith(name) and line.endswith(".") for line in lines)
    products = [line for line in lines if " x " in line and "µs" in line]
    if pipeline is PIPELINE:  # five products and one more for each layer beyond the second
        assert [line.split()[0] for line in products] == [
            "Z1", "Z2", "Z3", "dH2", "dH1", "dW1", "dW2", "dW3",
        ]  # fmt: skip
        assert products[0].split()[-1] == "own"
        assert products[-1].split()[-1] == "loops", "two rows, of 70 sums over the samples"
    else:
        assert not products


def test_explain_says_that_no_pass_has_seen_the_labs_functions(tmp_path: Path) -> None:
    result = call("2-3-2", "--names", "lab", "--explain", "-o", str(tmp_path / "net.py"))
    assert result.stdout.startswith("No pass has run: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["2-3-2", "--target", "go"], '"go" is not available. Available: numba, numpy, c.'),
        (["2-3-2", "--target", "c"], "Name the first one: for example -o net.c"),
        (["2-3-2", "--target", "c", "-o", "net.py"], "net.py does not end in .c"),
        (["2-3-2", "--target", "c", "-o", "2-3.c"], '"2-3" cannot begin names in C'),
        (["2-3-2", "--target", "c", "-o", "net.c", "--hvp"], "Use --target numba or numpy"),
        (["2-3-2", "--target", "c", "-o", "n.c", "--names", "lab"], "Leave out --names lab"),
        (["2-3:tahn-2"], 'Did you mean "tanh"?'),
        (["nx-nh-ny"], "Write every size as an integer"),
        (["2-3-2", "--loss", ""], "loss: the formula is empty"),
        (["N"], "code needs a depth"),
        (["2-3-2", "--loss", "mes"], 'loss: "mes" is not known. Did you mean "mse"?'),
        (["2--2"], "the size of layer 1 is missing"),
        (["2-3-2", "--hvp", "--names", "lab"], "Leave out --names lab, or --hvp"),
    ],
)
def test_what_cannot_be_generated_is_refused_with_a_way_out(
    arguments: list[str], message: str
) -> None:
    error = refused(*arguments)
    assert error.exit_status == 2
    assert message in str(error)


@pytest.mark.parametrize("option", ["--dtype", "--names", "--labels"])
def test_a_choice_that_is_not_known_is_refused(option: str) -> None:
    result = call("2-3-2", option, "other")
    assert result.exit_code == 2
    assert "'other' is not one of" in result.stderr


def test_help_has_examples_that_can_be_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    text = call("--help").stdout
    examples = [
        line.split("#")[0].split() for line in text.splitlines() if "gradwright generate" in line
    ]
    assert len(examples) >= 4
    for words in examples:
        arguments = words[2 : words.index(">")] if ">" in words else words[2:]
        assert call(*arguments).exit_code == 0
    option = [name for p in command.params if isinstance(p, click.Option) for name in p.opts]
    assert set(option) == {
        "-o", "--target", "--dtype", "--names", "--loss", "--define", "--l2", "--labels", "--hvp",
            "--optimizer", "--clip-norm", "--schedule", "--explain",
    }  # fmt: skip


def test_importing_the_command_loads_nothing_heavy() -> None:
    program = (
        "import sys, runtime.commands.generate\n"
        "print([n for n in ('sympy', 'numba', 'torch', 'numpy', 'scipy') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
