"""``bands.png``: test accuracy over the epochs, as median and quartiles over the seeds.

A grid has more points than a picture can show lines. So one axis is chosen, the first with few
values, and each of its values is shown at its best: with the other settings that suit it most.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from runtime.picture import GREY, MARKERS, PALETTE, blank_figure, legend_columns, set_title
from runtime.sweeps.picture_parts import measure_label, seeds_text, shown_scores
from runtime.sweeps.result import SweepResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 9.0, 4.2  # inches: the picture, and its axes
_MOST_LINES = 6
_FEW_EPOCHS = 25  # up to here every epoch gets a marker
_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (7, 3)))
_COLOURS = (PALETTE[1], PALETTE[0], PALETTE[2], PALETTE[3], PALETTE[4], PALETTE[7])


@contextlib.contextmanager
def drawn_bands(result: SweepResult) -> Iterator["Figure"]:
    """Give the picture."""
    from matplotlib.ticker import MaxNLocator

    points = shown_points(result)
    columns = legend_columns([result.described(point) for point in points], _WIDTH)
    rows = -(-len(points) // columns)
    below, above = 0.75 + 0.26 * rows, 0.75  # inches
    height = below + _HEIGHT + above
    with blank_figure(_WIDTH, height) as figure:
        axes = figure.subplots()
        for line, point in enumerate(points):
            epochs, quartiles = result.curves(point)
            low, middle, high = shown_scores(result, quartiles)
            colour = _COLOURS[line]
            axes.fill_between(epochs, low, high, color=colour, alpha=0.16, linewidth=0)
            for edge in (low, high):
                axes.plot(epochs, edge, color=colour, linewidth=0.7, alpha=0.6)
            if len(epochs) == 1:  # a band of no width
                axes.vlines(epochs, low, high, color=colour, linewidth=1.5)
            few = len(epochs) <= _FEW_EPOCHS
            axes.plot(
                epochs,
                middle,
                color=colour,
                linestyle=_STYLES[line],
                marker=MARKERS[line],
                markersize=5,
                markevery=1 if few else max(1, len(epochs) // 8),
                linewidth=2,
                label=result.described(point),
            )
        axes.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=[1, 2, 5, 10], integer=True))
        axes.set(xlabel="epoch", ylabel=measure_label(result))
        axes.grid(visible=True)
        last = max(result.plan.points[point].settings.epochs for point in points)
        axes.set_xlim(0.5 if last == 1 else 1, max(last, 1.5))
        if last == 1:
            axes.set_xticks([1])
        axes.set_title(f"median and quartiles of {seeds_text(result)}", color=GREY)
        figure.subplots_adjust(left=0.1, right=0.97, bottom=below / height, top=1 - above / height)
        # not among the curves: with wide bands no corner is free
        figure.legend(loc="lower center", ncols=columns)
        set_title(figure, f"{result.data}: {measure_label(result).split(' (')[0]} over the epochs")
        yield figure


def shown_points(result: SweepResult) -> list[int]:
    """Return the points whose curves are drawn: the best one of each value of an axis."""
    medians = result.quartiles()[1]
    goodness = -medians if result.is_regression else medians
    goodness = np.where(np.isnan(goodness), -np.inf, goodness)
    axes = result.plan.axes
    if not axes:
        return [0]
    name = next((n for n, v in axes.items() if len(v) <= _MOST_LINES), next(iter(axes)))
    values = axes[name]
    places = np.linspace(0, len(values) - 1, min(len(values), _MOST_LINES)).round().astype(int)
    found = []
    for value in (values[place] for place in places):
        having = [k for k, p in enumerate(result.plan.points) if p.values[name] == value]
        best = max(having, key=lambda k: goodness[k])
        if np.isfinite(goodness[best]):
            found.append(best)
    return found
