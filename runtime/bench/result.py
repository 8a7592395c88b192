"""What a comparison gave, as a value that prints itself."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, final

from runtime.bench.peers import OURS
from runtime.bench.workload import Workload

_TIMED = ("gradwright", "numba", "llvmlite", "scipy", "numpy", "torch", "python")
_DISTURBED = 0.1  # processors used by others, from which figures are called rough


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Median, least and most of some figures."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        """Return the spread of at least one figure."""
        return cls(median=median(figures), least=min(figures), most=max(figures))

    def __str__(self) -> str:
        return f"{_figure(self.median)} ({_figure(self.least)} – {_figure(self.most)})"

    def to_json(self) -> dict[str, float]:
        """Return the three figures by name."""
        return {"median": self.median, "min": self.least, "max": self.most}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    """How long each contender took, in turn.

    Attributes
    ----------
    work
        What was computed.
    threads, processors
        Threads of each contender, and the processors that it was bound to; none where the
        system cannot bind.
    seconds
        Contender -> seconds per run, one figure for each turn; ours is ``"gradwright"``.
    runs
        Contender -> runs in each turn.
    disagreement
        Peer -> largest relative difference of a parameter from ours, after an epoch in the
        same order.
    left_out
        Peer -> why it did not take part, though it was not asked to stay away.
    others
        Processors that other programmes used meanwhile (median of the turns), or None where
        the system does not say.
    versions, platform
        As in the record of a run.
    """

    work: Workload
    threads: int
    processors: tuple[int, ...]
    seconds: Mapping[str, tuple[float, ...]]
    runs: Mapping[str, tuple[int, ...]]
    disagreement: Mapping[str, float]
    left_out: Mapping[str, str]
    others: float | None
    versions: Mapping[str, str]
    platform: Mapping[str, str | int]

    @property
    def repeats(self) -> int:
        """Turns of each contender."""
        return len(self.seconds[OURS])

    @property
    def disturbed(self) -> bool:
        """Whether other programmes used so much that the figures are rough."""
        return self.others is not None and self.others > _DISTURBED

    def microseconds_per_step(self, contender: str) -> Spread:
        """Return the time of a step, shuffles and the call itself included."""
        steps = self.work.steps * self.work.epochs
        return Spread.of([1e6 * t / steps for t in self.seconds[contender]])

    def milliseconds_per_epoch(self, contender: str) -> Spread:
        """Return the time of an epoch."""
        return Spread.of([1e3 * t / self.work.epochs for t in self.seconds[contender]])

    def ratios(self, peer: str) -> tuple[float, ...]:
        """Return the peer's time over ours, turn by turn: above 1 we are faster."""
        return tuple(a / b for a, b in zip(self.seconds[peer], self.seconds[OURS], strict=True))

    def to_json(self) -> str:
        """Return everything as JSON, keys in a fixed order."""
        return json.dumps(self._content(), indent=2, ensure_ascii=False) + "\n"

    def _content(self) -> dict[str, Any]:
        return {
            "work": self.work.to_json() | {"steps_per_epoch": self.work.steps},
            "threads": self.threads,
            "processors": list(self.processors),
            "repeats": self.repeats,
            "contenders": {
                name: {
                    "us_per_step": self.microseconds_per_step(name).to_json(),
                    "ms_per_epoch": self.milliseconds_per_epoch(name).to_json(),
                    "seconds_per_run": list(self.seconds[name]),
                    "runs_per_turn": list(self.runs[name]),
                }
                for name in self.seconds
            },
            "ratios": {
                peer: Spread.of(self.ratios(peer)).to_json() | {"each": list(self.ratios(peer))}
                for peer in self.disagreement
            },
            "disagreement": dict(self.disagreement),
            "left_out": dict(self.left_out),
            "processors_used_by_others": self.others,
            "versions": dict(self.versions),
            "platform": dict(self.platform),
        }

    def __str__(self) -> str:
        """Return a table for people."""
        rows = [("", "µs per step", "ms per epoch", "times ours")]
        for name in self.seconds:
            ratio = "" if name == OURS else str(Spread.of(self.ratios(name)))
            step, epoch = self.microseconds_per_step(name), self.milliseconds_per_epoch(name)
            rows.append((name, str(step), str(epoch), ratio))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        table = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) for r in rows]
        lines = [*self._header(), "", *table]
        if self.disagreement:
            found = ", ".join(f"{k} {v:.0e}" for k, v in self.disagreement.items())
            lines += ["", f"after an epoch in one order, parameters differ by: {found} (relative)"]
        return "\n".join(line.rstrip() for line in lines)

    def _header(self) -> list[str]:
        work, platform = self.work, self.platform
        bound = f"bound to processor {', '.join(map(str, self.processors))}"
        threads = f"{self.threads} thread{'s' * (self.threads != 1)} each"
        versions = ", ".join(
            f"{name} {self.versions[name]}" for name in _TIMED if name in self.versions
        )
        return [
            f"{work.data}: {work.spec}, {work.loss}, batch {work.batch}, {work.dtype}",
            f"a run: {work.epochs} epoch{'s' * (work.epochs != 1)} of {work.steps} steps, shuffles "
            "included, no evaluation, the same start each time",
            f"{self.repeats} turn{'s' * (self.repeats != 1)} each, one contender after the other; "
            "median (least – most)",
            f"{platform['cpu']}, {platform['system']} {platform['release']}, {threads}, "
            f"{bound if self.processors else 'not bound to a processor'}",
            versions,
        ]


def _figure(value: float) -> str:
    """Return a number with three significant digits, never with an exponent."""
    if not math.isfinite(value) or value <= 0:
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(value)))
    return f"{value:.{digits}f}"
