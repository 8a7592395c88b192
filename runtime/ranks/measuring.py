"""What training by several processes gives here: measured, and modelled for many more.

Every rank runs the same lines. Figures are taken in turns: one process alone, while the others
sleep; all of them computing, with nothing added up; and all of them training together.
"""

import time
from collections.abc import Callable
from statistics import median
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.bench.workload import Array, Workload, start, training_set
from runtime.errors import InputError
from runtime.ranks.alpha_beta import Link, Shared, StepTime
from runtime.ranks.measured import Measured, SharedBatch

if TYPE_CHECKING:
    from runtime.ranks.communicator import Ranks

BATCHES = (10, 100, 1_000)  # samples of each process, for a line in each of three decades
_LEAST = 0.15  # s, that a figure is of at least
_MESSAGES = 300  # there and back, for the latency


def measure(ranks: "Ranks", work: Workload, batches: tuple[int, ...], repeats: int) -> Measured:
    """Return what the processes reach together; only the first one's figures count.

    Parameters
    ----------
    ranks
        The processes; all of them call this alike.
    work
        What is trained, on what.
    batches
        Samples of each process in a step; sizes that the training set cannot fill are left out.
    repeats
        Turns, of which medians are taken.

    Raises
    ------
    InputError
        If the set is too small for all of the sizes, or cannot be had.
    """
    possible = [batch for batch in batches if batch * ranks.count <= work.samples]
    if not possible:
        raise InputError(
            f"batch: {min(batches)} for each of {ranks.count} processes is more than the "
            f"{work.samples} samples. Give fewer."
        )
    runs = _Runs(ranks, work)
    link = _link(ranks, runs.size)
    sums = [_sum_seconds(ranks, runs.size) for _ in range(repeats)]
    found = [_batch(ranks, runs, batch, repeats) for batch in possible]
    alone = {each.batch: each.alone * each.batch for each in found}
    computing = {each.batch: each.computing * each.batch for each in found}
    return Measured(
        work=work,
        processes=ranks.count,
        parameters=runs.size // np.dtype(work.dtype).itemsize,
        link=link,
        sum_seconds=median(sums),
        batches=tuple(found),
        model=Shared(
            alone=StepTime.fitted(alone),
            share=StepTime.fitted(computing),
            size=runs.size,
            link=link,
        ),
    )


class _Runs:
    """Trains by either module; the first rank compiles for those beside it."""

    def __init__(self, ranks: "Ranks", work: Workload) -> None:
        self.ranks, self.work = ranks, work
        with ranks.first_alone():
            self.X, self.Y = training_set(work)
            self.plain = _module(work, self.X, self.Y, optimizer=None)
            self.shared = _module(work, self.X, self.Y, optimizer="sgd", shards=True)
        self.reuse: dict[str, Any] = {}
        entries = sum(int(np.prod(shape)) for shape in self.plain.PARAMETERS.values())
        self.size = entries * np.dtype(work.dtype).itemsize

    def alone(self, batch: int) -> Callable[[int], None]:
        return lambda epochs: self._train(self.plain, batch, epochs, {})

    def together(
        self, batch: int, reduce: Callable[[Array], object] | None = None
    ) -> Callable[[int], None]:
        options = self.ranks.options
        if reduce is not None:
            options["reduce"] = reduce
        return lambda epochs: self._train(self.shared, batch * self.ranks.count, epochs, options)

    def _train(self, module: ModuleType, batch: int, epochs: int, options: dict[str, Any]) -> None:
        module.train(
            start(self.work),
            self.X,
            self.Y,
            epochs=epochs,
            batch=batch,
            eta=self.work.eta,
            threads=1,
            evaluate=False,
            sparse=self.work.sparse,
            reuse=self.reuse,
            **options,
        )


def _module(work: Workload, X: Array, Y: Array, **options: Any) -> ModuleType:
    import codegen

    source = codegen.generate_or_recall(
        work.network(), dtype=work.dtype, labels=work.labels, **options
    )
    module = codegen.compile_module(source)
    module.train(start(work), X[:1], Y[:1], epochs=0, batch=1, eta=work.eta)
    codegen.keep_compiled(module)
    return module


def _batch(ranks: "Ranks", runs: _Runs, batch: int, repeats: int) -> SharedBatch:
    """Return the seconds a sample takes in each way, turn by turn."""
    ways = (
        _Way(ranks, runs.alone(batch), is_alone=True),
        _Way(ranks, runs.together(batch, _nothing)),
        _Way(ranks, runs.together(batch)),
    )
    turns = [[way.seconds() / runs.work.samples for way in ways] for _ in range(repeats)]
    alone, computing, together = zip(*turns, strict=True)
    return SharedBatch(
        batch=batch,
        alone=median(alone),
        computing=median(computing) * ranks.count,  # of its own samples
        together=median(together),
        ratios=tuple(one / all_ for one, all_ in zip(alone, together, strict=True)),
    )


class _Way:
    """One way to train, and how many epochs of it a figure takes."""

    def __init__(
        self, ranks: "Ranks", train: Callable[[int], None], *, is_alone: bool = False
    ) -> None:
        self.ranks, self.train, self.is_alone = ranks, train, is_alone
        self.seconds(1)  # what is made once
        self.epochs = ranks.turn(int(_LEAST / self.seconds(1)) + 1)

    def seconds(self, epochs: int = 0) -> float:
        """Return the seconds of an epoch."""
        epochs = epochs or self.epochs
        if self.is_alone:
            with self.ranks.first_alone(others=False) as is_mine:
                return self._timed(epochs) if is_mine else 1.0
        self.ranks.meet()
        return self._timed(epochs)

    def _timed(self, epochs: int) -> float:
        before = time.perf_counter()
        self.train(epochs)
        return (time.perf_counter() - before) / epochs


def _link(ranks: "Ranks", size: int) -> Link:
    """Return what a message between the first two takes, and to add one to another."""
    alpha = ranks.message_seconds(0, _MESSAGES)
    whole = ranks.message_seconds(size, 30)
    one, other = np.ones(size // 4, np.float32), np.ones(size // 4, np.float32)
    added = min(_once(lambda: np.add(one, other, out=other)) for _ in range(30))
    return Link(alpha=alpha, beta=max(whole - alpha, 0.0) / size, gamma=added / size)


def _sum_seconds(ranks: "Ranks", size: int, times: int = 30) -> float:
    array = np.zeros(size // 4, np.float32)
    ranks.add_up(array)
    ranks.meet()

    def add_up() -> None:
        for _ in range(times):
            ranks.add_up(array)

    return _once(add_up) / times


def _nothing(array: Array) -> None:
    """Stand for a sum that takes no time."""


def _once(function: Callable[[], object]) -> float:
    before = time.perf_counter()
    function()
    return time.perf_counter() - before
