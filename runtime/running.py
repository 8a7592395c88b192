"""The training loop of a run: calls of the kernel, and what happens between them.

A call ends after the last epoch, or earlier where something is to be done: a checkpoint is
due, the user wants an end, the figures are not finite, or good enough. Between two calls the
weights stand still, so that a copy of them is of one epoch.

The kernel reports 20 times a second and may run on for some epochs after one that should have
been the last. Then the run goes back to it: see `Course.replay`.
"""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Never, final

import numpy as np
from numpy.typing import NDArray

from runtime.blocks.streamed import AnyDataset
from runtime.checkpoint import Checkpoint, Keeper
from runtime.divergence import (
    HOPELESS,
    DivergenceError,
    broken_arrays,
    failure_text,
    hopeless_loss,
    refuse_divergence,
)
from runtime.errors import RunError
from runtime.history import History
from runtime.position import AnyCourse, Position, course_of, threads_used
from runtime.result import Model, TrainResult
from runtime.settings import Settings
from runtime.snapshots import Snapshots
from runtime.stopping import Stopping

if TYPE_CHECKING:
    from runtime.ranks.communicator import Ranks

Array = NDArray[np.floating[Any]]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    epoch, epochs
        The last epoch that is complete, counted from 1, and how many there will be.
    train_loss, train_accuracy, test_loss, test_accuracy
        Figures after that epoch; accuracies from 0 to 1.
    seconds
        Time since training began.
    samples_per_second
        Training samples a second since training began, evaluation included.
    """

    epoch: int
    epochs: int
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    seconds: float
    samples_per_second: float = math.nan

    @property
    def seconds_left(self) -> float:
        """Time until the last epoch, if the epochs to come take as long as those before."""
        return self.seconds * (self.epochs - self.epoch) / self.epoch


Report = Callable[[Progress], object]
REPORT_SECONDS = 0.04  # at least, between two reports; a kernel makes 20 a second


def run(
    model: Model,
    data: AnyDataset,
    settings: Settings,
    report: Report | None = None,
    *,
    keeper: Keeper | None = None,
    start: Checkpoint | None = None,
    snapshots: Snapshots | None = None,
    ranks: "Ranks | None" = None,
    within: Callable[[int, float], object] | None = None,
) -> TrainResult:
    """Train a prepared network; its parameters are updated in place.

    Parameters
    ----------
    model, settings, report
        As `prepare` and `train` have them.
    data
        The set in the type of the settings: see `runtime.training.in_dtype`.
    keeper
        Writes checkpoints; None: there are none.
    start
        Where to go on; None: from the model's parameters.
    snapshots
        Looks at the run on its way; None: nobody does. Errors of real targets are left out where
        they follow from the loss.
    ranks
        The processes that train together: all call this alike, and the first alone may have a
        `keeper` and `snapshots`. None: there is one.
    within
        Called with an epoch, counted from 1, and the share of it that is done, where the set is
        read block by block.

    Raises
    ------
    RunError
        If training diverges, if there is not enough memory, or a checkpoint cannot be
        written.
    Dismissed
        If this is not the first process, and that one has ended the run.
    """
    threads = settings.threads
    if start is None or threads is None:
        threads = threads_used(model.module, settings, data.train_rows)
    course = course_of(model.module, data, replace(settings, threads=threads), within, ranks)
    stopping = Stopping(patience=settings.patience, target=settings.target_accuracy)
    position = Position(epoch=0, params=model.params, state={})
    history = History.empty()
    if start is not None:
        position, history = start.position, start.history
        stopping.feed(history.figures)
    before_best = None if start is None else start.before_best
    snapshots = snapshots or Snapshots(epochs=settings.epochs)
    snapshots.scores &= data.is_regression and not model.loss_is_mean_square
    loop = _Loop(
        course=course,
        settings=settings,
        model=model,
        position=position,
        history=history,
        before_best=before_best,
        stopping=stopping,
        report=report,
        keeper=keeper,
        snapshots=snapshots,
    )
    try:
        return loop.to_the_end()
    except DivergenceError:
        if ranks is not None:
            ranks.stage = "end"  # it is raised in all processes
        raise
    except MemoryError:
        if ranks is not None:
            ranks.is_busy = True  # in this one alone
        raise RunError(
            f"there is not enough memory to train {model.spec} in batches of "
            f"{settings.batch}. Use smaller ones (--batch), or a smaller network."
        ) from None


@final
@dataclass(slots=True, kw_only=True)
class _Loop:
    """A run between two calls of the kernel; attributes as in `Checkpoint`."""

    course: AnyCourse
    settings: Settings  # as they were given: without a number of threads, perhaps
    model: Model
    position: Position
    history: History
    before_best: Position | None
    stopping: Stopping
    report: Report | None
    keeper: Keeper | None
    snapshots: Snapshots
    limit: float = HOPELESS  # of the loss; an untrained network's is asked for when it matters
    knows_limit: bool = False
    last_report: float = -math.inf  # on the clock

    def to_the_end(self) -> TrainResult:
        settings = self.settings
        self.snapshots.look(self.position, self.course)
        ended = self._watched(last=settings.epochs == self.position.epoch)
        while not ended and self.position.epoch < settings.epochs and self.stopping.stop is None:
            before = self.position.copy()
            rows = self._advance()
            ended = self._agreed(rows.wanted_stop)
            losses = rows.history().train_loss
            if not self.knows_limit and np.any(losses > self.limit):
                self.limit = hopeless_loss(self.model, self.course.data, settings)
                self.knows_limit = True
            bad = np.flatnonzero(~(losses <= self.limit))
            if bad.size or broken_arrays(self.position.params):
                self._refuse(before, int(bad[0]) if bad.size else None)
            self._go_back(before)
            self.snapshots.look(self.position, self.course, last=self._is_last(ended))
            if settings.patience is not None and self.stopping.best > before.epoch:
                at_best = self.stopping.best == self.position.epoch
                self.before_best = self.position.copy() if at_best else before
            ended |= self._watched(last=self._is_last(ended))
            if self.keeper is not None and not self._is_last(ended):
                self.keeper.save(self.position, self.history, self.before_best)
        last = replace(self.model, params=self.position.params)
        refuse_divergence(self.history, last, self.course.data, settings)
        if self.keeper is not None:
            self.keeper.save(self.position, self.history, self.before_best)
        self._turn()
        result = self._result()
        if self.course.ranks is not None:
            self.course.ranks.stage = "end"
        if self.keeper is not None:
            self.keeper.settle()
        return result

    def _turn(self, epochs: int = 0) -> int:
        """Return how many epochs come next: all processes go on together, as the first one says."""
        ranks = self.course.ranks
        return epochs if ranks is None else ranks.turn(epochs)

    def _agreed(self, wanted_stop: bool) -> bool:
        """Return whether the run is to end, which one of the processes may want."""
        ranks, position = self.course.ranks, self.position
        if ranks is None:
            return wanted_stop
        return ranks.agree(wanted_stop, position.params, position.epoch)

    def _watched(self, *, last: bool) -> bool:
        """Hand over the result so far, if it is time for it; return whether it is enough."""
        snapshots = self.snapshots
        if snapshots.watch is None or not snapshots.is_watched(self.position.epoch, last=last):
            return False
        params = {name: value.copy() for name, value in self.position.params.items()}
        so_far = TrainResult(
            model=replace(self.model, params=params),
            history=self.history,
            data=self.course.data,
            settings=self.settings,
            errors=snapshots.errors,
        )
        return bool(snapshots.watch(so_far))

    def _is_last(self, ended: bool) -> bool:
        last = self.position.epoch >= self.settings.epochs
        return ended or last or self.stopping.stop is not None

    def _advance(self) -> "_Rows":
        """Call the kernel, and take what it reports into the history."""
        epochs = self.settings.epochs
        rows = _Rows(
            done=self.position.epoch,
            epochs=epochs,
            report=self._report,
            is_due=lambda: self.keeper is not None and self.keeper.is_due,
            stopping=self.stopping,
            limit=self.limit,
            accuracy=not self.course.data.is_regression,
            samples=self.course.data.train_rows,
            earlier=float(self.history.seconds[-1]) if self.history.epochs else 0.0,
        )
        if self.keeper is not None:
            epochs = self.position.epoch + self.keeper.epochs_until_next(
                self.position.epoch, epochs
            )
        epochs = min(epochs, self.snapshots.next_after(self.position.epoch))
        self.course.advance(self.position, self._turn(epochs - self.position.epoch), rows)
        new = rows.history()
        self.history = self.history.then(new.figures, new.seconds)
        return rows

    def _report(self, progress: Progress, *, at_once: bool) -> bool:
        """Report, if it is time for it: the kernel may be called a thousand times a second."""
        now = time.perf_counter()
        if self.report is None or (not at_once and now - self.last_report < REPORT_SECONDS):
            return False
        self.last_report = now
        return bool(self.report(progress))

    def _go_back(self, before: Position) -> None:
        """Return to the epoch that should have been the last, if the kernel ran past it."""
        epoch = self.stopping.stop
        if epoch is None or epoch == self.position.epoch:
            return
        self.position = self.course.replay(before, epoch)
        self.history = self.history.until(epoch)

    def _refuse(self, before: Position, good: int | None) -> Never:
        """Keep the last good weights, and raise what `refuse_divergence` says, with the layer.

        `good` counts the epochs since `before` that ended well; None: the figures are all
        finite and the weights are not.
        """
        whole = self.history if good is None else self.history.until(before.epoch + good + 1)
        last, bad = before, self.position
        if good is not None:  # the kernel may have run on
            last = self.course.replay(before, before.epoch + good)
            bad = self.course.replay(last, last.epoch + 1)
        # copied, since the result gets the model's own arrays
        model = replace(self.model, params={name: v.copy() for name, v in bad.params.items()})
        good_history, best = whole.until(last.epoch), self._best_until(last, before)
        if self.keeper is not None:
            self.keeper.diverged = True
            self.keeper.save(last, good_history, best)
            self.keeper.settle()
        self._turn()
        try:
            refuse_divergence(whole, model, self.course.data, self.settings)
        except RunError as error:
            told = ""
            with suppress(MemoryError):  # it copies the set
                told = "" if good is None else failure_text(self.course, last)
            result = self._result_until(last, good_history, best) if last.epoch else None
            raise DivergenceError(f"{error}{told}", result) from error
        raise AssertionError("figures or weights that are not finite are a divergence")

    def _result_until(
        self, last: Position, history: History, before_best: Position | None
    ) -> TrainResult:
        """Return the result of a run that ended at `last`, and take the weights from there."""
        stopping = Stopping(patience=self.settings.patience, target=None)
        stopping.feed(history.figures)
        stopping.reason = f"training diverged in epoch {last.epoch + 1}"
        self.stopping, self.position = stopping, last
        self.history, self.before_best = history, before_best
        for seen in (self.snapshots.copies, self.snapshots.norms, self.snapshots.errors):
            for epoch in [epoch for epoch in seen if epoch > last.epoch]:
                del seen[epoch]
        return self._result()

    def _best_until(self, last: Position, before: Position) -> Position | None:
        """Return what `before_best` would be had the run ended at `last`."""
        if self.settings.patience is None:
            return None
        losses = self.history.test_loss[: last.epoch]
        best = int(np.argmin(np.where(np.isnan(losses), np.inf, losses))) + 1
        if best <= before.epoch:
            return self.before_best
        return last if best == last.epoch else before

    def _result(self) -> TrainResult:
        params, best, last = self.position.params, None, self.position
        if self.settings.patience is not None and self.before_best is not None:
            best, last = self.stopping.best, self.position.copy()
            params = self.course.replay(self.before_best, best).params
        for name, value in self.model.params.items():
            if params[name] is not value:
                value[...] = params[name]
        return TrainResult(
            model=self.model,
            history=self.history,
            data=self.course.data,
            settings=self.settings,
            threads=self.course.settings.threads,
            state=last.state,
            best=best,
            stopped_because=self.stopping.reason,
            copies=self.snapshots.copies,
            errors=self.snapshots.errors,
            position=last,
            before_best=self.before_best,
            gradient_norms=self.snapshots.measured(self.course.data.train_rows),
        )


@final
@dataclass(slots=True, kw_only=True)
class _Rows:
    """Collects the figures that one call of the kernel reports, and says when to stop."""

    done: int  # epochs, those before this call included
    epochs: int
    report: Callable[..., bool]
    is_due: Callable[[], bool]
    stopping: Stopping
    limit: float  # a loss above it is looked at
    accuracy: bool  # whether there is such a thing
    samples: int  # of an epoch
    earlier: float  # seconds that the epochs before this call took
    wanted_stop: bool = False
    _began: float = field(default_factory=time.perf_counter)
    _blocks: list[Array] = field(default_factory=list)
    _times: list[float] = field(default_factory=list)

    def __call__(self, rows: Array) -> bool:
        if not self.accuracy:
            rows[:, 1::2] = np.nan  # the kernels count hits all the same
        self._blocks.append(rows)
        self._times.append(time.perf_counter() - self._began)
        self.done += len(rows)
        over = self.stopping.feed(rows)
        # the run goes back to the epoch at which it ends, if the kernel passed it
        epoch = min(self.done, self.stopping.stop or self.done)
        if epoch <= self.done - len(rows):  # it was reported before
            return True
        train_loss, train_accuracy, test_loss, test_accuracy = rows[epoch - self.done - 1].tolist()
        seconds = self.earlier + self._times[-1]
        progress = Progress(
            epoch=epoch,
            epochs=self.epochs,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            test_loss=test_loss,
            test_accuracy=test_accuracy,
            seconds=seconds,
            samples_per_second=self.samples * self.done / max(seconds, 1e-9),
        )
        self.wanted_stop |= self.report(progress, at_once=over or self.done == self.epochs)
        return over or self.wanted_stop or self.is_due() or not (rows[:, 0] <= self.limit).all()

    def history(self) -> History:
        """Return all rows; epochs between two reports share the time between them."""
        if not self._blocks:
            return History.empty()
        counts = [len(block) for block in self._blocks]
        ends = np.cumsum([0, *counts])
        return History(
            figures=np.concatenate(self._blocks),
            seconds=np.interp(np.arange(1, ends[-1] + 1), ends, [0.0, *self._times]),
        )
