"""Figures as people read them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import final


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

    def times(self, factor: float) -> "Spread":
        """Return it in another unit."""
        return Spread(
            median=factor * self.median, least=factor * self.least, most=factor * self.most
        )

    def __str__(self) -> str:
        return f"{figure(self.median)} ({figure(self.least)} – {figure(self.most)})"

    def to_json(self) -> dict[str, float]:
        """Return the three figures by name."""
        return {"median": self.median, "min": self.least, "max": self.most}


def figure(value: float) -> str:
    """Return a number with three significant digits, never with an exponent."""
    if not math.isfinite(value) or value <= 0:
        return f"{value:g}"
    value = float(f"{value:.2e}")  # 0.09999… has the digits of 0.1
    digits = max(0, 2 - math.floor(math.log10(value)))
    return f"{value:.{digits}f}"
