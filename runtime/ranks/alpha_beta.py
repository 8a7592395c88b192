"""How long steps take that many processes share: a model, from what two of them measure.

A message of n bytes takes ``alpha + n beta`` seconds, to add n bytes to others ``n gamma``. What
is assumed, and what it leaves out:

- Every process can send and receive at full speed at the same time, whatever the others do, and
  all links are alike: a process for each machine, and a network without bottlenecks.
- All compute equally fast, so that nobody waits for anybody, and computing and adding up take
  turns, as they do in these kernels.
- ``alpha``, ``beta`` and ``gamma`` do not depend on the size of a message.

So it tells where sharing cannot pay rather than where it will.

References
----------
.. [1] R. Thakur, R. Rabenseifner, W. Gropp, "Optimization of collective communication operations
   in MPICH", Int. J. High Performance Computing Applications 19(1), 2005: recursive doubling, and
   halving and doubling (Rabenseifner's algorithm).
.. [2] P. Patarasuk, X. Yuan, "Bandwidth optimal all-reduce algorithms for clusters of
   workstations", J. Parallel and Distributed Computing 69(2), 2009: the ring.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, final

import numpy as np


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What connects processes.

    Attributes
    ----------
    alpha
        Seconds that a message of no length takes.
    beta
        Seconds for each byte of it.
    gamma
        Seconds to add a byte to another.
    """

    alpha: float
    beta: float
    gamma: float


def recursive_doubling(processes: int, size: int, link: Link) -> float:
    """Return the seconds in which all have the sum of `size` bytes: each time all of them go."""
    rounds = math.ceil(math.log2(processes))
    return rounds * (link.alpha + size * (link.beta + link.gamma))


def halving_and_doubling(processes: int, size: int, link: Link) -> float:
    """Return the same where half as much goes each time, and is gathered again afterwards."""
    rounds = math.ceil(math.log2(processes))
    share = size * (processes - 1) / processes
    return 2 * rounds * link.alpha + share * (2 * link.beta + link.gamma)


def ring(processes: int, size: int, link: Link) -> float:
    """Return the same where each sends to its neighbour alone, a part at a time."""
    share = size * (processes - 1) / processes
    return 2 * (processes - 1) * link.alpha + share * (2 * link.beta + link.gamma)


ALGORITHMS = {
    "recursive doubling": recursive_doubling,
    "halving and doubling": halving_and_doubling,
    "ring": ring,
}


def allreduce(processes: int, size: int, link: Link) -> tuple[float, str]:
    """Return the seconds that a sum of `size` bytes takes by the fastest way, and which that is."""
    if processes == 1:
        return 0.0, "nothing"
    return min((cost(processes, size, link), name) for name, cost in ALGORITHMS.items())


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """How long a process computes at a step: ``fixed + per_sample batch`` seconds."""

    fixed: float
    per_sample: float

    @classmethod
    def fitted(cls, seconds: Mapping[int, float]) -> Self:
        """Return the line that is nearest, relatively, to what steps of some sizes took."""
        batch, measured = (np.array(list(x), float) for x in (seconds, seconds.values()))
        columns = np.column_stack([np.ones_like(batch), batch]) / measured[:, None]
        fixed, per_sample = np.linalg.lstsq(columns, np.ones_like(batch), rcond=None)[0].tolist()
        return cls(fixed=max(fixed, 0.0), per_sample=per_sample)

    def of(self, batch: float) -> float:
        """Return the seconds of a step."""
        return self.fixed + self.per_sample * batch


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Steps that are shared, beside those of one process with the same whole batch.

    Attributes
    ----------
    alone
        A step of one process that shares nothing, by the size of the batch.
    share
        What each of the others computes at a step, by the size of its shard.
    size
        Bytes that are added up in a step.
    link
        What connects them.
    """

    alone: StepTime
    share: StepTime
    size: int
    link: Link

    def speedup(self, processes: int, shard: float) -> float:
        """Return how many times as many samples a second they train on as one process."""
        shared = self.share.of(shard) + allreduce(processes, self.size, self.link)[0]
        return self.alone.of(processes * shard) / shared

    def shard_for(self, processes: int, efficiency: float) -> float:
        """Return the least shard with a speedup of `efficiency` times their number; inf: none.

        The speedup is ``(a + b p n) / (c + d n + T)``, so that it grows with the shard n to b p/d
        at most.
        """
        wanted = efficiency * processes
        total = allreduce(processes, self.size, self.link)[0]
        gain = self.alone.per_sample * processes - wanted * self.share.per_sample
        lack = wanted * (self.share.fixed + total) - self.alone.fixed
        if gain <= 0:
            return math.inf
        return max(lack / gain, 1.0)
