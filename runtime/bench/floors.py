"""What the machine was measured to do, in the terms of the work, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, final

from runtime.bench.products import products
from runtime.bench.spread import Spread, figure
from runtime.bench.workload import Workload


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """Bounds that the machine sets to the work, one figure for each turn.

    Attributes
    ----------
    work
        The work.
    threads
        How many shared it.
    peaks
        Fused multiply-adds per second and core, the best burst of each turn.
    products
        Product -> seconds per step in BLAS.
    gather
        Seconds per epoch to copy the samples of each step together.
    together
        Seconds per epoch of gathers and products, one after the other.
    """

    work: Workload
    threads: int
    peaks: tuple[float, ...]
    products: Mapping[str, tuple[float, ...]]
    gather: tuple[float, ...]
    together: tuple[float, ...]

    @classmethod
    def of(cls, work: Workload, threads: int, turns: list[dict[str, Any]]) -> "Floors":
        """Return the figures that `runtime.bench.machine.Machine` measured in each turn."""
        return cls(
            work=work,
            threads=threads,
            peaks=tuple(turn["peak"] for turn in turns),
            products={
                product.name: tuple(turn["products"][product.name] for turn in turns)
                for product in products(work)
            },
            gather=tuple(turn["gather"] for turn in turns),
            together=tuple(turn["together"] for turn in turns),
        )

    @property
    def peak(self) -> float:
        """Multiply-adds per second and core: the best of all turns, since no loop beats it."""
        return max(self.peaks)

    @property
    def multiply_adds(self) -> Mapping[str, int]:
        """Product -> multiply-adds per step."""
        return {product.name: product.multiply_adds for product in products(self.work)}

    @property
    def multiply_adds_per_epoch(self) -> int:
        """Multiply-adds of all products; each of them has a sample's worth for every sample."""
        per_step = sum(self.multiply_adds.values())
        return per_step * self.work.samples // self.work.batch

    @property
    def at_peak(self) -> float:
        """Seconds per epoch that the multiply-adds alone take, all threads at their peak."""
        return self.multiply_adds_per_epoch / (self.peak * self.threads)

    @property
    def in_blas(self) -> Spread:
        """Seconds per epoch of gathers and products."""
        return Spread.of(self.together)

    def best_rate(self) -> float:
        """Return the most multiply-adds per second and core that any product reached."""
        counts = self.multiply_adds
        each = [counts[name] / min(figures) for name, figures in self.products.items()]
        return max(*each, self.multiply_adds_per_epoch / min(self.together)) / self.threads

    def lines(self) -> list[str]:
        """Return what people read below the table."""
        work, counts = self.work, self.multiply_adds
        who = f"{self.threads} thread{'s' * (self.threads != 1)}"
        per_step = 1e6 / work.steps
        rates = ", ".join(
            f"{name} {figure(1e6 * median(figures))} µs "
            f"({figure(1e-9 * counts[name] / median(figures) / self.threads)})"
            for name, figures in self.products.items()
        )
        gather = 1e3 * median(self.gather)
        return [
            f"floor, {who}: the {number(len(counts))} product{'s' * (len(counts) != 1)} in BLAS "
            f"with the gather of the batches "
            f"{self.in_blas.times(1e3)} ms per epoch, {figure(per_step * self.in_blas.median)} µs "
            f"per step; the gather alone {figure(gather)} ms",
            f"  each, per step (10⁹ multiply-adds a second and core): {rates}",
            f"peak, {who}: multiply-adds, {figure(1e-9 * self.peak)} · 10⁹ a second and core, "
            f"{figure(1e3 * self.at_peak)} ms per epoch, {figure(per_step * self.at_peak)} µs per "
            "step",
        ]

    def to_json(self) -> dict[str, Any]:
        """Return everything by name; seconds, and multiply-adds per second and core."""
        counts = self.multiply_adds
        return {
            "threads": self.threads,
            "peak": {
                "multiply_adds_per_second_and_core": self.peak,
                "each": list(self.peaks),
                "seconds_per_epoch": self.at_peak,
            },
            "products": {
                name: Spread.of(figures).to_json()
                | {"multiply_adds": counts[name], "seconds_per_step": list(figures)}
                for name, figures in self.products.items()
            },
            "gather_seconds_per_epoch": list(self.gather),
            "products_and_gather_seconds_per_epoch": list(self.together),
        }


def number(count: int) -> str:
    """Return a small number in words."""
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return words[count] if count < len(words) else str(count)
