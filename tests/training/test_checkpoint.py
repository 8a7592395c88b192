"""Runs that are cut short and go on: bit for bit the run that nothing cut."""

import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import mounts
import numpy as np
import pytest
from command_line import PATIENCE, content_of, environment, run, run_here, running
from run_results import FILES, record_in, rows_in, write_set

from runtime.checkpoint import NAME, NEW_NAME, Keeper, load_checkpoint
from runtime.errors import InputError
from runtime.model_file import load_model

CHECKPOINT = Path("run") / NAME
TRAIN = ("train", "circles", "--no-plot", "--out", "run")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def done(*arguments: str) -> str:
    """Run a command in this process, to a good end; return what it said."""
    outcome = run_here(*arguments)
    assert outcome.status == 0, outcome
    return outcome.err


def assert_same_run(one: Path, other: Path) -> None:
    """Compare what two runs came to, times aside."""
    name = "model.safetensors"
    assert (one / name).read_bytes() == (other / name).read_bytes()
    assert (rows_in(one).figures.tobytes()) == rows_in(other).figures.tobytes()
    results = [record_in(folder)["results"] for folder in (one, other)]
    for result in results:
        del result["seconds"]
    assert results[0] == results[1]
    ends = [load_checkpoint(folder / NAME) for folder in (one, other)]
    assert ends[0].position.epoch == ends[1].position.epoch
    for kind in ("params", "state"):
        arrays, others = (getattr(end.position, kind) for end in ends)
        assert {k: v.tobytes() for k, v in arrays.items()} == {
            k: v.tobytes() for k, v in others.items()
        }


# ---------------------------------------------------------------- going on


def test_a_run_in_pieces_is_the_run_in_one(here: Path) -> None:
    # the kernels of test_training.py's optimiser, compiled once
    options = ["2-4-2", "--dtype", "float64", "--optimizer", "adam", "--clip-norm", "0.5"]
    options += ["--schedule", "cosine", "--patience", "400"]
    done("train", "circles", "--no-plot", "--epochs", "500", *options, "--out", "whole")
    # what a run leaves that is stopped in the middle of its epochs, with its last checkpoint
    every = ["--checkpoint-every", "64"]
    stop_at = here / "stop.py"
    stop_at.write_text(
        "import sys, os\n"
        "from runtime.checkpoint import Keeper\n"
        "write = Keeper._write\n"
        "def stop(keeper, checkpoint):\n"
        "    write(keeper, checkpoint)\n"
        "    if checkpoint.position.epoch >= int(sys.argv[1]):\n"
        "        os._exit(7)\n"
        "Keeper._write = stop\n"
        "from runtime.cli import main\n"
        "main(sys.argv[2:])\n"
    )
    for epoch, resume in ((64, []), (192, ["--resume"])):
        command = [sys.executable, str(stop_at), str(epoch), *TRAIN, *every, *resume]
        command += [] if resume else ["--epochs", "500", *options]
        ended = subprocess.run(command, env=environment(), capture_output=True, check=False)
        assert ended.returncode == 7, ended.stderr
        assert set(content_of(Path("run"))) == {NAME}
        assert load_checkpoint(CHECKPOINT).position.epoch == epoch
    said = done(*TRAIN, "--resume")
    assert "going on after epoch 192 of 500" in said
    assert_same_run(Path("run"), Path("whole"))


def test_more_epochs_are_those_of_a_longer_run(here: Path) -> None:
    done(*TRAIN, "--epochs", "30")
    before = content_of(here)
    assert "nothing to do: the run is finished, 30 epochs" in done(*TRAIN, "--resume")
    assert content_of(here) == before
    done(*TRAIN, "--resume", "--epochs", "50", "--checkpoint-every", "1")
    done("train", "circles", "--no-plot", "--out", "whole", "--epochs", "50")
    assert_same_run(Path("run"), Path("whole"))
    outcome = run_here(*TRAIN, "--resume", "--epochs", "40")
    outcome.assert_refused(2, "the run is at epoch 50 already, and --epochs 40 is the total")


