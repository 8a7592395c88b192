"""Circles: the generator against the measured set, the MATLAB reader, the common checks."""

import hashlib
import io
import subprocess
import sys
import zlib
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from data_folder import real_data
from hypothesis import given
from hypothesis import strategies as st

from runtime.data import Dataset
from runtime.data.circles import VARIABLES, circles, circles_from_mat, grid_points
from runtime.data.dataset import one_hot
from runtime.data.matlab import parse_matlab
from runtime.errors import InputError

SET = circles()


def test_shapes_and_labels() -> None:
    assert SET.X_train.shape == SET.X_test.shape == (200, 2)
    assert SET.X_train.dtype == SET.Y_train.dtype == np.float64
    for Y in (SET.Y_train, SET.Y_test):  # outer ring first, in column 0
        np.testing.assert_array_equal(Y, np.repeat([[1.0, 0.0], [0.0, 1.0]], 100, axis=0))
    assert SET.classes == ("outer", "inner")
    one = replace(SET, X_train=SET.X_train[:, :1], X_test=SET.X_test[:, :1], grid=None)
    assert one.input_text == "1 input"
    assert repr(SET) == "Dataset(circles: 200 + 200 samples, 2 inputs, 2 classes, float64)"


def test_the_seed_decides_everything() -> None:
    again, other = circles(0), circles(np.int64(1))
    np.testing.assert_array_equal(SET.X_train, again.X_train)
    np.testing.assert_array_equal(SET.X_test, again.X_test)
    assert SET.sources == again.sources
    assert np.abs(SET.X_train - other.X_train).min() > 0
    assert np.abs(SET.X_train - SET.X_test).min() > 0  # the parts have noise of their own
    assert SET.sources["X_train"] == hashlib.sha256(SET.X_train.tobytes()).hexdigest()
    assert not np.shares_memory(SET.Y_train, SET.Y_test)
    # pinned, so that nobody's runs change in silence
    pinned = [1.0251460442186786, -0.026420972658260378]
    np.testing.assert_allclose(SET.X_train[0], pinned, rtol=1e-12)
    with pytest.raises(InputError, match="data seed -1: expected an integer of at least 0"):
        circles(-1)


def rings(data: Dataset) -> dict[str, np.ndarray]:
    parts = {"train": data.X_train, "test": data.X_test}
    return {
        f"{part} {ring}": X[rows]
        for part, X in parts.items()
        for ring, rows in (("outer", slice(0, 100)), ("inner", slice(100, 200)))
    }


def fitted(points: np.ndarray) -> tuple[float, float]:
    """Return the radius R and the noise that fit points evenly spaced on a ring best."""
    t = 2 * np.pi * np.arange(100) / 100
    directions = np.column_stack([np.cos(t), np.sin(t)])
    R = float((points * directions).sum() / 100)
    return R, float(np.sqrt(((points - R * directions) ** 2).sum() / 199))


@pytest.mark.parametrize("ring", ["train outer", "train inner", "test outer", "test inner"])
def test_statistics_of_the_generator(ring: str) -> None:
    # 200 draws: the standard errors are 0.02 / sqrt(200) in R, 0.01 / sqrt(200) in sigma
    fits = np.array([fitted(rings(circles(seed))[ring]) for seed in range(200)])
    R = 1.0 if "outer" in ring else 0.3
    np.testing.assert_allclose(fits.mean(axis=0), [R, 0.2], atol=5 * 0.02 / np.sqrt(200))
    radii = np.concatenate([np.hypot(*rings(circles(seed))[ring].T) for seed in range(200)])
    expected = (1.020, 0.198) if "outer" in ring else (0.375, 0.171)
    np.testing.assert_allclose((radii.mean(), radii.std()), expected, atol=0.005)


def test_points_are_evenly_spaced_in_order() -> None:
    mean = np.mean([circles(seed).X_train for seed in range(1000)], axis=0)
    t = 2 * np.pi * np.arange(100) / 100
    ring = np.column_stack([np.cos(t), np.sin(t)])
    # five standard errors; a step of 2π/99 would be off by twice that
    np.testing.assert_allclose(mean, np.concatenate([ring, 0.3 * ring]), atol=0.032)


def test_best_radius_separates_as_well_as_it_should() -> None:
    right = [
        (np.hypot(*data.X_test.T) > 0.686) == (data.Y_test[:, 0] == 1)
        for data in map(circles, range(200))
    ]
    assert abs(np.mean(right) - 0.955) < 0.005


