"""A sweep does what ``gradwright train`` does, many times, whoever does it and in any order."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import PATIENCE, run_here
from numpy.typing import NDArray

import runtime
from runtime.data.catalogue import Choice, choose
from runtime.data.circles import circles
from runtime.errors import InputError, RunError
from runtime.picture import png_bytes
from runtime.sweeps import portions, processes, sweeping, table
from runtime.sweeps.band_picture import drawn_bands, shown_points
from runtime.sweeps.job import Job
from runtime.sweeps.outcome import Outcome, curve_epochs
from runtime.sweeps.plan import Plan
from runtime.sweeps.portions import Portions
from runtime.sweeps.processes import Processes
from runtime.sweeps.request import read_request
from runtime.sweeps.sweeping import carry_out, make_job
from runtime.sweeps.table import csv_text
from runtime.sweeps.trainer import Trainer

FIGURES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")


# a network whose loss can overflow, shared with test_training
SQUARES: dict[str, Any] = {"loss": "mse", "labels": "any", "dtype": "float64"}


def job_of(data: Any = None, **options: Any) -> Job:
    choice = choose("circles") if data is None else Choice(name="arrays")
    return make_job(read_request(choice, options), data)


class InThisProcess:
    """Does runs one by one, the last first."""

    def __init__(self, job: Job) -> None:
        self.trainer = Trainer(job=job)
        self.stopped = False

    def __enter__(self) -> "InThisProcess":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def stop(self) -> None:
        self.stopped = True

    def kill(self) -> None:
        self.stopped = True

    def outcomes(self, numbers: list[int]) -> Any:
        for number in reversed(numbers):
            if not self.stopped:
                yield [self.trainer.train(number)]


def same(outcome: Outcome, figures: NDArray[np.float64], measure: int = 3) -> None:
    np.testing.assert_array_equal(outcome.figures, figures[-1])
    at = curve_epochs(len(figures)) - 1
    np.testing.assert_array_equal(outcome.curve, figures[at, measure].astype(np.float32))
    assert outcome.status == "done"


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": "7", "seeds": "3:3"},
        {"epochs": "230", "batch": "64", "eta": "0.1", "init_scale": "1", "seeds": "1:1"},
    ],
)
def test_a_run_is_that_of_train_bit_for_bit(options: dict[str, Any]) -> None:
    trainer = Trainer(job=job_of(**options))
    point, seed = trainer.job.plan.run(0)
    settings = point.settings
    alone = runtime.train(
        "circles",
        epochs=settings.epochs,
        batch=settings.batch,
        eta=settings.eta,
        init_scale=settings.init_scale,
        seed=seed,
    )
    same(trainer.train(0), alone.history.figures)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("network", ["2-5-2", "2-20:relu-20-2", "2-300-300-2"])
def test_a_run_is_that_of_train_bit_for_bit_whatever_is_trained(
    network: str, optimizer: str
) -> None:
    options = {"epochs": 5, "optimizer": optimizer, "schedule": "cosine", "clip_norm": 1.0}
    given = {
        name: value if isinstance(value, str) else repr(value) for name, value in options.items()
    }
    trainer = Trainer(job=job_of(networks=network, seeds="4:4", weight_decay="0.01", **given))
    alone = runtime.train(
        "circles",
        network,
        seed=4,
        threads=1,
        weight_decay=0.01,
        **options,  # type: ignore[arg-type]
    )
    same(trainer.train(0), alone.history.figures)


def test_real_targets_are_judged_by_their_loss() -> None:
    X = np.linspace(-1, 1, 80).reshape(40, 2)
    job = job_of((X, X**2), networks="2-2:relu-2", epochs="5", seeds="2", **SQUARES)
    result = carry_out(job, InThisProcess(job), {})
    alone = runtime.train((X, X**2), "2-2:relu-2", epochs=5, seed=1, **SQUARES)
    same(result.outcomes[1], alone.history.figures, measure=2)
    assert result.measure == "test_loss"
    assert "best median test loss" in result.last_line()
    assert result.table()["test_accuracy"] == [None, None]


def test_a_run_diverges_where_train_says_so() -> None:
    options = {**SQUARES, "epochs": "6", "seeds": "2", "init_scale": "3"}
    job = job_of(networks="2-2:relu-2", eta="0.01,900", **options)
    result = carry_out(job, InThisProcess(job), {})
    with pytest.raises(RunError, match="diverged"):
        runtime.train("circles", "2-2:relu-2", eta=900, epochs=6, init_scale=3, **SQUARES)
    statuses = [result.outcomes[number].status for number in range(4)]
    assert statuses == ["done", "done", "diverged", "diverged"]
    assert np.isnan(result.outcomes[3].figures).all()
    assert np.isnan(result.outcomes[3].curve[-1])
    assert (result.best, result.diverged) == (0, 2)
    assert "2 diverged" in result.last_line()
    assert result.summary()["test_accuracy_median"][1] is None
    assert result.plot_grid().png.startswith(b"\x89PNG")


def test_a_run_at_which_workers_die_again_and_again_ends_the_sweep() -> None:
    job = job_of(seeds="2", epochs="2")
    deaths = processes.Counter({1: processes.MOST_DEATHS - 1})
    with (
        Processes(job=job, count=1) as staff,
        subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(60)"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as child,
    ):
        staff._processes[0] = child
        child.kill()
        with pytest.raises(RunError, match=r"2-10-2 with seed 1.* signal 9"):
            staff._died(0, 1, deaths)


def test_portions_keep_a_worker_at_its_kernels_and_leave_nothing_out() -> None:
    plan = job_of(hidden="2,5", eta="0.1,0.2", seeds="50").plan
    waiting = Portions(plan=plan, workers=2)
    waiting.add(range(len(plan)))
    at: list[str | None] = [None, None]
    given: list[int] = []
    groups: list[set[str]] = [set(), set()]
    while len(waiting):
        for worker in (0, 1):
            group, numbers = waiting.take(at[worker])
            if not numbers:
                at[worker] = None
                continue
            at[worker] = group
            groups[worker].add(group)
            given += numbers
            waiting.note(group, 0.001)
    assert sorted(given) == list(range(len(plan)))
    assert {len(seen) for seen in groups} <= {1, 2}
    assert groups[0] != groups[1] or len(groups[0]) == 2


def rows(folder: Path, name: str = "table.csv") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / name).read_text("utf-8"))))


GRID = {"batch": "10,40", "eta": "0.03:0.3:log:3", "seeds": "10", "epochs": "40"}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Return the folder of a sweep by two processes, one of which is killed, and what was said."""
    folder = tmp_path_factory.mktemp("swept") / "out"
    arguments = [word for name, value in GRID.items() for word in (f"--{name}", value)]
    started: list[subprocess.Popen[bytes]] = []
    lines: list[str] = []
    start, read = processes._start, processes._read

    def noting(place: Path) -> "subprocess.Popen[bytes]":
        started.append(start(place))
        return started[-1]

    def killing(line: str) -> Outcome:
        lines.append(line)
        if len(lines) == 3:
            started[0].kill()
        return read(line)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "_start", noting)
        patch.setattr(processes, "_read", killing)
        done = run_here("sweep", "circles", *arguments, "--workers", "2", "--out", str(folder))
    assert len(started) == 3, done.err
    assert started[0].returncode == -signal.SIGKILL
    assert len(lines) == 60  # no run that was done was done again
    return folder, done


