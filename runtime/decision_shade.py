"""The shade of a plane: how sure a network is everywhere, and where its decision changes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.picture import LIGHT_GREY, class_colours, mixed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.floating[Any]]

_SHADE = 0.62  # of the class's colour at probability 1, so that points stand out


def shade(
    axes: "Axes",
    bar: "Axes",
    x: Array,
    y: Array,
    surface: Array,
    names: Sequence[str],
    *,
    probabilities: bool,
    largest: float | None = None,
) -> None:
    """Draw the shade and the decision boundary, and what the shade means.

    Parameters
    ----------
    axes, bar
        Where the plane is drawn, and its bar of colours.
    x, y, surface
        As for `runtime.decision_picture.surface_figure`.
    names
        Of the classes, as the bar calls them.
    probabilities
        As for `runtime.decision_picture.decision_figure`.
    largest
        The lead with the full colour where outputs are no probabilities; None: that which three
        in four points of this surface lie below.
    """
    if surface.shape[2] <= 2:
        _shade_two(axes, bar, x, y, surface, names, probabilities, largest)
    else:
        _shade_many(axes, bar, x, y, surface, probabilities, largest)
    axes.set(xlim=x[[0, -1]], ylim=y[[0, -1]])


def usual_lead(surface: Array) -> float:
    """Return the lead that has the full colour, for a surface of no probabilities."""
    if surface.shape[2] == 1:
        return _usual(surface[..., 0])
    ranked = np.sort(surface, axis=2)
    return _usual(ranked[..., -1] - ranked[..., -2])


def _shade_two(
    axes: "Axes",
    bar: "Axes",
    x: Array,
    y: Array,
    surface: Array,
    names: Sequence[str],
    probabilities: bool,
    largest: float | None,
) -> None:
    """Shade between two classes: by the second's probability, or its output's lead."""
    from matplotlib.colors import LinearSegmentedColormap

    if surface.shape[2] == 1:
        lead = surface[..., 0] - (0.5 if probabilities else 0.0)
    else:
        # two sigmoids need not sum to 1, so compare them instead of one with 1/2
        lead = surface[..., 1] - surface[..., 0]
    if probabilities:
        values, low, high = surface[..., -1], 0.0, 1.0
        label = f"probability of {names[-1]}"
    else:
        values, high = lead, largest or _usual(lead)
        low = -high
        outputs = " − ".join(f"output of {name}" for name in reversed(names))
        label = "output" if surface.shape[2] == 1 else outputs
    ends = [mixed(colour, _SHADE) for colour in class_colours(2)]
    colours = LinearSegmentedColormap.from_list("two", [ends[0], (1.0, 1.0, 1.0), ends[1]])
    image = axes.imshow(
        np.ma.masked_invalid(values),
        extent=_extent(x, y),
        origin="lower",
        aspect="auto",  # the axes were made in the right proportion
        cmap=colours.with_extremes(bad=LIGHT_GREY),
        vmin=low,
        vmax=high,
        interpolation="bilinear",
    )
    axes.figure.colorbar(image, cax=bar, label=label, extend="neither" if probabilities else "both")
    if _boundary(axes, x, y, lead):
        bar.axhline((low + high) / 2, color="black", linewidth=2)


def _shade_many(
    axes: "Axes",
    bar: "Axes",
    x: Array,
    y: Array,
    surface: Array,
    probabilities: bool,
    largest: float | None,
) -> None:
    """Shade in the colour of the winning class: by its probability, or its output's lead."""
    classes = surface.shape[2]
    bad = ~np.asarray(np.isfinite(surface).all(axis=2))
    surface = np.where(bad[..., None], 0.0, surface)
    ranked = np.sort(surface, axis=2)
    lead = ranked[..., -1] - ranked[..., -2]
    if probabilities:
        values, low, high = ranked[..., -1], 1 / classes, 1.0
        label = "probability of the most likely class"
    else:
        values, low, high = lead, 0.0, largest or _usual(lead)
        label = "lead of the largest output over the next"
    colours = np.array([mixed(colour, 1.0) for colour in class_colours(classes)])
    strength = _SHADE * np.clip((values - low) / (high - low), 0, 1)[..., None]
    shade = 1 - strength * (1 - colours[surface.argmax(axis=2)])
    shade[bad] = mixed(LIGHT_GREY, 1.0)
    axes.imshow(
        shade, extent=_extent(x, y), origin="lower", aspect="auto", interpolation="bilinear"
    )
    for k in range(classes):
        others = np.delete(surface, k, axis=2).max(axis=2)
        _boundary(axes, x, y, np.where(bad, np.nan, surface[..., k] - others))
    ramp = _SHADE * np.linspace(0, 1, 256)[:, None, None]
    bar.imshow(
        1 - ramp * (1 - colours[None]),
        extent=(0, 1, low, high),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
    )
    bar.set_xticks([])
    bar.yaxis.tick_right()
    bar.yaxis.set_label_position("right")
    bar.set_ylabel(label)
    for spine in bar.spines.values():
        spine.set_visible(True)


def _boundary(axes: "Axes", x: Array, y: Array, lead: Array) -> bool:
    """Draw where `lead` changes sign; return whether it does anywhere."""
    known = lead[np.isfinite(lead)]
    if not len(known) or not known.min() < 0 < known.max():
        return False  # contour would warn
    axes.contour(x, y, np.ma.masked_invalid(lead), levels=[0.0], colors="black", linewidths=2)
    return True


def _usual(values: Array) -> float:
    """Return what three in four finite magnitudes lie below: corners may be far out."""
    sizes = np.abs(values[np.isfinite(values)])
    return float(np.percentile(sizes, 75)) or 1.0 if sizes.size else 1.0


def _extent(x: Array, y: Array) -> tuple[float, float, float, float]:
    """Return the edges of an image whose pixels' centres are the grid's points."""
    dx, dy = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
    return float(x[0] - dx), float(x[-1] + dx), float(y[0] - dy), float(y[-1] + dy)