def test_grid() -> None:
    assert SET.grid is not None
    assert SET.grid.shape == (1600, 2)
    axis = np.arange(-2, 2, 0.1)
    x, y = np.meshgrid(axis, axis)
    np.testing.assert_allclose(SET.grid, np.column_stack([x.ravel(), y.ravel()]), atol=1e-12)
    np.testing.assert_array_equal(
        SET.grid[[0, 1, 40, -1]], [[-2, -2], [-1.9, -2], [-2, -1.9], [1.9, 1.9]]
    )


def test_measured_set() -> None:
    data = circles_from_mat(real_data("circles/circles.mat"))
    measured = {"train outer": (1.005, 0.216), "train inner": (0.326, 0.188)}
    measured |= {"test outer": (1.008, 0.175), "test inner": (0.307, 0.216)}
    for ring, points in rings(data).items():
        np.testing.assert_allclose(fitted(points), measured[ring], atol=0.004)
    np.testing.assert_array_equal(data.Y_train, SET.Y_train)
    np.testing.assert_array_equal(data.Y_test, SET.Y_test)
    assert data.X_train.dtype == np.float64
    assert data.classes == (0, 1)
    np.testing.assert_array_equal(data.grid, grid_points())
    digest = "8a92b4489ce6bd5feb705d332e0e7dd8ec5da86234f00d49d8eb586a7bf539ad"
    assert data.sources == {"circles.mat": digest}


MATRICES = {
    "Xtrain": np.random.default_rng(5).normal(size=(6, 2)),
    "Ytrain": np.eye(2, dtype=np.uint8)[[0, 1, 0, 1, 0, 1]],
    "Xtest": np.random.default_rng(6).normal(size=(3, 2)).astype(np.float32),
    "Ytest": np.eye(2)[[1, 0, 1]],
}


def write(folder: Path, packed: bool = False, **changes: Any) -> Path:
    path = folder / "own.mat"
    matrices = {**MATRICES, **changes}
    matrices = {name: value for name, value in matrices.items() if value is not None}
    scipy.io.savemat(path, matrices, do_compression=packed)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_mat_file(tmp_path: Path, packed: bool) -> None:
    # variables nobody asked for are not looked into, whatever they are
    others = {"notes": {"a": 1}, "list": np.array(["x", 2], dtype=object), "s": "text"}
    data = circles_from_mat(write(tmp_path, packed, **others))
    np.testing.assert_array_equal(data.X_train, MATRICES["Xtrain"])
    np.testing.assert_array_equal(data.X_test, MATRICES["Xtest"])
    np.testing.assert_array_equal(data.Y_train, MATRICES["Ytrain"])
    np.testing.assert_array_equal(data.Y_test, MATRICES["Ytest"])
    assert data.name == "own"
    assert list(data.sources) == ["own.mat"]


def test_mat_file_with_three_inputs_has_no_grid(tmp_path: Path) -> None:
    data = circles_from_mat(write(tmp_path, Xtrain=np.ones((6, 3)), Xtest=np.ones((3, 3))))
    assert data.grid is None


BAD_VARIABLES = {
    "missing": ({"Ytest": None}, "no variable Ytest; expected .*, found Xtest, Xtrain, Ytrain"),
    "cell": ({"Xtrain": np.array([[1, "a"]], dtype=object)}, "Xtrain is of class cell"),
    "struct": ({"Ytrain": {"a": 1}}, "Ytrain is of class struct, expected a numeric matrix"),
    "text": ({"Xtest": "abc"}, "Xtest is of class char"),
    "sparse": ({"Xtest": scipy.sparse.csc_matrix(np.eye(3))}, "Xtest is of class sparse"),
    "complex": ({"Xtest": np.ones((3, 2)) * 1j}, "Xtest is complex, expected real numbers"),
    "3-d": ({"Xtrain": np.ones((6, 2, 2))}, r"Xtrain has dimensions \(6, 2, 2\), expected two"),
    "empty": ({"Xtrain": np.ones((0, 2))}, r"X_train has shape \(0, 2\), expected .* at least"),
    "rows": ({"Xtrain": np.ones((5, 2))}, "X_train has 5 rows and Y_train has 6: every sample"),
    "columns": ({"Xtest": np.ones((3, 4))}, "X_train has 2 columns and X_test has 4"),
    "classes": ({"Ytest": np.eye(3)}, "Y_test has 3 columns for 2 classes"),
    "not one-hot": ({"Ytest": np.ones((3, 2))}, r"Y_test row 0 \(.*\) is \[1\., 1\.\]: not one-"),
    "NaN": ({"Xtest": np.array([[0, 1], [2, np.nan], [np.nan, 3]])}, "nan at row 1, column 1"),
    "inf": ({"Xtrain": np.diag([1.0] * 5 + [-np.inf])[:, 4:]}, "-inf at row 5, column 1"),
}


