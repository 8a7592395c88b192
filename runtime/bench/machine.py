"""What the machine can do: a worker of its own, measured in turn with the contenders."""

from collections.abc import Callable
from typing import Any

from runtime.bench.peak import Peak
from runtime.bench.products import Products
from runtime.bench.workload import Array, Workload, one_order

MACHINE = "machine"
_PEAK_SECONDS = 0.05
_LEAST = 0.02  # seconds that a figure is the mean of, at least


class Machine:
    """Times the products of a step in BLAS, gathers, and multiply-adds at their peak."""

    def __init__(self, work: Workload, X: Array, threads: int) -> None:
        self._peak = Peak(work.dtype)
        self._products = Products(work, X, one_order(work)[0], threads)

    def measure(self) -> dict[str, Any]:
        """Return the figures of one turn.

        ``peak`` is in multiply-adds per second and core; ``products``, in seconds per step,
        by name; ``gather`` and ``together``, with the products, in seconds per epoch.
        """
        products = self._products
        return {
            "peak": self._peak.rate(_PEAK_SECONDS),
            "products": {
                product.name: self._seconds(number)
                for number, product in enumerate(products.products)
            },
            "gather": _mean(lambda: products.epoch(multiplying=False)),
            "together": _mean(products.epoch),
        }

    def _seconds(self, number: int) -> float:
        times = 1
        while (mean := self._products.multiply(times, number)) * times < _LEAST:
            times = max(2 * times, int(1.2 * _LEAST / mean))
        return mean


def _mean(figure: Callable[[], float]) -> float:
    figures = [figure()]
    while sum(figures) < _LEAST:
        figures.append(figure())
    return sum(figures) / len(figures)
