"""What all pictures share: palette, style, and bytes that depend on nothing else.

Colours are those of Okabe and Ito [1]_, which people with any colour vision tell apart;
line styles and markers carry the same distinctions into black and white. Equal input gives
equal bytes: no date, no version, and no setting of the user's matplotlib enters a picture.

Matplotlib is imported when the first picture is drawn, and used without pyplot, which
would choose a window system and keep every figure alive.

References
----------
.. [1] M. Okabe, K. Ito, "Color Universal Design", https://jfly.uni-koeln.de/color/, 2008.
"""

import contextlib
import io
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VERMILLION, BLUE, GREEN, PURPLE = "#D55E00", "#0072B2", "#009E73", "#CC79A7"
ORANGE, SKY, YELLOW, BLACK = "#E69F00", "#56B4E9", "#F0E442", "#000000"
PALETTE = (VERMILLION, BLUE, GREEN, PURPLE, ORANGE, SKY, YELLOW, BLACK)
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "<", ">", "p", "*")
GREY, LIGHT_GREY = "#404040", "#808080"
FORMATS = ("png", "svg")

# gives an empty figure of a width and height in inches: `blank_figure`, or one on a screen
Blank = Callable[[float, float], AbstractContextManager["Figure"]]

_DPI = 150
_TITLE, _SMALLEST_TITLE = 14.0, 11.5  # points
_LETTERS_PER_INCH = 7.4  # of a title of that size
_STYLE: dict[Any, Any] = {  # keys of matplotlib's rcParams
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.limits": (-3, 4),  # no tick label is wider than 0.001 or 9999
    "grid.color": "#D9D9D9",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "svg.hashsalt": "gradwright",  # names of parts: random without it
    "text.parse_math": False,  # titles and labels are the user's
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture; a notebook shows it.

    Attributes
    ----------
    png
        As the bytes of a PNG file.
    figure
        As matplotlib's figure, to be changed and saved in other ways.
    """

    png: bytes = field(repr=False)
    figure: "Figure" = field(repr=False, compare=False)

    def _repr_png_(self) -> bytes:
        return self.png


@contextlib.contextmanager
def house_style() -> Iterator[None]:
    """Draw as all our pictures are drawn, whatever the user has set."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        # a title in a script that the font lacks shows boxes; that is no reason to fail
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


@contextlib.contextmanager
def blank_figure(width: float, height: float, dpi: float = _DPI) -> Iterator["Figure"]:
    """Give a figure, in inches, that owes nothing to the user's settings."""
    from matplotlib.figure import Figure

    with house_style():
        yield Figure(figsize=(width, height), dpi=dpi)


def set_title(figure: "Figure", title: str) -> None:
    """Put one line above everything; if it is long in smaller letters, and then shortened.

    There is no mark-up in it.
    """
    fits = _LETTERS_PER_INCH * figure.get_figwidth()
    size = max(_SMALLEST_TITLE, _TITLE * min(1.0, fits / max(1, len(title))))
    text = shortened(title, int(fits * _TITLE / size))
    figure.suptitle(text, fontsize=size, fontweight="bold")


def legend_columns(labels: Sequence[str], width: float) -> int:
    """Return how many columns give the fewest rows that fit into `width` inches, and no more."""
    widths = [0.72 + 0.088 * len(label) for label in labels]  # inches, about
    for rows in range(1, len(labels) + 1):
        columns = -(-len(labels) // rows)
        # matplotlib fills one column after another, the first ones longer by one
        if sum(max(part) for part in np.array_split(widths, columns)) <= width:
            return columns
    return 1


def png_bytes(figure: "Figure") -> bytes:
    """Return the figure as a PNG without metadata."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    # into memory: on a full disk PIL says "encoder error -2"
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def svg_bytes(figure: "Figure") -> bytes:
    """Return the figure as an SVG without a date, text as paths; inside `blank_figure` alone."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    FigureCanvasSVG(figure)
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return content.getvalue()


def picture_bytes(figure: "Figure", form: str) -> bytes:
    """Return the figure in one of `FORMATS`."""
    return png_bytes(figure) if form == "png" else svg_bytes(figure)


def keep_decades_readable(axes: "Axes") -> None:
    """Label a logarithmic axis of values with plain numbers, enough of them within a decade."""
    from matplotlib.ticker import (
        FuncFormatter,
        LogLocator,
        MaxNLocator,
        NullFormatter,
        NullLocator,
        ScalarFormatter,
    )

    low, high = axes.get_ylim()
    decades = math.log10(high / low)
    if decades < 0.6:
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(ScalarFormatter())
        return
    steps = (1, 2, 3, 5, 7) if decades < 1 else (1, 2, 5) if decades < 2.5 else (1,)
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=steps, numticks=12))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def number_epochs(axes: "Axes") -> None:
    """Label a horizontal axis of epochs with whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=[1, 2, 5, 10], integer=True))


def class_colours(classes: int) -> list[str]:
    """Return a colour per class: the palette, then a darker copy of it."""
    darker = [_hex(tuple(0.55 * part for part in mixed(c, 1.0))) for c in PALETTE]
    return [(*PALETTE, *darker)[k % (2 * len(PALETTE))] for k in range(classes)]


def mixed(colour: str, share: float) -> tuple[float, float, float]:
    """Return `share` of the colour in white, as red, green and blue, 0 to 1."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return 1 - share * (1 - red), 1 - share * (1 - green), 1 - share * (1 - blue)


def shortened(text: str, longest: int) -> str:
    """Return `text` on one line, without its middle if it is too long."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    half = (longest - 3) // 2
    return text if len(text) <= longest else f"{text[:half]} … {text[-half:]}"


def _hex(parts: tuple[float, ...]) -> str:
    return "#" + "".join(f"{round(255 * part):02X}" for part in parts)
