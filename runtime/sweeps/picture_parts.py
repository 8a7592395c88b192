"""What the pictures of a sweep share: names of axes, and scores as they are drawn."""

from typing import TYPE_CHECKING

import numpy as np

from runtime.sweeps.plan import Value
from runtime.sweeps.result import Scores, SweepResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABELS = {
    "eta": "learning rate η",
    "batch": "samples per step",
    "epochs": "epochs",
    "optimizer": "optimiser",
    "schedule": "schedule of the learning rate",
    "network": "network",
    "init_scale": "deviation of the initial weights",
}
_MOST_TICKS = 16


def axis_label(name: str) -> str:
    """Return what an axis of the grid is called under a picture."""
    return _LABELS.get(name, name.replace("_", " "))


def tick_text(value: Value) -> str:
    """Return a value of an axis as it stands beside a tick."""
    if value == "":
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def set_ticks(axes: "Axes", which: str, values: tuple[Value, ...]) -> None:
    """Put a tick at 0, 1, … for each value; for every second and so on, if they are many."""
    step = -(-len(values) // _MOST_TICKS)
    places = range(0, len(values), step)
    texts = [tick_text(values[place]) for place in places]
    if which == "y":
        axes.set_yticks(places, texts)
        return
    room = sum(len(text) + 1 for text in texts) > 60
    axes.set_xticks(places, texts, rotation=40 if room else 0, ha="right" if room else "center")


def shown_scores(result: SweepResult, scores: Scores) -> Scores:
    """Return scores in the unit of the picture; what diverged, or is not done, is NaN."""
    scores = np.where(np.isfinite(scores), scores, np.nan)
    return scores if result.is_regression else 100 * scores


def measure_label(result: SweepResult) -> str:
    """Return what the runs are judged by, with its unit."""
    return "test loss" if result.is_regression else "test accuracy (%)"


def seeds_text(result: SweepResult) -> str:
    """Return over how many seeds a figure is taken."""
    count = len(result.plan.seeds)
    return "1 seed" if count == 1 else f"{count} seeds"
