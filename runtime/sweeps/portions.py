"""Which runs a worker is given next: so many that it is busy for a moment, and no more.

Runs are grouped by the kernels they need. A worker stays with its group while there is work in
it, and groups that nobody is at come first: so each worker loads few kernels, and several
networks are compiled at the same time.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import final

from runtime.sweeps.plan import Plan

MOMENT = 0.25  # seconds that a portion should take
LEAST = 0.02  # seconds that it should take even at the end: less is lost in between
_MOST = 1_000  # runs in a portion


@final
@dataclass(slots=True, kw_only=True)
class Portions:
    """The runs that are left.

    Attributes
    ----------
    plan
        All runs.
    workers
        How many take portions: the last ones get small, so that all end together.
    """

    plan: Plan
    workers: int
    _left: dict[str, deque[int]] = field(default_factory=dict)  # by group
    _at: dict[str, int] = field(default_factory=dict)  # workers at a group
    _pace: dict[str, float] = field(default_factory=dict)  # seconds that a run takes

    def add(self, numbers: Iterable[int]) -> None:
        """Put runs in, or back: those that a worker did not finish."""
        for number in numbers:
            self._left.setdefault(self.group(number), deque()).append(number)

    def __len__(self) -> int:
        """Return how many runs are left."""
        return sum(map(len, self._left.values()))

    def group(self, number: int) -> str:
        """Return which kernels a run needs."""
        point, _ = self.plan.run(number)
        settings = point.settings
        return f"{point.network} {settings.optimizer} {settings.clip_norm} {settings.schedule}"

    def take(self, group: str | None = None) -> tuple[str, list[int]]:
        """Return the next runs, and their group, for a worker that was at `group`.

        There are none if none are left.
        """
        if group is not None:
            self._at[group] -= 1
        if group is None or not self._left.get(group):
            waiting = [name for name, left in self._left.items() if left]
            if not waiting:
                return "", []
            at = self._at
            group = min(waiting, key=lambda n: (at.get(n, 0) > 0, -len(self._left[n])))
        self._at[group] = self._at.get(group, 0) + 1
        left = self._left[group]
        share = max(math.ceil(len(left) / (2 * self.workers)), self._size(group, LEAST))
        size = min(self._size(group, MOMENT), share)
        return group, [left.popleft() for _ in range(min(size, len(left)))]

    def leave(self, group: str) -> None:
        """Note that a worker is at a group no more."""
        self._at[group] -= 1

    def note(self, group: str, seconds: float) -> None:
        """Note what a run of a group took."""
        known = self._pace.get(group, seconds)
        self._pace[group] = known + 0.2 * (seconds - known)

    @property
    def longest_run(self) -> float:
        """Seconds that a run takes in the slowest group that is known; 0 before the first ends."""
        return max(self._pace.values(), default=0.0)

    def _size(self, group: str, seconds: float) -> int:
        """Return how many runs of a group take so long, 1 at least."""
        pace = self._pace.get(group)
        if pace is None:  # the first run tells
            return 1
        return max(1, min(_MOST, int(seconds / max(pace, 1e-6))))