def test_the_command_leaves_tables_pictures_and_a_record(swept: tuple[Path, Any]) -> None:
    folder, done = swept
    assert done.status == 0, done.err
    assert done.out.startswith("best median test accuracy ")
    assert "60 runs  60 new in " in done.out
    assert "circles: 60 runs: 2 values of batch × 3 values of eta × 10 seeds" in done.err
    found = rows(folder)
    assert [int(row["run"]) for row in found] == list(range(60))
    expected = runtime.train("circles", "2-10-2", eta=0.09487, batch=40, seed=2, epochs=40).history
    (row,) = [r for r in found if (r["batch"], r["eta"], r["seed"]) == ("40", "0.09487", "2")]
    assert [float(row[name]) for name in FIGURES] == expected.figures[-1].tolist()
    points = rows(folder, "summary.csv")
    accuracies = [float(row["test_accuracy"]) for row in found]
    medians = [np.median(accuracies[k : k + 10]) for k in range(0, 60, 10)]
    assert [float(point["test_accuracy_median"]) for point in points] == medians
    record = json.loads((folder / "sweep.json").read_text("utf-8"))
    assert record["options"]["eta"] == "0.03:0.3:log:3"
    assert record["results"]["done"] == 60
    assert record["versions"]["gradwright"] == version("gradwright")
    for name in ("bands.png", "grid.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "options",
    [
        {"eta": "0.003,0.03,0.1,3"},
        {"eta": "0.01:1:log:6", "hidden": "10,12-12-12-12-12", "optimizer": "sgd,adam-sklearn"},
    ],
)
def test_the_legend_of_bands_hides_none_of_them(options: dict[str, str]) -> None:
    job = job_of(**options, epochs="3", seeds="2")
    result = carry_out(job, InThisProcess(job), {})
    with drawn_bands(result) as figure:
        png_bytes(figure)  # so that all has a place
        (legend,) = figure.legends
        (axes,) = figure.axes
        entries = legend.get_window_extent()
        assert not entries.overlaps(axes.get_tightbbox())
        inside = figure.bbox.padded(1)
        assert inside.contains(entries.x0, entries.y0)
        assert inside.contains(entries.x1, entries.y1)
        told = [text.get_text() for text in legend.get_texts()]
    assert told == [result.described(point) for point in shown_points(result)]


def test_neither_workers_that_die_nor_their_number_nor_the_order_is_seen(
    swept: tuple[Path, Any],
) -> None:
    job = job_of(**GRID)
    result = carry_out(job, InThisProcess(job), {})
    assert csv_text(result.table()) == (swept[0] / "table.csv").read_text("utf-8")
    assert csv_text(result.summary()) == (swept[0] / "summary.csv").read_text("utf-8")


