"""``curves.png``: loss and accuracy over the epochs; and pictures as files.

Each picture is a figure first (`curves_figure`), then bytes (`curves_png`), for whoever writes
the files of a run himself; `plot_curves` and `plot_decision` also write the file.
"""

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.data.dataset import Dataset
from runtime.decision_picture import Predict, decision_png
from runtime.files import write_atomically
from runtime.history import History
from runtime.picture import (
    BLUE,
    GREY,
    VERMILLION,
    Blank,
    blank_figure,
    keep_decades_readable,
    number_epochs,
    png_bytes,
    set_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "Predict",
    "curves_figure",
    "curves_png",
    "decision_png",
    "plot_curves",
    "plot_decision",
]

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
    history: History,
    title: str,
    regression: Mapping[str, Array] | None = None,
    *,
    log: bool = False,
) -> bytes:
    """Return the picture of `curves_figure`."""
    with curves_figure(history, title, regression, log=log) as figure:
        return png_bytes(figure)


@contextlib.contextmanager
def curves_figure(
    history: History,
    title: str,
    regression: Mapping[str, Array] | None = None,
    *,
    log: bool = False,
    blank: Blank = blank_figure,
) -> Iterator["Figure"]:
    """Give the picture of loss and accuracy over the epochs, training and test.

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
        each epoch. They take the place of the accuracy; where only those of one epoch are
        known, they stand below the title.
    log
        Whether losses and errors have a logarithmic scale; one with a value that is not
        positive keeps its own.
    blank
        Gives the figure to draw on.
    """
    panels: list[tuple[str, str, Array, Array, Callable[[float], str], bool]] = [
        ("Loss", "mean loss per sample", history.train_loss, history.test_loss, _loss, log)
    ]
    if regression is None:
        shares = 100 * history.train_accuracy, 100 * history.test_accuracy
        panels.append(("Accuracy", "accuracy (%)", *shares, "{:.2f} %".format, False))
    elif all(np.isfinite(values).sum() > 1 for values in regression.values()):
        for name, key, label, scaled in (
            ("Root mean squared error", "rmse", "RMSE (units of the target)", log),
            ("R²", "r2", "R² (share of the variance explained)", False),
        ):
            values = regression[f"train_{key}"], regression[f"test_{key}"]
            panels.append((name, label, *values, _loss, scaled))
    width = {1: 7.4, 2: 10.0, 3: 14.0}[len(panels)]
    with blank(width, 4.6) as figure:
        drawn = figure.subplots(1, len(panels), squeeze=False)[0]
        figure.subplots_adjust(
            left=0.9 / width, right=1 - 0.92 / width, bottom=0.12, top=0.76, wspace=0.52
        )
        for axes, (name, label, train, test, form, scaled) in zip(drawn, panels, strict=True):
            measured = np.isfinite(train) | np.isfinite(test)
            at = np.flatnonzero(measured) if regression and axes is not drawn[0] else None
            _curves(axes, {"training": train, "test": test}, form, log=scaled, at=at)
            axes.set(title=name, ylabel=label)
        if regression is not None and len(panels) == 1:
            drawn[0].set_title(_scores(regression), color=GREY, fontsize=10)
        if lines := next((axes.get_lines() for axes in drawn if axes.lines), None):
            figure.legend(handles=lines, loc="upper center", bbox_to_anchor=(0.5, 0.93), ncols=2)
        set_title(figure, title)
        yield figure


def _curves(
    axes: "Axes",
    curves: dict[str, Array],
    form: Callable[[float], str],
    *,
    log: bool,
    at: NDArray[np.integer[Any]] | None,
) -> None:
    """Draw a line per entry, with its last value beside its end.

    `at` are the places of the values that were measured, where a line leads from one to the
    next; None: all were meant to be.
    """
    styles = {"training": (BLUE, "-", "o"), "test": (VERMILLION, "--", "s")}
    ends = {}
    epochs = max(map(len, curves.values()))
    for name, values in curves.items():
        colour, line, marker = styles[name]
        drawn = np.where(np.isfinite(values) & (np.abs(values) < _LARGEST), values, np.nan)
        if np.isnan(drawn).all():
            continue
        places = np.arange(epochs) if at is None else at
        every: int | list[int] = 1 if len(places) <= _FEW_EPOCHS else [len(places) - 1]
        axes.plot(
            places + 1,
            drawn[places],
            color=colour,
            linestyle=line,
            marker=marker,
            markersize=4.5,
            markevery=every,
            linewidth=1.8,
            clip_on=False,  # the last marker sits on the edge
            label=name,
        )
        log = log and not np.any(drawn <= 0)
        if np.isfinite(drawn[-1]):
            ends[colour] = float(drawn[-1])
    axes.set_xlabel("epoch")
    axes.grid(visible=True)
    number_epochs(axes)
    few = epochs <= _FEW_EPOCHS
    axes.set_xlim(*((0.5, 1.5) if epochs <= 1 else (1, epochs) if few else (0, epochs)))
    if epochs <= 1:
        axes.set_xticks([1])
    if not axes.lines:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=GREY)
        return
    if log:
        axes.set_yscale("log")
        axes.grid(visible=True, which="minor", axis="y", linewidth=0.4)
        keep_decades_readable(axes)
    for colour, height, value in _apart(axes.get_ylim(), ends, log=log):
        axes.text(1.025, height, form(value), transform=axes.transAxes, color=colour, va="center")


def _scores(regression: Mapping[str, Array]) -> str:
    """Return the RMSE and R² that are known, as a line."""
    told = []
    for part, name in (("train", "training"), ("test", "test")):
        known = {key: regression[f"{part}_{key}"] for key in ("rmse", "r2")}
        last = {key: values[np.isfinite(values)][-1:] for key, values in known.items()}
        if all(map(len, last.values())):
            told.append(f"{name} RMSE {_loss(last['rmse'][0])}, R² {last['r2'][0]:.4f}")
    return "   ".join(told)


def _loss(value: float) -> str:
    # the panels are close
    size = abs(value)
    return f"{value:.4f}" if size < 10 else f"{value:.5g}" if size < 1e4 else f"{value:.2e}"


def _apart(
    limits: tuple[float, float], ends: dict[str, float], *, log: bool
) -> list[tuple[str, float, float]]:
    """Return (colour, height, value) with heights in axes units, at least `_GAP` apart."""
    scale: Callable[[float], float] = math.log if log else float
    low, high = map(scale, limits)
    placed = sorted((scale(value) - low) / (high - low) for value in ends.values())
    if len(placed) == 2 and placed[1] - placed[0] < _GAP:
        middle = sum(placed) / 2
        placed = [middle - _GAP / 2, middle + _GAP / 2]
    order = sorted(ends, key=ends.__getitem__)
    return [(colour, height, ends[colour]) for colour, height in zip(order, placed, strict=True)]
