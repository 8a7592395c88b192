"""A user's own files: what is read from them, odd but valid ones included."""

import gzip
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_data import archive, array, described
from data_folder import idx_bytes, packed
from scipy.io import savemat

from runtime.data.catalogue import choose
from runtime.data.dataset import Dataset
from runtime.data.labels import Aim
from runtime.data.options import DataOptions
from runtime.errors import InputError

RNG = np.random.default_rng(3)
X = RNG.normal(size=(30, 2)).astype(np.float32)
Y = np.arange(30) % 3
NAMES = np.array(["ash", "birch", "cedar"])[Y]
MSE = Aim(loss="mse", output="identity")


def load(path: Path, content: bytes | str | None = None, **options: Any) -> Dataset:
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return choose(str(path)).load(DataOptions(**{"dtype": "float32", **options}))


def rows_of(data: Dataset) -> list[tuple[float, ...]]:
    """Return every row with its label, sorted: what is in a set, whatever the split."""
    found = []
    for inputs, labels in ((data.X_train, data.Y_train), (data.X_test, data.Y_test)):
        codes = labels.argmax(axis=1) if data.classes else labels[:, 0]
        found += [(*row, code) for row, code in zip(inputs.tolist(), codes.tolist(), strict=True)]
    return sorted(found)


EXPECTED = sorted((*row, code) for row, code in zip(X.tolist(), Y.tolist(), strict=True))


def lines(separator: str = ",", end: str = "\n", header: str = "", quote: str = "") -> str:
    rows = [
        separator.join([*(f"{quote}{value!s}{quote}" for value in x), f"{quote}{name}{quote}"])
        for x, name in zip(X, NAMES, strict=True)
    ]
    return end.join([header, *rows] if header else rows) + end


CSV = {
    "plain": lines(),
    "header": lines(header="a,b,tree"),
    "quoted header": lines(header='"a","b ","the ""tree"""'),
    "CRLF": lines(end="\r\n", header="a,b,tree"),
    "byte order mark": "\ufeff" + lines(header="a,b,tree"),
    "semicolons": lines(";", header="a;b;tree"),
    "tabs": lines("\t"),
    "bars": lines("|"),
    "spaces": lines(" , ", header="a , b , tree"),
    "quotes": lines(quote='"'),
    "blank lines": "\n" + lines(end="\n\n"),
    "no line end": lines()[:-1],
    "names of three alphabets": lines(header="α,ж,木"),
}


@pytest.mark.parametrize("name", CSV)
def test_csv(name: str, tmp_path: Path) -> None:
    data = load(tmp_path / "trees.csv", CSV[name])
    assert rows_of(data) == EXPECTED
    assert data.classes == ("ash", "birch", "cedar")
    assert data.name == "trees"
    assert data.sources == {"trees.csv": hashlib.sha256(CSV[name].encode()).hexdigest()}


def test_the_labels_column_by_name_and_by_number(tmp_path: Path) -> None:
    body = "".join(f"{name},{x[0]!s},{x[1]!s}\n" for x, name in zip(X, NAMES, strict=True))
    for content, label in ((body, "1"), ("tree,a,b\n" + body, "tree"), ("1,a,b\n" + body, "1")):
        data = load(tmp_path / "set.csv", content, label=label)
        assert rows_of(data) == EXPECTED
        assert data.options["label"] == label


def test_numbers_in_the_header_do_not_hide_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 1, column 1: 'x1' is not a number"):
        load(tmp_path / "set.csv", "x1,2,label\n1,2,0\n3,4,1\n")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["3", "-1", "10", "3"], (-1, 3, 10)),
        (["1.0", "0.0", "1", "2e0"], (0, 1, 2)),
        (["10", "9", "x1", "a"], None),
        (["b", "a ", '"a"', "c"], ("a", "b", "c")),
    ],
)
def test_classes_are_the_sorted_labels(
    labels: list[str], classes: tuple[int | str, ...] | None, tmp_path: Path
) -> None:
    content = "".join(f"{n},0,{label}\n" for n, label in enumerate(4 * labels))
    if classes is None:
        with pytest.raises(InputError, match="stands among others"):
            load(tmp_path / "set.csv", content)
    else:
        assert load(tmp_path / "set.csv", content).classes == classes


