"""How far training is: a bar on a terminal or in a notebook, a few plain lines elsewhere."""

import contextlib
import json
import math
import os
import sys
import time
import warnings
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, final

from runtime.messages import is_live, say

if TYPE_CHECKING:
    from runtime.training import Progress

# short enough to leave room for the ^C that a terminal writes behind it
_BAR = "{percentage:3.0f} % |{bar:16}| {n_fmt} of {total_fmt} epochs{postfix}"
_NARROW_BAR = "{percentage:3.0f} % {n_fmt}/{total_fmt}{postfix}"
_BAR_IN_NOTEBOOK = "{percentage:3.0f} % {bar} {n_fmt} of {total_fmt} epochs{postfix}"
_WIDE = 140  # columns that the whole line needs
LINES = 10  # at most so many, one for each tenth of the epochs

_OFTEN, _LONG = 0.1, 3.0  # seconds between two looks at an epoch; and of a reading to be told of

Style = Literal["bar", "notebook", "lines", "json", "none"]


@final
class LiveProgress:
    """Shows a run's `Progress`; a context manager.

    Styles: ``bar`` is drawn over on a terminal (standard error), ``notebook`` a bar among the
    output of a cell, ``lines`` a line for each tenth of the epochs on standard error, ``json``
    an object for each report on standard output (`json_line`), and ``none`` nothing.
    """

    def __init__(self, epochs: int, done: int = 0, style: Style | None = None) -> None:
        """Prepare to show `epochs` epochs, of which some were done before."""
        self.style = style or ("bar" if is_live() else "lines")
        self._told = done * LINES // epochs
        self._at = time.perf_counter()
        self._bar: Any = None
        self._is_narrow = self.style == "bar" and _columns() < _WIDE
        if self.style in ("bar", "notebook"):  # else tqdm need not be imported
            form = _NARROW_BAR if self._is_narrow else _BAR
            self._bar = _bar(epochs, done, form, in_cell=self.style == "notebook")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            with contextlib.suppress(OSError):
                self._bar.close()

    def show(self, progress: "Progress") -> None:
        """Show the figures after the last epoch that is complete."""
        if self._bar is not None:
            speed = f"{_short(progress.samples_per_second)} samples/s"
            left = f"{_clock(progress.seconds_left)} left"
            figures = _short_figures if self._is_narrow else _figures
            text = f"{speed}, {left}, {figures(progress)}"
            with contextlib.suppress(OSError):  # a terminal that has gone away
                self._bar.set_postfix_str(text, refresh=False)
                self._bar.update(progress.epoch - self._bar.n)
        elif self.style == "json":
            json_line(_as_json(progress))
        elif self.style == "lines":
            tenths = progress.epoch * LINES // progress.epochs
            if tenths > self._told:
                self._told = tenths
                say(f"epoch {progress.epoch} of {progress.epochs}: {_figures(progress)}")

    def show_within(self, epoch: int, share: float) -> None:
        """Show how much of a long epoch is done: of one that data are read anew for."""
        if self._bar is None or time.perf_counter() - self._at < _OFTEN:
            return
        self._at = time.perf_counter()
        with contextlib.suppress(OSError):
            self._bar.set_postfix_str(f"epoch {epoch}: {100 * share:.0f} %")


@final
class Reading:
    """Tells how much of a large set has been read, if that takes long."""

    def __init__(self, name: str) -> None:
        """Prepare to tell of the set of a name."""
        self._name = name
        self._began = time.perf_counter()
        self._told = 0.0

    def __call__(self, share: float) -> None:
        """Take notice of the share that has been read."""
        seconds = time.perf_counter() - self._began
        if seconds > _LONG and share >= self._told + 1 / LINES and share < 1:
            self._told = share
            say(f"{self._name}: {100 * share:.0f} % read and checked")


def json_line(content: dict[str, Any]) -> None:
    """Write one JSON object as a line to standard output, at once; NaN becomes null."""
    import click

    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in content.items()
    }
    click.echo(json.dumps(finite, ensure_ascii=True, allow_nan=False))
    sys.stdout.flush()


def is_notebook() -> bool:
    """Tell whether this runs in a notebook, without importing anything."""
    shell = sys.modules.get("IPython")
    found = None if shell is None else shell.get_ipython()
    return found is not None and "IPKernelApp" in getattr(found, "config", {})


def _columns() -> int:
    """Return the width of the terminal behind standard error, 80 if it is not known."""
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    return 80


def _bar(epochs: int, done: int, form: str, *, in_cell: bool) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without ipywidgets it is a bar of text, which will do
        tqdm = import_module("tqdm.auto" if in_cell else "tqdm").tqdm
    return tqdm(
        total=epochs,
        initial=done,
        bar_format=_BAR_IN_NOTEBOOK if in_cell else form,
        leave=in_cell,
        file=None if in_cell else sys.stderr,
        mininterval=0,  # reports come seldom enough: each is shown
        miniters=1,
    )


def _figures(progress: "Progress") -> str:
    if math.isnan(progress.test_accuracy):  # a regression has none
        return f"train loss {progress.train_loss:.4g}, test loss {progress.test_loss:.4g}"
    return (
        f"train loss {progress.train_loss:.4f}, test loss {progress.test_loss:.4f}, "
        f"test accuracy {100 * progress.test_accuracy:.2f} %"
    )


def _short_figures(progress: "Progress") -> str:
    losses = f"loss {progress.train_loss:.3g}/{progress.test_loss:.3g}"
    if math.isnan(progress.test_accuracy):
        return losses
    return f"{losses}, {100 * progress.test_accuracy:.1f} %"


def _as_json(progress: "Progress") -> dict[str, Any]:
    return {
        "event": "progress",
        "epoch": progress.epoch,
        "epochs": progress.epochs,
        "train_loss": progress.train_loss,
        "train_accuracy": progress.train_accuracy,
        "test_loss": progress.test_loss,
        "test_accuracy": progress.test_accuracy,
        "seconds": progress.seconds,
        "seconds_left": progress.seconds_left,
        "samples_per_second": progress.samples_per_second,
    }


def _short(number: float) -> str:
    """Return a count in three digits: 950, 31.4 k, 1.25 M."""
    if not math.isfinite(number):
        return "?"
    units = iter(("", " k", " M", " G"))
    unit = next(units)
    while number >= 999.5 and unit != " G":
        number, unit = number / 1000, next(units)
    digits = 0 if number >= 99.5 or not unit else 1 if number >= 9.95 else 2
    return f"{number:.{digits}f}{unit}"


def _clock(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
