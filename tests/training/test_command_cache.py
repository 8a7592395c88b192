"""``gradwright cache``: what is kept, where, and that clearing it is told truly."""

import re
import subprocess
from pathlib import Path

import mounts
import pytest
from command_line import content_of, environment, run, run_here, script

from codegen.cache import digest


def kept_in(folder: Path, *titles: str) -> Path:
    """Write what a cached module looks like; return the folder that holds them."""
    kernels = folder / "kernels"
    for title in titles:
        name = digest(title)
        (kernels / name / "__pycache__").mkdir(parents=True)
        source = kernels / name / f"gradwright_{name}.py"
        source.write_text(f'"""{title}.\n\nMore.\n"""\n')
        (kernels / name / "__pycache__" / "loop.nbc").write_bytes(bytes(1_230_000))
    return kernels


def test_where(tmp_path: Path) -> None:
    outcome = run("cache", "where", cwd=tmp_path, GRADWRIGHT_CACHE=str(tmp_path))
    assert (outcome.status, outcome.out, outcome.err) == (0, f"{tmp_path}/kernels\n", "")
    home = run("cache", "where", cwd=tmp_path, GRADWRIGHT_CACHE=None, HOME=str(tmp_path))
    assert home.out.startswith(f"{tmp_path}/")
    assert content_of(tmp_path) == {}  # to ask is not to make


def test_where_is_exact_for_any_path(tmp_path: Path) -> None:
    done = subprocess.run(
        [script(), "cache", "where"],
        env={**environment(), "GRADWRIGHT_CACHE": f"{tmp_path}/caf\udce9"},  # Latin-1 bytes
        capture_output=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path}/caf".encode() + b"\xe9/kernels\n"


def test_list(tmp_path: Path) -> None:
    kept_in(tmp_path, "The network 2-2", "The network 2-3-2")
    outcome = run_here("cache", "list", GRADWRIGHT_CACHE=str(tmp_path))
    lines = outcome.out.splitlines()
    assert all(re.fullmatch(r"[0-9a-f]{24}    1\.23 MB  The network 2-\S+", line) for line in lines)
    assert sorted(line.split()[-1] for line in lines) == ["2-2", "2-3-2"]
    assert (outcome.status, outcome.err) == (0, "")


def test_list_without_anything(tmp_path: Path) -> None:
    outcome = run_here("cache", "list", GRADWRIGHT_CACHE=str(tmp_path / "none"))
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.err == f"nothing is kept in {tmp_path}/none/kernels\n"


def test_clear(tmp_path: Path) -> None:
    kernels = kept_in(tmp_path, "The network 2-2", "The network 2-3-2")
    (tmp_path / "data").mkdir()  # a downloaded set is none of its business
    outcome = run_here("cache", "clear", GRADWRIGHT_CACHE=str(tmp_path))
    assert (outcome.status, outcome.out, outcome.err) == (0, "2 deleted\n", "")
    assert not kernels.exists()
    assert (tmp_path / "data").exists()
    assert run_here("cache", "clear", GRADWRIGHT_CACHE=str(tmp_path)).out == "0 deleted\n"


def test_clear_says_what_it_could_not_delete(tmp_path: Path) -> None:
    kernels = kept_in(tmp_path, "The network 2-2")
    with mounts.read_only(tmp_path):
        outcome = run_here("cache", "clear", GRADWRIGHT_CACHE=str(tmp_path))
    outcome.assert_refused(1, str(kernels), "1 of 1 could not be deleted")
    assert run_here("cache", "list", GRADWRIGHT_CACHE=str(tmp_path)).out.count("\n") == 1


@pytest.mark.parametrize("command", ["list", "clear"])
def test_a_folder_that_is_a_file(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("mine")
    outcome = run_here("cache", command, GRADWRIGHT_CACHE=str(tmp_path / "file"))
    assert outcome.status in (0, 2)
    assert "Traceback" not in outcome.err
    assert (tmp_path / "file").read_text() == "mine"


def test_what_was_trained_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_here("train", "circles", "--no-plot", "--epochs", "1").status == 0
    assert "The network 2-10-2 with the loss cross-entropy" in run_here("cache", "list").out