NPZ: dict[str, bytes] = {
    "plain": archive(X=X, y=Y),
    "packed": archive(8, X=X, y=Y),
    "texts": archive(X=X, y=NAMES),
    "bytes": archive(X=X, y=NAMES.astype("S")),
    "one-hot": archive(X=X, y=np.eye(3)[Y]),
    "a column": archive(X=X, Y=Y[:, None]),
    "floats": archive(X=X, y=Y.astype("f8")),
    "small integers": archive(X=X, y=Y.astype("u1")),
    "big-endian": archive(X=X.astype(">f8"), y=Y.astype(">i2")),
    "by columns": archive(X=array(X, fortran=True), y=Y),
    "other members": archive(X=X, y=Y, notes=np.array(["object"], dtype=object)),
}


@pytest.mark.parametrize("name", NPZ)
def test_npz(name: str, tmp_path: Path) -> None:
    data = load(tmp_path / "set.npz", NPZ[name])
    assert rows_of(data) == EXPECTED
    assert data.X_train.flags.c_contiguous
    assert data.X_train.dtype == data.Y_test.dtype == np.float32
    named = name in ("texts", "bytes")
    assert data.classes == (("ash", "birch", "cedar") if named else (0, 1, 2))


def test_npz_of_other_types_and_shapes(tmp_path: Path) -> None:
    images = np.arange(30 * 2 * 3, dtype=np.uint8).reshape(30, 2, 3)
    flat = images.reshape(30, 6).astype(np.float32)
    for X3 in (images, array(images, fortran=True), images.astype("i8"), images.astype("f2")):
        data = load(tmp_path / "set.npz", archive(X=X3, y=Y))
        found = np.concatenate([data.X_train, data.X_test])
        assert np.array_equal(found[found[:, 0].argsort()], flat)
    data = load(tmp_path / "set.npz", archive(X=X[:, 0], y=Y > 0))
    assert data.X_train.shape[1] == 1
    assert data.classes == (0, 1)


def test_npz_with_a_test_part(tmp_path: Path) -> None:
    for x, y in (("X", "Y"), ("x_", "y_")):
        parts = {f"{x}train": X, f"{y}train": NAMES, f"{x}test": X[:5], f"{y}test": NAMES[:5]}
        content = archive(**parts)
        data = load(tmp_path / "set.npz", content)
        assert np.array_equal(data.X_train, X)
        assert np.array_equal(data.X_test, X[:5])
        assert np.array_equal(data.Y_test.argmax(axis=1), Y[:5])
        assert "test_fraction" not in data.options


def test_npz_is_known_by_its_content(tmp_path: Path) -> None:
    assert rows_of(load(tmp_path / "set.csv", archive(X=X, y=Y))) == EXPECTED
    assert rows_of(load(tmp_path / "data", lines())) == EXPECTED


def test_npz_of_many_blocks(tmp_path: Path) -> None:
    big = np.random.default_rng(0).normal(size=(3000, 40))  # 960 kB: several blocks
    labels = np.arange(3000) % 2
    one = load(tmp_path / "set.npz", archive(X=big, y=labels), dtype="float64")
    other = load(tmp_path / "set.npz", archive(X=array(big, fortran=True), y=labels))
    whole = np.concatenate([one.X_train, one.X_test])
    assert np.array_equal(np.sort(whole, axis=0), np.sort(big, axis=0))
    assert np.array_equal(one.X_train.astype(np.float32), other.X_train)
    assert np.array_equal(one.X_test.astype(np.float32), other.X_test)
    order = {tuple(row): n for n, row in enumerate(big.tolist())}
    places = [order[tuple(row)] for row in one.X_train.tolist()]
    assert places == sorted(places)  # rows keep their order
    assert np.array_equal(one.Y_train.argmax(axis=1), labels[places])


def test_a_header_that_python_2_wrote(tmp_path: Path) -> None:
    content = described("(4L, 3L)", data=bytes(96))
    data = load(tmp_path / "set.npz", archive(X=content, y=[0, 1, 0, 1]))
    assert (len(data.X_train), len(data.X_test)) == (3, 1)