def test_nothing_to_go_on_with(here: Path) -> None:
    assert "run: no run to go on with yet, so it starts from the beginning" in done(
        *TRAIN, "--resume", "--epochs", "3"
    )
    CHECKPOINT.unlink()
    assert "run: no checkpoint yet, so it starts from the beginning" in done(
        *TRAIN, "--resume", "--epochs", "4"
    )
    assert record_in(here / "run")["results"]["epochs"] == 4
    assert set(content_of(here / "run")) >= {NAME, "run.json"}
    assert not Path("run", NEW_NAME).exists()


def test_interrupted_it_says_how_to_go_on(here: Path) -> None:
    options = ("--epochs", "500000", "--out", "my run", "--no-plot")
    with running("train", "circles", *options, cwd=here) as command:
        command.wait_for("epoch 5")
        command.signal(signal.SIGINT)
        outcome = command.finish()
    assert outcome.status == 130
    assert "go on with: gradwright train circles --out 'my run' --resume\n" in outcome.err
    epoch = rows_in(here / "my run").epochs
    end = str(epoch + 1000)
    going_on = ("train", "circles", "--out", "my run", "--resume", "--epochs", end, "--no-plot")
    assert f"going on after epoch {epoch} of {end}" in done(*going_on)
    done("train", "circles", "--epochs", end, "--out", "whole", "--no-plot")
    assert_same_run(here / "my run", here / "whole")


def test_a_run_that_replaces_another_goes_on(here: Path) -> None:
    """Killed half way it leaves the old run whole, with its own checkpoint beside it."""
    done(*TRAIN, "--epochs", "30")
    old = content_of(here / "run")
    options = ("--overwrite", "--seed", "1", "--checkpoint-every", "10", "--epochs", "40")
    killer = [sys.executable, "-c", KILLER, "renamed", "3", *TRAIN, *options]
    subprocess.run(killer, env=environment(), capture_output=True, check=False)
    left = content_of(here / "run")
    assert left.pop(NEW_NAME)
    assert left == old
    assert "going on after epoch 30 of 40" in done(*TRAIN, "--resume")
    assert set(content_of(here / "run")) == set(old)
    done("train", "circles", "--no-plot", "--epochs", "40", "--seed", "1", "--out", "whole")
    assert_same_run(here / "run", here / "whole")


# ---------------------------------------------------------------- killed


def killed(folder: Path, options: tuple[str, ...], when: float, *, epochs: int) -> int:
    """Kill a run some seconds after its first checkpoint.

    Returns the epoch of the checkpoint it left; 0 if the run was over before.
    """
    shutil.rmtree(folder / "run", ignore_errors=True)
    place = folder / CHECKPOINT
    with running(*TRAIN, *options, "--epochs", str(epochs), cwd=folder) as command:
        while not place.exists():
            time.sleep(0.002)
        time.sleep(when)
        command.process.kill()
        command.process.wait()
    epoch = load_checkpoint(place).position.epoch
    return epoch if epoch < epochs else 0


def test_killed_it_goes_on(here: Path) -> None:
    for seconds in (0.0, 0.1):
        epoch = killed(here, ("--checkpoint-every", "500"), seconds, epochs=150_000)
        assert epoch
        end = str(epoch + 2000)
        done(*TRAIN, "--resume", "--epochs", end)
        done("train", "circles", "--no-plot", "--epochs", end, "--out", "whole", "--overwrite")
        assert_same_run(here / "run", here / "whole")


KILLER = """
import os, signal, sys, threading
from pathlib import Path
import runtime.files
from runtime.cli import main

where, number = sys.argv[1], int(sys.argv[2])
seen = 0

def killing(function, before):
    def call(*arguments):
        global seen
        if threading.current_thread() is threading.main_thread():
            return function(*arguments)  # no checkpoint, but the files at the end
        seen += 1
        if seen == number and before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments)
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

write_bytes = Path.write_bytes

def half_at_last(path, data):
    write_bytes(path, data if seen < number else data[: len(data) // 2])

if where == "half written":
    Path.write_bytes = killing(half_at_last, False)
elif where == "written":
    runtime.files._force_to_disk = killing(runtime.files._force_to_disk, True)
elif where == "on the disk":
    Path.replace = killing(Path.replace, True)
elif where == "renamed":
    Path.replace = killing(Path.replace, False)
else:
    runtime.files._force_folder_to_disk = killing(runtime.files._force_folder_to_disk, True)
main(sys.argv[3:])
"""
PLACES = ("half written", "written", "on the disk", "renamed", "folder not on the disk")


