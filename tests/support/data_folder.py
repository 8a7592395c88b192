"""The real data where they are, and small stand-ins in the same format where they are not."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

MNIST_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_PLACES = (
    os.environ.get("GRADWRIGHT_DATA"),  # read at import: tests change it later
    Path(__file__).resolve().parents[2].parent / "shared" / "data",
)


def real_data(name: str) -> Path:
    """Return the folder or file `name` of the real data, or skip the test."""
    for place in filter(None, _PLACES):
        if (path := Path(place) / name).exists():
            return path
    pytest.skip(f"no {name} in GRADWRIGHT_DATA or ../shared/data: real data are not here")


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    """Return `array` as an IDX file."""
    header = [8 << 8 | array.ndim, *array.shape]
    return np.array(header, dtype=">u4").tobytes() + array.tobytes()


def packed(content: bytes) -> bytes:
    """Return `content` inside gzip, the same bytes at any time."""
    return gzip.compress(content, mtime=0)


def small_mnist(train: int = 120, test: int = 40, seed: int = 0) -> dict[str, bytes]:
    """Return four packed IDX files by name: noisy images in which the label can be seen."""
    rng = np.random.default_rng(seed)
    files = {}
    for (images, labels), rows in zip(
        (MNIST_NAMES[:2], MNIST_NAMES[2:]), (train, test), strict=True
    ):
        y = (np.arange(rows) % 10).astype(np.uint8)
        x = rng.integers(0, 64, (rows, 28, 28), dtype=np.uint8)
        for row, digit in enumerate(y):
            x[row, 2 * digit : 2 * digit + 4] += 190
        files[f"{images}.gz"] = packed(idx_bytes(x))
        files[f"{labels}.gz"] = packed(idx_bytes(y))
    return files


def write_small_mnist(folder: Path, train: int = 120, test: int = 40, seed: int = 0) -> Path:
    """Write `small_mnist` into `folder` and return it: something for ``--data-dir``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in small_mnist(train, test, seed).items():
        (folder / name).write_bytes(content)
    return folder
