"""What a worker must know to do runs by their numbers: the plan, and the data as arrays.

It is a text of JSON and four arrays, so that it goes to a process on this machine through a
folder, whose arrays all workers map into their memory, and to a cluster over the network.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from derive.spec import NetworkSpec, parse_spec
from runtime.data.dataset import Dataset
from runtime.settings import Settings
from runtime.sweeps.plan import Plan, Point

_ARRAYS = ("X_train", "Y_train", "X_test", "Y_test")
_TEXT = "job.json"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A sweep's work.

    Attributes
    ----------
    plan
        The runs.
    data
        What they are trained on, in the type of the settings.
    labels
        As for `runtime.train`.
    """

    plan: Plan
    data: Dataset
    labels: str = "one-hot"

    def text(self) -> str:
        """Return everything but the arrays, as JSON."""
        network = self.plan.points[0].network
        return json.dumps(
            {
                "name": self.data.name,
                "classes": list(self.data.classes),
                "labels": self.labels,
                "loss": network.loss,
                "define": [str(definition) for definition in network.definitions],
                "l2": network.l2,
                "seeds": list(self.plan.seeds),
                "points": [
                    {"network": p.network.text, "settings": p.settings.as_json(), "key": p.key}
                    for p in self.plan.points
                ],
            }
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the data by name."""
        return {name: getattr(self.data, name) for name in _ARRAYS}

    @classmethod
    def of(cls, text: str, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the job of a text and arrays, as another process made them."""
        content = json.loads(text)
        networks: dict[str, NetworkSpec] = {}
        points = []
        for point in content["points"]:
            spec = point["network"]
            if spec not in networks:
                networks[spec] = parse_spec(
                    spec, loss=content["loss"], define=content["define"], l2=content["l2"]
                )
            settings = Settings(**point["settings"])
            points.append(
                Point(network=networks[spec], settings=settings, values={}, key=point["key"])
            )
        data = Dataset(
            name=content["name"],
            classes=tuple(content["classes"]),
            grid=None,
            sources={},
            X_train=arrays["X_train"],
            Y_train=arrays["Y_train"],
            X_test=arrays["X_test"],
            Y_test=arrays["Y_test"],
        )
        plan = Plan(points=tuple(points), seeds=tuple(content["seeds"]))
        return cls(plan=plan, data=data, labels=content["labels"])

    def save(self, folder: Path) -> None:
        """Write the job into a folder. Raises `OSError`."""
        for name, array in self.arrays().items():
            np.save(folder / f"{name}.npy", array)
        (folder / _TEXT).write_text(self.text(), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the job in a folder; its arrays are read as they are needed, and once for all."""
        # copy on write: kernels take no array that cannot be written to, and write to none
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in _ARRAYS}
        text = (folder / _TEXT).read_text("utf-8")
        return cls.of(text, {name: np.asarray(array) for name, array in arrays.items()})