IMAGES = np.arange(30 * 6, dtype=np.uint8).reshape(30, 3, 2)


@pytest.mark.parametrize("pack", [False, True])
def test_a_folder_of_idx_files(pack: bool, tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    folder.mkdir()
    files = {
        "emnist-train-images-idx3-ubyte": IMAGES,
        "emnist-train-labels-idx1-ubyte": (Y + 1).astype(np.uint8),
    }
    for name, content in files.items():
        data = idx_bytes(content)
        (folder / (f"{name}.gz" if pack else name)).write_bytes(packed(data) if pack else data)
    (folder / "README").write_text("not one of them")
    data = load(folder)
    assert data.name == "letters"
    assert data.classes == (1, 2, 3)
    found = np.concatenate([data.X_train, data.X_test])
    pixels = IMAGES.reshape(30, 6).astype(np.float32) / np.float32(255)
    assert np.array_equal(found[found[:, 0].argsort()], pixels)
    assert len(data.sources) == 2
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(IMAGES[:9]))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes((Y[:9] + 1).astype(np.uint8)))
    data = load(folder)
    assert np.array_equal(data.X_test, pixels[:9])
    assert len(data.X_train) == 30


def test_matlab_with_a_column_of_labels(tmp_path: Path) -> None:
    matrices = {"Xtrain": X, "Ytrain": Y + 1, "Xtest": X[:6], "Ytest": Y[:6] + 1}
    savemat(tmp_path / "a.mat", matrices, oned_as="column")
    data = load(tmp_path / "a.mat")
    assert data.classes == (1, 2, 3)
    assert np.array_equal(data.X_train, X)
    real = load(tmp_path / "a.mat", aim=MSE)
    assert real.is_regression
    assert np.array_equal(real.Y_test[:, 0], Y[:6] + 1)


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text(lines())
    (tmp_path / "link.csv").symlink_to("real.csv")
    assert rows_of(load(tmp_path / "link.csv")) == EXPECTED


# ------------------------------------------------- classification or regression


def test_real_targets(tmp_path: Path) -> None:
    content = "a,b,t\n" + "".join(f"{n},1,{n / 4}\n" for n in range(20))
    data = load(tmp_path / "set.csv", content, aim=MSE)
    assert data.classes == ()
    assert data.target_text == "1 real target"
    assert rows_of(data) == sorted((float(n), 1.0, n / 4) for n in range(20))
    two = load(tmp_path / "set.npz", archive(X=X, y=X / 2), aim=MSE)
    assert two.target_text == "2 real targets"
    assert np.array_equal(two.Y_train, two.X_train / 2)


@pytest.mark.parametrize(
    ("labels", "aim", "regression"),
    [
        ([0, 1, 2], Aim(loss="mse", output="identity"), True),
        ([0, 1, 2], Aim(loss="mse", outputs=1, output="identity"), True),
        ([0, 1, 2], Aim(loss="mse", outputs=3, output="identity"), False),
        ([0, 1, 2], Aim(loss="cross-entropy"), False),
        ([0, 1], Aim(loss="mse", outputs=1, output="identity"), True),
        ([0, 1], Aim(loss="mse", outputs=1, output="sigmoid"), False),
        ([0, 2], Aim(loss="huber", outputs=1, output="sigmoid"), True),
        (["a", "b"], Aim(loss="mae", output="identity"), False),
    ],
)
def test_what_the_labels_are(
    labels: list[int | str], aim: Aim, regression: bool, tmp_path: Path
) -> None:
    content = "".join(f"{n},0,{label}\n" for n, label in enumerate(6 * labels))
    data = load(tmp_path / "set.csv", content, aim=aim)
    assert data.is_regression == regression
    if not regression:
        assert data.classes == tuple(labels)
        assert data.Y_train.shape[1] == (1 if aim.outputs == 1 else len(labels))


def test_gzip_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it is gzip, not CSV"):
        load(tmp_path / "set.csv.gz", gzip.compress(lines().encode()))
