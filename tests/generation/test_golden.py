"""The emitted text, word for word: a change that nobody meant shows here.

A refactor leaves these files alone: that is its proof.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from emitted import source
from golden import FOLDER, MOST_LINES, compare_or_update, without_versions

# own loops; BLAS for every product; every activation, a regression's loss, float64
GOLDEN = {
    "2-10-2.py.txt": ("2-10-2", "cross-entropy", "float32"),
    "784-100-10.py.txt": ("784-100-10", "cross-entropy", "float32"),
    "mixed.py.txt": ("4-3:relu-5:sigmoid-6:softmax-7:tanh-2", "mse", "float64"),
}
OTHER_TARGETS = {
    "2-10-2.numpy.txt": lambda: source("2-10-2", dtype="float32", target="numpy").text,
    "2-10-2.c.txt": lambda: source("2-10-2", dtype="float32", target="c").text,
    "2-10-2.h.txt": lambda: source("2-10-2", dtype="float32", target="c").header,
}


@pytest.mark.parametrize(("name", "network"), GOLDEN.items(), ids=GOLDEN)
def test_the_text_is_as_it_was(
    name: str, network: tuple[str, str, str], golden: Callable[[str, str], None]
) -> None:
    golden(name, without_versions(source(*network).text))


@pytest.mark.parametrize(("name", "text"), OTHER_TARGETS.items(), ids=OTHER_TARGETS)
def test_the_text_of_another_target_is_as_it_was(
    name: str, text: Callable[[], str], golden: Callable[[str, str], None]
) -> None:
    golden(name, without_versions(text()))


def test_no_file_is_left_over() -> None:
    assert {path.name for path in FOLDER.glob("*.txt")} == {*GOLDEN, *OTHER_TARGETS}


def test_only_versions_are_left_open() -> None:
    text = "Versions: gradwright 0.1.0, sympy 1.14.0rc1+x, numba 0.68.1\nversion 1.2.3, x"
    assert without_versions(text) == "Versions: gradwright …, sympy …, numba …\nversion 1.2.3, x"


def test_a_change_shows_the_difference_and_the_flag(tmp_path: Path) -> None:
    path = tmp_path / "some.py.txt"
    path.write_text("a = 1\nb = 2\nc = 3\n", "utf-8")
    with pytest.raises(AssertionError) as failed:
        compare_or_update(path, "a = 1\nb = 4\nc = 3\n", update=False)
    message = str(failed.value)
    assert "--- golden/some.py.txt\n+++ generated\n" in message
    assert "\n-b = 2\n+b = 4\n" in message
    assert "pytest --update-golden" in message
    assert path.read_text("utf-8") == "a = 1\nb = 2\nc = 3\n", "it is not changed by looking"


def test_a_long_difference_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "some.py.txt"
    path.write_text("old\n" * 1000, "utf-8")
    with pytest.raises(AssertionError, match=r"… \d+ more lines") as failed:
        compare_or_update(path, "new\n" * 1000, update=False)
    assert str(failed.value).count("\n") < MOST_LINES + 10


def test_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "new" / "some.py.txt"
    with pytest.raises(AssertionError, match=r"no golden file some.py.txt.*--update-golden"):
        compare_or_update(path, "text\n", update=False)
    compare_or_update(path, "text\n", update=True)
    compare_or_update(path, "text\n", update=False)
    compare_or_update(path, "other\n", update=True)
    assert path.read_text("utf-8") == "other\n"
