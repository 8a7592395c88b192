"""What a comparison gave, as a value that prints itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

from runtime.bench.floors import Floors
from runtime.bench.memory import input_bytes
from runtime.bench.others import IDLE
from runtime.bench.peers import OURS
from runtime.bench.spread import Spread, figure
from runtime.bench.workload import Workload

_TIMED = (
    "gradwright", "numba", "llvmlite", "scipy", "numpy", "torch", "jax", "jaxlib",
    "scikit-learn", "python",
)  # fmt: skip


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    """How long each contender took, in turn.

    Where several threads are asked for, every contender also runs with one, as ``NAME@1``.

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
    imports
        Contender -> seconds that the import of its modules took.
    first
        Contender -> seconds of its first epoch, from after the import: with all that it
        derives, traces or compiles, and no cache to find it in.
    generate
        Seconds of ours from the formulas to the source, in two processes.
    cached_first
        Seconds of our first epoch in a second process, which finds the kernels compiled.
    bytes_per_step
        What the nodes of our step read and write, as `codegen.cost` counts it.
    floors
        What the machine allows, for the threads asked for, then for one.
    disagreement
        Peer -> largest relative difference of a parameter from ours, after an epoch in the
        same order.
    differs
        Peer -> what it computes differently, for which its parameters are not compared.
    left_out
        Peer -> why it did not take part, though it was not asked to stay away.
    others
        Processors that other programmes used meanwhile (median of the turns), or None where
        the system does not say, and beside busy processes.
    busy
        How many processes kept the contenders' processors busy beside them.
    versions, platform
        As in the record of a run.
    memory
        Contender -> bytes that training held at its peak beyond what its modules and compiled
        code take, inputs included; none where there are few inputs, or the system does not say.
    """

    work: Workload
    threads: int
    processors: tuple[int, ...]
    seconds: Mapping[str, tuple[float, ...]]
    runs: Mapping[str, tuple[int, ...]]
    imports: Mapping[str, float]
    first: Mapping[str, float]
    generate: tuple[float, float]
    cached_first: float
    bytes_per_step: int
    floors: tuple[Floors, ...]
    disagreement: Mapping[str, float]
    differs: Mapping[str, str]
    left_out: Mapping[str, str]
    others: float | None
    busy: int
    versions: Mapping[str, str]
    platform: Mapping[str, str | int]
    memory: Mapping[str, int] = field(default_factory=dict)

    @property
    def repeats(self) -> int:
        """Turns of each contender."""
        return len(self.seconds[OURS])

    @property
    def disturbed(self) -> bool:
        """Whether the machine was busy with other programmes, so that no figure is reliable."""
        return self.others is not None and self.others > IDLE

    @property
    def disturbance(self) -> str:
        """What is to be said of a disturbed run."""
        return (
            f"the machine was busy: other programmes used {self.others:.2f} processors meanwhile, "
            "so these figures are not to be trusted; run it again on an idle machine"
        )

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

    def memory_over_inputs(self, contender: str) -> float | None:
        """Return the memory of training as a multiple of the training inputs' bytes."""
        found = self.memory.get(contender)
        return None if found is None else found / input_bytes(self.work)

    @property
    def compile_seconds(self) -> tuple[float, float]:
        """Seconds that our kernels took to be compiled, and to be loaded from the cache.

        It is what the first epoch takes beyond the generation of the source and an epoch.
        """
        epoch = self.milliseconds_per_epoch(OURS).median / 1e3
        first = (self.first[OURS], self.cached_first)
        cold, cached = (
            max(0.0, seconds - generate - epoch)
            for seconds, generate in zip(first, self.generate, strict=True)
        )
        return cold, cached

    @property
    def above_peak(self) -> float:
        """Best rate of multiply-adds seen in a product, over the peak; above 1 one is wrong."""
        return max(floors.best_rate() / floors.peak for floors in self.floors)

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
                    "first_epoch_seconds": self.first[name],
                    "import_seconds": self.imports[name],
                    "memory_bytes": self.memory.get(name),
                    "memory_over_inputs": self.memory_over_inputs(name),
                }
                for name in self.seconds
            },
            "ratios": {
                peer: Spread.of(self.ratios(peer)).to_json() | {"each": list(self.ratios(peer))}
                for peer in self.seconds
                if peer != OURS
            },
            "compile": {
                "generate_seconds": self.generate[0],
                "cold_seconds": self.compile_seconds[0],
                "cached_seconds": self.compile_seconds[1],
                "cached_first_epoch_seconds": self.cached_first,
            },
            "bytes_per_step": self.bytes_per_step,
            "input_bytes": input_bytes(self.work),
            "floors": [floors.to_json() for floors in self.floors],
            "best_rate_over_peak": self.above_peak,
            "disagreement": dict(self.disagreement),
            "differs": dict(self.differs),
            "left_out": dict(self.left_out),
            "processors_used_by_others": self.others,
            "disturbed": None if self.others is None else self.disturbed,
            "busy": self.busy,
            "versions": dict(self.versions),
            "platform": dict(self.platform),
        }

    def __str__(self) -> str:
        """Return a table for people."""
        title = "memory" if self.memory else ""
        rows = [("", "µs per step", "ms per epoch", "times ours", "first epoch", title)]
        for name in self.seconds:
            ratio = "" if name == OURS else str(Spread.of(self.ratios(name)))
            step, epoch = self.microseconds_per_step(name), self.milliseconds_per_epoch(name)
            first = f"{figure(self.first[name])} s"
            rows.append((name, str(step), str(epoch), ratio, first, self._memory_text(name)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) for r in rows]
        lines = [*self._header(), "", *table, "", *self._notes()]
        return "\n".join(line.rstrip() for line in lines)

    def _memory_text(self, name: str) -> str:
        ratio = self.memory_over_inputs(name)
        return "" if ratio is None else f"{self.memory[name] / 2**20:.0f} MiB ({ratio:.2f})"

    def _notes(self) -> list[str]:
        """Return what stands below the table."""
        cold, cached = self.compile_seconds
        step = self.microseconds_per_step(OURS).median
        lines = [
            f"first epoch, cold: {OURS} derives and generates in {figure(self.generate[0])} s, "
            f"compiles in {figure(cold)} s, or loads from the cache in {figure(cached)} s",
            *(line for floors in self.floors for line in floors.lines()),
            f"moved: {self.bytes_per_step:,} bytes a step are read and written by the nodes of "
            f"ours, {figure(self.bytes_per_step / step * 1e-3)} GB/s",
            *(
                [
                    "memory: at the peak of a run, beyond what modules and compiled code take "
                    "(ours may be given images without zeros); in parentheses times the inputs' "
                    f"{input_bytes(self.work) / 2**20:.0f} MiB, which it includes"
                ]
                if self.memory
                else []
            ),
            "the floor is that of dense products in calls of BLAS: kernels that skip inputs that "
            "are 0, or call nothing, can go below",
        ]
        if self.busy and self.threads > 1:
            share = Spread.of([1 / ratio for ratio in self.ratios(f"{OURS}@1")])
            lines.append(
                f"beside {_processes(self.busy)} {self.threads} threads of {OURS} take {share} "
                "times as long as one"
            )
        if self.above_peak > 1:
            lines.append(
                f"a product was {self.above_peak:.2f} times as fast as the peak: the machine "
                "was busy when the peak was measured, so that figure is rough"
            )
        if self.disagreement:
            found = ", ".join(f"{k} {v:.0e}" for k, v in self.disagreement.items())
            lines += ["", f"after an epoch in one order, parameters differ by: {found} (relative)"]
        lines += [f"{name} is not compared: {reason}" for name, reason in self.differs.items()]
        return lines

    def _header(self) -> list[str]:
        work, platform = self.work, self.platform
        bound = f"bound to processor {', '.join(map(str, self.processors))}"
        threads = f"{self.threads} thread{'s' * (self.threads != 1)} each"
        threads += " (@1: one)" if self.threads > 1 else ""
        versions = ", ".join(
            f"{name} {self.versions[name]}" for name in _TIMED if name in self.versions
        )
        beside = f", beside {_processes(self.busy)}" if self.busy else ""
        return [
            f"{work.data}: {work.spec}, {work.loss}, batch {work.batch}, {work.dtype}",
            f"a run: {work.epochs} epoch{'s' * (work.epochs != 1)} of {work.steps} steps, shuffles "
            "included, no evaluation, the same start each time",
            f"{self.repeats} turn{'s' * (self.repeats != 1)} each, one contender after the other"
            f"{beside}; median (least – most)",
            f"{platform['cpu']}, {platform['system']} {platform['release']}, {threads}, "
            f"{bound if self.processors else 'not bound to a processor'}",
            versions,
            *([self.disturbance] if self.disturbed else []),
        ]


def _processes(busy: int) -> str:
    return f"{busy} busy process{'es' * (busy != 1)}"
