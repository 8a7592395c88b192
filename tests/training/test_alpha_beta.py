"""The model of steps that processes share, against runs of what it counts."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from runtime.ranks.alpha_beta import (
    ALGORITHMS,
    Link,
    Shared,
    StepTime,
    allreduce,
    halving_and_doubling,
    recursive_doubling,
    ring,
)

# a message costs 1e6, a byte sent 1e3 and one added 1, so that a cost shows its counts
COUNTED = Link(alpha=1e6, beta=1e3, gamma=1.0)
Message = tuple[int, int, slice]  # from, to, and which part of the array
Round = tuple[list[Message], bool]  # what all send at once, and whether it is added


def rounds_of_ring(processes: int, size: int) -> Iterator[Round]:
    part = size // processes
    for offset, added in ((0, True), (1, False)):
        for step in range(processes - 1):
            messages = []
            for rank in range(processes):
                first = (rank + offset - step) % processes * part
                messages.append((rank, (rank + 1) % processes, slice(first, first + part)))
            yield messages, added


def rounds_of_doubling(processes: int, size: int) -> Iterator[Round]:
    for bit in range(processes.bit_length() - 1):
        yield [(rank, rank ^ 1 << bit, slice(0, size)) for rank in range(processes)], True


def rounds_of_halving(processes: int, size: int) -> Iterator[Round]:
    held = [(0, size)] * processes
    bits = range(processes.bit_length() - 1)
    for bit in bits:
        messages = []
        for rank in range(processes):
            first, last = held[rank]
            middle = (first + last) // 2
            mine, other = (first, middle), (middle, last)
            if rank >> bit & 1:
                mine, other = other, mine
            messages.append((rank, rank ^ 1 << bit, slice(*other)))
            held[rank] = mine
        yield messages, True
    for bit in reversed(bits):
        yield [(rank, rank ^ 1 << bit, slice(*held[rank])) for rank in range(processes)], False
        held = [
            (min(one[0], two[0]), max(one[1], two[1]))
            for one, two in ((held[rank], held[rank ^ 1 << bit]) for rank in range(processes))
        ]


def played(processes: int, size: int, rounds: Iterator[Round]) -> float:
    """Send all messages, check that all end with the sum, and return what it cost."""
    arrays = np.random.default_rng(0).integers(0, 100, (processes, size))
    expected, cost = arrays.sum(axis=0), 0.0
    for messages, is_added in rounds:
        sent = [(to, part, arrays[rank, part].copy()) for rank, to, part in messages]
        assert len({to for to, _, _ in sent}) == processes  # everyone receives one
        for to, part, content in sent:
            arrays[to, part] = arrays[to, part] + content if is_added else content
        longest = max(content.size for _, _, content in sent)
        cost += COUNTED.alpha + longest * (COUNTED.beta + COUNTED.gamma * is_added)
    assert (arrays == expected).all()
    return cost


@pytest.mark.parametrize(
    ("model", "rounds"),
    [
        (ring, rounds_of_ring),
        (recursive_doubling, rounds_of_doubling),
        (halving_and_doubling, rounds_of_halving),
    ],
)
def test_a_sum_costs_the_messages_that_it_takes(
    model: Callable[..., float], rounds: Callable[[int, int], Iterator[Round]]
) -> None:
    for processes in (2, 4, 16):
        assert model(processes, 64, COUNTED) == pytest.approx(
            played(processes, 64, rounds(processes, 64))
        )


def test_short_sums_double_and_long_ones_halve_first() -> None:
    link = Link(alpha=1e-6, beta=1e-9, gamma=1e-10)
    assert allreduce(64, 8, link)[1] == "recursive doubling"
    seconds, name = allreduce(64, 10**7, link)
    assert name == "halving and doubling"
    assert seconds == min(cost(64, 10**7, link) for cost in ALGORITHMS.values())
    assert allreduce(1, 8, link)[0] == 0


def test_a_line_is_fitted_relatively() -> None:
    found = StepTime.fitted({batch: 5e-6 + 2e-7 * batch for batch in (10, 100, 1_000)})
    assert found.fixed == pytest.approx(5e-6)
    assert found.per_sample == pytest.approx(2e-7)
    assert StepTime.fitted({10: 1e-6, 20: 4e-6}).fixed == 0  # no step takes less than nothing


def test_shards_from_which_it_pays() -> None:
    step = StepTime(fixed=1e-5, per_sample=1e-6)
    shared = Shared(
        alone=step, share=step, size=10**6, link=Link(alpha=1e-5, beta=1e-9, gamma=1e-10)
    )
    for processes in (2, 64, 1_000):
        for efficiency in (1 / processes, 0.5, 0.9):
            shard = shared.shard_for(processes, efficiency)
            if shard > 1:
                assert shared.speedup(processes, shard) == pytest.approx(efficiency * processes)
            assert shared.speedup(processes, 2 * shard) > efficiency * processes
    assert shared.shard_for(64, 1.0) == math.inf  # as fast as 64 they never are
    assert shared.speedup(1, 100) == 1
