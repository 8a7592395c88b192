"""A picture of a comparison: time per step, longer is slower, and what the machine allows."""

from pathlib import Path
from typing import TYPE_CHECKING

from runtime.bench.peers import OURS
from runtime.bench.result import BenchResult
from runtime.bench.spread import figure
from runtime.errors import InputError
from runtime.files import shown
from runtime.picture import BLACK, BLUE, ORANGE, blank_figure, png_bytes, set_title, svg_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = (".png", ".svg")
_LOGARITHMIC = 20  # from this ratio of the longest to the shortest on


def check_kind(path: str) -> None:
    """Refuse a path that ends otherwise than a picture that can be drawn.

    Raises
    ------
    InputError
        If it does.
    """
    if Path(path).suffix.lower() not in KINDS:
        raise InputError(f"plot: {shown(path)} should end in {' or '.join(KINDS)}.")


def bench_picture(result: BenchResult, kind: str) -> bytes:
    """Return the picture of a comparison, of the kind ``".png"`` or ``".svg"``."""
    with blank_figure(8.0, 1.9 + 0.42 * len(result.seconds)) as canvas:
        bench_figure(result, canvas)
        return png_bytes(canvas) if kind == ".png" else svg_bytes(canvas)


def bench_figure(result: BenchResult, canvas: "Figure") -> "Axes":
    """Draw a comparison into a figure; return its axes."""
    axes = canvas.subplots()
    names = list(result.seconds)
    spreads = [result.microseconds_per_step(name) for name in names]
    floors = result.floors[0]
    steps = result.work.steps
    lines = {
        "products in BLAS, with gather": 1e6 * floors.in_blas.median / steps,
        "multiply-adds at peak": 1e6 * floors.at_peak / steps,
    }
    bars = axes.barh(
        names,
        [s.median for s in spreads],
        color=[ORANGE if name.startswith(OURS) else BLUE for name in names],
        # into black and white: ours is hatched
        hatch=["///" if name.startswith(OURS) else "" for name in names],
        edgecolor="white",
        height=0.68,
    )
    for bar in bars:
        bar.set_linewidth(0)
    axes.errorbar(
        [s.median for s in spreads],
        names,
        xerr=[[s.median - s.least for s in spreads], [s.most - s.median for s in spreads]],
        fmt="none",
        ecolor=BLACK,
        capsize=3,
        linewidth=1.2,
    )
    for (label, place), style in zip(lines.items(), ((0, (5, 2)), (0, (1, 1.5))), strict=True):
        axes.axvline(place, color=BLACK, linestyle=style, linewidth=1.4, label=label)
    longest = max(s.most for s in spreads)
    shortest = min(*(s.least for s in spreads), *lines.values())
    if longest / shortest > _LOGARITHMIC:
        axes.set_xscale("log")
        axes.set_xlim(0.5 * shortest, 5 * longest)
    else:
        axes.set_xlim(0, 1.2 * longest)
    for name, spread in zip(names, spreads, strict=True):
        axes.annotate(
            figure(spread.median),
            (spread.most, name),
            xytext=(6, 0),
            textcoords="offset points",
            verticalalignment="center",
        )
    axes.invert_yaxis()
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    threads = f"{result.threads} thread{'s' * (result.threads != 1)}"
    threads += ", @1: one" if result.threads > 1 else ""
    label = f"µs per step ({threads}); median, least to most of {result.repeats}"
    axes.set_xlabel(f"{label}, on a busy machine" if result.disturbed else label)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    work = result.work
    set_title(canvas, f"{work.data}: {work.spec}, batch {work.batch}, {work.dtype}")
    canvas.tight_layout()
    return axes
