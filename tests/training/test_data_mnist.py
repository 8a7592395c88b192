"""MNIST: the real files where they are; folders, cache and downloads with small ones."""

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_folder import MNIST_NAMES, idx_bytes, packed, real_data, small_mnist, write_small_mnist
from mirror import Mirror
from mounts import full_disk, read_only

from runtime.data.dataset import Dataset
from runtime.data.download import RemoteFile, is_intact
from runtime.data.mnist import MNIST, ImageSet, cache_folder, load_images, mnist
from runtime.errors import InputError, RunError

IMAGES, LABELS = f"{MNIST_NAMES[0]}.gz", f"{MNIST_NAMES[1]}.gz"
SMALL = small_mnist()


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give an empty cache of its own to every test, and no other source of data."""
    monkeypatch.delenv("GRADWRIGHT_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = cache_folder(MNIST)
    assert folder.is_relative_to(tmp_path)
    return folder


def small_set(*mirrors: str) -> ImageSet:
    files = [
        RemoteFile(name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in SMALL.items()
    ]
    return replace(MNIST, files=tuple(files), mirrors=mirrors)


@pytest.fixture(scope="module")
def real() -> Dataset:
    return mnist(real_data("mnist"))


def test_real_counts(real: Dataset) -> None:
    assert real.X_train.shape == (60_000, 784)
    assert real.X_test.shape == (10_000, 784)
    assert real.X_train.dtype == real.Y_train.dtype == np.float32
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert real.Y_train.sum(axis=0).tolist() == train
    assert real.Y_test.sum(axis=0).tolist() == test
    assert real.classes == tuple(range(10))
    assert real.grid is None


def test_real_first_labels(real: Dataset) -> None:
    assert real.Y_train[:10].argmax(axis=1).tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert real.Y_test[:10].argmax(axis=1).tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


@pytest.mark.parametrize(
    ("part", "mean", "std", "zeros", "full", "dark"),
    [
        ("train", 0.130660, 0.308108, 0.8088, 0.0067, 67),
        ("test", 0.132515, 0.310480, 0.8072, 0.0072, 116),
    ],
)
def test_real_pixels(
    real: Dataset, part: str, mean: float, std: float, zeros: float, full: float, dark: int
) -> None:
    X = getattr(real, f"X_{part}")
    assert X.mean(dtype=np.float64) == pytest.approx(mean, abs=5e-7)
    assert X.std(dtype=np.float64) == pytest.approx(std, abs=5e-7)
    assert np.mean(X == 0) == pytest.approx(zeros, abs=5e-5)
    assert np.mean(X == 1) == pytest.approx(full, abs=5e-5)
    assert X.min() == 0
    assert X.max() == 1
    assert np.count_nonzero(~X.any(axis=0)) == dark


def test_real_pixels_are_quotients(real: Dataset) -> None:
    path = real_data(f"mnist/{MNIST_NAMES[2]}.gz")
    pixels = np.frombuffer(gzip.decompress(path.read_bytes())[16:], dtype=np.uint8)
    np.testing.assert_array_equal(real.X_test.ravel(), pixels.astype(np.float32) / np.float32(255))


def test_real_files_are_those_of_the_table(real: Dataset) -> None:
    assert dict(real.sources) == {file.name: file.sha256 for file in MNIST.files}
    assert all(is_intact(real_data(f"mnist/{file.name}"), file) for file in MNIST.files)


@pytest.mark.parametrize("place", [".", "mnist"])
@pytest.mark.parametrize("plain", [False, True])
def test_given_folder(tmp_path: Path, place: str, plain: bool) -> None:
    folder = write_small_mnist(tmp_path / "data" / place)
    if plain:
        for path in folder.iterdir():
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
            path.unlink()
    data = mnist(tmp_path / "data")
    assert (len(data.X_train), len(data.X_test)) == (120, 40)
    assert data.Y_train.argmax(axis=1).tolist() == [row % 10 for row in range(120)]
    for name, digest in data.sources.items():  # of the file as it is there
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert len(data.sources) == 4


def test_variable_and_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADWRIGHT_DATA", str(write_small_mnist(tmp_path / "a", train=30)))
    assert len(mnist(offline=True).X_train) == 30
    other = write_small_mnist(tmp_path / "b", train=50)
    assert len(mnist(str(other), offline=True).X_train) == 50
    monkeypatch.setenv("GRADWRIGHT_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"GRADWRIGHT_DATA=.*nowhere: does not exist"):
        mnist()
    monkeypatch.setenv("GRADWRIGHT_DATA", "")  # as good as unset
    with pytest.raises(InputError, match=r"mnist: not complete in .*gradwright.data.mnist"):
        mnist(offline=True)


def test_given_folder_without_the_files_downloads_nothing(tmp_path: Path) -> None:
    with Mirror(files=SMALL) as mirror:
        images = small_set(mirror.url)
        with pytest.raises(InputError, match=r"--data-dir .*: does not exist"):
            load_images(images, data_dir=tmp_path / "none")
        with pytest.raises(InputError, match=r"no train-images.*train-labels.*, packed or not"):
            load_images(images, data_dir=tmp_path)
        folder = write_small_mnist(tmp_path / "mnist")
        (folder / LABELS).unlink()
        with pytest.raises(InputError, match=rf": no {LABELS}, packed or not"):
            load_images(images, data_dir=tmp_path)
        with pytest.raises(InputError, match=r"is not a folder"):
            load_images(images, data_dir=folder / IMAGES)
        assert mirror.ranges == []


PIXELS = np.zeros((120, 28, 28), dtype=np.uint8)
DIGITS = np.zeros(120, dtype=np.uint8)
MISFITS = {
    "label out of range": (LABELS, idx_bytes(DIGITS + 10), "label 0 .* is 10, expected 0 to 9"),
    "last label": (LABELS, idx_bytes(np.append(DIGITS[1:], np.uint8(255))), "label 119 .*255"),
    "too few labels": (LABELS, idx_bytes(DIGITS[1:]), "119 labels for the 120 images in train-"),
    "too few images": (IMAGES, idx_bytes(PIXELS[1:]), "120 labels for the 119 images"),
    "other size": (IMAGES, idx_bytes(PIXELS[:, :20]), "images of 20 x 28 pixels, expected 28 x"),
    "exchanged": (IMAGES, idx_bytes(DIGITS), r"2049 \(labels\), expected 2051"),
    "truncated": (IMAGES, packed(idx_bytes(PIXELS))[:-9], "truncated"),
}


@pytest.mark.parametrize(("name", "content", "expected"), MISFITS.values(), ids=MISFITS)
def test_files_that_do_not_fit(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (write_small_mnist(tmp_path) / name).write_bytes(content)
    with pytest.raises(InputError, match=expected) as caught:
        mnist(tmp_path)
    message = str(caught.value)
    assert message.startswith(str(tmp_path))
    assert message.endswith("Put the right file there, or leave out --data-dir to download it.")
    assert "\n" not in message


def test_download_once_then_offline(cache: Path) -> None:
    with Mirror(files=SMALL) as mirror:
        images = small_set(mirror.url)
        first = load_images(images, progress=False)
        assert len(mirror.ranges) == 4
        again = load_images(images, progress=False)
        offline = load_images(images, offline=True)
        assert len(mirror.ranges) == 4
    for data in (again, offline):
        np.testing.assert_array_equal(data.X_train, first.X_train)
    assert sorted(path.name for path in cache.iterdir()) == sorted([".lock", *SMALL])


def test_damaged_file_in_the_cache(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_small_mnist(cache)
    (cache / IMAGES).write_bytes(SMALL[IMAGES][:-100])
    with Mirror(files=SMALL) as mirror:
        images = small_set(mirror.url)
        expected = rf"damaged \(wrong SHA-256\): {IMAGES}\. Run once without --offline"
        with pytest.raises(InputError, match=expected):
            load_images(images, offline=True)
        assert mirror.ranges == []
        load_images(images)
        assert mirror.ranges == [None]
    assert f"{cache / IMAGES}: damaged (wrong SHA-256), fetching it" in capsys.readouterr().err
    assert (cache / IMAGES).read_bytes() == SMALL[IMAGES]


def test_offline_without_files_says_what_to_do(cache: Path) -> None:
    with pytest.raises(InputError) as caught:
        mnist(offline=True)
    message = str(caught.value)
    assert str(cache) in message
    assert all(file.name in message for file in MNIST.files)
    assert "--data-dir FOLDER" in message
    assert not cache.exists()


def test_no_network(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.delenv("NO_PROXY")
    for variable in ("https_proxy", "HTTPS_PROXY"):  # where nobody listens: no traffic at all
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with pytest.raises(InputError) as caught:
        mnist(progress=False)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{IMAGES} could not be downloaded:"
    for line, mirror in zip(lines[1:3], MNIST.mirrors, strict=True):
        assert line.startswith(f"  {mirror} ")
        assert "refused" in line
    assert "--data-dir FOLDER" in lines[3]
    assert list(cache.glob("*.gz*")) == []


def test_read_only_cache(cache: Path) -> None:
    with Mirror(files=SMALL) as mirror:
        images = small_set(mirror.url)
        with read_only(cache), pytest.raises(InputError, match=r"file system is read-only"):
            load_images(images)
        load_images(images, progress=False)
        with read_only(cache):  # complete, so nothing needs to be written
            assert len(load_images(images).X_train) == 120


def test_full_disk_keeps_what_was_there(cache: Path) -> None:
    with Mirror(files=SMALL) as mirror, full_disk(cache, "32k"):
        (cache / LABELS).write_bytes(SMALL[LABELS])
        with pytest.raises(RunError, match="the disk is full"):
            load_images(small_set(mirror.url), progress=False)
        assert (cache / LABELS).read_bytes() == SMALL[LABELS]
        assert sorted(path.name for path in cache.iterdir()) == [".lock", LABELS]
