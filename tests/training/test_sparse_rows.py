"""Inputs that are never an array: read piece by piece, trained on, and drawn, as the array is."""

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import environment, run_here
from data_folder import MNIST_NAMES, idx_bytes
from scipy.sparse import csc_matrix, csr_array

from derive.spec import parse_spec
from runtime import training
from runtime.data import sparse_rows
from runtime.data.dataset import Dataset
from runtime.data.idx import open_idx
from runtime.data.mnist import MNIST, load_images
from runtime.data.options import DataOptions
from runtime.data.sparse_rows import RowsInTurn, SparseRows
from runtime.data.user_file import load_arrays, load_file
from runtime.errors import InputError
from runtime.image_pictures import mistakes_figure
from runtime.settings import Settings
from runtime.train_request import _OF_DATA, Request

RNG = np.random.default_rng(5)


def mostly_zero(rows: int, columns: int, density: float = 0.1) -> np.ndarray:
    X = RNG.standard_normal((rows, columns)) * (RNG.random((rows, columns)) < density)
    X[rows // 2] = 0
    X[X == 0] = RNG.choice([0.0, -0.0], (X == 0).sum())
    return X.astype(np.float32)


def a_set(X_train: Any, X_test: Any) -> Dataset:
    Y_train, Y_test = (
        np.eye(2, dtype=np.float32)[np.arange(len(X)) % 2] for X in (X_train, X_test)
    )
    return Dataset(
        name="few",
        X_train=X_train,
        Y_train=Y_train,
        X_test=X_test,
        Y_test=Y_test,
        classes=("a", "b"),
        grid=None,
        sources={},
    )


# ---------------------------------------------------------------- the rows


def test_rows_are_those_of_the_array() -> None:
    X = mostly_zero(3000, 40)
    rows = SparseRows.of(X)
    assert rows.indices.dtype == np.uint16
    assert (len(rows), rows.shape, rows.ndim, rows.dtype) == (3000, (3000, 40), 2, np.float32)
    for chosen in (
        slice(None),
        slice(7, 2500),
        slice(5, 5),
        slice(None, None, -7),
        RNG.permutation(3000),
        np.array([3, 3, -1]),
        np.int64(5),
        -1,
    ):
        np.testing.assert_array_equal(rows[chosen], X[chosen])
    np.testing.assert_array_equal(rows, X)
    np.testing.assert_array_equal(rows.astype(np.float64)[:], X.astype(np.float64))
    assert len(rows.data) == np.count_nonzero(X)
    assert "12" in repr(SparseRows.of(np.eye(12)))


def test_columns_of_a_wide_row_take_four_bytes() -> None:
    X = np.zeros((3, 70_000), np.float32)
    X[1, [0, 65_535, 65_536, 69_999]] = 1, 2, 3, 4
    rows = SparseRows.of(X)
    assert rows.indices.dtype == np.uint32
    np.testing.assert_array_equal(rows[:], X)


def test_rows_come_in_turn_until_the_room_is_full() -> None:
    X = mostly_zero(100, 50, 0.2)
    room = (np.count_nonzero(X) - 0.5) / X.size
    taking = RowsInTurn(100, 50, np.float32, most=room)  # for all but one
    assert taking.add(X[:60])
    assert taking.add(X[60:60])
    assert not taking.add(X[60:])
    taking = RowsInTurn(100, 50, np.float32, most=room + 0.5 / X.size)
    assert taking.add(X[:60])
    assert taking.add(X[60:])
    np.testing.assert_array_equal(taking.all()[:], X)


def test_a_set_of_rows_is_the_set_of_arrays() -> None:
    arrays = mostly_zero(60, 30), mostly_zero(20, 30)
    dense, data = a_set(*arrays), a_set(*map(SparseRows.of, arrays))
    assert repr(data) == repr(dense)
    assert (data.inputs, data.train_rows, data.dtype) == (30, 60, np.float32)
    for found in (data.as_arrays(), data.in_own_units(), data.astype("float64")):
        for part in ("X_train", "X_test"):
            np.testing.assert_array_equal(np.asarray(getattr(found, part)), getattr(dense, part))
    assert isinstance(data.astype("float64").X_train, SparseRows)
    assert dense.as_arrays() is dense


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_where_it_is(value: float) -> None:
    X = mostly_zero(60, 30)
    X[31, 17] = value
    told = []
    for rows in (X, SparseRows.of(X)):
        with pytest.raises(InputError, match="at row 31, column 17") as refused:
            a_set(rows, mostly_zero(20, 30))
        told.append(str(refused.value))
    assert told[0] == told[1]


# ---------------------------------------------------------------- reading


@pytest.fixture
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_rows, "LEAST", 0)


