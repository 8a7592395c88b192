"""The runs of a sweep: every point of the grid with every seed, numbered and named.

A run's number is its place in the table. Its key is made of what decides its result: the data,
the network, the loss, the settings and the seed. So a run is known again in a sweep with another
grid, and a change of the data makes other runs of all.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from derive.spec import NetworkSpec
from runtime.data.dataset import Dataset
from runtime.errors import InputError
from runtime.settings import Settings

MOST_RUNS = 1_000_000
_FORMAT = 1  # of what a key is made of
_KEY = 12  # hexadecimal digits that tell points apart

Value = str | int | float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point of the grid: all that its runs have in common.

    Attributes
    ----------
    network
        What is trained.
    settings
        How; the seed in it stands for nothing.
    values
        The point's values by the names of the table's columns.
    key
        Names the point: hexadecimal digits of a hash of all that decides its results.
    """

    network: NetworkSpec
    settings: Settings
    values: Mapping[str, Value]
    key: str

    def with_seed(self, seed: int) -> Settings:
        """Return the settings of one run."""
        return replace(self.settings, seed=seed)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All runs, by number: seed after seed for each point.

    Attributes
    ----------
    points
        The grid, the last axis fastest.
    seeds
        What each point is run with.
    """

    points: tuple[Point, ...]
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self) > MOST_RUNS:
            raise InputError(
                f"sweep: {len(self.points):,} points of the grid with {len(self.seeds):,} seeds "
                f"are {len(self):,} runs. At most {MOST_RUNS:,} are taken: use several sweeps."
            )

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.points) * len(self.seeds)

    def run(self, number: int) -> tuple[Point, int]:
        """Return the point and the seed of a run."""
        point, seed = divmod(number, len(self.seeds))
        return self.points[point], self.seeds[seed]

    def key(self, number: int) -> str:
        """Return what a run is known by."""
        point, seed = self.run(number)
        return f"{point.key}-{seed}"

    def run_keys(self) -> Iterator[str]:
        """Yield the key of every run, by number."""
        for point in self.points:
            for seed in self.seeds:
                yield f"{point.key}-{seed}"

    @property
    def axes(self) -> dict[str, tuple[Value, ...]]:
        """What varies over the grid: each value of each column that has several, in order."""
        found: dict[str, dict[Value, None]] = {}
        for point in self.points:
            for name, value in point.values.items():
                found.setdefault(name, {})[value] = None
        return {name: tuple(values) for name, values in found.items() if len(values) > 1}


def point_key(
    fingerprint: str, network: NetworkSpec, labels: str, settings: Mapping[str, Any]
) -> str:
    """Return the key of a point; `settings` as `Settings.as_json` gives them."""
    kept = {name: value for name, value in settings.items() if name != "seed"}
    definitions = [str(definition) for definition in network.definitions]
    objective = [network.text, network.loss, definitions, network.l2, labels]
    content = json.dumps([_FORMAT, fingerprint, objective, kept], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:_KEY]


def fingerprint(data: Dataset) -> str:
    """Return a hash of the numbers that are trained and tested on, whatever file they are from."""
    found = hashlib.sha256()
    for name in ("X_train", "Y_train", "X_test", "Y_test"):
        array = np.ascontiguousarray(getattr(data, name))
        found.update(f"{array.dtype} {array.shape}\0".encode())
        found.update(array.data)
    return found.hexdigest()
