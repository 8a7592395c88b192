"""Classic sets in the plane, drawn from a seed: moons, spirals, blobs and xor.

Each has 200 points for training and 200 for test, float64, the classes in order one after
another: shuffle before taking batches. Training is drawn before test.
"""

import hashlib
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import SupportsIndex, final

import numpy as np
from numpy.typing import NDArray

from runtime.data.dataset import Dataset, one_hot
from runtime.errors import InputError

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator], Array]

MOON_NOISE = 0.15
SPIRAL_NOISE = 0.05
BLOB_NOISE = 0.6
XOR_GAP = 0.1


def moons(rng: np.random.Generator) -> Array:
    """Draw two half circles of radius 1 that reach into each other.

    ``(cos t, sin t)`` and ``(1 - cos t, 1/2 - sin t)``, 100 points each at even steps of t
    from 0 to π, with normal noise of standard deviation 0.15 in each coordinate.
    """
    t = np.linspace(0, np.pi, 100)
    upper = np.column_stack([np.cos(t), np.sin(t)])
    lower = np.column_stack([1 - np.cos(t), 0.5 - np.sin(t)])
    return np.concatenate([upper, lower]) + rng.normal(0.0, MOON_NOISE, (200, 2))


def spirals(rng: np.random.Generator) -> Array:
    """Draw two arms that wind about each other.

    ``r (cos(5/2 π r), sin(5/2 π r))`` and the same turned by half a circle, 100 points each at
    even steps of r from 0.1 to 1.3, with normal noise of standard deviation 0.05.
    """
    r = np.linspace(0.1, 1.3, 100)
    arm = r[:, None] * np.column_stack([np.cos(2.5 * np.pi * r), np.sin(2.5 * np.pi * r)])
    return np.concatenate([arm, -arm]) + rng.normal(0.0, SPIRAL_NOISE, (200, 2))


def blobs(rng: np.random.Generator) -> Array:
    """Draw three round clouds at the corners of an equilateral triangle about 0.

    Centres ``1.5 (cos t, sin t)`` at t = 90°, 210° and 330°, normal noise of standard
    deviation 0.6 in each coordinate; 66 points each, and 68 in the last.
    """
    t = np.deg2rad(np.repeat([90.0, 210.0, 330.0], BLOB_COUNTS))
    centres = 1.5 * np.column_stack([np.cos(t), np.sin(t)])
    return centres + rng.normal(0.0, BLOB_NOISE, (200, 2))


def xor(rng: np.random.Generator) -> Array:
    """Draw the square [-1, 1]² in quadrants: the class says whether the signs agree.

    Uniform in each quadrant, at least 0.1 away from the axes; 50 points in each, first the
    two quadrants where the signs agree.
    """
    signs = np.repeat([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]], 50, axis=0)
    return signs * rng.uniform(XOR_GAP, 1.0, (200, 2))


BLOB_COUNTS = (66, 66, 68)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PlanarSet:
    """How a set is drawn: its points, and how many of them are of each class."""

    draw: Draw
    counts: tuple[int, ...]
    classes: tuple[str | int, ...]


PLANAR: Mapping[str, PlanarSet] = {
    "moons": PlanarSet(draw=moons, counts=(100, 100), classes=("upper", "lower")),
    "spirals": PlanarSet(draw=spirals, counts=(100, 100), classes=("first", "second")),
    "blobs": PlanarSet(draw=blobs, counts=BLOB_COUNTS, classes=("top", "left", "right")),
    "xor": PlanarSet(draw=xor, counts=(100, 100), classes=("same signs", "other signs")),
}


def planar_set(name: str, data_seed: SupportsIndex = 0) -> Dataset:
    """Draw one of the sets in `PLANAR`.

    Raises
    ------
    InputError
        If the seed is negative.
    """
    seed = operator.index(data_seed)
    if seed < 0:
        raise InputError(f"data seed {seed}: expected an integer of at least 0.")
    chosen = PLANAR[name]
    # the bit generator by name, so that a new default in NumPy changes nothing here
    rng = np.random.Generator(np.random.PCG64(seed))
    codes = np.repeat(np.arange(len(chosen.counts)), chosen.counts)
    labels = one_hot(codes, len(chosen.counts), np.float64)
    X_train, X_test = chosen.draw(rng), chosen.draw(rng)
    arrays = {"X_train": X_train, "Y_train": labels, "X_test": X_test, "Y_test": labels}
    return Dataset(
        name=name,
        X_train=X_train,
        Y_train=labels,
        X_test=X_test,
        Y_test=labels.copy(),
        classes=chosen.classes,
        grid=None,
        sources={part: _sha256(array) for part, array in arrays.items()},
    )


def _sha256(array: Array) -> str:
    # little-endian: the same numbers, the same checksum on every machine
    return hashlib.sha256(array.astype("<f8").tobytes()).hexdigest()
