"""What a sweep gave: the outcomes of its runs, and what they say of each point of the grid."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError
from runtime.files import write_atomically
from runtime.history import FIGURES, figure_text
from runtime.sweeps.outcome import Outcome, curve_epochs
from runtime.sweeps.plan import Plan, Value

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from matplotlib.figure import Figure

    from runtime.picture import Picture

Scores = NDArray[np.float64]
_QUARTILES = (0.25, 0.5, 0.75)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """A sweep, whole or as far as it came.

    Attributes
    ----------
    plan
        The runs.
    outcomes
        What came of those that are done, by number.
    data
        Name of the set.
    is_regression
        Whether targets are real: then runs are judged by their test loss, else by their test
        accuracy.
    seconds
        How long this sweep took, runs that were done before left out.
    new
        How many runs were done in that time.
    """

    plan: Plan
    outcomes: Mapping[int, Outcome] = field(repr=False)
    data: str
    is_regression: bool
    seconds: float
    new: int

    @property
    def measure(self) -> str:
        """What runs are judged by, a name of `runtime.history.FIGURES`."""
        return "test_loss" if self.is_regression else "test_accuracy"

    @property
    def worst(self) -> float:
        """What stands for a run that diverged: it is worse than any other."""
        return np.inf if self.is_regression else -np.inf

    @property
    def is_whole(self) -> bool:
        """Whether all runs are done."""
        return len(self.outcomes) == len(self.plan)

    @property
    def diverged(self) -> int:
        """How many runs diverged."""
        return sum(outcome.status == "diverged" for outcome in self.outcomes.values())

    def scores(self) -> Scores:
        """Return the measure after the last epoch, shape (points, seeds).

        NaN is a run that is not done; `worst` is one that diverged.
        """
        scores = np.full(len(self.plan), np.nan)
        at = FIGURES.index(self.measure)
        for number, outcome in self.outcomes.items():
            done = outcome.status == "done"
            scores[number] = outcome.figures[at] if done else self.worst
        return scores.reshape(len(self.plan.points), len(self.plan.seeds))

    def quartiles(self) -> Scores:
        """Return lower quartile, median and upper quartile of each point, shape (3, points).

        Runs that diverged count as worse than all others, and runs that are not done are left
        out. NaN: no run is done.
        """
        return quartiles(self.scores(), self.worst)

    def curves(self, point: int) -> tuple[NDArray[np.int64], Scores]:
        """Return epochs (points,), and the quartiles (3, points) of the measure after each."""
        seeds = len(self.plan.seeds)
        numbers = range(point * seeds, (point + 1) * seeds)
        found = [self.outcomes[n].curve for n in numbers if n in self.outcomes]
        epochs = curve_epochs(self.plan.points[point].settings.epochs)
        curves = np.array(found, dtype=np.float64).reshape(len(found), len(epochs)).T
        curves = np.where(np.isnan(curves), self.worst, curves)
        return epochs, quartiles(curves, self.worst)

    @property
    def best(self) -> int | None:
        """The point with the best median, the first of equals; None if no run is done."""
        medians = self.quartiles()[1]
        medians = -medians if self.is_regression else medians
        if not np.isfinite(medians).any():
            return None
        return int(np.argmax(np.where(np.isnan(medians), -np.inf, medians)))

    def table(self) -> dict[str, list[Any]]:
        """Return a column for each name, a row for each run that is done.

        What was not measured is None, and so are the figures of a run that diverged.
        """
        plan = self.plan
        numbers = sorted(self.outcomes)
        runs = [plan.run(number) for number in numbers]
        columns: dict[str, list[Any]] = {"run": list(numbers)}
        for name in plan.points[0].values:
            columns[name] = [_cell(point.values[name]) for point, _ in runs]
        columns["seed"] = [seed for _, seed in runs]
        found = [self.outcomes[number] for number in numbers]
        columns["status"] = [outcome.status for outcome in found]
        figures = np.array([outcome.figures for outcome in found]).reshape(-1, len(FIGURES))
        for name, values in zip(FIGURES, figures.T.tolist(), strict=True):
            columns[name] = [None if value != value else value for value in values]
        columns["key"] = [outcome.key for outcome in found]
        return columns

    def summary(self) -> dict[str, list[Any]]:
        """Return a column for each name, a row for each point of the grid.

        ``runs`` that are done, how many of them ``diverged``, and the quartiles of the measure
        over the seeds; None where they fall on a run that diverged, or no run is done.
        """
        scores, points = self.scores(), self.plan.points
        columns: dict[str, list[Any]] = {
            name: [_cell(point.values[name]) for point in points] for name in points[0].values
        }
        columns["runs"] = (~np.isnan(scores)).sum(axis=1).tolist()
        columns["diverged"] = np.isinf(scores).sum(axis=1).tolist()
        for name, values in zip(
            ("lower_quartile", "median", "upper_quartile"), self.quartiles(), strict=True
        ):
            columns[f"{self.measure}_{name}"] = [
                value if np.isfinite(value) else None for value in values.tolist()
            ]
        return columns

    def described(self, point: int) -> str:
        """Return in words where on the grid a point is: what varies over it."""
        values = self.plan.points[point].values
        names = list(self.plan.axes) or ["network", "eta"]
        words = [value_text(name, values[name]) for name in names if values[name] != ""]
        return ", ".join(words)

    def last_line(self) -> str:
        """Return what the command prints at the very end: the best point, and how long it took."""
        runs = (
            f"{len(self.outcomes)} runs"
            if self.is_whole
            else (f"{len(self.outcomes)} of {len(self.plan)} runs")
        )
        best = self.best
        told = "no run has ended well"
        if best is not None:
            low, median, high = self.quartiles()[:, best].tolist()
            name = "test loss" if self.is_regression else "test accuracy"
            told = (
                f"best median {name} {self.score_text(median)} (quartiles "
                f"{self.score_text(low, unit=False)} to {self.score_text(high)}) "
                f"at {self.described(best)}"
            )
        gone = f"  {self.diverged} diverged" if self.diverged else ""
        return f"{told}  {runs}{gone}  {self.new} new in {self.seconds:.1f} s"

    def score_text(self, score: float, *, unit: bool = True) -> str:
        """Return a score as it is printed: an accuracy in per cent, a loss as it is."""
        if np.isinf(score):
            return "diverged"
        if self.is_regression:
            return figure_text(score)
        return f"{100 * score:.2f}{' %' if unit else ''}"

    def plot_bands(self, path: str | os.PathLike[str] | None = None) -> "Picture":
        """Return the measure over the epochs, median and quartiles, as a picture.

        Raises
        ------
        InputError, RunError
            If no run is done, or `path` cannot be written to.
        """
        from runtime.sweeps.band_picture import drawn_bands

        return _picture(drawn_bands(self), path)

    def plot_grid(self, path: str | os.PathLike[str] | None = None) -> "Picture":
        """Return the medians over the grid as a picture: a heat map where two axes vary.

        Raises
        ------
        InputError, RunError
            If no axis varies, no run is done, or `path` cannot be written to.
        """
        from runtime.sweeps.grid_picture import drawn_grid

        if not self.plan.axes:
            raise InputError("sweep: its grid has a single point, so there is no picture of it.")
        return _picture(drawn_grid(self), path)

    def __str__(self) -> str:
        """Return what was swept over, and the best of it."""
        return f"sweep of {self.data}\n{self.last_line()}"


def _picture(
    drawn: "AbstractContextManager[Figure]", path: str | os.PathLike[str] | None
) -> "Picture":
    """Return what is drawn, and write it to `path`, as SVG if its name says so."""
    from runtime.picture import Picture, picture_bytes, png_bytes

    with drawn as figure:
        picture = Picture(png=png_bytes(figure), figure=figure)
        if path is not None:
            svg = os.fspath(path).lower().endswith(".svg")
            write_atomically(path, picture_bytes(figure, "svg") if svg else picture.png)
    return picture


def quartiles(scores: Scores, worst: float) -> Scores:
    """Return the quartiles over the last axis of scores, NaN left out; first axis of length 3."""
    found = np.full((len(_QUARTILES), len(scores)), np.nan)
    with np.errstate(invalid="ignore"):  # between a number and an infinity
        for row, values in enumerate(scores):
            known = values[~np.isnan(values)]
            if known.size:
                among = np.quantile(known, _QUARTILES)
                found[:, row] = np.where(np.isnan(among), worst, among)
    return found


def value_text(name: str, value: Value) -> str:
    """Return a value of an axis with its name, as people say it."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if name in ("network", "optimizer") else f"{name.replace('_', ' ')} {text}"


def _cell(value: Value) -> Value | None:
    return None if value == "" else value
