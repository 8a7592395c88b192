"""Training on data larger than memory: as good as in it, within its bound, and exactly again."""

import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import environment, run_here
from run_results import record_in, rows_in

import derive
import runtime
from runtime.blocks.column_statistics import ColumnStatistics
from runtime.blocks.memory import memory_size
from runtime.blocks.read_ahead import Reader
from runtime.blocks.shuffled import buffers_of_epoch, seed_of_buffer, set_aside
from runtime.blocks.streamed import StreamedDataset
from runtime.blocks.streamed_course import StreamedCourse
from runtime.data.dataset import Dataset
from runtime.errors import InputError, RunError
from runtime.evaluation import evaluate
from runtime.position import Course, Position
from runtime.result import TrainResult
from runtime.settings import Settings
from runtime.training import prepare

ROWS = 200_000
SMALL, LARGE = "3MiB", "1GB"
RNG = np.random.default_rng(2)
Y = np.arange(ROWS) * 2 // ROWS  # sorted by class, as a file that was never shuffled
ANGLE = RNG.uniform(0, 2 * np.pi, ROWS)
X = ((1 + 0.7 * Y) * np.stack([np.cos(ANGLE), np.sin(ANGLE)])).T + RNG.normal(0, 0.2, (ROWS, 2))


@pytest.fixture(scope="module")
def rings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two rings, one after the other."""
    folder = tmp_path_factory.mktemp("rings")
    np.save(folder / "X.npy", X.astype(np.float32))
    np.save(folder / "y.npy", Y.astype(np.int8))
    return folder


def trained(folder: Path, memory: str, **options: Any) -> TrainResult:
    given = {"epochs": 2, "batch": 100, "eta": 0.1, **options}
    return runtime.train(str(folder), "2-10-2", memory=memory, **given)


@pytest.fixture(scope="module")
def by_blocks(rings: Path) -> TrainResult:
    return trained(rings, SMALL)


def bits(result: TrainResult) -> list[bytes]:
    return [value.tobytes() for value in result.model.params.values()]


# ---------------------------------------------------------------- as good as in memory


def test_sorted_data_are_learnt_as_if_they_were_shuffled(
    rings: Path, by_blocks: TrainResult
) -> None:
    assert isinstance(by_blocks.data, StreamedDataset)
    assert by_blocks.data.train_rows > 3 * by_blocks.data.plan.buffer
    in_memory = trained(rings, LARGE)
    assert isinstance(in_memory.data, Dataset)
    best = in_memory.history.test_accuracy[-1]
    assert best > 0.93
    assert by_blocks.history.test_accuracy[-1] > best - 0.01
    module, params = in_memory.model.module, in_memory.model.module.init_params(0, 0.3)
    data, order = in_memory.data, np.arange(in_memory.data.train_rows)[None]
    figures = module.train(
        params,
        data.X_train,
        data.Y_train,
        epochs=1,
        batch=100,
        eta=0.1,
        order=order,
        test=(data.X_test, data.Y_test),
    )
    assert figures[-1, 3] < 0.6  # the order of the file teaches the last class alone


def course_over(folder: Path, memory: str, **options: Any) -> tuple[Any, Position]:
    """Return a course and where it begins."""
    settings = Settings(epochs=3, batch=64, eta=0.1, threads=1, **options)
    data = trained(folder, memory, epochs=1, batch=64).data
    if isinstance(data, Dataset):
        kind: Any = Course
    else:
        kind = StreamedCourse
    model = prepare(derive.parse_spec("2-10-2"), data, settings)
    course = kind(module=model.module, data=data, settings=settings)
    return course, Position(epoch=0, params=model.params, state={})


def test_one_buffer_that_holds_all_gives_the_bits_of_memory(rings: Path) -> None:
    whole, one = course_over(rings, LARGE)
    parts, other = course_over(rings, SMALL)
    parts.data = StreamedDataset(
        **{name: getattr(parts.data, name) for name in StreamedDataset.__slots__}
        | {"memory": memory_size(LARGE)}
    )
    parts = StreamedCourse(module=parts.module, data=parts.data, settings=parts.settings)
    rows: list[Any] = []
    whole.advance(one, 2, lambda row: rows.append(row.copy()))
    parts.advance(other, 2, lambda row: rows.append(row.copy()))
    for name, value in one.params.items():
        np.testing.assert_array_equal(other.params[name], value)
    in_memory, streamed = np.concatenate(rows).reshape(2, -1, 4)
    np.testing.assert_allclose(streamed, in_memory, rtol=1e-6)  # summed in other parts


def test_figures_are_those_of_the_whole_set(by_blocks: TrainResult) -> None:
    model, last = by_blocks.model, by_blocks.history.figures[-1]
    for at, part in ((0, "train"), (2, "test")):
        found = evaluate(
            model.module, model.params, by_blocks.data.blocks(part), output="softmax", classes=2
        )
        np.testing.assert_allclose(last[at], found.loss, rtol=1e-5)
        np.testing.assert_allclose(last[at + 1], found.accuracy, rtol=1e-12)


# ---------------------------------------------------------------- exactly again


def test_a_seed_decides_everything(rings: Path, by_blocks: TrainResult) -> None:
    assert bits(trained(rings, SMALL)) == bits(by_blocks)
    assert bits(trained(rings, SMALL, seed=1)) != bits(by_blocks)
    assert bits(trained(rings, "3.5MiB")) != bits(by_blocks)


@pytest.mark.long
def test_a_run_in_pieces_is_the_run_in_one(
    rings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--batch", "100", "--optimizer", "adam", "--schedule", "cosine", "--no-plot"]
    train = ["train", str(rings), "2-10-2", *options, "--scale", "standard"]
    whole = run_here(*train, "--epochs", "4", "--memory", SMALL, "--out", "whole", "--quiet")
    assert whole.status == 0, whole
    assert record_in(Path("whole"))["data"]["options"]["memory"] == 3 << 20
    result = runtime.train(
        str(rings),
        "2-10-2",
        epochs=4,
        batch=100,
        optimizer="adam",
        schedule="cosine",
        scale="standard",
        memory=SMALL,
        callback=lambda now: now.epoch == 2,
    )
    assert result.history.epochs == 2
    more = runtime.train(
        str(rings),
        "2-10-2",
        batch=100,
        optimizer="adam",
        schedule="cosine",
        scale="standard",
        resume=result,
    )
    assert isinstance(more.data, StreamedDataset)
    np.testing.assert_array_equal(more.history.figures, rows_in(Path("whole")).figures)
    refused = run_here("train", str(rings), "--out", "whole", "--resume", "--memory", "1GB")
    refused.assert_refused(2, "the run has --memory 3145728, and 1000000000 was given")
    again = run_here("train", str(rings), "--out", "whole", "--resume", "--epochs", "4")
    assert "nothing to do" in again.err
    part = run_here("evaluate", "whole", str(rings), "--part", "test")
    accuracy = rows_in(Path("whole")).test_accuracy[-1]
    assert f"accuracy  {100 * accuracy:.2f} %  (" in part.out
    predicted = run_here("predict", "whole", str(rings / "X.npy"), "-o", "said.csv")
    assert predicted.status == 0, predicted
    assert len(Path("said.csv").read_text().splitlines()) == ROWS + 1


def test_data_that_have_changed_are_not_gone_on_with(
    rings: Path, by_blocks: TrainResult, tmp_path: Path
) -> None:
    changed = X.astype(np.float32)
    changed[123_456, 1] += 1e-6
    np.save(tmp_path / "X.npy", changed)
    np.save(tmp_path / "y.npy", Y.astype(np.int8))
    with pytest.raises(InputError, match="X has changed"):
        trained(tmp_path, SMALL, epochs=3, resume=by_blocks)


def test_a_file_that_changes_while_it_is_trained_on_ends_the_run(
    rings: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(rings, tmp_path / "rings"))
    course, position = course_over(folder, SMALL)
    before = position.copy()
    os.utime(folder / "X.npy", (time.time(), time.time() - 10))
    with pytest.raises(RunError, match="changed while it was read"):
        course.advance(position, 1)
    assert position.epoch == 0
    for name, value in before.params.items():
        np.testing.assert_array_equal(position.params[name], value)


def test_an_interruption_leaves_the_last_epoch(
    rings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course, position = course_over(rings, SMALL, optimizer="adam", schedule="cosine")
    course.advance(position, 1)
    before, calls = position.copy(), 0

    def interrupted(*args: Any, **options: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        train(*args, **options)

    train = course.module.train
    monkeypatch.setattr(course.module, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        course.advance(position, 1)
    assert (position.epoch, calls) == (1, 3)
    for name, value in (before.params | before.state).items():
        np.testing.assert_array_equal((position.params | position.state)[name], value)


# ---------------------------------------------------------------- the order


def test_every_row_once_in_full_batches(by_blocks: TrainResult) -> None:
    data = by_blocks.data
    assert isinstance(data, StreamedDataset)
    reader, seen, sizes = Reader(data, batch=96, seed=3), [], []
    for filled in reader.buffers(5, 1, evaluate=False):
        rows, targets = filled.rows["step"]
        seen.append(rows.copy())
        sizes.append(len(rows))
        assert 0.3 < targets[:, 0].mean() < 0.7  # of both classes
    assert all(size % 96 == 0 for size in sizes[:-1])
    assert sizes[-1] % 96
    rows, expected = (np.concatenate(x) for x in (seen, [x for x, _ in data.blocks("train")]))
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], expected[np.lexsort(expected.T)])


def test_the_order_of_blocks_is_of_the_seed_and_the_epoch() -> None:
    counts = np.array([5, 0, 7, 7, 3, 9, 4])
    first = buffers_of_epoch(counts, 18, 2, 0, 0)
    assert sorted(np.concatenate(first).tolist()) == [0, 2, 3, 4, 5, 6]
    assert all(counts[group].sum() <= 16 for group in first)
    assert [g.tolist() for g in buffers_of_epoch(counts, 18, 2, 0, 0)] == [
        g.tolist() for g in first
    ]
    orders = {
        tuple(np.concatenate(buffers_of_epoch(counts, 18, 2, seed, epoch)).tolist())
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9
    assert buffers_of_epoch(counts, 35, 2, 0, 0)[0].tolist() == [0, 2, 3, 4, 5, 6]
    assert seed_of_buffer(7, 3, 0) == 7
    assert len({seed_of_buffer(7, epoch, k) for epoch in range(5) for k in range(5)}) == 21


def test_rows_set_aside_are_drawn_from_all() -> None:
    often = np.zeros(20)
    for seed in range(500):
        X = np.arange(20.0)[:, None]
        Y = X.copy()
        set_aside(X, Y, 7, np.random.default_rng(seed))
        assert sorted(X[:, 0]) == list(range(20))
        np.testing.assert_array_equal(X, Y)
        often[X[13:, 0].astype(int)] += 1
    assert 120 < often.min() < often.max() < 230  # 175 expected


def test_statistics_do_not_depend_on_the_blocks() -> None:
    values = RNG.normal(1e8, 1.0, (10_000, 3))
    found = []
    for cuts in ([5_000], [1, 17, 9_999], range(100, 10_000, 100)):
        statistics = ColumnStatistics.of_nothing(3)
        for block in np.split(values, list(cuts)):
            statistics.add(block)
        found.append(statistics.scaling("standard"))
    for scaling in found:
        np.testing.assert_allclose(scaling.shift, values.mean(axis=0), rtol=1e-14)
        np.testing.assert_allclose(scaling.unit, values.std(axis=0), rtol=1e-7)


# ---------------------------------------------------------------- within its bound

LIMITED = """
    import resource, sys
    import numpy as np
    import runtime
    from runtime.settings import Settings
    folder, memory, room = sys.argv[1], sys.argv[2], int(sys.argv[3])
    few = np.zeros((20, 2)), np.arange(20) % 2
    runtime.train(few, "2-10-2", epochs=1, batch=10)  # compiled, and threads started
    held = int(open("/proc/self/statm").read().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (held + room, resource.RLIM_INFINITY))
    result = runtime.train(folder, "2-10-2", epochs=1, batch=1_000, memory=memory, threads=1)
    print(type(result.data).__name__, result.history.test_accuracy[-1])
"""


def limited(folder: Path, memory: str, room: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(LIMITED), str(folder), memory, str(room)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts all memory on Linux alone")
@pytest.mark.parametrize(
    ("megabytes", "room"), [(40, 64), pytest.param(2_000, 200, marks=pytest.mark.slow)]
)
def test_data_of_several_times_the_memory(megabytes: int, room: int, tmp_path: Path) -> None:
    rows = megabytes * 125_000  # of two float32; trained on with two more of targets
    # room is for data and for the stacks of some threads, of 8 MB each
    made = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float32, (rows, 2))
    labels = np.zeros(rows, np.int8)
    for first in range(0, rows, ROWS):
        made[first : first + ROWS] = X[: rows - first]
        labels[first : first + ROWS] = Y[: rows - first]
    np.save(tmp_path / "y.npy", labels)
    made.flush()
    done = limited(tmp_path, f"{room // 4}MB", room << 20)
    assert done.returncode == 0, done.stderr
    kind, accuracy = done.stdout.split()
    assert kind == "StreamedDataset"
    assert float(accuracy) > 0.9
    refused = limited(tmp_path, f"{10 * megabytes}MB", room << 20)  # as if all of it would fit
    assert refused.returncode != 0
    assert "memory" in refused.stderr.lower()