def write_images(
    folder: Path, train: int, test: int, density: float = 0.1, pack: Any = bytes
) -> Path:
    """Write images in which a bar stands at the digit's place, and so many pixels are not 0."""
    folder.mkdir(parents=True)
    for names, rows in zip((MNIST_NAMES[:2], MNIST_NAMES[2:]), (train, test), strict=True):
        y = (np.arange(rows) % 10).astype(np.uint8)
        x = RNG.integers(1, 256, (rows, 28, 28), dtype=np.uint8)
        x[RNG.random(x.shape, dtype=np.float32) >= density] = 0
        x[np.arange(rows), 2 * y + 3] |= 100
        (folder / names[0]).write_bytes(pack(idx_bytes(x)))
        (folder / names[1]).write_bytes(pack(idx_bytes(y)))
    return folder


def assert_same_set(found: Dataset, expected: Dataset, *, sparse: bool) -> None:
    assert isinstance(found.X_train, SparseRows) == sparse
    assert isinstance(found.X_test, SparseRows) == sparse
    assert found.sources == expected.sources
    assert found.classes == expected.classes
    for name in ("X_train", "Y_train", "X_test", "Y_test"):
        one, other = (np.asarray(getattr(of, name)) for of in (found, expected))
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other, name)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_images_are_read_as_rows_and_as_arrays(
    pack: Any, any_size: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = (
        write_images(tmp_path / name, 700, 90, density, pack)
        for name, density in (("few", 0.1), ("many", 0.4))
    )
    for folder, word, sparse in (
        (few, "auto", True),
        (few, "always", True),
        (many, "auto", False),
        (many, "always", True),
    ):
        expected = load_images(MNIST, data_dir=folder)
        assert_same_set(load_images(MNIST, data_dir=folder, sparse=word), expected, sparse=sparse)
        found = load_file(folder, "of-mine", DataOptions(dtype="float32", sparse=word))
        assert_same_set(found, expected, sparse=sparse)
    monkeypatch.setattr(sparse_rows, "LEAST", 1 << 30)
    assert not isinstance(load_images(MNIST, data_dir=few, sparse="always").X_train, SparseRows)


def test_rows_that_turn_out_too_many_are_read_again(any_size: None, tmp_path: Path) -> None:
    folder = write_images(tmp_path / "set", 2000, 50, 0.0)
    images = np.full((2000, 28, 28), 200, np.uint8)
    images[:1400] = 0  # a part of the rest takes the room that there is
    (folder / MNIST_NAMES[0]).write_bytes(idx_bytes(images))
    data = load_images(MNIST, data_dir=folder, sparse="auto")
    assert isinstance(data.X_train, np.ndarray)
    assert isinstance(data.X_test, SparseRows)
    np.testing.assert_array_equal(data.X_train, images.reshape(2000, -1) / np.float32(255))


@pytest.mark.parametrize("how", ["arrays", "npz", "npz by columns", "csv", "npy"])
def test_other_data_are_read_as_rows_where_they_come_row_by_row(
    how: str, any_size: None, tmp_path: Path
) -> None:
    X, y = mostly_zero(300, 20), np.arange(300) % 3
    path = tmp_path / f"set.{how[:3]}"
    if how == "npy":
        path = tmp_path / "X.npy"
        np.save(path, X)
        np.save(tmp_path / "y.npy", y)
    elif how == "csv":
        np.savetxt(path, np.column_stack([X, y]), delimiter=",", fmt="%.9g")
    elif how != "arrays":
        np.savez(path, X=np.asfortranarray(X) if "columns" in how else X, y=y)

    def load(**options: Any) -> Dataset:
        asked = DataOptions(dtype="float32", **options)
        found = load_arrays((X, y), asked) if how == "arrays" else load_file(path, "set", asked)
        assert isinstance(found, Dataset)
        return found

    sparse = how in ("arrays", "npz", "npy")
    assert_same_set(load(sparse="auto"), load(), sparse=sparse)
    scaled = load(sparse="auto", scale="standard")  # 0 is another number there
    assert_same_set(scaled, load(scale="standard"), sparse=False)
    if how == "npy":
        X[150:] = 1  # which show after some blocks
        np.save(path, X)
        assert_same_set(load(sparse="auto"), load(), sparse=False)
    X[200, 3] = np.nan
    if how == "arrays":
        with pytest.raises(InputError, match=r"X, row 200, column 3 .*nan, expected a finite"):
            load(sparse="auto")


@pytest.mark.parametrize("made", [csr_array, csc_matrix])
def test_sparse_arrays_of_scipy_are_taken(
    made: Any, any_size: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = mostly_zero(300, 20), np.arange(300) % 3
    asked = DataOptions(dtype="float32")
    dense = load_arrays((X, y), asked)
    assert isinstance(dense, Dataset)
    for word in ("auto", "never"):
        found = load_arrays((made(X), y), asked, sparse=word)
        assert isinstance(found, Dataset)
        assert_same_set(found, dense, sparse=word == "auto")
    parts = made(X), y, X[:50], y[:50]
    found = load_arrays(parts, asked, sparse="auto")
    assert isinstance(found, Dataset)
    np.testing.assert_array_equal(found.X_test, X[:50])
    # and by the function of the same name as the command, which leaves arrays as they are, and
    # makes an array at once where the kernels want one
    kept: list[Any] = []
    monkeypatch.setattr(training, "prepare", lambda network, data, *_, **__: kept.append(data))
    monkeypatch.setattr(training, "run", lambda *_, **__: None)
    for inputs, spec in ((X, "20-90-3"), (made(X), "20-90-3"), (made(X), "20-5-3")):
        training.train((inputs, y), spec)
    assert [isinstance(data.X_train, SparseRows) for data in kept] == [False, True, False]


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path, content = tmp_path / "set", idx_bytes(np.zeros((5, 4, 3), np.uint8))
    path.write_bytes(content)

    def read() -> None:
        with open_idx(path, dimensions=3, way_out="Delete it.") as file:
            assert sum(len(piece) for piece in file.pieces()) == 5
            path.write_bytes(content + b"x")

    with pytest.raises(InputError, match="changed while it was read"):
        read()


# ---------------------------------------------------------------- the command


def trained(out: Path, folder: Path, *options: str) -> dict[str, bytes]:
    given = ("--data-dir", str(folder), "--epochs", "2", "--out", str(out), "--quiet", *options)
    outcome = run_here("train", "mnist", "784-20-10", *given)
    assert outcome.status == 0, outcome.err
    return {path.name: path.read_bytes() for path in out.iterdir()}


def figures(files: dict[str, bytes]) -> list[str]:
    """Return the history without its seconds."""
    return [line.rpartition(",")[0] for line in files["history.csv"].decode().splitlines()]


@pytest.mark.long
def test_the_command_leaves_what_it_leaves_of_arrays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_images(tmp_path / "set", 500, 300)
    read: list[SparseRows] = []
    taken = RowsInTurn.all
    monkeypatch.setattr(RowsInTurn, "all", lambda rows: read.append(taken(rows)) or read[-1])
    options = ("--threads", "2", "--no-plot", "--patience", "1")
    monkeypatch.setattr(sparse_rows, "LEAST", 0)
    found = trained(tmp_path / "rows", folder, *options)
    assert len(read) == 4  # of each part those that are not held out, and none that are
    monkeypatch.setattr(sparse_rows, "LEAST", 1 << 30)
    expected = trained(tmp_path / "arrays", folder, *options)
    assert len(read) == 4
    assert found.keys() == expected.keys()
    assert figures(found) == figures(expected)
    for file in ("model.safetensors", "kernels.py"):
        assert found[file] == expected[file], file


def test_mistakes_are_drawn_of_rows_as_of_arrays() -> None:
    X, P = mostly_zero(30, 784), RNG.random((30, 2)).astype(np.float32)
    shown = []
    for images in (X, SparseRows.of(X)):
        with mistakes_figure(images, P, np.arange(30) % 2, ("a", "b"), "few") as figure:
            shown.append([axes.images[0].get_array() for axes in figure.axes if axes.images])
    assert shown[0]
    np.testing.assert_array_equal(shown[1], shown[0])


PEAK = """\
import sys
from pathlib import Path
from runtime.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert end.code == 0
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


def peak(folder: Path, out: Path) -> int:
    """Return the bytes that the command took at its peak."""
    given = ["train", "mnist", "784-20-10", "--epochs", "1", "--no-plot", "--quiet"]
    given += ["--threads", "2", "--data-dir", str(folder), "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-P", "-c", PEAK, *given],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return 1024 * int(done.stdout.split()[-1])


@pytest.mark.skipif(sys.platform != "linux", reason="Linux says what the peak was")
def test_sparse_images_take_less_than_half_of_their_array(tmp_path: Path) -> None:
    few, whole = (
        peak(write_images(tmp_path / name, rows, rows // 6, 0.1), tmp_path / f"out-{name}")
        for name, rows in (("few", 400), ("whole", 30_000))
    )
    assert whole - few < 0.5 * 30_000 * 784 * 4


@pytest.mark.parametrize(
    ("spec", "l2", "sparse"),
    [
        ("784-2-10", 0.0, "never"),  # vectors
        ("784-4-10", 0.0, "always"),
        ("4-700-2", 0.0, "never"),  # loops, since there are few inputs
        ("784-20-10", 1e-3, "never"),  # gradients begin at the weights
        (None, 0.0, "always"),
    ],
)
def test_an_array_is_read_where_kernels_need_one(spec: str | None, l2: float, sparse: str) -> None:
    """They multiply by every input: rows would have to become an array, and lie beside it."""
    settings, options = Settings(epochs=1, batch=10, sparse="always"), {"data_seed": 0, **_OF_DATA}
    network = None if spec is None else parse_spec(spec, l2=l2)
    request = Request(settings=settings, network=network, read=parse_spec, options=options)
    assert request.data_options(None, offline=True).sparse == sparse
