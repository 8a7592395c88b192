"""MNIST itself for tests that need it: skipped where it is not, never skipped in CI."""

import os
from functools import cache

import pytest
from data_folder import real_data

from runtime.data.dataset import Dataset
from runtime.data.mnist import mnist


def real_mnist() -> Dataset:
    """Return MNIST, read once; without its files skip the test, or fail it under ``CI=true``."""
    try:
        folder = real_data("mnist")
    except pytest.skip.Exception as skipped:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{skipped.msg}; CI needs them")
        raise
    return _read(str(folder))


@cache
def _read(folder: str) -> Dataset:
    return mnist(folder, offline=True)
