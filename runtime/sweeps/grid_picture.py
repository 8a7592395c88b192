"""``grid.png``: the medians over the grid.

Where one axis varies, a band over it: median and quartiles. Where two do, a heat map. Further
axes become panels, as far as these are few; else a cell shows the best over them.
"""

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from runtime.picture import BLUE, VERMILLION, blank_figure, set_title
from runtime.sweeps.picture_parts import (
    axis_label,
    measure_label,
    seeds_text,
    set_ticks,
    shown_scores,
)
from runtime.sweeps.plan import Value
from runtime.sweeps.result import Scores, SweepResult, value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

_MOST_PANELS = 6
_MOST_NUMBERS = 150  # cells of a panel that are labelled
_MISSING = "#BBBBBB"


@contextlib.contextmanager
def drawn_grid(result: SweepResult) -> Iterator["Figure"]:
    """Give the picture of a grid in which something varies."""
    draw = _line if len(result.plan.axes) == 1 else _heat_map
    with draw(result) as figure:
        yield figure


@contextlib.contextmanager
def _line(result: SweepResult) -> Iterator["Figure"]:
    ((name, values),) = result.plan.axes.items()
    low, middle, high = shown_scores(result, result.quartiles())
    places = np.arange(len(values))
    with blank_figure(8.0, 5.0) as figure:
        axes = figure.subplots()
        axes.fill_between(
            places, low, high, color=BLUE, alpha=0.2, linewidth=0, label="between the quartiles"
        )
        axes.plot(places, middle, color=BLUE, marker="o", linewidth=2, label="median")
        gone = np.flatnonzero(np.isinf(result.quartiles()[1]))
        if gone.size:
            axes.plot(
                gone,
                np.full(len(gone), np.nanmin(low) if np.isfinite(low).any() else 0.0),
                linestyle="none",
                marker="X",
                markersize=9,
                color=VERMILLION,
                label="half of the runs or more diverged",
            )
        set_ticks(axes, "x", values)
        axes.set(xlabel=axis_label(name), ylabel=measure_label(result))
        axes.grid(visible=True)
        axes.legend(loc="best")
        figure.subplots_adjust(left=0.12, right=0.97, bottom=0.17, top=0.9)
        set_title(figure, f"{result.data}: {seeds_text(result)} for each value")
        yield figure


@contextlib.contextmanager
def _heat_map(result: SweepResult) -> Iterator["Figure"]:
    plan = result.plan
    down, across, others = heat_axes(plan.axes)
    columns, rows = plan.axes[across], plan.axes[down]
    panels = heat_panels(result, down, across, others)
    wide = min(len(panels), 3 if len(columns) <= 8 else 2)
    high = -(-len(panels) // wide)
    width = max(4.2, 0.62 * len(columns) + 1.6) if len(columns) <= 16 else 8.0
    height = max(2.6, 0.42 * len(rows) + 1.5) if len(rows) <= 20 else 7.0
    with blank_figure(max(7.0, width * wide + 1.6), height * high + 0.7) as figure:
        places = figure.subplots(high, wide, squeeze=False)
        figure.set_layout_engine("constrained")
        known = [scores[np.isfinite(scores)] for scores in panels.values()]
        norm = _norm(result, np.concatenate(known))
        best = max if not result.is_regression else min
        top = best(best(values) for values in known if values.size)
        image = None
        for place, (title, scores) in zip(places.flat, panels.items(), strict=False):
            image = _heat(place, result, scores, norm, top)
            set_ticks(place, "x", columns)
            set_ticks(place, "y", rows)
            place.set(xlabel=axis_label(across), ylabel=axis_label(down), title=title)
        for place in places.flat[len(panels) :]:
            place.set_visible(False)
        if image is not None:
            bar = figure.colorbar(image, ax=places, shrink=0.9)
            bar.set_label(f"median {measure_label(result)}")
        best_of = "" if len(panels) > 1 or not others else ", best of the other settings"
        set_title(
            figure, f"{result.data}: median of {seeds_text(result)}{best_of}; framed: the best"
        )
        yield figure


def heat_axes(axes: Mapping[str, tuple[Value, ...]]) -> tuple[str, str, tuple[str, ...]]:
    """Return the axes that go down and across, and the others: the two longest are drawn."""
    # among equals the later one, as the learning rate, goes across
    ordered = sorted(axes, key=lambda name: (len(axes[name]), list(axes).index(name)))
    across, down = ordered[-1], ordered[-2]
    return down, across, tuple(name for name in axes if name not in (down, across))


def heat_panels(
    result: SweepResult, down: str, across: str, others: tuple[str, ...]
) -> dict[str, Scores]:
    """Return the medians (rows, columns) of each panel by its title; infinite: diverged."""
    axes = result.plan.axes
    combinations = list(itertools.product(*(axes[name] for name in others)))
    apart = len(combinations) <= _MOST_PANELS
    medians = result.quartiles()[1]
    shape = len(axes[down]), len(axes[across])
    panels: dict[str, Scores] = {}
    for point, median in zip(result.plan.points, medians.tolist(), strict=True):
        chosen = [value_text(n, point.values[n]) for n in others if point.values[n] != ""]
        title = ", ".join(chosen) if apart else ""
        scores = panels.setdefault(title, np.full(shape, np.nan))
        at = axes[down].index(point.values[down]), axes[across].index(point.values[across])
        better = np.fmin if result.is_regression else np.fmax
        scores[at] = better(scores[at], median)
    return panels


def _norm(result: SweepResult, known: Scores) -> "Normalize":
    from matplotlib.colors import LogNorm, Normalize

    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if result.is_regression and 0 < 30 * low < high:
        return LogNorm(low, high)
    scale = 1.0 if result.is_regression else 100.0
    return Normalize(scale * low, scale * high if high > low else scale * low + 1e-9)


def _heat(
    axes: "Axes", result: SweepResult, scores: Scores, norm: "Normalize", top: float
) -> "AxesImage":
    """Draw one panel; the best cell of all is framed."""
    from matplotlib.patches import Rectangle

    shown = shown_scores(result, scores)
    colours = "cividis_r" if result.is_regression else "cividis"
    axes.set_facecolor(_MISSING)
    image = axes.imshow(shown, norm=norm, cmap=colours, aspect="auto", origin="lower")
    axes.spines[:].set_visible(False)
    labelled = shown.size <= _MOST_NUMBERS
    for (row, column), value in np.ndenumerate(shown):
        if scores[row, column] == top:
            axes.add_patch(
                Rectangle(
                    (column - 0.5, row - 0.5),
                    1,
                    1,
                    fill=False,
                    edgecolor=VERMILLION,
                    linewidth=3,
                    clip_on=False,
                    zorder=3,
                )
            )
        text = f"{value:.3g}" if result.is_regression else f"{value:.1f}"
        dark = False
        if np.isnan(value):
            text = "div." if np.isinf(scores[row, column]) else "–"
        else:
            red, green, blue, _ = image.cmap(float(norm(value)))
            dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
        if labelled or np.isnan(value):
            colour = "white" if dark else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=9, color=colour)
    return image
