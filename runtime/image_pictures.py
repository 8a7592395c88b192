"""Pictures about images of 28 × 28: ``mistakes.png`` and ``first_layer.png``."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.data.sparse_rows import Inputs
from runtime.picture import GREY, blank_figure, set_title, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS = 784  # inputs of a network that are taken for an image
_SIDE = 28
_ROWS, _COLUMNS = 4, 6  # of mistakes
_MOST_UNITS = 100
_SHEET = 5.2  # inches, of the images of all units together
_BETWEEN = 2  # pixels between two of them
_LONGEST_NAME = 11

Array = NDArray[np.floating[Any]]


@contextlib.contextmanager
def mistakes_figure(
    X: Inputs, P: Array, labels: NDArray[np.integer], classes: Sequence[str | int], title: str
) -> Iterator["Figure"]:
    """Give the images that a network is most wrongly sure of, the worst first.

    Parameters
    ----------
    X
        Images (rows, 784), in any units.
    P
        Outputs (rows, classes), probabilities.
    labels
        The true class of each row.
    classes
        Their names.
    title
        One line; no mark-up.
    """
    said = P.argmax(axis=1)
    rows = np.arange(len(P))
    lead = np.where(said == labels, -np.inf, P[rows, said] - P[rows, labels])
    wrong = int(np.count_nonzero(said != labels))
    worst = np.argsort(-lead, kind="stable")[: min(wrong, _ROWS * _COLUMNS)]
    names = [shortened(str(name), _LONGEST_NAME) for name in classes]
    with blank_figure(9.6, 8.6) as figure:
        set_title(figure, title)
        heading = (
            f"The {len(worst)} worst of {wrong} mistakes in {len(P)} test images"
            if wrong
            else f"No mistakes in {len(P)} test images"
        )
        figure.text(0.5, 0.925, heading, ha="center", color=GREY)
        grid = figure.subplots(_ROWS, _COLUMNS, squeeze=False)
        figure.subplots_adjust(
            left=0.02, right=0.98, bottom=0.015, top=0.855, wspace=0.12, hspace=0.42
        )
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, row in zip(grid.flat, worst, strict=False):
            axes.imshow(
                X[row : row + 1].reshape(_SIDE, _SIDE), cmap="gray_r", interpolation="nearest"
            )
            sure = 100 * P[row, said[row]]
            axes.set_title(
                f"said {names[said[row]]} ({sure:.0f} %)\nis {names[labels[row]]}",
                fontsize=10,
                pad=3,
            )
        yield figure


@contextlib.contextmanager
def first_layer_figure(W: Array, initial: Array, title: str) -> Iterator["Figure"]:
    """Give the weights into each unit of the first layer as an image, and what they learned.

    Parameters
    ----------
    W
        Weights (units, 784). Of more than a hundred units those that changed most are drawn,
        in their order.
    initial
        The same before training. Beside the weights stands what training added to them:
        under large initial weights that is all there is to see.
    title
        One line; no mark-up.
    """
    change = W - initial
    chosen = np.arange(len(W))
    if len(W) > _MOST_UNITS:
        most = np.argsort(-np.linalg.norm(change, axis=1), kind="stable")
        chosen = np.sort(most[:_MOST_UNITS])
    sheets = _sheet(W[chosen]), _sheet(change[chosen])
    high = _SHEET * sheets[0].shape[0] / sheets[0].shape[1]
    left, bar, beside, above, below = 0.25, 0.18, 1.15, 0.85, 0.25
    step = left + _SHEET + 0.15 + bar + beside
    width, height = 2 * step, above + high + below
    told = f"{len(W)} units" if len(chosen) == len(W) else f"{len(chosen)} of {len(W)} units"
    with blank_figure(width, height) as figure:
        for k, (sheet, name) in enumerate(
            zip(sheets, ("weights of the first layer", "what training added"), strict=True)
        ):
            at = k * step + left
            place = (at / width, below / height, _SHEET / width, high / height)
            axes = figure.add_axes(place)
            # a few weights far out would leave all others grey
            known = np.abs(sheet[np.isfinite(sheet)])
            limit = float(np.percentile(known, 99.5)) or 1.0
            image = axes.imshow(
                np.ma.masked_invalid(sheet),
                cmap="cividis",
                vmin=-limit,
                vmax=limit,
                aspect="auto",
                interpolation="nearest",
            )
            axes.set_axis_off()
            axes.set_title(name if k else f"{name}, {told}", fontsize=11)
            at += _SHEET + 0.15
            scale = figure.add_axes((at / width, below / height, bar / width, high / height))
            figure.colorbar(image, cax=scale, extend="both", label="change" if k else "weight")
        set_title(figure, title)
        yield figure


def _sheet(W: Array) -> Array:
    """Return images (rows, 784) on one sheet, NaN between them."""
    columns = max(1, int(np.ceil(np.sqrt(len(W)))))
    rows = -(-len(W) // columns)
    step = _SIDE + _BETWEEN
    sheet = np.full((rows * step - _BETWEEN, columns * step - _BETWEEN), np.nan)
    for place, image in enumerate(W):
        top, left = step * (place // columns), step * (place % columns)
        sheet[top : top + _SIDE, left : left + _SIDE] = image.reshape(_SIDE, _SIDE)
    return sheet
