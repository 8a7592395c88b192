"""Two buffers: while one is trained on, a thread fills the other.

Reading releases the interpreter, and so do the kernels; so both go on at the same time.
"""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.blocks.shuffled import buffers_of_epoch, generator, seed_of_buffer, set_aside
from runtime.blocks.streamed import Part, StreamedDataset

Array = NDArray[np.floating[Any]]
Rooms = tuple[Array, Array]  # for X and for Y


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Filled:
    """A buffer that is to be trained on, or evaluated.

    Attributes
    ----------
    kind
        ``"step"``, ``"train"`` (figures over the training part) or ``"test"``.
    X, Y
        The rows; they stay until the next but one buffer is asked for.
    epoch
        Of the epoch that they belong to.
    seed
        What shuffles them.
    is_last
        Whether the epoch ends with them.
    done
        Share of the epoch that is done when they are.
    """

    kind: str
    X: Array
    Y: Array
    epoch: int
    seed: int
    is_last: bool
    done: float


@final
class Reader:
    """Fills the buffers of a run."""

    def __init__(self, data: StreamedDataset, batch: int, seed: int) -> None:
        """Prepare to read a set for steps of `batch` samples."""
        self.data, self.seed, self.plan = data, seed, data.plan
        self.counts = data.train.counts(self.plan.edges)
        self.batch = min(batch, data.train_rows)
        self.room = min(self.plan.buffer, max(data.train_rows, data.test_rows))
        shapes = (self.room, data.inputs), (self.room, data.outputs)
        self._rooms: list[Rooms] = []
        for _ in range(2):
            X, Y = (np.empty(shape, data.dtype) for shape in shapes)
            self._rooms.append((X, Y))

    def buffers(self, first: int, epochs: int, *, evaluate: bool) -> Generator[Filled]:
        """Give the buffers of some epochs one after the other, each filled ahead.

        Parameters
        ----------
        first, epochs
            The first epoch, counted from 0, and how many.
        evaluate
            Whether both parts follow each epoch.
        """
        jobs = iter(self._jobs(first, epochs, evaluate=evaluate))
        with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
            turn = 0
            job = next(jobs, None)
            future = None if job is None else pool.submit(job, self._rooms[turn])
            while future is not None:
                filled = future.result()
                turn = 1 - turn
                job = next(jobs, None)
                future = None if job is None else pool.submit(job, self._rooms[turn])
                yield filled

    def _jobs(
        self, first: int, epochs: int, *, evaluate: bool
    ) -> Iterable[Callable[[Rooms], Filled]]:
        for epoch in range(first, first + epochs):
            yield from self._steps(epoch, ends=not evaluate)
            if evaluate:
                yield from self._figures("train", self.data.train, epoch, 0.5)
                yield from self._figures("test", self.data.test, epoch, 0.75)

    def _steps(self, epoch: int, *, ends: bool) -> Iterable[Callable[[Rooms], Filled]]:
        """Give what fills the buffers of an epoch's steps."""
        edges, part = self.plan.edges, self.data.train
        groups = buffers_of_epoch(self.counts, self.room, self.batch, self.seed, epoch)
        # what its batches leave of a buffer begins the next one
        left: list[tuple[Array, Array]] = []
        done = 0

        def fill(number: int, rooms: Rooms) -> Filled:
            nonlocal left, done
            X, Y = rooms
            at = 0
            for some_X, some_Y in left:
                at = len(some_X)
                X[:at], Y[:at] = some_X, some_Y
            for block in groups[number].tolist():
                begin, end = int(edges[block]), int(edges[block + 1])
                at += part.fill(begin, end, X[at:], Y[at:])
            is_last = number == len(groups) - 1
            rest = 0 if is_last else at % self.batch
            if rest:
                rng = generator(self.seed, epoch, number, 1)
                set_aside(X[:at], Y[:at], rest, rng)
            left = [(X[at - rest : at], Y[at - rest : at])] if rest else []
            done += at - rest
            return Filled(
                kind="step",
                X=X[: at - rest],
                Y=Y[: at - rest],
                epoch=epoch,
                seed=seed_of_buffer(self.seed, epoch, number),
                is_last=ends and is_last,
                done=(1.0 if ends else 0.5) * done / part.rows,
            )

        for number in range(len(groups)):
            yield partial(fill, number)

    def _figures(
        self, kind: str, part: Part, epoch: int, begin: float
    ) -> Iterable[Callable[[Rooms], Filled]]:
        """Give what fills buffers with a part in its order."""
        edges = self.plan.edges
        if part.table is not self.data.train.table:
            step = int(np.diff(edges).max())
            edges = np.append(np.arange(0, part.table.rows, step), part.table.rows)
            edges = part.table.edges if part.table.edges is not None else edges
        counts = part.counts(edges)
        groups: list[tuple[int, int]] = []
        start = rows = 0
        for block, count in enumerate(counts.tolist()):
            if rows and rows + count > self.room:
                groups.append((start, block))
                start, rows = block, 0
            rows += count
        groups.append((start, len(counts)))
        groups = [(a, b) for a, b in groups if counts[a:b].any()]
        share = 0.25

        def fill(number: int, rooms: Rooms) -> Filled:
            X, Y = rooms
            at = 0
            for block in range(*groups[number]):
                at += part.fill(int(edges[block]), int(edges[block + 1]), X[at:], Y[at:])
            return Filled(
                kind=kind,
                X=X[:at],
                Y=Y[:at],
                epoch=epoch,
                seed=0,
                is_last=kind == "test" and number == len(groups) - 1,
                done=begin + share * (number + 1) / len(groups),
            )

        for number in range(len(groups)):
            yield partial(fill, number)
