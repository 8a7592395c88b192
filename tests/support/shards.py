"""Training by several threads that stand for processes, each with a shard of every batch."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np

Array = np.ndarray
Params = dict[str, Array]


class Sum:
    """Adds arrays of several threads up, in the order of the threads."""

    def __init__(self, members: int) -> None:
        self.barrier = threading.Barrier(members, timeout=60)
        self.given: list[Array] = [np.zeros(0)] * members
        self.calls = [0] * members

    def of(self, member: int) -> Callable[[Array], None]:
        def reduce(array: Array) -> None:
            self.calls[member] += 1
            self.given[member] = array.copy()
            self.barrier.wait()
            assert len({(each.shape, each.dtype) for each in self.given}) == 1
            array[...] = sum(self.given)
            self.barrier.wait()

        return reduce


def train_in_shards(
    module: ModuleType, count: int, params: Params, X: Array, Y: Array, **options: Any
) -> tuple[list[Params], list[Array], Sum]:
    """Return what each of so many shards ends with: parameters and history."""
    found = [{name: value.copy() for name, value in params.items()} for _ in range(count)]
    total = Sum(count)

    def train(shard: int) -> Array:
        own = {name: value[shard] for name, value in options.items() if name in ("callback",)}
        given = {**options, **own, "shard": shard, "shards": count, "reduce": total.of(shard)}
        try:
            return module.train(found[shard], X, Y, **given)
        except BaseException:
            total.barrier.abort()
            raise

    with ThreadPoolExecutor(count) as pool:
        return found, list(pool.map(train, range(count))), total
