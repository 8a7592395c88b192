"""Images in a table, each with its label, or with what a network takes it for."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.picture import BLUE, GREY, VERMILLION, Blank, blank_figure, set_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.floating[Any]]

_SIDE = 28  # pixels of an image
_STEP = 41, 34  # pixels from one image to the next, down and across: room for a caption
_COLUMNS = 10
_INCH = 36  # pixels of the table


@contextlib.contextmanager
def digits_figure(
    X: Array,
    labels: Sequence[str],
    title: str,
    *,
    answers: Sequence[str] | None = None,
    certainty: Array | None = None,
    blank: Blank = blank_figure,
) -> Iterator["Figure"]:
    """Give images in rows of ten, and below each its label or the network's answer.

    Parameters
    ----------
    X
        Images of 28 × 28, shape (n, 784), from 0 for paper to 1 for ink.
    labels
        What each of them is.
    title
        One line; no mark-up.
    answers
        What a network takes each for; None for the labels alone. A wrong answer is framed.
    certainty
        The probability that it gives to its answer, shape (n,).
    blank
        Gives the figure to draw on.
    """
    from matplotlib.patches import Rectangle

    rows, across = np.divmod(np.arange(len(X)), _COLUMNS)
    corners = np.stack([3 + rows * _STEP[0], 3 + across * _STEP[1]], axis=1)
    height, width = (rows[-1] + 1) * _STEP[0], _COLUMNS * _STEP[1]
    table = np.zeros((height, width))
    for image, (top, left) in zip(X, corners, strict=True):
        table[top : top + _SIDE, left : left + _SIDE] = image.reshape(_SIDE, _SIDE)
    captions = list(labels) if answers is None else list(answers)
    if certainty is not None:
        captions = [f"{text}  {p:.0%}" for text, p in zip(captions, certainty, strict=True)]
    is_wrong = [answers is not None and answers[n] != labels[n] for n in range(len(X))]
    below = 0.1 if answers is None else 0.4  # inches: room for a line of words
    size = width / _INCH + 0.4, below + height / _INCH + 0.6
    with blank(*size) as figure:
        place = 0.2 / size[0], below / size[1], 1 - 0.4 / size[0], height / _INCH / size[1]
        axes = figure.add_axes(place)
        axes.imshow(table, cmap="gray_r", vmin=0, vmax=1, aspect="auto")
        axes.set_axis_off()
        for (top, left), caption, wrong in zip(corners, captions, is_wrong, strict=True):
            colour = GREY if answers is None else VERMILLION if wrong else BLUE
            x, y = left + _SIDE / 2, top + _SIDE + 5
            axes.text(x, y, caption, ha="center", va="center", color=colour, fontsize=9)
            if wrong:
                corner, side = (left - 1.5, top - 1.5), _SIDE + 2
                axes.add_patch(Rectangle(corner, side, side, fill=False, ec=colour, lw=2))
        if answers is not None:
            words = f"what the network takes them for; {sum(is_wrong)} of {len(X)} wrong, framed"
            figure.text(0.5, 0.14 / size[1], words, ha="center", color=GREY, fontsize=10)
        set_title(figure, title)
        yield figure
