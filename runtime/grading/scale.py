"""A factor by which a whole result is off: ``B``, ``−1``, ``1/2``, ``B/10``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product
from typing import final

from runtime.grading.tree import Node

_NICE = (1.0, 2.0, 0.5, 3.0, 4.0, 10.0, 100.0, 0.1, 0.01, 0.25, 1 / 3)
_POWERS = (1, -1, 2, -2)
_ROUNDING = 1e-4  # what float32 may leave of a factor, relative


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """``number * product of sizes to powers``.

    Attributes
    ----------
    number
        Its sign included.
    powers
        Pairs of the name of a size and its exponent, not 0.
    """

    number: float
    powers: tuple[tuple[str, int], ...] = ()

    @property
    def is_one(self) -> bool:
        """Whether nothing is scaled."""
        return self.number == 1 and not self.powers

    @property
    def is_nice(self) -> bool:
        """Whether a person would write its number."""
        return abs(self.number) in _NICE

    @property
    def cost(self) -> float:
        """How far-fetched it is."""
        cost = 0.0
        for name, power in self.powers:
            cost += (1.0 if name == "B" else 1.6) * (1.0 if abs(power) == 1 else 1.3)
        if self.number < 0:
            cost += 1.0
        size = abs(self.number)
        if size != 1:
            cost += 1.3 if size in (2.0, 0.5) else 1.8 if size in _NICE else 2.6
        return cost

    def value(self, sizes: Mapping[str, int]) -> float:
        """Return the factor at given sizes."""
        value = self.number
        for name, power in self.powers:
            value *= float(sizes[name]) ** power
        return value

    def of(self, node: Node) -> Node:
        """Return the tree of what is scaled."""
        if self.is_one:
            return node
        for name, power in self.powers:
            size = Node("size", name=name)
            for _ in range(abs(power)):
                node = Node("mul", (size, node)) if power > 0 else Node("div", (node, size))
        if abs(self.number) != 1:
            node = Node("mul", (Node("number", number=abs(self.number)), node))
        return Node("neg", (node,)) if self.number < 0 else node

    def text(self) -> str:
        """Write it as a factor: ``B``, ``−1``, ``1/(2 B)``."""
        above = [f"{abs(self.number):.4g}"] if abs(self.number) != 1 else []
        below: list[str] = []
        for name, power in self.powers:
            (above if power > 0 else below).extend([name] * abs(power))
        text = " ".join(above) or "1"
        if below:
            bottom = " ".join(below)
            text += f"/({bottom})" if len(below) > 1 else f"/{bottom}"
        return f"−{text}" if self.number < 0 else text


ONE = Scale(number=1.0)


def find_scale(
    factors: Sequence[tuple[Mapping[str, int], float]], tolerance: float
) -> Scale | None:
    """Return the simplest factor that has these values at these sizes.

    Parameters
    ----------
    factors
        Sizes of a trial, and the factor that was seen there.
    tolerance
        Relative.
    """
    names = tuple(factors[0][0])
    best: Scale | None = None
    for powers in _monomials(names):
        shape = Scale(number=1.0, powers=powers)
        numbers = [seen / shape.value(sizes) for sizes, seen in factors]
        first = numbers[0]
        if first == 0 or any(abs(n - first) > tolerance * abs(first) for n in numbers):
            continue
        nice = [n for n in _NICE if abs(abs(first) - n) <= tolerance * n]
        number = nice[0] if nice else _shortest(abs(first), min(tolerance, _ROUNDING))
        found = Scale(number=number if first > 0 else -number, powers=powers)
        if best is None or found.cost < best.cost - 1e-9:
            best = found
    return best


def _shortest(number: float, tolerance: float) -> float:
    """Return the number of the fewest digits that is as near as that, as somebody wrote it."""
    for digits in range(1, 6):
        short = float(f"{number:.{digits}g}")
        if abs(short - number) <= tolerance * number:
            return short
    return number


@lru_cache(maxsize=64)
def _monomials(names: tuple[str, ...]) -> tuple[tuple[tuple[str, int], ...], ...]:
    found: list[tuple[tuple[str, int], ...]] = [()]
    found += [((name, power),) for power, name in product(_POWERS, names)]
    for pair in combinations(names, 2):
        found += [((pair[0], a), (pair[1], b)) for a, b in product((1, -1), repeat=2)]
    return tuple(found)
