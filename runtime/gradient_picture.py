"""``gradient_norms.png``: how long the gradient of each layer is while a network learns."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from runtime.picture import (
    GREY,
    MARKERS,
    PALETTE,
    YELLOW,
    blank_figure,
    keep_decades_readable,
    number_epochs,
    set_title,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_COLOURS = tuple(colour for colour in PALETTE if colour != YELLOW)  # too light for a line
_LINES = ("-", "--", "-.", ":")
_MARKED = 12  # of the points of a line
_MOST_NAMED = 16  # layers in the legend


@contextlib.contextmanager
def gradient_norms_figure(
    norms: Mapping[int, Sequence[float]], samples: int, title: str
) -> Iterator["Figure"]:
    """Give the length of each layer's gradient over the epochs, on a logarithmic scale.

    Parameters
    ----------
    norms
        By epoch, 0 being before training, the norm for each layer, the first first.
    samples
        How many training samples they are of.
    title
        One line; no mark-up.
    """
    epochs = sorted(norms)
    table = np.array([norms[epoch] for epoch in epochs], dtype=np.float64)
    table = np.where(np.isfinite(table) & (table > 0), table, np.nan)  # as 0 has no logarithm
    layers = table.shape[1]
    with blank_figure(8.4, 4.8) as figure:
        axes = figure.add_axes((0.115, 0.115, 0.69, 0.75))
        lines: list[tuple[float, Line2D]] = []
        for layer, values in enumerate(table.T):
            colour = _COLOURS[layer % len(_COLOURS)]
            (line,) = axes.plot(
                epochs,
                values,
                color=colour,
                linestyle=_LINES[layer % len(_LINES)],
                marker=MARKERS[layer % len(MARKERS)],
                markersize=5,
                # not all at the same places, or markers of close lines would hide each other
                markevery=(layer % 3, max(1, len(epochs) // _MARKED)),
                linewidth=1.8,
                clip_on=False,  # the last marker may sit on the edge
                label=f"layer {layer + 1}",
            )
            if layer < _MOST_NAMED and np.isfinite(values).any():
                lines.append((float(values[np.isfinite(values)][-1]), line))
        axes.set(xlabel="epoch", ylabel="norm of the gradient of the loss")
        axes.set_title(f"over {samples} training samples, weights and biases", color=GREY)
        axes.grid(visible=True)
        number_epochs(axes)
        axes.set_xlim(epochs[0], max(epochs[-1], epochs[0] + 1))
        if np.isfinite(table).any():
            axes.set_yscale("log")
            keep_decades_readable(axes)
            # in the order in which they end
            handles = [line for _, line in sorted(lines, key=lambda end: -end[0])]
            axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5))
        else:
            axes.text(0.5, 0.5, "all are 0", transform=axes.transAxes, ha="center", color=GREY)
        if layers > _MOST_NAMED:
            axes.text(1.02, -0.1, f"of {layers} layers", transform=axes.transAxes, color=GREY)
        set_title(figure, title)
        yield figure
