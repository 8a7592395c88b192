"""What `runtime.ranks.measuring` found, as a value that prints itself."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, final

from runtime.bench.spread import Spread, figure
from runtime.bench.workload import Workload
from runtime.ranks.alpha_beta import Link, Shared, allreduce

PROCESSES = (2, 4, 16, 64, 256, 1_000)  # that the model is asked about
EFFICIENT = 0.8  # a share of the processors' time that is well used
_MOST = 1e7  # samples of a process, beyond which nobody has them


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SharedBatch:
    """Figures for one size of shards.

    Attributes
    ----------
    batch
        Samples of each process in a step.
    alone
        Seconds a sample of one process that trains alone in such batches.
    computing
        Seconds for each of its own samples that a process computes when all do, with nothing
        added up.
    together
        Seconds a sample of all processes together.
    ratios
        Samples a second together over those alone, turn by turn.
    """

    batch: int
    alone: float
    computing: float
    together: float
    ratios: tuple[float, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How fast processes train together, measured and modelled.

    Attributes
    ----------
    work
        What was trained.
    processes, parameters
        How many processes, and numbers that they add up in a step.
    link
        What connects the first two.
    sum_seconds
        Of one sum over all processes, of as many numbers.
    batches
        Figures for each size of shards.
    model
        For any number of processes that are connected like these.
    """

    work: Workload
    processes: int
    parameters: int
    link: Link
    sum_seconds: float
    batches: tuple[SharedBatch, ...]
    model: Shared

    def __str__(self) -> str:
        link, count, size = self.link, self.processes, self.model.size
        modelled, how = allreduce(count, size, link)
        lines = [
            f"{self.work.spec}, {self.work.dtype}: {self.parameters} gradients, "
            f"{size / 1e3:.3g} kB, are added up in each step",
            f"a message between two processes takes {figure(1e6 * link.alpha)} us, and "
            f"{figure(1e-9 / link.beta)} GB/s; additions {figure(1e-9 / link.gamma)} GB/s",
            f"the sum over {count} takes {figure(1e6 * self.sum_seconds)} us; modelled, by {how}: "
            f"{figure(1e6 * modelled)}",
            "",
            f"measured      1,000 samples a second        {count} over one: median (least to most)",
            f"samples each  one process  {count} together",
        ]
        for each in self.batches:
            alone, together = (figure(1e-3 / x) for x in (each.alone, each.together))
            lines.append(
                f"{each.batch:>12,}  {alone:>11}  {together:>10}  {Spread.of(each.ratios)}"
            )
        lines += [
            "",
            "modelled for processes that are connected like these two: how many times as fast as",
            "one with the same whole batch, and from which size of shards on that is more than",
            f"once, and {EFFICIENT:.0%} of their number",
            "processes  sum, us  "
            + "".join(f"{f'{each.batch:,} each':>12}" for each in self.batches)
            + f"{'pays from':>12}{f'{EFFICIENT:.0%} from':>12}",
        ]
        for row in self.rows():
            faster = "".join(f"{figure(value):>12}" for value in row["speedup"].values())
            ends = "".join(f"{_samples(row[name]):>12}" for name in ("pays_from", "efficient_from"))
            lines.append(
                f"{row['processes']:>9,}  {figure(1e6 * row['sum_seconds']):>7}  {faster}{ends}"
            )
        return "\n".join(lines)

    def rows(self) -> list[dict[str, Any]]:
        """Return what the model says of each number of processes."""
        model = self.model
        return [
            {
                "processes": count,
                "sum_seconds": allreduce(count, model.size, model.link)[0],
                "algorithm": allreduce(count, model.size, model.link)[1],
                "speedup": {each.batch: model.speedup(count, each.batch) for each in self.batches},
                "pays_from": model.shard_for(count, 1 / count),
                "efficient_from": model.shard_for(count, EFFICIENT),
            }
            for count in PROCESSES
        ]

    def to_json(self) -> str:
        """Return every figure."""
        rows = [
            {name: None if value == math.inf else value for name, value in row.items()}
            for row in self.rows()
        ]
        found = {
            "work": self.work.to_json(),
            "processes": self.processes,
            "parameters": self.parameters,
            "link": asdict(self.link),
            "sum_seconds": self.sum_seconds,
            "batches": [asdict(each) for each in self.batches],
            "step": {"alone": asdict(self.model.alone), "shared": asdict(self.model.share)},
            "model": rows,
        }
        return json.dumps(found, indent=2)


def _samples(value: float) -> str:
    return "never" if value > _MOST else f"{math.ceil(value):,}"
