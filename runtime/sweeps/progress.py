"""How far a sweep is: a bar on a terminal, a few plain lines anywhere else."""

import contextlib
import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self, final

from runtime.messages import is_live, say

LINES = 10  # at most so many, one for each tenth of the runs
_BAR = "{percentage:3.0f} % |{bar:16}| {n_fmt} of {total_fmt} runs, {remaining} left{postfix}"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SweepProgress:
    """How far a sweep is.

    Attributes
    ----------
    done, runs
        How many runs are done, those before an interruption included, and how many there are.
    diverged
        How many of them diverged.
    seconds
        Time since this sweep began to train.
    """

    done: int
    runs: int
    diverged: int
    seconds: float


@final
class LiveSweep:
    """Shows a sweep's progress on standard error; a context manager."""

    def __init__(self, *, quiet: bool = False) -> None:
        """Prepare to show it, or nothing."""
        self._quiet = quiet
        self._live = is_live() and not quiet
        self._told = -1
        self._began = time.perf_counter()
        self._first = 0
        self._bar: object = None

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
                self._bar.close()  # type: ignore[attr-defined]

    def show(self, progress: SweepProgress) -> None:
        """Show how far it is."""
        if self._quiet:
            return
        if self._told < 0:
            self._told = progress.done * LINES // progress.runs
            self._first = progress.done
        rate = (progress.done - self._first) / max(progress.seconds, 1e-9)
        gone = f", {progress.diverged} diverged" if progress.diverged else ""
        if self._live:
            self._draw(progress, f"{_rate_text(rate)} runs/s{gone}")
            return
        tenths = progress.done * LINES // progress.runs
        if tenths > self._told:
            self._told = tenths
            left = (progress.runs - progress.done) / rate if rate else 0.0
            say(
                f"{progress.done} of {progress.runs} runs, {_rate_text(rate)} runs/s, "
                f"{left:.0f} s left{gone}"
            )

    def _draw(self, progress: SweepProgress, text: str) -> None:
        from tqdm import tqdm

        with contextlib.suppress(OSError):  # a terminal that has gone away
            if self._bar is None:
                self._bar = tqdm(
                    total=progress.runs,
                    initial=self._first,
                    bar_format=_BAR,
                    leave=False,
                    file=sys.stderr,
                )
            self._bar.set_postfix_str(text, refresh=False)  # type: ignore[attr-defined]
            self._bar.update(progress.done - self._bar.n)  # type: ignore[attr-defined]


def _rate_text(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
