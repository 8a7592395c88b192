"""NPY files, Parquet, Zarr and lazy arrays: the same numbers come out, in memory or by blocks."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run_here
from needed import need
from numpy.typing import NDArray

import runtime
from runtime.blocks.memory import memory_size, size_text, usual_memory
from runtime.blocks.streamed import AnyDataset, StreamedDataset
from runtime.data.catalogue import choose
from runtime.data.dataset import Dataset
from runtime.data.labels import Aim
from runtime.data.options import DataOptions
from runtime.data.user_file import load_arrays
from runtime.errors import InputError

ROWS = 30_000
RNG = np.random.default_rng(5)
X = RNG.normal(size=(ROWS, 20)).astype(np.float32)
Y = np.sort(RNG.integers(0, 3, ROWS))
NAMES = np.array(["ash", "birch", "cedar"])[Y]
SMALL = memory_size("2MiB")  # a fifth of it with buffers, X being 2.4 MB
MSE = Aim(loss="mse", output="identity")


def npy_folder(folder: Path, labels: Any = Y) -> Path:
    np.save(folder / "X.npy", X)
    np.save(folder / "y.npy", labels)
    return folder


def npy_file(folder: Path) -> Path:
    np.save(folder / "Features.npy", X.reshape(ROWS, 4, 5).astype(">f4"))
    np.save(folder / "other.npy", NAMES)
    return folder / "Features.npy"


def npy_parts(folder: Path) -> Path:
    for part, rows in (("train", slice(0, None, 2)), ("test", slice(1, None, 2))):
        np.save(folder / f"X_{part}.npy", X[rows])
        np.save(folder / f"y_{part}.npy", np.eye(3)[Y[rows]])
    return folder


def parquet_table(rows: slice) -> Any:
    arrow = pytest.importorskip("pyarrow")
    columns: dict[str, Any] = {f"x{k}": X[rows, k] for k in range(20)}
    return arrow.table({**columns, "tree": NAMES[rows]})


def parquet_file(folder: Path) -> Path:
    from pyarrow import parquet

    parquet.write_table(parquet_table(slice(None)), folder / "a.parquet", row_group_size=500)
    return folder / "a.parquet"


def parquet_folder(folder: Path) -> Path:
    from pyarrow import parquet

    for name, rows in (("a", slice(0, 7_001)), ("b", slice(7_001, ROWS))):
        parquet.write_table(parquet_table(rows), folder / f"{name}.parquet", row_group_size=999)
    return folder


def zarr_store(folder: Path, **options: Any) -> Path:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(folder / "set.zarr"), mode="w", **options)
    group.create_array("X", shape=X.shape, chunks=(1_500, 13), dtype="f4")[:] = X
    group.create_array("y", shape=Y.shape, chunks=(9_000,), dtype="i8")[:] = Y
    return folder / "set.zarr"


FORMATS: dict[str, tuple[Callable[[Path], Path], str | None]] = {
    "npy folder": (npy_folder, None),
    "npy file": (npy_file, "other.npy"),
    "npy parts": (npy_parts, None),
    "parquet": (parquet_file, None),
    "parquet folder": (parquet_folder, "tree"),
    "zarr": (zarr_store, None),
    "zarr 2": (lambda folder: zarr_store(folder, zarr_format=2), None),
}


def opened(path: Path, memory: int | None = None, **options: Any) -> AnyDataset:
    given = {"dtype": "float32", "memory": memory, **options}
    return choose(str(path)).open(DataOptions(**given))


def rows_of(data: AnyDataset, part: str) -> tuple[NDArray[Any], NDArray[Any]]:
    blocks = list(data.blocks(part))
    return np.concatenate([x for x, _ in blocks]), np.concatenate([y for _, y in blocks])


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_set_in_every_format(name: str, tmp_path: Path) -> None:
    need("pyarrow", "zarr")
    make, label = FORMATS[name]
    path = make(tmp_path)
    whole = opened(path, label=label)
    by_blocks = opened(path, SMALL, label=label, scale="none")
    assert isinstance(whole, Dataset)
    assert isinstance(by_blocks, StreamedDataset)
    assert whole.sources == by_blocks.sources
    for part in ("train", "test"):
        for one, other in zip(rows_of(whole, part), rows_of(by_blocks, part), strict=True):
            np.testing.assert_array_equal(one, other)
    found = [np.column_stack(rows_of(whole, part)) for part in ("train", "test")]
    expected = np.column_stack([X, np.eye(3, dtype="f4")[Y]])
    order = np.lexsort(np.concatenate(found).T)
    np.testing.assert_array_equal(np.concatenate(found)[order], expected[np.lexsort(expected.T)])
    words = name in ("npy file", "parquet", "parquet folder")
    assert whole.classes == (("ash", "birch", "cedar") if words else (0, 1, 2))
    assert len(found[1]) == ROWS // (2 if name == "npy parts" else 5)


def test_lazy_arrays_of_every_kind(tmp_path: Path) -> None:
    need("dask", "zarr")
    import dask.array
    import zarr

    npy_folder(tmp_path)
    group = zarr.open_group(str(zarr_store(tmp_path)), mode="r")
    lazy = dask.array.from_array(X, chunks=(1_000, 7)), dask.array.from_array(Y, chunks=900)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    sets = [
        load_arrays(given, DataOptions(dtype="float32", memory=memory))
        for given in (lazy, (group["X"], group["y"]), (mapped, Y), {"X": mapped, "y": NAMES})
        for memory in (None, SMALL)
    ]
    first = rows_of(sets[0], "train")
    for found in sets:
        np.testing.assert_array_equal(rows_of(found, "train")[0], first[0])
        np.testing.assert_array_equal(rows_of(found, "train")[1], first[1])
    assert [type(found) for found in sets] == [Dataset, StreamedDataset] * 4


def test_rows_for_test_are_of_every_class_and_from_everywhere(tmp_path: Path) -> None:
    first, second, again = (
        opened(npy_folder(tmp_path), memory, data_seed=seed)
        for memory, seed in ((None, 0), (None, 1), (SMALL, 0))
    )
    counts = rows_of(first, "test")[1].sum(axis=0)
    assert np.abs(counts - np.bincount(Y) / 5).max() <= 1
    X_test = rows_of(first, "test")[0]
    at = np.flatnonzero((X[:, None, 0] == X_test[None, :50, 0]).any(axis=1))
    assert not np.array_equal(X_test, rows_of(second, "test")[0])
    np.testing.assert_array_equal(X_test, rows_of(again, "test")[0])
    assert 200 < at[-1] - at[0] < 300  # 50 rows of every fifth


@pytest.mark.parametrize("kind", ["standard", "minmax"])
def test_scaling_is_that_of_the_training_part(kind: str, tmp_path: Path) -> None:
    far = X.astype(np.float64) + 1e6  # where sums of squares about 0 have no digits left
    np.save(tmp_path / "X.npy", far)
    np.save(tmp_path / "y.npy", Y)
    raw = opened(tmp_path, dtype="float64")
    scaled = opened(tmp_path, memory_size("3MiB"), dtype="float64", scale=kind)
    train = rows_of(raw, "train")[0]
    shift, unit = train.min(axis=0), np.ptp(train, axis=0)
    if kind == "standard":
        shift, unit = train.mean(axis=0), train.std(axis=0)
    assert scaled.scaling is not None
    np.testing.assert_allclose(scaled.scaling.shift, shift, rtol=1e-14)
    np.testing.assert_allclose(scaled.scaling.unit, unit, rtol=1e-9)
    for part in ("train", "test"):
        expected = (rows_of(raw, part)[0] - shift) / unit
        np.testing.assert_allclose(rows_of(scaled, part)[0], expected, atol=1e-8)


def test_real_targets(tmp_path: Path) -> None:
    targets = X[:, :2].sum(axis=1) * 0.1
    npy_folder(tmp_path, targets)
    whole, by_blocks = (opened(tmp_path, memory, aim=MSE) for memory in (None, SMALL))
    assert (whole.classes, by_blocks.classes, by_blocks.outputs) == ((), (), 1)
    np.testing.assert_array_equal(rows_of(whole, "train")[1], rows_of(by_blocks, "train")[1])
    integers = npy_folder(tmp_path, np.arange(ROWS))  # more than classes could be
    assert opened(integers, aim=MSE).is_regression


def test_sizes() -> None:
    assert memory_size(5_000_000) == memory_size("5 MB") == memory_size("5m") == 5_000_000
    assert memory_size("1.5GiB") == 3 << 29
    assert usual_memory().bit_count() == 1
    assert size_text(123) == "123 bytes"
    for wrong in ("", "2 apples", "-1GB", "1e9", "12KB", "nan", True):
        with pytest.raises(InputError, match="memory"):
            memory_size(wrong)


# ---------------------------------------------------------------- what cannot be used


def save(folder: Path, **arrays: Any) -> Path:
    for name, value in arrays.items():
        np.save(folder / f"{name}.npy", value, allow_pickle=True)
    return folder


def shortened(folder: Path, name: str, size: int) -> Path:
    path = npy_folder(folder) / name
    path.write_bytes(path.read_bytes()[:size])
    return folder


def with_value(value: float, row: int, column: int) -> NDArray[Any]:
    wrong = X.copy()
    wrong[row, column] = value
    return wrong


def with_column(folder: Path, name: str, values: Any, rows: int = 500) -> Path:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = parquet_table(slice(None)).set_column(3, name, arrow.array(values))
    parquet.write_table(table, folder / "bad.parquet", row_group_size=rows)
    return folder / "bad.parquet"


def parquet_bytes(folder: Path, change: Callable[[bytes], bytes]) -> Path:
    path = parquet_file(folder)
    path.write_bytes(change(path.read_bytes()))
    return path


def zarr_with(folder: Path, file: str, change: Callable[[str], str], **options: Any) -> Path:
    store = zarr_store(folder, **options)
    (store / file).write_text(change((store / file).read_text()))
    return store


def with_codec(text: str) -> str:
    return json.dumps(
        {**json.loads(text), "filters": [{"id": "quantize", "digits": 1, "dtype": "<f4"}]}
    )


def with_pickle(text: str) -> str:
    return json.dumps({**json.loads(text), "compressor": {"id": "pickle", "protocol": 5}})


OBJECTS = np.array([[1, None]] * 30, dtype=object)
TRAIN = ("train", "{path}", "20-4-3", "--no-plot", "--epochs", "1", "--memory", "2MiB")
BAD: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "objects": (lambda f: save(f, X=OBJECTS, y=Y[:30]), ("Python objects", "unpickled")),
    "objects as labels": (lambda f: save(f, X=X[:30], y=OBJECTS[:, 0]), ("Python objects",)),
    "Fortran order": (lambda f: save(f, X=np.asfortranarray(X), y=Y), ("Fortran", "ascontiguous")),
    "complex": (lambda f: save(f, X=X * 1j, y=Y), ("complex numbers",)),
    "a number": (lambda f: save(f, X=3.0, y=Y), ("a single number",)),
    "no rows": (lambda f: save(f, X=X[:0], y=Y[:0]), ("has shape (0,)",)),
    "rows missing": (lambda f: save(f, X=X, y=Y[:-1]), ("29999 labels for the 30000 rows",)),
    "labels of a cube": (lambda f: save(f, X=X[:8], y=np.ones((8, 2, 2))), ("shape (8, 2, 2)",)),
    "cut short": (lambda f: shortened(f, "X.npy", 10_000), ("is cut short",)),
    "labels cut short": (lambda f: shortened(f, "y.npy", 10_000), ("is cut short",)),
    "header cut short": (lambda f: shortened(f, "X.npy", 60), ("no array of NumPy's",)),
    "not a number": (
        lambda f: save(f, X=with_value(np.nan, 20_011, 7), y=Y),
        ("X.npy[20011, 7]", "nan"),
    ),
    "infinite": (lambda f: save(f, X=with_value(np.inf, 3, 0), y=Y), ("X.npy[3, 0]: inf",)),
    "too large": (lambda f: save(f, X=X.astype(float) * 1e39, y=Y), ("too large for float32",)),
    "classes": (lambda f: save(f, X=X, y=np.arange(ROWS)), ("at most 1000 classes",)),
    "one class": (lambda f: save(f, X=X, y=np.ones(ROWS)), ("every label is 1",)),
    "no integers": (lambda f: save(f, X=X, y=X[:, 0]), ("is not an integer", "y.npy[")),
    "label not finite": (lambda f: save(f, X=X, y=with_value(np.nan, 9, 0)[:, 0]), ("y.npy[9]",)),
    "not one-hot": (lambda f: save(f, X=X, y=np.ones((ROWS, 3))), ("not one-hot",)),
    "no labels": (lambda f: save(f, X=X), ("there are no labels",)),
    "two meanings": (lambda f: save(f, X=X, y=Y, x_=X), ("have one meaning",)),
    "both kinds": (lambda f: save(f, X=X, y=Y, X_test=X), ("X or y beside X_train",)),
    "test of other columns": (
        lambda f: save(f, X_train=X, y_train=Y, X_test=X[:, 1:], y_test=Y),
        ("19 columns",),
    ),
    "test of another class": (
        lambda f: save(f, X_train=X, y_train=Y, X_test=X, y_test=Y + 1),
        ("label 3 is not one of the classes",),
    ),
    "parquet, texts": (lambda f: with_column(f, "b", NAMES), ("'b'", "expected numbers")),
    "parquet, missing value": (
        lambda f: with_column(f, "b", [*X[:-2, 0].tolist(), None, 1.0]),
        ("column 'b', row 29998", "missing"),
    ),
    "parquet, dates": (
        lambda f: with_column(f, "b", np.zeros(ROWS, "M8[s]")),
        ("'b'", "expected numbers"),
    ),
    "parquet, not a number": (
        lambda f: with_column(f, "b", with_value(np.nan, 600, 0)[:, 0]),
        ("column 'b', row 600", "nan"),
    ),
    "parquet, one name twice": (lambda f: with_column(f, "x0", X[:, 0]), ("have one name",)),
    "parquet, cut short": (lambda f: parquet_bytes(f, lambda b: b[:9_000]), ("cut short",)),
    "parquet, damaged": (
        lambda f: parquet_bytes(f, lambda b: b[:100] + bytes(5_000) + b[5_100:]),
        ("damaged",),
    ),
    "zarr, pickle": (
        lambda f: zarr_with(f, "X/.zarray", with_pickle, zarr_format=2),
        ("pickle",),
    ),
    "zarr, another codec": (
        lambda f: zarr_with(f, "X/.zarray", with_codec, zarr_format=2),
        ("X is packed with 'quantize'",),
    ),
    "zarr, no JSON": (lambda f: zarr_with(f, "zarr.json", lambda t: t[:30]), ("no Zarr store",)),
    "zarr, no X": (
        lambda f: (zarr_store(f) / "X").rename(f / "set.zarr" / "Z").parent,
        ("no inputs",),
    ),
    "zarr, damaged": (
        lambda f: (zarr_store(f) / "X/c/3/1").write_bytes(b"\0" * 50) and f / "set.zarr",
        ("cannot be read",),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    need("pyarrow", "zarr")
    make, says = BAD[name]
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    arguments = [a.format(path=make(data)) for a in TRAIN]
    outcome = run_here(*arguments, "--out", str(out))
    outcome.assert_refused(2, *says)
    assert outcome.err.count("\n") == 1, outcome.err
    assert not out.exists()


def test_options_that_do_not_suit(tmp_path: Path) -> None:
    path = parquet_file(tmp_path)
    folder = tmp_path / "npy"
    folder.mkdir()
    npy_folder(folder)
    for arguments, says in (
        ((str(path), "--label", "oak"), "there is no column 'oak'. Its columns: 'x0'"),
        ((str(folder), "--label", "oak"), "Leave out --label"),
        ((str(folder / "X.npy"), "--label", "../../etc/oak"), "there is no such file"),
        ((str(folder), "--memory", "2 apples"), "Expected a size"),
        ((str(folder), "--memory", "2MiB", "--batch", "20000"), "are too many for buffers"),
        ((str(tmp_path / "gone.parquet"),), "there is no such file"),
    ):
        run_here("train", *arguments, "--no-plot").assert_refused(2, says)
    whole = with_column(tmp_path, "b", X[:, 0], rows=ROWS)
    with pytest.raises(InputError, match="row groups of up to 30000 rows, and at least 4 must fit"):
        runtime.train(str(whole), memory="2MiB")
