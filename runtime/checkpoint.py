"""``checkpoint.safetensors``: a run in the middle, from which it goes on bit for bit.

It holds the position (weights, the optimiser's arrays, epochs done), the history so far, where
patience keeps the best weights the last position before these, and what ``run.json`` will say
of settings and data. The format is that of ``model.safetensors``, its checksum included.

There is no state of a random generator in it: see `runtime.position`.
"""

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from runtime.errors import GradwrightError, InputError, RunError
from runtime.files import shown
from runtime.history import FIGURES, History
from runtime.model_file import load_model, model_bytes
from runtime.position import Array, Position
from runtime.run_record import RunRecord

NAME = "checkpoint.safetensors"
NEW_NAME = "checkpoint-new.safetensors"  # of a run that is to replace the one in the folder
SECONDS = 2.0  # between two checkpoints, unless epochs are counted
# checkpoints may hold a run up for so many seconds, and beyond them for such a share of its time:
# a hundred epochs of a small network take a millisecond, and to write a checkpoint takes ten
GRACE, SHARE = 0.25, 0.1
_KIND = "checkpoint"
_HISTORY = "history"
_WAY_OUT = "Restore the file from a copy, or start the run over with --overwrite."


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Everything that a run needs to go on.

    Attributes
    ----------
    position
        Where it is.
    history
        Of the epochs done.
    before_best
        With patience, the last kept position up to the best epoch: the best weights are
        reached again from there. None without.
    record
        What ``run.json`` says, without results.
    kernels
        SHA-256 of the text of the emitted module.
    """

    position: Position
    history: History
    before_best: Position | None
    record: RunRecord
    kernels: str

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        table = np.column_stack([self.history.figures, self.history.seconds])
        arrays: dict[str, Any] = {_HISTORY: table, **_arrays("now", self.position)}
        if self.before_best is not None:
            arrays |= _arrays("best", self.before_best)
        meta = {
            "kind": _KIND,
            "epoch": self.position.epoch,
            "before_best": None if self.before_best is None else self.before_best.epoch,
            "record": json.loads(self.record.to_json()),
            "kernels": self.kernels,
        }
        return model_bytes(arrays, meta)


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read what `Checkpoint.to_bytes` gave.

    Raises
    ------
    InputError
        If the file is not there, cut short, altered, or no checkpoint.
    """
    name = shown(path)
    try:
        arrays, meta = load_model(path)
    except InputError as error:
        raise InputError(f"{error} Or start the run over with --overwrite.") from None
    if meta.get("kind") != _KIND:
        raise InputError(f"{name}: not a checkpoint. {_WAY_OUT}")
    table = arrays.pop(_HISTORY, np.empty((0, 0)))
    epoch, best = meta.get("epoch", 0), meta.get("before_best")
    kernels, record = meta.get("kernels"), meta.get("record")
    known = isinstance(epoch, int) and epoch >= 1 and table.shape == (epoch, len(FIGURES) + 1)
    if not known or not isinstance(best, int | None) or not 0 <= (best or 0) <= epoch:
        raise InputError(f"{name}: damaged: its history is not that of its epochs. {_WAY_OUT}")
    if not isinstance(kernels, str):
        raise InputError(f"{name}: damaged: its metadata is incomplete. {_WAY_OUT}")
    return Checkpoint(
        position=_position("now", arrays, epoch),
        history=History(figures=table[:, :-1], seconds=table[:, -1]),
        before_best=None if best is None else _position("best", arrays, best),
        record=RunRecord.from_json(json.dumps(record), f"{name}, record"),
        kernels=kernels,
    )


def refuse_misfit(checkpoint: Checkpoint, path: str, module: Any) -> None:
    """Raise `InputError` unless the arrays are those that the kernels need."""
    state = getattr(module, "STATE", {})
    kept = [checkpoint.position, checkpoint.before_best]
    for position in [position for position in kept if position is not None]:
        # the optimiser's arrays are made by the first step
        wanted = state if position.state or position.epoch else {}
        for found, expected in ((position.params, module.PARAMETERS), (position.state, wanted)):
            shapes = {name: value.shape for name, value in found.items()}
            if shapes != {name: tuple(shape) for name, shape in expected.items()}:
                raise InputError(
                    f"{path}: its arrays are not those of the network and its optimiser. {_WAY_OUT}"
                )
            for name, value in found.items():
                if not np.isfinite(value).all():
                    raise InputError(f"{path}: {name} is not finite. {_WAY_OUT}")


