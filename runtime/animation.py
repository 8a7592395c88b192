"""``decision.gif``: how a network's decision on the plane came about, frame by frame."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.data.dataset import Dataset
from runtime.decision_picture import (
    Predict,
    axis_points,
    class_names,
    decision_plane,
    draw_points,
    refuse_other_than_planes,
    surface_of,
)
from runtime.decision_shade import shade, usual_lead
from runtime.errors import InputError
from runtime.picture import set_title

FRAMES = 40  # at most; the untrained network is one more
_GRID = 160  # points along the longer side
_DPI = 100
_DURATION, _LAST_DURATION = 120, 2500  # milliseconds
_COLOURS = 255


def decision_gif(
    frames: Sequence[tuple[str, Predict]], dataset: Dataset, *, probabilities: bool = True
) -> bytes:
    """Return an animation of `runtime.decision_picture.decision_figure`.

    Parameters
    ----------
    frames
        A title and a network for each frame, at least one. All have the scale of the last.
    dataset, probabilities
        As for a single picture.

    Raises
    ------
    InputError
        If there is no frame, if the data are not points of a plane, or a network gives
        another shape.
    """
    refuse_other_than_planes(dataset)
    if not frames:
        raise InputError(f"{dataset.name}: no frame to animate. Train with animate=True.")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.contour import ContourSet

    x, y = axis_points(dataset, _GRID)
    surfaces = [surface_of(predict, dataset, x, y) for _, predict in frames]
    gaps = not all(np.isfinite(surface).all() for surface in surfaces)
    largest, names = usual_lead(surfaces[-1]), class_names(dataset)
    images: list[NDArray[np.uint8]] = []
    with decision_plane(dataset, x, y, gaps=gaps) as (figure, axes, bar):
        figure.set_dpi(_DPI)
        canvas: Any = FigureCanvasAgg(figure)
        draw_points(axes, dataset)
        for (title, _), surface in zip(frames, surfaces, strict=True):
            lines = [artist for artist in axes.collections if isinstance(artist, ContourSet)]
            for artist in (*axes.images, *lines):
                artist.remove()
            bar.clear()
            shade(axes, bar, x, y, surface, names, probabilities=probabilities, largest=largest)
            set_title(figure, title)
            canvas.draw()
            images.append(np.array(canvas.buffer_rgba())[..., :3])
    return _gif(images)


def _gif(images: Sequence[NDArray[Any]]) -> bytes:
    """Return images (rows, columns, 3) as a GIF that runs for ever and rests at its end."""
    from PIL import Image

    # one palette for all, or colours would flicker: that of some frames of the whole course
    chosen = sorted({0, len(images) // 3, 2 * len(images) // 3, len(images) - 1})
    palette = Image.fromarray(np.concatenate([images[k] for k in chosen])).quantize(
        _COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )
    drawn = [
        Image.fromarray(image).quantize(palette=palette, dither=Image.Dither.NONE)
        for image in images
    ]
    content = io.BytesIO()
    drawn[0].save(
        content,
        format="GIF",
        save_all=True,
        append_images=drawn[1:],
        duration=[_DURATION] * (len(drawn) - 1) + [_LAST_DURATION],
        loop=0,
        optimize=False,
    )
    return content.getvalue()
