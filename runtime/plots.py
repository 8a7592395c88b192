"""The pictures of a run as files: ``curves.png`` and ``decision.png``.

Each picture is made as bytes first (`curves_png`, `decision_png`), for whoever writes the
files of a run himself; `plot_curves` and `plot_decision` also write the file.
"""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.data.dataset import Dataset
from runtime.decision_picture import Predict, decision_png
from runtime.files import write_atomically
from runtime.history import History
from runtime.picture import BLUE, GREY, VERMILLION, blank_figure, png_bytes, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Predict", "curves_png", "decision_png", "plot_curves", "plot_decision"]

Array = NDArray[np.floating[Any]]

_FEW_EPOCHS = 25  # up to here every epoch gets a marker
_LARGEST = 1e30  # of a loss that is drawn; beyond, the axis itself overflows
_GAP = 0.065  # between two figures beside the axes, as a share of their height


def plot_curves(history: History, path: str | os.PathLike[str], title: str) -> None:
    """Write the picture of `curves_png` to `path`, whole or not at all.

    Raises
    ------
    InputError, RunError
        If `path` cannot be written to.
    """
    write_atomically(path, curves_png(history, title))


def plot_decision(
    predict: Predict,
    dataset: Dataset,
    path: str | os.PathLike[str],
    title: str,
    *,
    probabilities: bool = True,
) -> None:
    """Write the picture of `decision_png` to `path`, whole or not at all.

    Raises
    ------
    InputError
        As `decision_png` does.
    InputError, RunError
        If `path` cannot be written to.
    """
    write_atomically(path, decision_png(predict, dataset, title, probabilities=probabilities))


def curves_png(
    history: History, title: str, regression: Mapping[str, Array] | None = None
) -> bytes:
    """Return the picture of loss and accuracy over the epochs, training and test.

    What was not measured is not drawn, nor is what is not finite. The figures after the
    last epoch stand beside the ends of the lines.

    Parameters
    ----------
    history
        Any number of epochs; without one the panels say so.
    title
        One line above both panels; no mark-up.
    regression
        For real targets: ``train_rmse``, ``train_r2``, ``test_rmse`` and ``test_r2`` after
        each epoch. They take the place of the accuracy.
    """
    if regression is not None:
        return _regression_png(history, title, regression)
    with blank_figure(10.0, 4.6) as figure:
        loss, accuracy = figure.subplots(1, 2)
        figure.subplots_adjust(left=0.09, right=0.91, bottom=0.12, top=0.76, wspace=0.52)
        _curves(loss, {"training": history.train_loss, "test": history.test_loss}, _loss)
        _curves(
            accuracy,
            {"training": 100 * history.train_accuracy, "test": 100 * history.test_accuracy},
            "{:.2f} %".format,
        )
        loss.set(title="Loss", ylabel="mean loss per sample")
        accuracy.set(title="Accuracy", ylabel="accuracy (%)")
        if lines := loss.get_lines() or accuracy.get_lines():
            figure.legend(handles=lines, loc="upper center", bbox_to_anchor=(0.5, 0.93), ncols=2)
        set_title(figure, title)
        return png_bytes(figure)


def _regression_png(history: History, title: str, regression: Mapping[str, Array]) -> bytes:
    with blank_figure(14.0, 4.6) as figure:
        panels = figure.subplots(1, 3)
        figure.subplots_adjust(left=0.06, right=0.93, bottom=0.12, top=0.76, wspace=0.5)
        curves: list[tuple[str, str, Array, Array]] = [
            ("Loss", "mean loss per sample", history.train_loss, history.test_loss)
        ]
        for name, key, label in (
            ("Root mean squared error", "rmse", "RMSE (units of the target)"),
            ("R²", "r2", "R² (share of the variance explained)"),
        ):
            curves.append((name, label, regression[f"train_{key}"], regression[f"test_{key}"]))
        for axes, (name, label, train, test) in zip(panels, curves, strict=True):
            _curves(axes, {"training": train, "test": test}, _loss)
            axes.set(title=name, ylabel=label)
        if lines := panels[0].get_lines():
            figure.legend(handles=lines, loc="upper center", bbox_to_anchor=(0.5, 0.93), ncols=2)
        set_title(figure, title)
        return png_bytes(figure)


def _curves(axes: "Axes", curves: dict[str, Array], form: Callable[[float], str]) -> None:
    """Draw a line per entry, with its last value beside its end."""
    from matplotlib.ticker import MaxNLocator

    styles = {"training": (BLUE, "-", "o"), "test": (VERMILLION, "--", "s")}
    ends = {}
    epochs = max(map(len, curves.values()))
    for name, values in curves.items():
        colour, line, marker = styles[name]
        drawn = np.where(np.isfinite(values) & (np.abs(values) < _LARGEST), values, np.nan)
        if np.isnan(drawn).all():
            continue
        every: int | list[int] = 1 if epochs <= _FEW_EPOCHS else [epochs - 1]
        axes.plot(
            np.arange(1, epochs + 1),
            drawn,
            color=colour,
            linestyle=line,
            marker=marker,
            markersize=4.5,
            markevery=every,
            linewidth=1.8,
            clip_on=False,  # the last marker sits on the edge
            label=name,
        )
        if np.isfinite(drawn[-1]):
            ends[colour] = float(drawn[-1])
    axes.set_xlabel("epoch")
    axes.grid(visible=True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=[1, 2, 5, 10], integer=True))
    few = epochs <= _FEW_EPOCHS
    axes.set_xlim(*((0.5, 1.5) if epochs <= 1 else (1, epochs) if few else (0, epochs)))
    if epochs <= 1:
        axes.set_xticks([1])
    if not axes.lines:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=GREY)
        return
    for colour, height, value in _apart(axes.get_ylim(), ends):
        axes.text(1.025, height, form(value), transform=axes.transAxes, color=colour, va="center")


def _loss(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1e3 else f"{value:.2e}"  # the panels are close


def _apart(limits: tuple[float, float], ends: dict[str, float]) -> list[tuple[str, float, float]]:
    """Return (colour, height, value) with heights in axes units, at least `_GAP` apart."""
    low, high = limits
    placed = sorted((value - low) / (high - low) for value in ends.values())
    if len(placed) == 2 and placed[1] - placed[0] < _GAP:
        middle = sum(placed) / 2
        placed = [middle - _GAP / 2, middle + _GAP / 2]
    order = sorted(ends, key=ends.__getitem__)
    return [(colour, height, ends[colour]) for colour, height in zip(order, placed, strict=True)]
