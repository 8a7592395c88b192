"""What other programmes use of the processors, and waiting until they leave them alone."""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import NamedTuple, final

from runtime.files import shown

PATIENCE = 60.0  # seconds in all to wait until the machine is idle
IDLE = 0.1  # processors in use by others, up to which a machine counts as idle
_WINDOW = 0.1  # seconds that a look takes; processor time is counted in hundredths
_LOOKS = 10  # between two messages
_SYSTEM = Path("/proc")  # where Linux tells of processors and processes


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How the waiting for an idle machine goes.

    Attributes
    ----------
    seconds, patience
        How long this run has waited so far, and how long it will at most.
    used, processors
        How many processors other programmes use, and how many this process may use.
    busiest
        The process that uses most, as ``python (pid 4977)``, or None if none stands out.
    """

    seconds: float
    patience: float
    used: float
    processors: int
    busiest: str | None

    def __str__(self) -> str:
        """Return what others use, and who most of all."""
        most = f", {self.busiest} the most" if self.busiest else ""
        return f"they use {self.used:.2f} of {self.processors} processors{most}"


@final
class Patience:
    """Waits until other programmes leave the processors alone, for so long in all.

    Parameters
    ----------
    seconds
        How long in all; then `wait` returns at once.
    tell
        Called about once a second while it waits, and with None when that is over.
    """

    def __init__(self, seconds: float, tell: Callable[[Waiting | None], object]) -> None:
        self._patience, self._tell = seconds, tell
        self._waited = 0.0

    def wait(self) -> None:
        """Return when the machine is idle, or patience ends; at once if the system tells nothing.

        A first look that finds it idle is no waiting.
        """
        is_told = False
        while self._waited < self._patience:
            before = _processes()
            looks = _looks_until_idle()
            busy = [look for look in looks if look > IDLE]
            self._waited += _WINDOW * len(busy)
            if len(busy) < len(looks):
                break
            seconds = _WINDOW * len(looks)
            self._tell(
                Waiting(
                    seconds=self._waited,
                    patience=self._patience,
                    used=mean(looks),
                    processors=len(_processors()),
                    busiest=_busiest(before, _processes(), least=IDLE * seconds),
                )
            )
            is_told = True
        if is_told:
            self._tell(None)


def _looks_until_idle() -> list[float]:
    """Return how many processors were in use, look by look: up to the first that finds none."""
    looks: list[float] = []
    while len(looks) < _LOOKS and (not looks or looks[-1] > IDLE):
        before, clock = machine_seconds(), time.perf_counter()
        if before is None:
            return [0.0]
        time.sleep(_WINDOW)
        used = (machine_seconds() or before) - before
        looks.append(used / (time.perf_counter() - clock))
    return looks


def machine_seconds() -> float | None:
    """Return the processor time used by all programmes so far, on the processors we may use.

    None where the system does not say, which only Linux does.
    """
    names = {f"cpu{number}" for number in _processors()}
    lines = _text(_SYSTEM / "stat").splitlines()
    ticks, found = 0, False
    for line in lines:
        name, *fields = line.split()
        if name in names:
            found = True  # or a container numbers them anew
            user, nice, system, idle, waiting, interrupt, soft, *_ = map(int, fields)
            del idle, waiting
            ticks += user + nice + system + interrupt + soft
    return ticks / os.sysconf("SC_CLK_TCK") if found else None


def _processors() -> set[int]:
    """Return the processors that this process may use; empty where the system does not say."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


class _Process(NamedTuple):
    name: str
    seconds: float  # processor time so far
    parent: int
    ran_on: int  # the processor that it was last on


def _processes() -> dict[int, _Process]:
    """Return the processes that we see, by number."""
    found = {}
    for folder in _SYSTEM.glob("[0-9]*"):
        # the name stands in parentheses, and may hold some
        begin, _, rest = _text(folder / "stat").rpartition(")")
        if not rest:
            continue  # it has ended meanwhile
        number, _, name = begin.partition(" (")
        fields = rest.split()
        ticks = int(fields[11]) + int(fields[12])  # its own, and the system's for it
        seconds = ticks / os.sysconf("SC_CLK_TCK")
        found[int(number)] = _Process(name, seconds, int(fields[1]), int(fields[36]))
    return found


def _busiest(
    before: Mapping[int, _Process], after: Mapping[int, _Process], *, least: float
) -> str | None:
    """Return who used most between two moments, if that is more than `least` seconds.

    That is neither ourselves nor what we started, and it was on a processor that we may use.
    """
    used = {
        number: process.seconds - (before[number].seconds if number in before else 0.0)
        for number, process in after.items()
        if os.getpid() not in (number, process.parent) and process.ran_on in _processors()
    }
    busiest = max(used, key=lambda number: used[number], default=None)
    if busiest is None or used[busiest] <= least:
        return None
    return f"{shown(after[busiest].name)} (pid {busiest})"


def _text(path: Path) -> str:
    """Return what a file of the system's holds, nothing if it cannot be read."""
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""
