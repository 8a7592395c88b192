"""``confusion.png``: which classes a network takes for which."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from runtime.picture import blank_figure, set_title, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES = 30  # more cells than can be read
_CELL = 0.56  # inches
_LONGEST_NAME = 14
_DARK = 0.7  # of the shade from which on white letters stand out more than black ones


@contextlib.contextmanager
def confusion_figure(
    confusion: NDArray[np.integer], classes: Sequence[str | int], title: str, part: str = "test"
) -> Iterator["Figure"]:
    """Give the picture of a confusion matrix: counts, shaded by their share of the true class.

    The shade is the square root of the share, so that rare mistakes are seen beside the many
    samples that are classified rightly. Beside each row stands the share of it that is: the
    recall of the class.

    Parameters
    ----------
    confusion
        Shape (c, c): samples by true class (row) and predicted class (column).
    classes
        What the rows and columns stand for, at most `MOST_CLASSES`.
    title
        One line; no mark-up.
    part
        What set the samples are from, for the labels.
    """
    number = len(classes)
    names = [shortened(str(name), _LONGEST_NAME) for name in classes]
    letters = max(map(len, names))
    totals = confusion.sum(axis=1)
    shares = np.sqrt(confusion / np.maximum(totals, 1)[:, None])
    side = max(3.4, _CELL * number)
    sloping = 0.115 * letters > 0.9 * side / number
    left, below = 0.75 + 0.105 * letters, 0.62 + (0.09 * letters if sloping else 0.0)
    right, above = 1.05, 0.85
    width, height = max(6.2, left + side + right), below + side + above
    left += (width - left - side - right) / 2
    with blank_figure(width, height) as figure:
        axes = figure.add_axes((left / width, below / height, side / width, side / height))
        axes.imshow(shares, cmap="Greys", vmin=0, vmax=1.15, aspect="auto")
        for row, column in np.ndindex(confusion.shape):
            count = int(confusion[row, column])
            axes.text(
                column,
                row,
                f"{count}" if count else "·",
                ha="center",
                va="center",
                fontsize=10 if count < 10_000 else 8,
                fontweight="bold" if row == column else "normal",
                color="white" if shares[row, column] > _DARK else "black",
            )
        axes.set_xticks(range(number), names, rotation=60 if sloping else 0)
        if sloping:
            for label in axes.get_xticklabels():
                label.set(ha="right", rotation_mode="anchor")
        axes.set_yticks(range(number), names)
        axes.set_xticks(np.arange(number + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(number + 1) - 0.5, minor=True)
        axes.grid(visible=True, which="minor", color="#BFBFBF", linewidth=0.6)
        axes.tick_params(which="both", length=0)
        axes.set(xlabel=f"predicted class (number of {part} samples)", ylabel="true class")
        for row, total in enumerate(totals):
            share = f"{100 * confusion[row, row] / total:.1f} %" if total else "no samples"
            beside = axes.get_yaxis_transform()
            axes.text(1 + 0.1 / side, row, share, transform=beside, va="center", fontsize=10)
        over = axes.transAxes
        axes.text(1 + 0.1 / side, 1 + 0.08 / side, "recall", transform=over, style="italic")
        set_title(figure, title)
        yield figure