def killed_inside(folder: Path, where: str, number: int, *options: str) -> int:
    """Kill a run inside the writing of a checkpoint; return the epoch of the one it left."""
    shutil.rmtree(folder / "run", ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-c", KILLER, where, str(number), *TRAIN, *options],
        cwd=folder,
        env=environment(),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return load_checkpoint(folder / CHECKPOINT).position.epoch


@pytest.mark.parametrize(
    ("where", "left"),
    [("half written", 20), pytest.param("renamed", 30, marks=pytest.mark.slow)],
)
def test_killed_inside_the_writing_of_a_checkpoint(here: Path, where: str, left: int) -> None:
    assert killed_inside(here, where, 3, "--checkpoint-every", "10", "--epochs", "100") == left
    leftovers = [name for name in content_of(here / "run") if name != NAME]
    assert len(leftovers) == (1 if where == "half written" else 0)
    done(*TRAIN, "--resume")
    assert not [name for name in content_of(here / "run") if name.startswith(".")]
    done("train", "circles", "--no-plot", "--epochs", "100", "--out", "whole")
    assert_same_run(Path("run"), Path("whole"))


@pytest.mark.slow
def test_killed_at_25_moments_and_5_times_inside_a_checkpoint(tmp_path: Path) -> None:
    """Runs of 5 seconds and more; the moments are uniform between first and last checkpoint."""
    epochs, options = 240_000, ("--batch", "1", "--checkpoint-every", "4000")
    whole = ("train", "circles", "--no-plot", "--epochs", str(epochs), *options, "--out", "whole")
    began = time.monotonic()
    with running(*whole, cwd=tmp_path) as command:
        while not (tmp_path / "whole" / NAME).exists():
            time.sleep(0.002)
        first = time.monotonic()
        assert command.finish().status == 0
    seconds = time.monotonic() - first
    print(f"\n{epochs} epochs: {time.monotonic() - began:.1f} s, {seconds:.1f} s from the first")
    assert seconds >= 5
    rng = np.random.default_rng(0)
    for number in range(25):
        when, epoch = seconds * (number + rng.random()) / 25, 0
        while not epoch:  # the machine is not equally fast all the time
            epoch = killed(tmp_path, options, when, epochs=epochs)
            when *= 1 if epoch else 0.95
        print(f"killed {when:5.2f} s after the first checkpoint: goes on after epoch {epoch}")
        assert run(*TRAIN, "--resume", *options, cwd=tmp_path).status == 0
        assert_same_run(tmp_path / "run", tmp_path / "whole")
    for number, where in enumerate(PLACES):
        arguments = (*options, "--epochs", str(epochs))
        epoch = killed_inside(tmp_path, where, 9 * number + 5, *arguments)
        print(f"killed in a checkpoint, {where}: goes on after epoch {epoch}")
        assert run(*TRAIN, "--resume", *options, cwd=tmp_path).status == 0
        assert_same_run(tmp_path / "run", tmp_path / "whole")


# ---------------------------------------------------------------- what is refused


@pytest.fixture
def half_way(here: Path) -> Path:
    """Return the folder of a run with a checkpoint after epoch 20 of 40."""
    done(*TRAIN, "--epochs", "20")
    for name in content_of(here / "run"):
        if name != NAME:
            (here / "run" / name).unlink()
    return here / "run"


@pytest.mark.parametrize("how", ["truncated", "altered", "empty", "another file"])
def test_a_damaged_checkpoint(half_way: Path, how: str) -> None:
    place = half_way / NAME
    content = bytearray(place.read_bytes())
    if how == "altered":
        content[-3] ^= 1
    elif how == "another file":
        content = bytearray(b"epoch,loss\n1,0.5\n")
    place.write_bytes(content[: {"truncated": 900, "empty": 0}.get(how, len(content))])
    before = content_of(half_way)
    outcome = run_here(*TRAIN, "--resume", "--epochs", "40")
    outcome.assert_refused(2, f"run/{NAME}: ", "start the run over with --overwrite")
    assert content_of(half_way) == before


def test_checkpoints_that_would_hold_training_up_are_left_out() -> None:
    keeper = Keeper(write=len, record=None, kernels="", every=10)  # type: ignore[arg-type]
    assert keeper.epochs_until_next(3, 10**6) == 7
    keeper._spent, keeper._start = 5.0, (0, time.perf_counter() - 1.0)
    ahead = keeper.epochs_until_next(1000, 10**6)  # 1000 epochs a second, and 2 seconds at most
    assert ahead % 10 == 0
    assert 1000 < ahead <= 2010
    assert keeper.epochs_until_next(1000, 1050) == 50
    keeper._start = (
        0,
        time.perf_counter() - 100.0,
    )  # 5 seconds of writing are no more than a tenth
    assert keeper.epochs_until_next(1000, 10**6) == 10


def test_a_signal_before_the_writer_has_started() -> None:
    writer = threading.Thread()
    keeper = Keeper(write=len, record=None, kernels="", _writer=writer)  # type: ignore[arg-type]
    keeper.wait()
    writer.start()
    keeper.wait()
    assert not writer.is_alive()


def test_a_writer_for_whom_nobody_waited_writes_nothing(half_way: Path) -> None:
    """A second signal ends the process while the writer starts: no file is to be half done."""
    written: list[bytes] = []
    checkpoint = load_checkpoint(half_way / NAME)
    keeper = Keeper(write=written.append, record=checkpoint.record, kernels="")
    writer = threading.Thread(target=keeper._begin, args=(checkpoint, keeper._claim))
    keeper._writer = writer
    keeper.wait()
    writer.start()
    writer.join()
    assert written == []
    keeper.save(checkpoint.position, checkpoint.history, None)
    keeper.wait()
    assert len(written) == 1
    assert keeper.saved == checkpoint.position.epoch


def test_a_model_is_no_checkpoint(here: Path) -> None:
    done(*TRAIN, "--epochs", "2")
    shutil.copy("run/model.safetensors", CHECKPOINT)
    with pytest.raises(InputError, match="not a checkpoint"):
        load_checkpoint(CHECKPOINT)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--eta", "0.1"], ["--eta 0.03, and 0.1 was given"]),
        (["--batch", "5"], ["--batch 10, and 5 was given"]),
        (["--seed", "1"], ["--seed 0, and 1 was given"]),
        (["--data-seed", "1"], ["--data-seed 0, and 1 was given"]),
        (["--optimizer", "momentum"], ["--optimizer sgd, and momentum was given"]),
        (["--clip-norm", "1"], ["--clip-norm none, and 1.0 was given"]),
        (["--loss", "mse"], ["--loss cross-entropy, and mse was given"]),
        (["--l2", "0.1"], ["--l2 0.0, and 0.1 was given"]),
        (["2-11-2"], ["the network 2-10-2, and 2-11-2 was given"]),
        (["--overwrite"], ["--resume and --overwrite exclude each other"]),
        (["--from", "x/run.json"], ["--from and --resume exclude each other"]),
    ],
)
def test_another_run_is_not_gone_on_with(
    half_way: Path, arguments: list[str], parts: list[str]
) -> None:
    before = content_of(half_way)
    outcome = run_here("train", "circles", *arguments, "--out", "run", "--resume")
    outcome.assert_refused(2, *parts)
    assert content_of(half_way) == before


