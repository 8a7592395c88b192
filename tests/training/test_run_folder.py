"""The folder of a run: nothing lost that was there, nothing left of a run that failed."""

import fcntl
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import mounts
import pytest

from runtime.errors import InputError, RunError
from runtime.run_folder import RUN_FILES, RunFolder, open_run_folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def holds_run(path: Path, name: str = "run.json", content: str = "old") -> Path:
    path.mkdir(parents=True)
    (path / name).write_text(content)
    return path


def everything() -> dict[str, str | None]:
    paths = sorted(Path().rglob("*"))
    return {str(path): path.read_text() if path.is_file() else None for path in paths}


def opened(*args: object, **options: object) -> Path:
    """Return which folder is chosen, without keeping it."""
    with open_run_folder(*args, **options) as folder:  # type: ignore[arg-type]
        return folder.path


def test_takes_runs_and_the_name() -> None:
    with open_run_folder("circles") as folder:
        assert folder.path == Path("runs/circles")
        assert folder.path.is_dir()
        assert folder.held == ()
        folder.write("history.csv", "epoch\n")
    assert everything() == {
        "runs": None,
        "runs/circles": None,
        "runs/circles/history.csv": "epoch\n",
    }


def test_failed_run_leaves_nothing_behind() -> None:
    with pytest.raises(KeyboardInterrupt), open_run_folder("circles"):
        raise KeyboardInterrupt
    assert everything() == {}
    with pytest.raises(ZeroDivisionError), open_run_folder("circles", "a/b/c"):
        raise ZeroDivisionError
    assert everything() == {}


def test_failed_run_leaves_what_was_there() -> None:
    Path("runs").mkdir()
    Path("mine").mkdir()
    opened("circles")
    opened("circles", "mine")
    assert everything() == {"mine": None, "runs": None}


@pytest.mark.parametrize("name", RUN_FILES)
def test_folder_with_a_run_is_kept_and_the_next_used(name: str) -> None:
    holds_run(Path("runs/circles"), name)
    before = everything()
    assert opened("circles") == Path("runs/circles-2")
    assert everything() == before
    holds_run(Path("runs/circles-2"), name)
    holds_run(Path("runs/circles-4"), name)
    assert opened("circles") == Path("runs/circles-3")


def test_folder_without_a_run_is_used() -> None:
    Path("runs/circles").mkdir(parents=True)
    Path("runs/circles/notes.txt").write_text("mine")
    assert opened("circles") == Path("runs/circles")
    assert Path("runs/circles/notes.txt").read_text() == "mine"


def test_dangling_link_counts_as_a_file_of_a_run() -> None:
    Path("out").mkdir()
    Path("out/model.safetensors").symlink_to("elsewhere")
    with pytest.raises(InputError, match="holds a run already"):
        open_run_folder("circles", "out")


def test_own_choice() -> None:
    Path("empty").mkdir()
    assert opened("circles", "empty") == Path("empty")
    assert opened("circles", "new/deep") == Path("new/deep")
    assert opened("circles", Path("empty")) == Path("empty")
    assert everything() == {"empty": None}


@pytest.mark.parametrize("name", RUN_FILES)
def test_own_choice_with_a_run_needs_a_word(name: str) -> None:
    path = holds_run(Path("out"), name)
    before = everything()
    with pytest.raises(InputError) as refusal:
        open_run_folder("circles", path)
    for part in ("out: holds a run already", name, "--resume", "--overwrite", "--out"):
        assert part in str(refusal.value)
    assert everything() == before
    for option in ("resume", "overwrite"):
        with open_run_folder("circles", path, **{option: True}) as folder:
            assert folder.held == (name,)
            assert folder.mode == option
    assert everything() == before


def test_resume_and_overwrite_exclude_each_other() -> None:
    with pytest.raises(InputError, match="exclude each other"):
        open_run_folder("circles", resume=True, overwrite=True)


def test_resume_without_a_run_begins_one() -> None:
    assert opened("circles", resume=True) == Path("runs/circles")
    with open_run_folder("circles", "out", resume=True) as folder:
        assert folder.held == ()