def source_checksum(source: str) -> str:
    """Return the SHA-256 of an emitted module's text."""
    return hashlib.sha256(source.encode()).hexdigest()


@final
@dataclass(slots=True, kw_only=True)
class Keeper:
    """Writes checkpoints of a run when it is time for them, while training goes on.

    Attributes
    ----------
    write
        Puts the file into the run's folder, whole or not at all.
    record, kernels
        As for `Checkpoint`.
    every
        Epochs between two checkpoints, and a multiple of it where writing would hold training
        up, but one in `SECONDS` then; None: by time, one in `SECONDS` at most.
    saved
        The epoch of the last checkpoint; 0: there is none.
    diverged
        Whether the run ended with numbers that are not finite.
    """

    write: Callable[[bytes], object]
    record: RunRecord
    kernels: str
    every: int | None = None
    saved: int = 0
    diverged: bool = False
    _at: float = field(default_factory=time.perf_counter)
    _start: tuple[int, float] | None = None  # the epoch from which the run went on, and when
    _spent: float = 0.0  # seconds of making them, and of waiting until one was written
    _writer: threading.Thread | None = None
    _claim: threading.Lock = field(default_factory=threading.Lock)  # whose the next file is
    _failure: BaseException | None = None

    def epochs_until_next(self, epoch: int, last: int) -> int:
        """Return how many epochs may be trained in one call, counted from `epoch`."""
        if self.every is None:
            return last - epoch
        now = time.perf_counter()
        first, began = self._start = self._start or (epoch, now)
        ahead = self.every - epoch % self.every
        if (late := (self._spent - GRACE) / SHARE - (now - began)) > 0:
            speed = (epoch - first) / (now - began)  # epochs a second
            ahead += int(min(late, SECONDS) * speed / self.every) * self.every
        return min(last - epoch, ahead)

    @property
    def is_due(self) -> bool:
        """Whether so much time has passed that a checkpoint is wanted after this epoch."""
        return self.every is None and time.perf_counter() - self._at > SECONDS

    def save(self, position: Position, history: History, before_best: Position | None) -> None:
        """Begin to write a checkpoint, unless the last one is of this epoch.

        Raises
        ------
        RunError
            If the one before could not be written; the last that was is intact.
        """
        began = time.perf_counter()
        self.settle()
        self._spent += time.perf_counter() - began
        if position.epoch in (0, self.saved):
            return
        checkpoint = Checkpoint(
            position=position.copy(),  # the kernel changes it in a moment
            history=history,
            before_best=before_best,
            record=self.record,
            kernels=self.kernels,
        )
        # most of the time is spent waiting for the disk
        self._claim = threading.Lock()
        self._writer = threading.Thread(target=self._begin, args=(checkpoint, self._claim))
        self._writer.start()
        self._at = time.perf_counter()

    def wait(self) -> None:
        """Wait until nothing is being written."""
        if self._writer is None:
            return
        try:
            self._writer.join()
        except RuntimeError:  # a signal came while it was being started
            if not self._claim.acquire(blocking=False):  # it has begun meanwhile
                self._writer.join()

    def settle(self) -> None:
        """Wait until nothing is being written.

        Raises
        ------
        RunError
            If it could not be written.
        """
        self.wait()
        failure, self._failure = self._failure, None
        if isinstance(failure, InputError):  # too late to be a matter of input
            raise RunError(str(failure)) from failure
        if failure is not None:
            raise failure

    def _begin(self, checkpoint: Checkpoint, claim: threading.Lock) -> None:
        if claim.acquire(blocking=False):  # else nobody waits for it: it would be left half done
            self._write(checkpoint)

    def _write(self, checkpoint: Checkpoint) -> None:
        began = time.perf_counter()
        try:
            content = checkpoint.to_bytes()
            self._spent += time.perf_counter() - began
            self.write(content)
            self.saved = checkpoint.position.epoch
        except (
            GradwrightError,
            OSError,
            MemoryError,
        ) as error:  # told by `settle`, in the thread that trains
            self._failure = error


def _arrays(prefix: str, position: Position) -> dict[str, Array]:
    params = {f"{prefix}.params.{name}": value for name, value in position.params.items()}
    return params | {f"{prefix}.state.{name}": value for name, value in position.state.items()}


def _position(prefix: str, arrays: Mapping[str, Array], epoch: int) -> Position:
    def of(kind: str) -> dict[str, Array]:
        start = f"{prefix}.{kind}."
        return {
            name.removeprefix(start): value
            for name, value in arrays.items()
            if name.startswith(start)
        }

    return Position(epoch=epoch, params=of("params"), state=of("state"))