def test_other_data_are_not_gone_on_with(here: Path) -> None:
    write_set(here / "set.mat")
    options = ("train", "set.mat", "2-10-2", "--no-plot", "--epochs", "4", "--out", "run")
    done(*options)
    before = content_of(here / "run")
    write_set(here / "set.mat", Xtrain=np.ones((20, 2)))
    outcome = run_here("train", "set.mat", "--out", "run", "--resume", "--epochs", "9")
    outcome.assert_refused(2, "the data are not those of the run: ", "changed (SHA-256)")
    outcome = run_here("train", "circles", "--out", "run", "--resume", "--epochs", "9")
    outcome.assert_refused(2, "the run has the data set, and circles was given")
    assert content_of(here / "run") == before


@pytest.mark.slow  # test_run_folder shows the lock
def test_a_folder_in_use(tmp_path: Path) -> None:
    with running(*TRAIN, "--epochs", "1000000", cwd=tmp_path) as command:
        command.wait_for("training: ")
        for option in ("--resume", "--overwrite"):
            outcome = run(*TRAIN, option, cwd=tmp_path)
            outcome.assert_refused(2, "run: another run is writing to this folder")
        command.process.kill()


# ---------------------------------------------------------------- faults on the way


def test_a_disk_that_fills_up_on_the_way(tmp_path: Path) -> None:
    options = ("--epochs", "1000000", "--checkpoint-every", "5000")
    with mounts.full_disk(tmp_path / "disk", "3m") as disk:
        outcome = run(*TRAIN[:-1], "disk/run", *options, cwd=tmp_path)
        # the history grows until two of them are too many
        outcome.assert_refused(1, "disk/run/checkpoint.safetensors: cannot be written: the disk")
        epoch = load_checkpoint(disk / "run" / NAME).position.epoch
        assert f"The checkpoint after epoch {epoch} is kept. Go on with: " in outcome.err
        assert set(content_of(disk / "run")) == {NAME}