def test_resume_takes_the_latest_and_overwrite_the_first() -> None:
    for name in ("circles", "circles-2", "circles-10", "circles-x", "circles-010", "circle-11"):
        holds_run(Path("runs", name))
    Path("runs/circles-12").mkdir()
    assert opened("circles", resume=True) == Path("runs/circles-10")
    assert opened("circles", overwrite=True) == Path("runs/circles")


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_file_in_the_place_of_the_folder(options: dict[str, bool]) -> None:
    Path("out").write_text("mine")
    Path("runs").mkdir()
    Path("runs/circles").write_text("mine")
    before = everything()
    for out in ("out", "out/below", None):
        with pytest.raises(InputError, match=r"a file stands|a file, not a folder"):
            open_run_folder("circles", out, **options)
    assert everything() == before


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a"])
def test_name_that_would_lead_elsewhere(name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a folder"):
        open_run_folder(name)


def test_overwriting_keeps_the_old_until_the_new_is_complete() -> None:
    path = holds_run(Path("out"), "model.safetensors")
    (path / "decision.png").write_text("old")
    (path / "notes.txt").write_text("mine")
    with open_run_folder("circles", path, overwrite=True) as folder:
        assert (path / "model.safetensors").read_text() == "old"
        folder.write("model.safetensors", "new")
        assert (path / "decision.png").read_text() == "old"
        folder.write("run.json", "new")
        folder.finish()
    # the new run made no decision.png: an old one beside it would lie
    assert everything() == {
        "out": None,
        "out/model.safetensors": "new",
        "out/notes.txt": "mine",
        "out/run.json": "new",
    }


def test_overwriting_that_fails_keeps_the_old() -> None:
    path = holds_run(Path("out"), "model.safetensors")
    before = everything()
    with pytest.raises(KeyboardInterrupt), open_run_folder("circles", path, overwrite=True):
        raise KeyboardInterrupt
    assert everything() == before


@pytest.mark.parametrize("options", [{}, {"resume": True}])
def test_finish_removes_only_where_overwriting(options: dict[str, bool]) -> None:
    path = Path("out")
    if options:
        holds_run(path, "decision.png")
    with open_run_folder("circles", path, **options) as folder:
        folder.write("run.json", "new")
        folder.finish()
    assert (path / "decision.png").exists() == bool(options)


def test_running_runs_get_folders_of_their_own() -> None:
    with open_run_folder("circles") as first, open_run_folder("circles") as second:
        assert (first.path, second.path) == (Path("runs/circles"), Path("runs/circles-2"))
        with pytest.raises(InputError, match="another run is writing to this folder"):
            open_run_folder("circles", "runs/circles", resume=True)
        assert first.path.is_dir()
    assert everything() == {}


def test_starting_at_once_gives_different_folders() -> None:
    count = 12
    barrier = threading.Barrier(count)

    def start(_: int) -> RunFolder:
        barrier.wait(30)
        return open_run_folder("circles")

    for _ in range(5):
        with ThreadPoolExecutor(count) as pool, ExitStack() as stack:
            folders = [stack.enter_context(folder) for folder in pool.map(start, range(count))]
            assert len({folder.path for folder in folders}) == count
            assert all(folder.path.is_dir() for folder in folders)


def test_starting_at_once_in_one_folder_lets_one_through() -> None:
    count = 12
    barrier = threading.Barrier(count)

    def start(_: int) -> RunFolder | None:
        barrier.wait(30)
        try:
            return open_run_folder("circles", "out/here")
        except InputError:
            return None

    for _ in range(5):
        with ThreadPoolExecutor(count) as pool, ExitStack() as stack:
            folders = [folder for folder in pool.map(start, range(count)) if folder]
            assert len(folders) == 1
            stack.enter_context(folders[0])
            assert folders[0].path.is_dir()


def test_coming_and_going_at_once() -> None:
    def come_and_go(_: int) -> None:
        for _ in range(25):
            with open_run_folder("circles") as folder:
                assert folder.path.is_dir()

    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(come_and_go, range(8)))) == 8  # no one saw an error


def test_folder_removed_just_before_it_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, removed = fcntl.flock, []

    def remove_and_lock(descriptor: int, operation: int) -> None:
        if not removed:
            Path("out").rmdir()
            removed.append(True)
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_and_lock)
    with open_run_folder("circles", "out") as folder:
        folder.write("run.json", "new")
    assert removed


def test_lock_goes_with_the_process_however_it_ends() -> None:
    code = (
        "import sys, time; from runtime.run_folder import open_run_folder\n"
        "folder = open_run_folder('circles', 'out'); print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(InputError, match="another run is writing"):
            open_run_folder("circles", "out")
        process.kill()
        process.wait(30)
    assert opened("circles", "out") == Path("out")


def test_read_only_disk(here: Path) -> None:
    holds_run(here / "disk" / "old")
    with mounts.read_only(here / "disk"):
        for options in ({}, {"resume": True}, {"overwrite": True}):
            for out in ("disk", "disk/new/deep", "disk/old" if options else "disk"):
                with pytest.raises(InputError, match="the file system is read-only"):
                    open_run_folder("circles", out, **options)
    assert (here / "disk" / "old" / "run.json").read_text() == "old"


def test_full_disk_before_and_during_the_run(here: Path) -> None:
    with mounts.full_disk(here / "disk", "64k") as disk:
        with open_run_folder("circles", disk / "run") as folder:
            folder.write("history.csv", "old")
            with pytest.raises(RunError, match="the disk is full"):
                folder.write("history.csv", bytes(200_000))
            assert (disk / "run" / "history.csv").read_text() == "old"
            mounts.fill(disk)
        with pytest.raises(RunError, match="the disk is full"):
            open_run_folder("circles", disk / "other")
        assert sorted(path.name for path in disk.rglob("*")) == ["ballast", "history.csv", "run"]


def test_folder_that_vanishes_during_the_run_is_a_failed_run() -> None:
    with open_run_folder("circles", "out") as folder:
        folder.path.rmdir()
        with pytest.raises(RunError, match="its folder does not exist"):
            folder.write("run.json", "new")
