"""``decision.png``: what a network says everywhere on the plane, and the data it is about."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.data.dataset import Dataset, labels_of
from runtime.decision_shade import shade
from runtime.errors import InputError
from runtime.picture import (
    GREY,
    LIGHT_GREY,
    MARKERS,
    Blank,
    blank_figure,
    class_colours,
    legend_columns,
    png_bytes,
    set_title,
    shortened,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.floating[Any]]
Predict = Callable[[Array], Array]

_GRID = 240  # points along the longer side: one for three or four pixels
_MOST_POINTS = 2_000  # of each part; more are a blot, and take time
_MOST_NAMES = 17  # of classes in a legend
_LONGEST_NAME = 24
_WIDTH, _PLANE = 7.4, 5.2  # inches: the picture, and the longer side of the plane
_MOST_OBLONG = 3.0


def decision_png(
    predict: Predict, dataset: Dataset, title: str, *, probabilities: bool = True
) -> bytes:
    """Return the picture of `decision_figure`."""
    with decision_figure(predict, dataset, title, probabilities=probabilities) as figure:
        return png_bytes(figure)


@contextlib.contextmanager
def decision_figure(
    predict: Predict, dataset: Dataset, title: str, *, probabilities: bool = True
) -> Iterator["Figure"]:
    """Give the picture of a network's decision on two-dimensional inputs.

    The shade says how sure the network is, the black line where its decision changes.
    Training points are filled, test points hollow. Both axes have one scale, unless one
    range is more than three times the other: then they are in different units.

    Parameters
    ----------
    predict
        From points (n, 2), in the data's own dtype, to outputs (n, c): a column per class;
        or (n, 1) for two classes, where a large output means the second.
    dataset
        Two input columns. The picture covers the data and `Dataset.grid`.
    title
        One line; no mark-up.
    probabilities
        Whether the outputs are probabilities. If not, the shade is the lead of the winning
        output over the next, and a single column decides at 0 instead of 1/2.

    Raises
    ------
    InputError
        If the data are not points of a plane, or `predict` gives another shape.
    """
    refuse_other_than_planes(dataset)
    x, y = axis_points(dataset)
    surface = surface_of(predict, dataset, x, y)
    with surface_figure(x, y, surface, dataset, title, probabilities=probabilities) as figure:
        yield figure


@contextlib.contextmanager
def surface_figure(
    x: Array,
    y: Array,
    surface: Array,
    dataset: Dataset,
    title: str,
    *,
    probabilities: bool = True,
    blank: Blank = blank_figure,
) -> Iterator["Figure"]:
    """Give the picture of `decision_figure` for outputs that are known on a grid already.

    Parameters
    ----------
    x, y
        Coordinates of the grid along both axes, at even steps.
    surface
        Outputs there, shape (len(y), len(x), c): a column per class, or one for two classes.
    dataset, title, probabilities
        As for `decision_figure`.
    blank
        Gives the figure to draw on.
    """
    gaps = not np.isfinite(surface).all()
    with decision_plane(dataset, x, y, gaps=gaps, blank=blank) as (figure, axes, bar):
        shade(axes, bar, x, y, surface, class_names(dataset), probabilities=probabilities)
        draw_points(axes, dataset)
        set_title(figure, title)
        yield figure


@contextlib.contextmanager
def points_figure(
    dataset: Dataset, title: str, *, blank: Blank = blank_figure
) -> Iterator["Figure"]:
    """Give a picture of the points alone, in the same axes: training filled, test hollow."""
    x, y = axis_points(dataset)
    legend = _legend_entries(dataset, class_names(dataset), gaps=False)[:-1]  # there is no boundary
    columns = legend_columns([str(entry.get_label()) for entry in legend], _WIDTH)
    with _plane(x, y, rows=-(-len(legend) // columns), blank=blank) as (figure, axes, bar):
        bar.remove()
        place = axes.get_position()
        axes.set_position(((1 - place.width) / 2, place.y0, place.width, place.height))
        draw_points(axes, dataset)
        axes.set(xlabel="x₁", ylabel="x₂", xlim=x[[0, -1]], ylim=y[[0, -1]])
        figure.legend(handles=legend, loc="lower center", ncols=columns)
        set_title(figure, title)
        yield figure


def refuse_other_than_planes(dataset: Dataset) -> None:
    """Raise `InputError` unless the inputs are points of a plane, and the targets classes."""
    columns = dataset.X_train.shape[1]
    if columns != 2:
        raise InputError(f"{dataset.name}: {columns} input columns, a picture needs two.")
    if dataset.is_regression:
        raise InputError(f"{dataset.name}: real targets, a picture of the decision needs classes.")


def surface_of(predict: Predict, dataset: Dataset, x: Array, y: Array) -> Array:
    """Return what `predict` says on a grid, shape (rows, columns, outputs), float64.

    Raises
    ------
    InputError
        If it gives another shape.
    """
    points = np.stack([axis.ravel() for axis in np.meshgrid(x, y)], axis=1)
    outputs = np.asarray(predict(points.astype(dataset.X_train.dtype)), dtype=np.float64)
    classes = len(dataset.classes)
    one_column = classes == 2 and outputs.shape == (len(points), 1)
    if not one_column and outputs.shape != (len(points), classes):
        raise InputError(
            f"predict gives shape {outputs.shape}, expected {(len(points), classes)}: "
            f"a column per class of {dataset.name}."
        )
    return outputs.reshape(len(y), len(x), -1)


@contextlib.contextmanager
def decision_plane(
    dataset: Dataset, x: Array, y: Array, *, gaps: bool = False, blank: Blank = blank_figure
) -> Iterator[tuple["Figure", "Axes", "Axes"]]:
    """Give a figure with a legend, still without shade, points and title, and its bar.

    With `gaps` the legend tells of places where the network gives no number.
    """
    legend = _legend_entries(dataset, class_names(dataset), gaps=gaps)
    columns = legend_columns([str(entry.get_label()) for entry in legend], _WIDTH)
    with _plane(x, y, rows=-(-len(legend) // columns), blank=blank) as (figure, axes, bar):
        axes.set(xlabel="x₁", ylabel="x₂", xlim=x[[0, -1]], ylim=y[[0, -1]])
        figure.legend(
            handles=legend,
            loc="lower center",
            ncols=columns,
            columnspacing=1.4,
            handletextpad=0.4,
        )
        yield figure, axes, bar


def class_names(dataset: Dataset) -> list[str]:
    """Return what classes are called in the legend."""
    return [_class_name(label) for label in dataset.classes]


def axis_points(dataset: Dataset, number: int = _GRID) -> tuple[Array, Array]:
    """Return the coordinates of the grid along both axes: data and grid, with a margin.

    There are `number` along the longer side.
    """
    data = np.concatenate([dataset.X_train, dataset.X_test]).astype(np.float64)
    low, high = data.min(axis=0), data.max(axis=0)
    margin = np.where(high > low, 0.08 * (high - low), 1.0)
    low, high = low - margin, high + margin
    if dataset.grid is not None:
        # a grid is usually half open, such as arange(-2, 2, 0.1)
        steps = np.ptp(dataset.grid, axis=0) / max(1, math.isqrt(len(dataset.grid)) - 1)
        low = np.minimum(low, dataset.grid.min(axis=0))
        high = np.maximum(high, dataset.grid.max(axis=0) + steps)
    sides = high - low
    numbers = [number, number]
    if _comparable(sides):
        numbers = [max(2, round(number * side / sides.max())) for side in sides]
    x, y = (np.linspace(*args) for args in zip(low, high, numbers, strict=True))
    return x, y


def _comparable(sides: Array) -> bool:
    """Whether both axes may have one scale; else they are of different units, surely."""
    return bool(sides.max() <= _MOST_OBLONG * sides.min())


@contextlib.contextmanager
def _plane(
    x: Array, y: Array, rows: int, blank: Blank
) -> Iterator[tuple["Figure", "Axes", "Axes"]]:
    """Give a figure with axes of equal scale, a colour bar beside and room for a legend.

    Placed in inches, not by a layout engine: that would draw everything twice.
    """
    sides = np.array([x[-1] - x[0], y[-1] - y[0]])
    width, height = _PLANE * (sides / sides.max() if _comparable(sides) else np.ones(2))
    below, above, gap, bar, beside = 0.6 + 0.26 * rows, 0.6, 0.2, 0.28, 0.85
    total = (_WIDTH, below + height + above)
    left = (_WIDTH + 0.75 - width - gap - bar - beside) / 2  # 0.75 for the labels of the axis
    scale = 1 / np.tile(total, 2)
    with blank(*total) as figure:
        yield (
            figure,
            figure.add_axes(tuple(np.array([left, below, width, height]) * scale)),
            figure.add_axes(tuple(np.array([left + width + gap, below, bar, height]) * scale)),
        )


def draw_points(axes: "Axes", dataset: Dataset) -> None:
    """Draw training points filled and test points hollow, a marker and colour per class."""
    colours = class_colours(len(dataset.classes))
    parts = ((dataset.X_train, dataset.Y_train, True), (dataset.X_test, dataset.Y_test, False))
    for X, Y, filled in parts:
        step = -(-len(X) // _MOST_POINTS)
        X, labels = X[::step], labels_of(Y[::step])
        for k, colour in enumerate(colours):
            x, y = X[labels == k].T
            axes.scatter(
                x,
                y,
                s=30,
                marker=MARKERS[k % len(MARKERS)],
                facecolors=colour if filled else "white",
                edgecolors="black" if filled else colour,
                linewidths=0.6 if filled else 1.4,
                zorder=3,
            )


def _legend_entries(dataset: Dataset, names: Sequence[str], gaps: bool) -> list["Artist"]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def entry(label: str, marker: str, face: str, edge: str) -> Line2D:
        return Line2D(
            [], [], linestyle="", marker=marker, color=face, markeredgecolor=edge, label=label
        )

    colours = class_colours(len(names))
    entries: list[Artist] = [
        entry(name, MARKERS[k % len(MARKERS)], colours[k], "black")
        for k, name in enumerate(names[:_MOST_NAMES])
    ]
    if len(names) > _MOST_NAMES:
        entries.append(entry(f"{len(names) - _MOST_NAMES} more", "", "white", "white"))
    for label, X, face in (
        ("training", dataset.X_train, GREY),
        ("test", dataset.X_test, "white"),
    ):
        part = -(-len(X) // _MOST_POINTS)
        label = label if part == 1 else f"{label} (1 in {part})"
        entries.append(entry(label, "o", face, GREY))
    entries.append(Line2D([], [], color="black", linewidth=2, label="decision boundary"))
    if gaps:
        entries.append(Patch(color=LIGHT_GREY, label="not a number"))
    return entries


def _class_name(label: str | int) -> str:
    return f"class {label}" if isinstance(label, int) else shortened(label, _LONGEST_NAME)