def test_a_folder_that_vanishes(tmp_path: Path) -> None:
    options = ("--epochs", "1000000", "--checkpoint-every", "5000")
    with running(*TRAIN, *options, cwd=tmp_path) as command:
        command.wait_for("training: ")
        while not (tmp_path / CHECKPOINT).exists():
            time.sleep(0.01)
        (tmp_path / "run").rename(tmp_path / "moved")
        outcome = command.finish()
    outcome.assert_refused(1, "run/checkpoint.safetensors: cannot be written: its folder does not")
    assert load_checkpoint(tmp_path / "moved" / NAME).position.epoch >= 5000


@pytest.mark.long
def test_divergence_keeps_the_last_good_weights(here: Path) -> None:
    """A linear network and squares: each step doubles the error, until it overflows."""
    options = ("2-2", "--loss", "mse", "--eta", "4")
    write_set(here / "set.mat")
    outcome = run_here("train", "set.mat", *options, "--epochs", "500", "--out", "run")
    outcome.assert_refused(1, "training diverged: ", "--eta 0.03", ": layer ")
    kept = load_checkpoint(CHECKPOINT)
    epoch = kept.position.epoch
    assert f"after epoch {epoch + 1}, and was" in outcome.err
    assert f"The weights after epoch {epoch} are kept in run/{NAME}.\n" in outcome.err
    assert f" After epoch {epoch + 1} the largest parameter was " in outcome.err
    assert np.isfinite(kept.history.figures).all()
    # they are those of a run that ends there
    done("train", "set.mat", *options, "--epochs", str(epoch), "--out", "short", "--no-plot")
    params, _ = load_model(Path("short", "model.safetensors"))
    assert all(np.array_equal(params[name], kept.position.params[name]) for name in params)
    # and there is a run of them, to be looked at and used
    assert set(content_of(here / "run")) == FILES
    found, meta = load_model(Path("run", "model.safetensors"))
    assert all(np.array_equal(params[name], found[name]) for name in params)
    assert meta["epochs"] == rows_in(here / "run").epochs == epoch
    assert record_in(here / "run")["results"]["stopped_because"] == (
        f"training diverged in epoch {epoch + 1}"
    )
    assert run_here("evaluate", "run", "set.mat").status == 0
    run_here(*TRAIN[:1], "set.mat", "--resume", "--out", "run").assert_refused(1, "diverged")


# ---------------------------------------------------------------- good enough


