"""``gradwright train`` while it runs: signals, terminals, and machines short of something."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import mounts
import numpy as np
import pytest
from command_line import (
    content_of,
    environment,
    read_all,
    run,
    run_here,
    running,
    script,
)
from run_results import FILES, LAST_LINE, record_in, rows_in, write_set

from runtime.checkpoint import NAME, load_checkpoint
from runtime.model_file import load_model

# many seconds after the first tenth: time enough for a signal, on a busy machine too
LONG = ("--epochs", "900000", "--batch", "3")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def old_run(here: Path) -> Path:
    """Return a folder that holds a run, with a file of the user's."""
    options = ["--epochs", "1", "--out", "old"]
    assert run_here("train", "circles", *options).status == 0
    (here / "old" / "notes.txt").write_text("mine")
    return here / "old"


# ---------------------------------------------------------------- signals


@pytest.mark.parametrize(
    ("number", "status", "name"),
    [
        (signal.SIGINT, 130, "SIGINT"),
        pytest.param(signal.SIGTERM, 143, "SIGTERM", marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_the_run_and_saves_it(
    tmp_path: Path, number: int, status: int, name: str
) -> None:
    with running("train", "circles", *LONG, cwd=tmp_path) as command:
        command.wait_for("epoch 9")
        command.signal(number)
        outcome = command.finish()
    assert outcome.status == status
    last = LAST_LINE.fullmatch(outcome.out)
    assert last
    epochs = int(last[1])
    assert 90_000 <= epochs < 900_000
    assert f"stopped after epoch {epochs} of 900000, and saved" in outcome.err
    assert "results are in runs/circles: " in outcome.err
    assert "Traceback" not in outcome.err
    folder = tmp_path / "runs" / "circles"
    assert set(content_of(folder)) == FILES
    assert record_in(folder)["results"]["epochs"] == rows_in(folder).epochs == epochs
    assert record_in(folder)["results"]["stopped_by"] == name
    _, meta = load_model(folder / "model.safetensors")
    assert meta["epochs"] == epochs


def test_stopped_early_both_runs_are_kept(here: Path, old_run: Path) -> None:
    before = content_of(old_run)
    options = ("--out", "old", "--overwrite", "--no-plot")
    with running("train", "circles", *LONG, *options, cwd=here) as command:
        command.wait_for("epoch 9")
        command.signal(signal.SIGINT)
        outcome = command.finish()
    assert outcome.status == 130
    is_as_before = content_of(old_run) == before  # a difference would take minutes to be told
    assert is_as_before
    assert "old still holds the run that was there" in outcome.err
    beside = re.search(r"results are in (.*): ", outcome.err)
    assert beside
    assert Path(beside[1]) == here / "old-2"
    assert record_in(here / "old-2")["results"]["stopped_by"] == "SIGINT"


@dataclass(frozen=True, kw_only=True)
class Slow:
    """A run whose epochs take long, with the network that all tests share."""

    folder: Path

    def start(self, *options: str) -> Any:
        return running("train", "slow.mat", "2-10-2", "--batch", "1", *options, cwd=self.folder)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Slow:
    folder = tmp_path_factory.mktemp("slow")
    rows = 1_000_000
    rng = np.random.default_rng(0)
    labels = np.zeros((rows, 2))
    labels[np.arange(rows), np.arange(rows) % 2] = 1
    write_set(folder / "slow.mat", Xtrain=rng.normal(size=(rows, 2)), Ytrain=labels)
    return Slow(folder=folder)


def test_a_second_signal_ends_it_at_once(slow: Slow) -> None:
    with slow.start("--epochs", "10", "--checkpoint-every", "10") as command:
        command.wait_for("epoch 1 of 10")
        began = time.monotonic()
        command.wait_for("epoch 2 of 10")
        epoch = time.monotonic() - began
        assert (slow.folder / "runs" / "slow").is_dir()
        command.signal(signal.SIGINT)
        command.wait_for("once more stops it at once")
        began = time.monotonic()
        command.signal(signal.SIGINT)
        outcome = command.finish()
        seconds = time.monotonic() - began
    outcome.assert_refused(130, "stopped at once. Nothing was saved.")
    assert seconds < 0.8 * epoch
    assert set(content_of(slow.folder)) == {"slow.mat"}


def test_a_second_signal_leaves_the_last_checkpoint(slow: Slow) -> None:
    options = ("--epochs", "10", "--checkpoint-every", "1", "--out", "kept")
    with slow.start(*options) as command:
        command.wait_for("epoch 2 of 10")
        command.signal(signal.SIGTERM)
        command.wait_for("once more stops it at once")
        command.signal(signal.SIGTERM)
        outcome = command.finish()
    epoch = load_checkpoint(slow.folder / "kept" / NAME).position.epoch
    assert epoch >= 1
    outcome.assert_refused(143, f"stopped at once. The checkpoint after epoch {epoch} is kept.")
    assert "Go on with: gradwright train slow.mat --out kept --resume\n" in outcome.err
    assert set(content_of(slow.folder / "kept")) == {NAME}
    shutil.rmtree(slow.folder / "kept")


def test_a_signal_while_kernels_are_compiled(tmp_path: Path) -> None:
    kernels = tmp_path / "kernels"
    cache = {"GRADWRIGHT_CACHE": str(kernels)}
    with running("train", "circles", cwd=tmp_path, **cache) as command:
        command.wait_for("compiling the kernels")
        time.sleep(1.0)
        assert (tmp_path / "runs" / "circles").is_dir()
        began = time.monotonic()
        command.signal(signal.SIGTERM)
        outcome = command.finish()
        assert time.monotonic() - began < 3  # the compiler would take longer
    outcome.assert_refused(143, "gradwright: terminated. Nothing was saved.")
    assert not (tmp_path / "runs").exists()


# ---------------------------------------------------------------- the screen


def on_a_terminal(
    *arguments: str, cwd: Path, columns: int = 160, **changes: str | None
) -> tuple[int, str]:
    """Run the command with standard error on a terminal; return status and what it showed."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    with os.fdopen(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen(
            [script(), *arguments],
            cwd=cwd,
            env=environment(**{"TERM": "xterm", **changes}),
            stdout=subprocess.DEVNULL,
            stderr=theirs,
        )
        os.close(theirs)
        shown = read_all(screen)
        return process.wait(60), shown


def test_a_bar_on_a_terminal_and_plain_lines_with_no_color(tmp_path: Path) -> None:
    options = ("train", "circles", "--epochs", "30000", "--no-plot")
    status, shown = on_a_terminal(*options, cwd=tmp_path)
    assert status == 0
    assert re.search(r"\r +\d+ % \|.{16}\| \d+ of 30000 epochs, .*left, train loss 0\.\d{4}", shown)
    assert "epoch 30000 of 30000" not in shown
    lasting = [line.split("\r")[-1] for line in shown.split("\r\n")]
    assert lasting[-2].startswith("results are in runs/circles: ")
    status, shown = on_a_terminal(*options, cwd=tmp_path, NO_COLOR="1")
    assert status == 0
    assert "\x1b" not in shown
    assert not re.search("\r(?!\n)", shown)
    assert 2 <= shown.count("epoch ") <= 10
    assert "epoch 30000 of 30000: train loss" in shown


def test_messages_that_nobody_reads_lose_nothing(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [script(), "train", "circles", "--no-plot"],
            cwd=tmp_path,
            env=environment(),
            stdout=writing,
            stderr=writing,
            check=False,
        )
    finally:
        os.close(writing)
    assert done.returncode == 1  # the last line did not reach anybody
    assert set(content_of(tmp_path / "runs" / "circles")) == FILES - {"curves.png", "decision.png"}


@pytest.mark.long
def test_a_poor_environment(tmp_path: Path) -> None:
    """No home or cache to write to, no letters but ASCII, and a name with others."""
    home = tmp_path / "home"
    work = tmp_path / "w\N{LATIN SMALL LETTER O WITH DIAERESIS}rk"
    work.mkdir()
    write_set(work / "m\N{LATIN SMALL LETTER U WITH DIAERESIS}.mat")
    with mounts.read_only(home):
        outcome = run(
            "train",
            "m\N{LATIN SMALL LETTER U WITH DIAERESIS}.mat",
            "2-10-2",
            "--epochs",
            "2",
            cwd=work,
            HOME=str(home),
            GRADWRIGHT_CACHE=None,
            MPLCONFIGDIR=None,
            LC_ALL="C",
            PYTHONIOENCODING="ascii",
        )
    assert outcome.status == 0, outcome.err
    assert LAST_LINE.fullmatch(outcome.out)
    assert "results are in runs/m" in outcome.err
    assert "atplotlib" not in outcome.err  # it likes to complain about its own folder
    assert content_of(home) == {}
    (folder,) = (work / "runs").iterdir()
    assert set(content_of(folder)) == FILES


@pytest.mark.parametrize("part", ["kernels", "memory"])
def test_what_can_go_wrong_with_the_machine(
    here: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    import codegen.compile

    def fail(text: str) -> NoReturn:
        del text
        raise MemoryError if part == "memory" else OSError(28, "No space left on device")

    monkeypatch.setattr(codegen.compile, "prepare", fail)
    status, message = (2, "not enough memory") if part == "memory" else (1, "the disk is full")
    run_here("train", "circles").assert_refused(status, message)
    assert content_of(here) == {}


def test_a_narrow_terminal_shows_everything_in_one_line(tmp_path: Path) -> None:
    options = ("train", "circles", "--epochs", "30000", "--no-plot")
    status, shown = on_a_terminal(*options, cwd=tmp_path, columns=80)
    assert status == 0
    bars = [part for part in shown.split("\r") if "samples/s" in part]
    assert re.search(
        r"\d+ % \d+/30000, .* samples/s, \d\d:\d\d left, loss 0\.\d+/0\.\d+, \d\d\.\d %", bars[-1]
    )
    assert all(len(part.rstrip()) < 80 for part in bars)


def test_json_lines_are_all_that_is_printed(tmp_path: Path) -> None:
    options = ("train", "circles", "--epochs", "20000", "--no-plot", "--json-lines", "--quiet")
    done = run(*options, cwd=tmp_path)
    assert (done.status, done.err) == (0, "")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["event"] for line in lines] == ["progress"] * (len(lines) - 1) + ["result"]
    epochs = [line["epoch"] for line in lines[:-1]]
    assert epochs == sorted(set(epochs))
    assert epochs[-1] == 20_000
    result, rows = lines[-1], rows_in(tmp_path / "runs" / "circles")
    assert result["test_accuracy"] == rows.test_accuracy[-1] == lines[-2]["test_accuracy"]
    assert (result["epochs"], result["of"], result["spec"]) == (20_000, 20_000, "2-10-2")
    assert set(result["files"]) == FILES - {"curves.png", "decision.png"}


def test_quiet_leaves_the_last_line_and_errors(tmp_path: Path) -> None:
    done = run("train", "circles", "--quiet", "--no-plot", cwd=tmp_path)
    assert (done.status, done.err) == (0, "")
    assert LAST_LINE.fullmatch(done.out)
    refused = run("train", "circles", "--quiet", "--eta", "-1", cwd=tmp_path)
    assert refused.status == 2
    assert "eta" in refused.err


def test_looking_on_changes_no_byte_of_the_model(here: Path) -> None:
    for name, options in (("plain", ("--no-plot",)), ("seen", ("--animate", "--gradient-norms"))):
        assert run_here("train", "circles", "--out", name, *options).status == 0
    extra = {"decision.gif", "gradient_norms.png"}
    assert set(content_of(here / "seen")) == FILES | extra
    models = [(here / name / "model.safetensors").read_bytes() for name in ("plain", "seen")]
    assert models[0] == models[1]
    # a run that replaces it, without them, takes them away
    assert run_here("train", "circles", "--out", "seen", "--overwrite").status == 0
    assert set(content_of(here / "seen")) == FILES


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--no-plot", "--animate"), "--animate is about a picture"),
        (("--no-plot", "--log-scale"), "--log-scale is about a picture"),
    ],
)
def test_options_about_pictures_need_pictures(
    here: Path, options: tuple[str, ...], told: str
) -> None:
    run_here("train", "circles", *options).assert_refused(2, told)
    assert not (here / "runs").exists()


def test_what_has_no_plane_is_not_animated(here: Path) -> None:
    rows = "".join(f"{k},{k % 3},{k % 5},{k % 2}\n" for k in range(40))
    (here / "cube.csv").write_text(rows)
    run_here("train", "cube.csv", "--animate").assert_refused(2, "--animate: cube has 3 inputs")
