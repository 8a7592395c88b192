"""The grader on student files that others wrote: all of them with ``-m slow``, some by default."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from student_files import (
    STUDENTS,
    Score,
    bad,
    diagnosed,
    is_named,
    is_told_apart,
    manifest,
    spoken,
    wrongly_certain,
)

import runtime
from runtime.errors import InputError
from runtime.grading.folder import grade_folder
from runtime.grading.report import verdict_text
from runtime.grading.verdict import Verdict

WRONG, RIGHT, HOSTILE = (manifest(which) for which in ("wrong", "right", "hostile"))

# by default: each a kind of mistake of its own, cheap (NumPy) but for one of PyTorch
SOME_WRONG = ("np_01.py", "np_06.py", "np_10.py", "np_21.py", "np_24.py", "np_31.py", "np_34.py")
SOME_WRONG += ("np_26.py", "np_two_01.py", "np_deep_01.py", "p2_01.py")
SOME_RIGHT = ("np_02.py", "np_04.py", "nb_04.ipynb")
SOME_HOSTILE = ("np_01_fake_verdict.py", "np_02_sys_exit.py", "np_04_patch_numpy.py")
SOME_HOSTILE += ("np_14_kill_parent.py",)


def chosen(files: dict[str, Any], some: tuple[str, ...]) -> list[Any]:
    """Return the files as cases: those of `some` by default, the others slow."""
    assert set(some) <= set(files)
    marks = {name: () if name in some else (pytest.mark.slow,) for name in files}
    return [pytest.param(name, marks=marks[name], id=name) for name in files]


@pytest.mark.parametrize("name", chosen(WRONG, SOME_WRONG))
def test_what_is_wrong_is_found_and_named(name: str) -> None:
    truth = WRONG[name]
    verdict = runtime.grade(STUDENTS / "wrong" / name)
    assert is_told_apart(name, truth, verdict), (bad(verdict.functions), bad(verdict.gradients))
    given = {part for d in diagnosed(verdict) for part in d.kind.split("+")}
    for mistake in truth["mistakes"]:
        assert is_named(mistake["kind"], given, spoken(verdict)), (mistake, given)
    assert not wrongly_certain(name, truth, verdict)


@pytest.mark.slow
def test_the_score_of_all_files() -> None:
    """What the project promises of the corpus; ``make score`` prints it."""
    folder = STUDENTS / "wrong"
    score = Score()
    for name, verdict in grade_folder([folder / name for name in WRONG], timeout=20):
        assert isinstance(verdict, Verdict), (name, verdict)
        score.add(Path(name).name, WRONG[Path(name).name], verdict)
    right = grade_folder([STUDENTS / "right" / name for name in RIGHT], timeout=20)
    blamed = [name for name, v in right if not isinstance(v, Verdict) or not v.ok]
    print(f"\n{score}\nright files called wrong: {blamed or 'none'} of {len(right)}")
    assert len(score.apart) == len(WRONG)
    assert [name for name, apart in score.apart.items() if not apart] == []
    assert share(score.first) >= 0.95
    assert share(score.pairs) >= 0.70
    assert share(score.lines) >= 0.85
    assert not score.certain
    assert not blamed


def share(counted: dict[str, bool]) -> float:
    return sum(counted.values()) / len(counted)


@pytest.mark.parametrize("name", chosen(RIGHT, SOME_RIGHT))
def test_no_right_file_is_called_wrong(name: str) -> None:
    verdict = runtime.grade(STUDENTS / "right" / name, timeout=20)
    assert verdict.ok, spoken(verdict)


@pytest.fixture(scope="module")
def calls_are_refused() -> None:
    """Skip where nothing keeps a hostile file from doing harm; `strict` sees to it again."""
    program = "from runtime.grading.system_calls import refuse_calls as r; print(r(files=True))"
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, capture_output=True, check=False, encoding="utf-8")
    if done.stdout != "True\n":
        pytest.skip("this system filters no calls: hostile files are not run here")


@pytest.mark.usefixtures("calls_are_refused")
@pytest.mark.parametrize("name", chosen(HOSTILE, SOME_HOSTILE))
def test_no_hostile_file_changes_its_verdict_or_outlives_its_limit(name: str) -> None:
    start = time.monotonic()
    try:
        verdict = runtime.grade(STUDENTS / "hostile" / name, timeout=6, strict=True)
    except InputError:
        return  # it cannot be graded, and nothing of it was run
    assert not verdict.ok
    assert set(HOSTILE[name]["wrong_functions"]) <= bad(verdict.functions)
    assert time.monotonic() - start < 30  # PyTorch alone may take long to load
    assert not list(Path.home().glob("*gradwright_hostile*"))
    assert not processes_of_students()


def processes_of_students() -> list[str]:
    """Return what runs in a process that grades; all of it must be gone by now."""
    if not Path("/proc").is_dir():
        return []
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = place.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            parent = int((place.parent / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if "runtime.grading.child" in line and parent == 1:  # left behind by its grader
            found.append(line)
    return found


def test_a_report_says_the_same_each_time() -> None:
    file = STUDENTS / "wrong" / "np_06.py"
    command = [sys.executable, "-P", "-m", "runtime", "grade", str(file)]
    other = subprocess.run(command, capture_output=True, check=False, encoding="utf-8").stdout
    assert other == verdict_text(runtime.grade(file)) + "\n"
