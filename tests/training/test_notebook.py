"""The notebook's magics, in a shell of IPython, as a notebook would call them."""

import importlib.util
import os
import sys
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import derive
import runtime
from runtime.cell_source import cell_source, in_the_cell
from runtime.errors import InputError
from runtime.notebook import LiveDecision, Shown
from runtime.result import TrainResult

if os.environ.get("CI") != "true":  # which installs it
    pytest.importorskip("IPython")

from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

NETWORK = "2-10-2"  # whose kernels other tests have, too


@pytest.fixture(scope="module")
def shell():
    shell = InteractiveShell.instance()
    shell.display_pub = CapturingDisplayPublisher()
    shell.colors = "nocolor"
    shell.run_line_magic("load_ext", "runtime.notebook")
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture(autouse=True)
def published(shell) -> list[dict]:
    shell.display_pub.outputs.clear()
    return shell.display_pub.outputs


def ran(shell, cell: str) -> ExecutionResult:
    result = shell.run_cell(cell, store_history=True)
    result.raise_error()
    return result


def told(shell, cell: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a cell says on standard error, which is all it does."""
    capsys.readouterr()
    result = shell.run_cell(cell)
    assert result.result is None
    out, error = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in error
    return error


def test_derive_shows_formulas(shell) -> None:
    shown = ran(shell, "%derive 2-10-2 --names lab").result
    assert isinstance(shown, Shown)
    data, _ = shell.display_formatter.format(shown)
    assert r"\mathrm{d}W_{y} &= \mathrm{d}\tilde{y}^{\top} h" in data["text/latex"]
    assert data["text/latex"].startswith("$$")
    expected = derive.derivation("2-10-2", names="lab")
    assert data["text/markdown"] == expected.report("markdown")
    assert data["text/plain"] == str(expected)


def test_derive_takes_the_options_of_the_command(shell, capsys) -> None:
    formula = "mish(z) = z*tanh(log(1+exp(z)))"
    shown = ran(shell, f"%derive 2-3:mish-2 --define '{formula}' --steps --form index").result
    text = repr(shown)
    assert "chain rule" in text
    assert "dW2[j,k] = Σ_i dZ2[i,j] H1[i,k]" in text
    assert "H_ℓ" in repr(ran(shell, "%derive N").result)
    capsys.readouterr()
    assert ran(shell, "%derive 2-2 --format json").result is None
    assert '"spec": "2-2' in capsys.readouterr().out


def test_arguments_are_words_and_never_evaluated(shell, capsys) -> None:
    for line in ("%derive {touched.append(1)}", "%derive $touched", "%train {touched.append(1)}"):
        shell.user_ns["touched"] = touched = []
        assert "UsageError" in told(shell, line, capsys)
        assert touched == []


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("%derive", "Missing argument"),
        ("%derive 2-x", "2-x"),
        ("%derive 2-2 --nonsense", "No such option"),
        ("%derive 2-2 '", "quotation"),
        ("%derive N --hvp", "--hvp"),
        ("%train", "which data"),
        ("%train circles 3-2", "Expected 2"),
        ("%%grade --hints 9\nx = 1", "--hints"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(shell, capsys, cell: str, words: str) -> None:
    error = told(shell, cell, capsys)
    assert error.startswith("UsageError: ")
    assert words in error
    assert error.count("\n") <= 3  # with a caret under the place


def test_help_tells_the_options(shell, capsys) -> None:
    for name, option in (("%derive", "--steps"), ("%train", "--epochs"), ("%%grade", "--hints")):
        capsys.readouterr()
        ran(shell, f"{name} --help" + ("\n1" if name == "%%grade" else ""))
        assert option in capsys.readouterr().out


def test_train_gives_the_result_and_shows_a_picture_that_keeps_up(shell, published) -> None:
    ran(shell, f"run = %train circles {NETWORK} --epochs 4 --seed 3")
    run = shell.user_ns["run"]
    assert isinstance(run, TrainResult)
    assert all(output["data"]["image/png"] for output in published)
    assert len(published) == 5  # before training, and after each epoch
    first, *others = published
    assert not first.get("update")
    assert all(output["update"] for output in others)
    assert len({output["data"]["image/png"] for output in published}) == 5
    alone = runtime.train("circles", NETWORK, epochs=4, seed=3)
    for name, value in alone.model.params.items():
        assert np.array_equal(value, run.model.params[name])
    assert np.array_equal(alone.history.figures, run.history.figures)


def test_no_live_shows_nothing(shell, published) -> None:
    ran(shell, f"run = %train circles {NETWORK} --epochs 5 --no-live")
    assert published == []
    assert shell.user_ns["run"].history.epochs == 5


def test_a_watcher_sees_the_weights_on_the_way_and_can_end_the_run() -> None:
    seen = []

    def watch(result: TrainResult) -> bool:
        seen.append((result.history.epochs, result.model.params["W1"]))
        return result.history.epochs >= 30

    result = runtime.train("circles", NETWORK, epochs=60, watch=watch)
    assert [epoch for epoch, _ in seen] == list(range(0, 31, 3))
    assert result.history.epochs == 30
    for (_, before), (_, after) in pairwise(seen):
        assert not np.array_equal(before, after)
    np.testing.assert_array_equal(seen[-1][1], result.model.params["W1"])


def test_what_is_no_plane_is_watched_by_its_curves(published) -> None:
    run = runtime.train("circles", NETWORK, epochs=2)
    solid = replace(run.data, X_train=np.zeros((200, 3)), X_test=np.zeros((200, 3)), grid=None)
    live = LiveDecision()
    live(replace(run, data=solid, history=run.history.until(0)))
    assert published == []
    live(replace(run, data=solid))
    assert live.shown == len(published) == 1


def test_without_ipython_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "IPython"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    class NoIPython:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name.split(".")[0] == "IPython":
                raise ModuleNotFoundError("no", name="IPython")

    monkeypatch.setattr(sys, "meta_path", [NoIPython, *sys.meta_path])
    with pytest.raises(InputError, match=r"gradwright\[notebook\]") as caught:
        LiveDecision()
    assert "\n" not in str(caught.value)


def test_a_missing_grader_is_told_in_one_line(shell, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "runtime.grading", None)
    monkeypatch.delitem(sys.modules, "runtime.grading.grader", raising=False)
    error = told(shell, "%%grade\nx = 1", capsys)
    assert error == "UsageError: this version of gradwright has no grader.\n"


def test_grade_gives_the_grader_the_cell_with_the_imports_before_it(
    shell, capsys, monkeypatch
) -> None:
    """A grader that reads the file stands in for the real one: what is handed over counts."""
    handed = []

    def grade(path: Path, *, timeout: float) -> object:
        handed.append((Path(path).read_text("utf-8"), timeout))
        status = {"sgd": "wrong", "forward": "right", "backward": "missing"}
        functions = {name: SimpleNamespace(status=word) for name, word in status.items()}
        return Verdict(name=str(path), functions=functions, gradients={"Wh": "missing"})

    @dataclass
    class Verdict:
        name: str
        functions: dict[str, SimpleNamespace]
        gradients: dict[str, str]

    def told(verdict: Verdict, hints: int) -> str:
        return f"{verdict.name}: {hints} {' '.join(verdict.functions)} {verdict.gradients}"

    grader = SimpleNamespace(grade=grade)
    report = SimpleNamespace(verdict_text=told)
    monkeypatch.setitem(sys.modules, "runtime.grading.grader", grader)
    monkeypatch.setitem(sys.modules, "runtime.grading.report", report)
    ran(shell, "import math\nfrom fractions import Fraction\nx = 1")
    capsys.readouterr()
    ran(shell, "%%grade --hints 3\nmade = 1\n\ndef sgd(p, g, e):\n    return p\n")
    assert capsys.readouterr().out == "this cell: 3 sgd forward {}\n"  # not what is to come
    ((text, timeout),) = handed
    first, *others = text.split("\n")
    assert "import math" in first
    assert "from fractions import Fraction" in first
    assert others[:3] == ["made = 1", "", "def sgd(p, g, e):"]
    assert timeout == 10.0
    assert "made" not in shell.user_ns  # the cell is not run here
    ran(shell, "%%grade --run\nmade = 1\n")
    assert shell.user_ns["made"] == 1


def test_a_cell_is_graded_with_what_earlier_cells_define() -> None:
    graded = "get_ipython().run_cell_magic('grade', '', 'def forward(p, X):\\n    return 1\\n')"
    earlier = [
        "import torch\nfrom math import *",
        "def backward(p, o, Y):\n    return 'old'",
        "scale = 0.1\ndef init_params(a, b, c):\n    return scale",
        "train(); x = input()\nfor i in range(9): pass",
        "get_ipython().run_line_magic('derive', '2-2')",
        "not Python",
        graded,
        "import torch\nscale = 0.3",
    ]
    cell = "def backward(p, o, Y):\n    return 'new'\n"
    text = cell_source(cell, earlier)
    assert text.startswith(f"import torch; from math import *\n{cell}")
    assert text.count("def backward") == text.count("scale = ") == 1
    assert "'old'" not in text
    assert "scale = 0.3" in text
    assert "def forward(p, X):" in text
    assert "train" not in text
    assert "input" not in text
    said = in_the_cell("wrong (line 3), and (line 5); cell 4, line 12", cell)
    assert said == "wrong (line 3), and (an earlier cell); cell 4, an earlier cell"


@pytest.mark.skipif(
    importlib.util.find_spec("runtime.grading") is None, reason="the grader is not there yet"
)
def test_a_mistake_in_a_cell_is_named_with_the_line_of_the_cell(shell, capsys) -> None:
    ran(shell, "import numpy as np")
    capsys.readouterr()
    lines = ("for k in params:", "    params[k] = params[k] + eta * grads[k]", "return params")
    body = "\n".join(f"    {line}" for line in lines)
    ran(shell, f"%%grade\ndef sgd(params, grads, eta):\n{body}\n")
    out = capsys.readouterr().out
    assert out.startswith("this cell: not right yet")
    assert "sign (line 4)" in out  # as the notebook counts, the line of %%grade included