def test_parquet_holds_the_table(swept: tuple[Path, Any]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    stored = parquet.read_table(swept[0] / "table.parquet").to_pydict()
    assert csv_text(stored) == (swept[0] / "table.csv").read_text("utf-8")


def test_a_sweep_that_is_whole_is_not_done_again(swept: tuple[Path, Any]) -> None:
    folder, _ = swept
    before = (folder / "table.csv").read_bytes()
    again = run_here("sweep", "--out", str(folder), "--resume", "--no-plot", "--workers", "1")
    assert (again.status, (folder / "table.csv").read_bytes()) == (0, before), again.err
    assert "60 runs  0 new in 0.0 s" in again.out
    refused = run_here("sweep", "circles", "--out", str(folder))
    refused.assert_refused(2, "holds a sweep already", "--resume", "--overwrite")
    other = run_here("sweep", "circles", "--data-seed", "1", "--out", str(folder), "--resume")
    other.assert_refused(2, "the data are not those of the sweep")


def test_ctrl_c_keeps_what_is_done_and_resume_does_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    journal = folder / "runs.jsonl"

    def interrupt() -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and (not journal.exists() or not journal.stat().st_size):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    arguments = ["--epochs", "3000", "--batch", "20", "--workers", "1", "--out", str(folder)]
    monkeypatch.setattr(portions, "MOMENT", 0.05)
    thread = threading.Thread(target=interrupt)
    thread.start()
    early = run_here("sweep", "circles", *arguments, "--seeds", "4000", "--no-plot")
    thread.join()
    assert early.status == 130, early.err
    done = len(rows(folder))
    assert 0 < done < 4000
    assert (
        f"stopped with {4000 - done} of 4000 runs left. Runs that are done are kept." in early.err
    )
    assert f"gradwright sweep --out {folder} --resume" in early.err
    kept = journal.read_bytes()
    # another process would only cost the time to start it
    monkeypatch.setattr(sweeping, "make_workers", lambda job, *_: InThisProcess(job))
    more = run_here("sweep", "--out", str(folder), "--resume", "--seeds", str(done + 3), "--quiet")
    assert (more.status, more.err) == (0, "")
    assert f"{done + 3} runs  3 new" in more.out
    assert journal.read_bytes().startswith(kept)
    assert [int(row["seed"]) for row in rows(folder)] == list(range(done + 3))


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ("Missing argument 'DATA'",)),
        (["circles", "--eta", "0.1:1"], ("eta: '0.1:1'", "0.01:0.3:log:8")),
        (["circles", "--workers", "0"], ("workers: 0",)),
        (["circles", "--out", ""], ("--out",)),
        (["cirlces"], ('Did you mean "circles"',)),
        (["--from", "nowhere.json"], ("nowhere.json",)),
    ],
)
def test_what_cannot_be_done_is_refused_before_a_folder_is_made(
    arguments: list[str], parts: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_here("sweep", *arguments).assert_refused(2, *parts)
    assert not list(tmp_path.iterdir())


def test_an_extra_that_is_missing_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    refused = run_here("sweep", "circles", "--scheduler", "tcp://127.0.0.1:1")
    refused.assert_refused(2, "pip install 'gradwright[dask]'")
    assert refused.err.count("\n") == 1
    assert table.parquet_bytes({"run": [0]}) is None
    assert "gradwright[parquet]" in table.NO_PARQUET
    with pytest.raises(InputError, match=r"gradwright\[dask\]"):
        runtime.sweep("circles", scheduler="tcp://127.0.0.1:1")


def test_a_record_that_is_damaged_is_refused(tmp_path: Path) -> None:
    for text in ("", "[]", '{"format": 1}', '{"format": 1, "data": {}, "options": 3}'):
        (tmp_path / "sweep.json").write_text(text)
        run_here("sweep", "circles", "--out", str(tmp_path), "--resume").assert_refused(
            2, "sweep.json"
        )


def test_the_job_of_a_folder_is_the_job(tmp_path: Path) -> None:
    job = job_of(hidden="2,3:relu", eta="0.1,0.2", optimizer="sgd,adam", seeds="3")
    job.save(tmp_path)
    again = Job.load(tmp_path)
    assert list(again.plan.run_keys()) == list(job.plan.run_keys())
    assert [p.settings for p in again.plan.points] == [p.settings for p in job.plan.points]
    assert [p.network for p in again.plan.points] == [p.network for p in job.plan.points]
    for name, array in job.arrays().items():
        loaded = again.arrays()[name]
        np.testing.assert_array_equal(loaded, array)
        assert loaded.flags.carray
        assert loaded.flags.writeable


def test_a_sweep_without_a_grid_is_one_point(monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(epochs="3", seeds="2")
    result = carry_out(job, InThisProcess(job), {})
    assert isinstance(result.plan, Plan)
    assert result.plan.axes == {}
    assert result.described(0) == "2-10-2, eta 0.03"
    assert circles().name in str(result)
    with pytest.raises(InputError, match="single point"):
        result.plot_grid()