def test_patience_keeps_the_best_weights_however_the_run_is_cut(here: Path) -> None:
    options = ("train", "circles", "--no-plot", "--epochs", "100000", "--patience", "20")
    said = done(*options, "--out", "run")
    rows = rows_in(here / "run")
    best = int(rows.test_loss.argmin()) + 1
    assert f"stopped after epoch {best + 20} of 100000: the test loss has not fallen" in said
    assert rows.epochs == best + 20
    assert f"the weights are those after epoch {best}, with the lowest test loss" in said
    assert record_in(here / "run")["results"]["test_loss"] == rows.test_loss.min()
    done("train", "circles", "--no-plot", "--epochs", str(best), "--out", "short")
    arrays = [load_model(here / name / "model.safetensors")[0] for name in ("run", "short")]
    assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0])
    done(*options, "--out", "cut", "--checkpoint-every", "7")
    assert_same_run(Path("run"), Path("cut"))
    before = content_of(here / "run")
    assert "nothing to do" in done("train", "circles", "--out", "run", "--resume")
    assert content_of(here / "run") == before


def test_target_accuracy_stops_at_the_first_epoch_that_has_it(here: Path) -> None:
    said = done(*TRAIN, "--epochs", "100000", "--target-accuracy", "0.9")
    rows = rows_in(here / "run")
    assert (rows.test_accuracy >= 0.9).tolist() == [False] * (rows.epochs - 1) + [True]
    assert f"stopped after epoch {rows.epochs} of 100000: the test accuracy reached 90 %" in said
    for value in ("0", "95", "nan"):
        outcome = run_here("train", "circles", "--target-accuracy", value)
        outcome.assert_refused(2, "target_accuracy: ")


# ---------------------------------------------------------------- again from the record


@pytest.mark.long
def test_a_run_that_compiles_and_one_that_loads_are_equal(here: Path) -> None:
    """Numba compiles a kernel by itself and within its caller: both must round alike."""
    adam = ("--optimizer", "adam", "--clip-norm", "1", "--epochs", "500", "--no-plot")
    first, second = (
        run(
            "train", "circles", *adam, "--out", name, cwd=here, GRADWRIGHT_CACHE=str(here / "cache")
        )
        for name in ("one", "two")
    )
    assert (first.status, second.status) == (0, 0)
    one, two = ((here / name / "model.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_run_again_from_its_record(here: Path) -> None:
    write_set(here / "set.mat")
    options = ("--scale", "standard", "--seed", "4", "--batch", "7", "--define", "a(z) = z")
    done("train", "set.mat", "2-10-2", *options, "--epochs", "5", "--out", "run", "--no-plot")
    assert record_in(here / "run")["settings"]["threads"] == 1
    (here / "run" / "kernels.py").write_text("raise SystemExit(99)")  # nobody imports it
    done("train", "--from", "run/run.json", "--out", "again", "--no-plot")
    assert_same_run(Path("run"), Path("again"))
    done("train", "set.mat", "--resume", "--out", "run", "--epochs", "6", "--no-plot")
    done("train", "--from", "run/run.json", "--out", "more", "--no-plot", "--epochs", "6")
    assert_same_run(Path("run"), Path("more"))
    write_set(here / "set.mat", Xtrain=np.ones((20, 2)))
    outcome = run_here("train", "--from", "run/run.json", "--out", "other")
    outcome.assert_refused(2, "run/run.json: the data are not those of the run")
    assert "note: the data are not those of run/run.json" in done(
        "train", "set.mat", "--from", "run/run.json", "--out", "other", "--no-plot"
    )


def test_a_record_that_cannot_be_used(here: Path) -> None:
    run_here("train", "--from", "none.json").assert_refused(2, "none.json: there is no such file")
    run_here("train").assert_refused(2, "Missing argument 'DATA'")
    done(*TRAIN, "--epochs", "1")
    text = (here / "run" / "run.json").read_text()
    assert (here / "run").is_dir()
    done("train", "--from", "run/run.json", "--no-plot", "--seed", "7", "--out", "seven")
    assert record_in(here / "seven")["seeds"]["seed"] == 7
    for old, new, part in (
        ('"sparse": "auto"', '"sparse": "perhaps"', "sparse: perhaps is not known"),
        ('"batch": 10', '"batch": "ten"', "batch: ten"),
        ('"define": []', '"define": 3', 'settings.define"'),
        ('"define": []', '"define": [], "unheard": 1', '"settings.unheard" is not known'),
    ):
        assert old in text
        Path("bad.json").write_text(text.replace(old, new))
        run_here("train", "--from", "bad.json").assert_refused(2, part)
