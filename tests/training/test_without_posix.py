"""The commands where POSIX's modules and calls are missing, as on Windows (see the support)."""

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Outcome, run, running

HERE = Path(__file__).resolve().parents[1] / "support" / "without_posix"


def elsewhere(*arguments: str, cwd: Path) -> Outcome:
    return run(*arguments, cwd=cwd, PYTHONPATH=str(HERE))


@pytest.mark.long
def test_train_keeps_its_folder_to_itself(tmp_path: Path) -> None:
    slow = ("train", "circles", "--no-plot", "--epochs", "1000000", "--out", "one")
    with running(*slow, cwd=tmp_path, PYTHONPATH=str(HERE)) as first:
        first.wait_for("training:")
        second = elsewhere("train", "circles", "--out", "one", cwd=tmp_path)
        second.assert_refused(2, "one: another run is writing to this folder")
    done = elsewhere("train", "circles", "--epochs", "3", "--out", "two", cwd=tmp_path)
    assert done.status == 0, done
    assert "curves.png" in done.err
    assert elsewhere("evaluate", "two", "circles", cwd=tmp_path).status == 0


def test_a_sweep_compiles_once_and_its_workers_answer(tmp_path: Path) -> None:
    done = elsewhere("sweep", "circles", "--seeds", "2", "--no-plot", cwd=tmp_path)
    assert done.status == 0, done
    assert (tmp_path / "sweeps" / "circles" / "table.csv").read_text("utf-8").count("\n") == 3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(
            ["bench", "circles", "--against", "numpy", "--repeats", "1"],
            "gradwright",
            marks=pytest.mark.slow,
        ),
        (["cache", "list"], ""),
        pytest.param(["generate", "2-10-2"], "def train(", marks=pytest.mark.slow),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_other_commands(arguments: list[str], expected: str, tmp_path: Path) -> None:
    done = elsewhere(*arguments, cwd=tmp_path)
    assert done.status == 0, done
    assert expected in done.out


def test_nothing_is_graded_without_limits(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def sgd(params, grads, eta):\n    return params\n")
    done = elsewhere("grade", "mine.py", cwd=tmp_path)
    done.assert_refused(2, "this system holds no process to limits")


def test_the_simulation_hides_what_it_should(tmp_path: Path) -> None:
    asked = (
        "import importlib.util, os, runtime.locks as locks\n"
        "assert not locks.OPENS_FOLDERS\n"
        "assert importlib.util.find_spec('resource') is None\n"
        f"a, b = (os.open({str(tmp_path / 'file')!r}, os.O_RDWR | os.O_CREAT) for _ in range(2))\n"
        "assert locks.lock(a, wait=False) and not locks.lock(b, wait=False)\n"
        "os.close(a)\n"
        "assert locks.lock(b, wait=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", asked], env={"PYTHONPATH": str(HERE)}, check=False
    )
    assert done.returncode == 0
