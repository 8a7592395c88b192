"""`gradwright check` as a user runs it: results, refusals, and files that misbehave."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import environment, run_here

ROOT = Path(__file__).parents[2]

# an emitted module in small: kernels in NumPy, by hand, for 3-2 with the default loss
RIGHT = """
import numpy as np

SPEC = "3-2"
DTYPE = np.float64
PARAMETERS = {"W1": (2, 3), "b1": (2,)}


def init_params(seed=0, scale=0.3):
    return {name: np.zeros(shape) for name, shape in PARAMETERS.items()}


def logits(params, X):
    Z = X @ params["W1"].T + params["b1"]
    return Z - Z.max(axis=1, keepdims=True)


def forward(params, X):
    E = np.exp(logits(params, X))
    return E / E.sum(axis=1, keepdims=True)


def loss_and_gradients(params, X, Y, weights=None):
    Z = logits(params, X)
    losses = -(Y * (Z - np.log(np.exp(Z).sum(axis=1, keepdims=True)))).sum(axis=1)
    dZ = (forward(params, X) - Y) / len(X)
    return float(losses.mean()), {"W1": dZ.T @ X, "b1": dZ.sum(axis=0)}
"""


@pytest.fixture
def kernels(tmp_path: Path) -> Path:
    path = tmp_path / "kernels.py"
    path.write_text(RIGHT)
    return path


def changed(path: Path, old: str, new: str) -> str:
    """Change the file, and return its path for the command line."""
    assert old in RIGHT
    path.write_text(RIGHT.replace(old, new))
    return str(path)


def test_the_default_network_is_right() -> None:
    outcome = run_here("check")
    assert outcome.status == 0, outcome
    assert outcome.out.splitlines()[0].startswith("2-10-2, cross-entropy, float64: kernels against")
    assert outcome.out.splitlines()[-1] == "right: all within the rounding error bound"
    assert outcome.err == ""


def test_json_is_all_there_is_on_standard_output() -> None:
    outcome = run_here("check", "--format", "json", "--dtype", "float64", "--seed", "5")
    assert outcome.status == 0, outcome
    found = json.loads(outcome.out)
    assert found["dtype"] == "float64"
    assert found["ok"] is True


def test_a_file_with_right_kernels_passes_and_gives_its_network(kernels: Path) -> None:
    outcome = run_here("check", "--kernels", str(kernels))
    assert outcome.status == 0, outcome
    assert outcome.out.startswith("3-2, cross-entropy, float64")
    assert outcome.err == ""
    assert [path.name for path in kernels.parent.iterdir()] == ["kernels.py"]  # and no cache
    assert run_here("check", "3-2", "--kernels", str(kernels), "--batch", "1").status == 0


WRONG = {
    "wrong sign": ("(forward(params, X) - Y)", "(Y - forward(params, X))"),
    "missing mean": (" / len(X)", ""),
    "dropped factor": ("dZ.T @ X", "dZ.T @ np.ones_like(X)"),
    "another sample's": ("dZ.T @ X", "dZ[::-1].T @ X"),
    "NaN": ("dZ.sum(axis=0)", "dZ.sum(axis=0) * np.nan"),
    "of another shape": ("dZ.T @ X", "X.T @ dZ"),
    "not finite at extremes": ("return Z - Z.max(axis=1, keepdims=True)", "return Z"),
}


@pytest.mark.filterwarnings("ignore:overflow|invalid|divide:RuntimeWarning")
@pytest.mark.parametrize(("old", "new"), WRONG.values(), ids=WRONG)
def test_wrong_kernels_fail_with_status_1(kernels: Path, old: str, new: str) -> None:
    path = changed(kernels, old, new)
    outcome = run_here("check", "--kernels", path)
    assert outcome.status == 1, outcome
    assert outcome.out.splitlines()[-1] == "WRONG"
    assert "give it with --loss" in outcome.err
    outcome = run_here("check", "--kernels", path, "--format", "json", "--loss", "cross-entropy")
    assert outcome.status == 1
    assert json.loads(outcome.out)["ok"] is False
    assert outcome.err  # JSON has no room for the place; it is told here


REFUSED = {
    "syntax": ("import numpy as np\n", "import numpy as\n", "SyntaxError"),
    "missing import": ("import numpy as np\n", "import nompy as np\n", "No module named 'nompy'"),
    "raises at once": ("SPEC =", "raise RuntimeError('not today')\nSPEC =", "not today"),
    "exits at once": ("SPEC =", "import sys; sys.exit(0)\nSPEC =", "calls sys.exit"),
    "no gradients": ("def loss_and_gradients", "def other", "without loss_and_gradients"),
    "no spec": ("SPEC =", "spec =", "without a SPEC"),
    "spec of no network": ('"3-2"', '"3--2"', "network"),
    "another network's": ('"3-2"', '"4-2"', "PARAMETERS['W1']: (2, 3)"),
    "no type": ("np.float64", "'real'", "DTYPE raises TypeError"),
    "an odd type": ("np.float64", "np.float16", 'dtype: "float16" is not known'),
    "raises when called": ("losses.mean()", "1 / 0", "ZeroDivisionError: division by zero"),
    "exits when called": ("losses.mean()", "exit(3)", "calls sys.exit"),
    "no pair": ("return float(losses.mean()), {", "return {", "returns dict, expected a pair"),
    "another interface": ("X, Y, weights=None", "XY", "loss_and_gradients raises TypeError"),
    "an error of its own": (
        "SPEC =",
        "class Odd(BaseException): pass\nraise Odd('strange')\nSPEC =",
        "Odd: strange",
    ),
}


@pytest.mark.parametrize(("old", "new", "message"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_cannot_be_used_is_refused(
    kernels: Path, old: str, new: str, message: str
) -> None:
    outcome = run_here("check", "--kernels", changed(kernels, old, new))
    outcome.assert_refused(2, message)
    assert len(outcome.err.splitlines()) <= 3


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    run_here("check", "--kernels", str(tmp_path / "none.py")).assert_refused(2, "no such file")
    run_here("check", "--kernels", str(tmp_path)).assert_refused(2, "it is a folder")
    binary = tmp_path / "kernels.so"
    binary.write_bytes(b"\x7fELF\xff\xfe")
    run_here("check", "--kernels", str(binary)).assert_refused(2, "not UTF-8")


def test_what_a_file_prints_does_not_reach_standard_output(kernels: Path) -> None:
    path = changed(
        kernels, "    Z = logits(params, X)\n", "    Z = logits(params, X)\n    print('hm')\n"
    )
    kernels.write_text(kernels.read_text() + "\nprint('loaded')\n")
    outcome = run_here("check", "--kernels", path, "--format", "json")
    assert outcome.status == 0
    assert json.loads(outcome.out)["ok"] is True
    assert {"loaded", "hm"} <= set(outcome.err.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["2-10-2", "--batch", "0"], "batch: 0"),
        (["2-10-2", "--seed", "-1"], "seed: -1"),
        (["2-10-2", "--dtype", "float16"], "float16"),
        (["nx-2"], 'the size "nx" is a name'),
        (["2-tanh"], "network"),
        (["2-10-2", "--loss", "msee"], "msee"),
        (["2-10-2", "--loss", " "], "the formula is empty"),
        (["N"], "code needs a depth"),
        (["2-10:tahn-2"], 'Did you mean "tanh"?'),
        (["90000-90000-2"], "parameters; at most"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_checked_is_refused(arguments: list[str], message: str) -> None:
    run_here("check", *arguments).assert_refused(2, message)


def test_without_pytorch_the_extra_is_named_before_the_file_is_run(
    kernels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it raises ModuleNotFoundError
    path = changed(kernels, "SPEC =", "raise RuntimeError('was run')\nSPEC =")
    outcome = run_here("check", "--kernels", path)
    outcome.assert_refused(2, "pip install 'gradwright[torch]'")
    assert "was run" not in outcome.err


def test_help_warns_and_loads_nothing() -> None:
    program = (
        "import sys\n"
        "from runtime.cli import main\n"
        "try:\n    main(['check', '--help'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "heavy = ('torch', 'sympy', 'numba', 'numpy', 'matplotlib', 'scipy')\n"
        "print('LOADED', [name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
        cwd=ROOT,
    )
    assert "only use files you trust" in " ".join(done.stdout.split())
    assert done.stdout.splitlines()[-1] == "LOADED []"