@pytest.mark.parametrize(("changes", "expected"), BAD_VARIABLES.values(), ids=BAD_VARIABLES)
def test_mat_file_with_wrong_variables(
    tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(InputError, match=expected) as caught:
        circles_from_mat(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def mat_bytes(packed: bool = False) -> bytes:
    out = io.BytesIO()
    scipy.io.savemat(out, MATRICES, do_compression=packed)
    return out.getvalue()


PLAIN, PACKED = mat_bytes(), mat_bytes(packed=True)
BAD_FILES = {
    "empty": (b"", "not a MATLAB 5 file"),
    "text": (b"x,y\n" * 100, "not a MATLAB 5 file; save it with save"),
    "7.3": (b"MATLAB 7.3 MAT-file" + bytes(500), "a MATLAB 7.3 file .HDF5.; save it again"),
    "header only": (PLAIN[:128], "no variable Xtrain, Ytrain, Xtest, Ytest; .* found nothing"),
    "truncated": (PLAIN[:-10], r"damaged: an element of \d+ bytes where \d+ are left"),
    "packed, truncated": (PACKED[:-10], r"damaged: an element of \d+ bytes where \d+ are left"),
    "packed, flipped": (PACKED[:150] + b"\xff\xff" + PACKED[152:], "damaged: a packed element"),
    "twice": (PLAIN + PLAIN[128:], "the variable Xtrain is there twice"),
}


@pytest.mark.parametrize(("content", "expected"), BAD_FILES.values(), ids=BAD_FILES)
def test_damaged_mat_file(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "bad.mat"
    path.write_bytes(content)
    with pytest.raises(InputError, match=expected) as caught:
        circles_from_mat(path)
    assert "\n" not in str(caught.value)


def mat_file(
    *,
    order: str = "<",
    matrix_class: int = 6,
    shape: tuple[int, ...] = (1, 2),
    stored: int = 9,
    data: bytes = bytes(16),
    packed: bool = False,
    cut: int = 0,
) -> bytes:
    """Return a file with the variable `a`, built from the format's description."""

    def element(kind: int, content: bytes) -> bytes:
        tag = np.array([kind, len(content)], dtype=f"{order}u4").tobytes()
        return tag + content + bytes(-len(content) % 8)

    def words(*values: int) -> bytes:
        return np.array(values, dtype=f"{order}i4").tobytes()

    body = element(6, words(matrix_class, 0)) + element(5, words(*shape)) + element(1, b"a")
    matrix = element(14, body + element(stored, data))
    if packed:
        content = zlib.compress(matrix)[: -cut or None]
        matrix = np.array([15, len(content)], dtype=f"{order}u4").tobytes() + content
    mark = b"\0\1IM" if order == "<" else b"\1\0MI"
    return b"MATLAB 5.0 MAT-file".ljust(124) + mark + matrix


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(order: str, packed: bool) -> None:
    matrix = np.array([[1.5, 2.5]])
    content = mat_file(order=order, data=matrix.astype(f"{order}f8").tobytes(), packed=packed)
    np.testing.assert_array_equal(parse_matlab(content, ("a",))["a"], matrix)
    np.testing.assert_array_equal(scipy.io.loadmat(io.BytesIO(content))["a"], matrix)


FORGED = {
    "negative sizes": ({"shape": (-1, -2)}, r"a has dimensions \(-1, -2\), expected two"),
    "sizes too large": ({"shape": (2**31 - 1, 2**31 - 1)}, "a has dimensions .* and 16 bytes of 8"),
    "stored as text": ({"stored": 16}, "a is stored as type 16, which is none of numbers"),
    "class too small": (
        {"matrix_class": 9, "data": np.array([np.nan, 300]).tobytes()},
        "a holds numbers that its class cannot hold",
    ),
    "unknown class": ({"matrix_class": 99}, r"a is of class unknown \(99\), expected a numeric"),
    "packed, without checksum": ({"packed": True, "cut": 4}, r"breaks off \(truncated\)"),
}


@pytest.mark.parametrize(("forgery", "expected"), FORGED.values(), ids=FORGED)
def test_forged_mat_file(forgery: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        parse_matlab(mat_file(**forgery), ("a",))


def test_small_element_that_is_not_small() -> None:
    content = mat_file()
    place = content.index(np.array([9, 16], dtype="<u4").tobytes())
    forged = content[:place] + np.array([16 << 16 | 9], dtype="<u4").tobytes() + bytes(20)
    with pytest.raises(InputError, match="a small element of 16 bytes, expected at most 4"):
        parse_matlab(forged, ("a",))


def test_packed_elements_unpack_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    content = mat_file(shape=(1, 100_000), data=bytes(800_000), packed=True)
    assert parse_matlab(content, ("a",))["a"].shape == (1, 100_000)
    monkeypatch.setattr("runtime.data.matlab._LIMIT", 800_000)
    with pytest.raises(InputError, match="unpacks to more than 800000 bytes"):
        parse_matlab(content, ("a",))


@pytest.mark.parametrize("type_name", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_every_numeric_class_as_scipy_writes_it(tmp_path: Path, type_name: str) -> None:
    matrix = np.arange(6).reshape(2, 3).astype(type_name)
    scipy.io.savemat(tmp_path / "a.mat", {"a": matrix})
    read = parse_matlab((tmp_path / "a.mat").read_bytes(), ("a",))["a"]
    assert read.dtype == matrix.dtype
    assert read.flags.c_contiguous
    np.testing.assert_array_equal(read, matrix)


@given(seed=st.integers(0, 2**32 - 1))
def test_random_damage_ends_in_a_message_or_in_matrices(seed: int) -> None:
    # scipy.io.loadmat crashes the process on some of these
    rng = np.random.default_rng(seed)
    content = bytearray(PLAIN if seed % 4 else PACKED)
    for _ in range(rng.integers(1, 4)):
        content[rng.integers(128, len(content))] = rng.integers(256)
    if seed % 3 == 0:
        del content[rng.integers(len(content)) :]
    try:
        found = parse_matlab(bytes(content), VARIABLES)
    except InputError:
        return
    assert all(found[name].ndim == 2 for name in VARIABLES)


def test_astype_gives_copies() -> None:
    single = SET.astype("float32")
    for name in ("X_train", "Y_train", "X_test", "Y_test", "grid"):
        array, original = getattr(single, name), getattr(SET, name)
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        assert not np.shares_memory(array, original)
        np.testing.assert_array_equal(array, original.astype(np.float32))
    assert single.sources == SET.sources
    same = SET.astype(np.float64)
    assert not np.shares_memory(same.X_train, SET.X_train)
    flipped = replace(SET, X_train=np.asfortranarray(SET.X_train)).astype(np.float64)
    assert flipped.X_train.flags.c_contiguous


def test_astype_refuses() -> None:
    with pytest.raises(InputError, match="dtype int64: data are float32 or float64"):
        SET.astype(np.int64)
    X = SET.X_train.copy()
    X[7, 1] = 1e300
    with pytest.raises(InputError, match=r"in float32, .* inf at row 7, column 1.*float64"):
        replace(SET, X_train=X).astype(np.float32)


def test_a_dataset_is_checked_and_fixed() -> None:
    with pytest.raises(FrozenInstanceError):
        SET.name = "other"  # type: ignore[misc]
    with pytest.raises(InputError, match="holds int64, expected float32 or float64"):
        replace(SET, X_test=np.ones((200, 2), dtype=int))
    with pytest.raises(InputError, match=r"has shape \(200,\), expected \(rows, classes\)"):
        replace(SET, Y_test=np.ones(200))
    with pytest.raises(InputError, match=r"circles: grid holds nan at row 0, column 0"):
        replace(SET, grid=np.full((3, 2), np.nan))
    with pytest.raises(InputError, match="a grid goes with inputs of two columns only"):
        replace(SET, grid=np.ones((3, 3)))
    for row in ([0, 0], [2, 0], [2, -1], [0.5, 0.5], [np.nan, 1]):
        Y = SET.Y_train.copy()
        Y[4] = row
        with pytest.raises(InputError, match=r"Y_train row 4 \(counted from 0\)"):
            replace(SET, Y_train=Y)


def test_one_hot() -> None:
    np.testing.assert_array_equal(one_hot(np.array([2, 0]), 3, np.float32), [[0, 0, 1], [1, 0, 0]])
    for wrong in (3, -1):
        with pytest.raises(InputError, match=rf"label 1 .* is {wrong}, expected 0 to 2"):
            one_hot(np.array([0, wrong]), 3, np.float32)


def test_importing_the_package_is_cheap() -> None:
    heavy = ("scipy", "requests", "tqdm", "platformdirs", "torch", "numba", "sympy", "matplotlib")
    code = (
        "import sys, runtime.data, runtime.data.circles, runtime.data.mnist\n"
        f"print(*[name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
