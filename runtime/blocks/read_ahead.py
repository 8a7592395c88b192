"""Two buffers: while one is trained on, the other is filled.

Reading releases the interpreter, and so do the kernels; so both go on at the same time. Two threads
read: where the kernels take all processors these lose less to two than to one, for which all of
them would wait.
"""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import final

import numpy as np
from numpy.typing import NDArray

from runtime.blocks.memory import READERS
from runtime.blocks.shuffled import buffers_of_epoch, generator, seed_of_buffer, set_aside
from runtime.blocks.streamed import Pair, Part, StreamedDataset

Task = tuple[Part, int, int, Pair, Pair | None]  # what `Part.fill` is told


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Filled:
    """A buffer that is to be trained on, or evaluated.

    Attributes
    ----------
    rows
        By what they are for, inputs and targets: ``"step"``, or ``"train"`` and ``"test"`` for
        figures over these parts. They stay until the next but one buffer is asked for.
    epoch
        Of the epoch that they belong to.
    seed
        What shuffles them.
    is_last
        Whether the epoch ends with them.
    done
        Share of the epoch that is done when they are.
    """

    rows: dict[str, Pair]
    epoch: int
    seed: int
    is_last: bool
    done: float


Job = Callable[[Pair], Filled]


@final
class Reader:
    """Fills the buffers of a run."""

    def __init__(self, data: StreamedDataset, batch: int, seed: int) -> None:
        """Prepare to read a set for steps of `batch` samples."""
        self.data, self.seed, self.plan = data, seed, data.plan
        self.counts = data.train.counts(self.plan.edges)
        self.batch = min(batch, data.train_rows)
        most = max(table.rows for table in (data.train.table, data.test.table))
        self.room = min(self.plan.buffer, most)
        self._rooms: list[Pair] = []
        for _ in range(2):
            X = np.empty((self.room, data.inputs), data.dtype)
            self._rooms.append((X, np.empty((self.room, data.outputs), data.dtype)))
        # row groups and chunks are unpacked, and take memory for each that is read
        self._threads = READERS if data.train.table.edges is None else 1

    def buffers(self, first: int, epochs: int, *, evaluate: bool) -> Generator[Filled]:
        """Give the buffers of some epochs one after the other, each filled ahead.

        Parameters
        ----------
        first, epochs
            The first epoch, counted from 0, and how many.
        evaluate
            Whether both parts follow each epoch.
        """
        with (
            ThreadPoolExecutor(self._threads, thread_name_prefix="read") as readers,
            ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as ahead,
        ):
            jobs = self._jobs(first, epochs, readers, evaluate=evaluate)
            job = next(jobs, None)
            rooms = cycle(self._rooms)
            future = None if job is None else ahead.submit(job, next(rooms))
            while future is not None:
                filled = future.result()
                job = next(jobs, None)
                future = None if job is None else ahead.submit(job, next(rooms))
                yield filled

    def _jobs(self, first: int, epochs: int, readers: Executor, *, evaluate: bool) -> Iterator[Job]:
        for epoch in range(first, first + epochs):
            yield from self._steps(epoch, readers, ends=not evaluate)
            if not evaluate:
                continue
            train, test = self.data.train, self.data.test
            if train.table is test.table:
                yield from self._figures({"train": train, "test": test}, epoch, readers)
            else:
                yield from self._figures({"train": train}, epoch, readers)
                yield from self._figures({"test": test}, epoch, readers)

    def _steps(self, epoch: int, readers: Executor, *, ends: bool) -> Iterator[Job]:
        """Give what fills the buffers of an epoch's steps."""
        edges, part = self.plan.edges.tolist(), self.data.train
        groups = buffers_of_epoch(self.counts, self.room, self.batch, self.seed, epoch)
        # what its batches leave of a buffer begins the next one
        left: Pair | None = None
        done = 0

        def fill(number: int, room: Pair) -> Filled:
            nonlocal left, done
            X, Y = room
            at = 0
            if left is not None:
                at = len(left[0])
                X[:at], Y[:at] = left
            tasks: list[Task] = []
            for block in groups[number].tolist():
                tasks.append((part, edges[block], edges[block + 1], (X[at:], Y[at:]), None))
                at += int(self.counts[block])
            _carry_out(tasks, readers)
            is_last = number == len(groups) - 1
            rest = 0 if is_last else at % self.batch
            if rest:
                set_aside(X[:at], Y[:at], rest, generator(self.seed, epoch, number, 1))
            left = (X[at - rest : at], Y[at - rest : at]) if rest else None
            done += at - rest
            return Filled(
                rows={"step": (X[: at - rest], Y[: at - rest])},
                epoch=epoch,
                seed=seed_of_buffer(self.seed, epoch, number),
                is_last=ends and is_last,
                done=(1.0 if ends else 0.5) * done / part.rows,
            )

        for number in range(len(groups)):
            yield partial(fill, number)

    def _figures(self, parts: dict[str, Part], epoch: int, readers: Executor) -> Iterator[Job]:
        """Give what fills buffers with parts of a table, in its order."""
        first, *others = parts.values()
        table = first.table
        edges = self.plan.edges
        if table is not self.data.train.table:
            step = int(np.diff(edges).max())
            edges = np.append(np.arange(0, table.rows, step), table.rows)
            edges = table.edges if table.edges is not None else edges
        counts = first.counts(edges)
        taken = np.diff(edges) if others else counts
        groups = _groups(taken, self.room)
        begin = 0.5 if "train" in parts else 0.75
        share = 1.0 - begin if "test" in parts else 0.25

        def fill(number: int, room: Pair) -> Filled:
            X, Y = room
            blocks = slice(*groups[number])
            middle, end = int(counts[blocks].sum()), int(taken[blocks].sum())
            at, rest = 0, middle
            tasks: list[Task] = []
            for block in range(*groups[number]):
                beside = (X[rest:end], Y[rest:end]) if others else None
                to = (X[at:middle], Y[at:middle])
                tasks.append((first, int(edges[block]), int(edges[block + 1]), to, beside))
                at += int(counts[block])
                rest += int(taken[block] - counts[block])
            _carry_out(tasks, readers)
            places = [slice(0, middle), slice(middle, end)]
            return Filled(
                rows={
                    name: (X[place], Y[place])
                    for name, place in zip(parts, places, strict=False)
                    if place.start < place.stop
                },
                epoch=epoch,
                seed=0,
                is_last="test" in parts and number == len(groups) - 1,
                done=begin + share * (number + 1) / len(groups),
            )

        for number in range(len(groups)):
            yield partial(fill, number)


def _groups(counts: NDArray[np.int64], room: int) -> list[tuple[int, int]]:
    """Return which blocks, from one to another, go into each buffer in their order."""
    groups: list[tuple[int, int]] = []
    start = rows = 0
    for block, count in enumerate(counts.tolist()):
        if rows and rows + count > room:
            groups.append((start, block))
            start, rows = block, 0
        rows += count
    groups.append((start, len(counts)))
    return [(a, b) for a, b in groups if counts[a:b].any()]


def _carry_out(tasks: list[Task], readers: Executor) -> None:
    """Fill what the tasks are about, some threads together."""

    def some(own: list[Task]) -> None:
        for part, first, last, to, rest in own:
            part.fill(first, last, to, rest)

    list(readers.map(some, [tasks[at::READERS] for at in range(READERS)]))
