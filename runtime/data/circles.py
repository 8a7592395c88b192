"""Circles: two noisy rings in the plane, generated, or read from a MATLAB file."""

import hashlib
import operator
import os
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from runtime.data.dataset import Dataset
from runtime.data.matlab import parse_matlab
from runtime.data.source import read_source
from runtime.errors import InputError
from runtime.files import shown

RADII = (1.0, 0.3)  # outer ring, inner ring
NOISE = 0.2  # standard deviation in each coordinate
POINTS = 100  # for each ring, in training and again in test
CLASSES = ("outer", "inner")
VARIABLES = ("Xtrain", "Ytrain", "Xtest", "Ytest")


def circles(data_seed: SupportsIndex = 0) -> Dataset:
    """Generate the set: 200 points for training and 200 for test, float64.

    ``x = R (cos t, sin t) + N(0, 0.2² I)`` with ``t = 2πi/100`` for i = 0 … 99, R = 1.0 on
    the outer ring and 0.3 on the inner. In each part rows 0 to 99 are the outer ring, in
    order of angle, and rows 100 to 199 the inner one: shuffle before taking batches. The
    rings overlap; no classifier is right more often than 95.5 % on average.

    Parameters
    ----------
    data_seed
        Seed of the noise, at least 0. Training is drawn before test, outer before inner.

    Raises
    ------
    InputError
        If the seed is negative.
    """
    seed = operator.index(data_seed)
    if seed < 0:
        raise InputError(f"data seed {seed}: expected an integer of at least 0.")
    # the bit generator by name, so that a new default in NumPy changes nothing here
    rng = np.random.Generator(np.random.PCG64(seed))
    angles = 2 * np.pi * np.arange(POINTS) / POINTS
    directions = np.column_stack([np.cos(angles), np.sin(angles)])

    def draw() -> NDArray[np.float64]:
        rings = [R * directions + rng.normal(0.0, NOISE, directions.shape) for R in RADII]
        return np.concatenate(rings)

    labels = np.repeat(np.eye(len(RADII)), POINTS, axis=0)
    arrays = {"X_train": draw(), "Y_train": labels, "X_test": draw(), "Y_test": labels.copy()}
    return Dataset(
        name="circles",
        X_train=arrays["X_train"],
        Y_train=arrays["Y_train"],
        X_test=arrays["X_test"],
        Y_test=arrays["Y_test"],
        classes=CLASSES,
        grid=grid_points(),
        sources={name: _sha256(array) for name, array in arrays.items()},
    )


def circles_from_mat(path: str | os.PathLike[str]) -> Dataset:
    """Read a set of the same form from a MATLAB 5 file (MATLAB's ``save(…, '-v7')``).

    Parameters
    ----------
    path
        A file with the matrices ``Xtrain`` (N, n), ``Ytrain`` (N, c), ``Xtest`` (M, n) and
        ``Ytest`` (M, c), labels one-hot. Only numeric matrices are read.

    Returns
    -------
    Dataset
        float64, with classes 0 to c - 1, and a grid if n = 2.

    Raises
    ------
    InputError
        If the file is missing or damaged, or its matrices are not as described.
    """
    source = read_source(Path(path))
    try:
        found = parse_matlab(source.content, VARIABLES)
        matrices = {name: found[name].astype(np.float64) for name in VARIABLES}
        return Dataset(
            name=source.path.stem,
            X_train=matrices["Xtrain"],
            Y_train=matrices["Ytrain"],
            X_test=matrices["Xtest"],
            Y_test=matrices["Ytest"],
            classes=tuple(range(matrices["Ytrain"].shape[1])),
            grid=grid_points() if matrices["Xtrain"].shape[1] == 2 else None,
            sources={source.path.name: source.sha256},
        )
    except InputError as error:
        raise InputError(f"{shown(source.path)}: {error}") from None


def grid_points() -> NDArray[np.float64]:
    """Return the points -2.0, -1.9, … 1.9 squared, the first coordinate fastest: (1600, 2)."""
    axis = np.arange(-20, 20) / 10  # not arange(-2, 2, 0.1): its length hangs on rounding
    x, y = np.meshgrid(axis, axis)
    return np.column_stack([x.ravel(), y.ravel()])


def _sha256(array: NDArray[Any]) -> str:
    # little-endian: the same numbers, the same checksum on every machine
    return hashlib.sha256(array.astype("<f8").tobytes()).hexdigest()
