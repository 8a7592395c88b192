"""``regression.png``: what a network says of real targets, beside what they are."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.data.dataset import Dataset
from runtime.picture import BLACK, BLUE, VERMILLION, blank_figure, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_OUTPUTS = 6
_COLUMNS = 3
_PANEL = 4.2  # inches
_MOST_POINTS = 2_000  # of each part
_CURVE = 400  # points

Array = NDArray[np.floating[Any]]
_Parts = list[tuple[str, dict[str, Any], Array, Array, Array]]


@contextlib.contextmanager
def regression_figure(
    predict: Callable[[Array], Array], dataset: Dataset, title: str
) -> Iterator["Figure"]:
    """Give a panel for each output, the first `MOST_OUTPUTS` of them.

    With a single input it holds the points and the network's curve through them; with more,
    predictions over targets, where the best there is lies on the diagonal.

    Parameters
    ----------
    predict
        From inputs (B, n0), in the set's own type, to outputs (B, nL).
    dataset
        Real targets.
    title
        One line; no mark-up.
    """
    outputs = dataset.Y_train.shape[1]
    shown = min(outputs, MOST_OUTPUTS)
    columns = min(shown, _COLUMNS)
    rows = -(-shown // columns)
    width, height = max(6.0, 1.0 + _PANEL * columns), 1.1 + _PANEL * rows
    with blank_figure(width, height) as figure:
        panels = figure.subplots(rows, columns, squeeze=False)
        figure.subplots_adjust(
            left=0.85 / width,
            right=1 - 0.3 / width,
            bottom=0.6 / height,
            top=1 - (1.1 if shown == 1 else 1.3) / height,
            wspace=0.32,
            hspace=0.4,
        )
        parts = _parts(predict, dataset)
        for k, axes in enumerate(panels.flat):
            if k >= shown:
                axes.set_axis_off()
                continue
            if dataset.X_train.shape[1] == 1:
                _curve(axes, parts, k, predict, dataset.X_train.dtype)
            else:
                _diagonal(axes, parts, k)
            axes.grid(visible=True)
            if outputs > 1:
                axes.set_title(f"output {k + 1}" + (f" of {outputs}" if shown < outputs else ""))
        figure.legend(
            handles=panels.flat[0].get_legend_handles_labels()[0],
            loc="upper center",
            bbox_to_anchor=(0.5, 1 - 0.5 / height),
            ncols=3,
        )
        set_title(figure, title)
        yield figure


def _parts(predict: Callable[[Array], Array], dataset: Dataset) -> _Parts:
    """Return label, style, inputs, targets and predictions of both parts, thinned."""
    found: _Parts = []
    styles = {
        "training": {"marker": "o", "facecolors": BLUE, "edgecolors": "none", "s": 18},
        "test": {"marker": "s", "facecolors": "none", "edgecolors": VERMILLION, "s": 22},
    }
    for name, X, Y in (
        ("training", dataset.X_train, dataset.Y_train),
        ("test", dataset.X_test, dataset.Y_test),
    ):
        step = -(-len(X) // _MOST_POINTS)
        X, Y = X[::step], Y[::step]
        label = name if step == 1 else f"{name} (1 in {step})"
        found.append((label, styles[name], X, Y, np.asarray(predict(X), np.float64)))
    return found


def _curve(
    axes: "Axes", parts: _Parts, k: int, predict: Callable[[Array], Array], dtype: Any
) -> None:
    for label, style, X, Y, _ in parts:
        axes.scatter(X[:, 0], Y[:, k], label=label, **style)
    low, high = axes.get_xlim()
    x = np.linspace(low, high, _CURVE)
    y = np.asarray(predict(x[:, None].astype(dtype)), np.float64)[:, k]
    axes.plot(x, np.ma.masked_invalid(y), color=BLACK, linewidth=1.8, label="network")
    axes.set(xlim=(low, high), xlabel="input (its own units)", ylabel="target (its own units)")


def _diagonal(axes: "Axes", parts: _Parts, k: int) -> None:
    from matplotlib.ticker import MaxNLocator

    for label, style, _, Y, P in parts:
        good = np.isfinite(P[:, k])
        axes.scatter(Y[good, k], P[good, k], label=label, **style)
    both = np.array([axes.get_xlim(), axes.get_ylim()])
    ends = float(both[:, 0].min()), float(both[:, 1].max())
    axes.plot(ends, ends, color=BLACK, linewidth=1.4, linestyle="--", label="prediction = target")
    axes.set(xlim=ends, ylim=ends, box_aspect=1)
    axes.set(xlabel="target (its own units)", ylabel="prediction (same units)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6))
