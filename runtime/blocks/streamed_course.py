"""What carries a run over data larger than memory from one position to the next."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.blocks.read_ahead import Reader
from runtime.blocks.streamed import StreamedDataset
from runtime.data.sparse_rows import as_array
from runtime.errors import InputError, RunError
from runtime.position import Position
from runtime.settings import Settings

Array = NDArray[np.floating[Any]]


@final
@dataclass(slots=True, kw_only=True)
class StreamedCourse:
    """As `runtime.position.Course`: an epoch is a call of the kernels for each buffer.

    Attributes
    ----------
    module, data, settings
        As there.
    within
        Called with the epoch, counted from 1, and the share of it that is done.
    """

    module: ModuleType
    data: StreamedDataset
    settings: Settings
    within: Callable[[int, float], object] | None = None
    ranks: None = None  # several processes share what is in memory alone
    _reader: Reader = field(init=False)
    _sparse: str = field(init=False)

    def __post_init__(self) -> None:
        self._reader = Reader(self.data, self.settings.batch, self.settings.seed)
        self._sparse = self.settings.sparse
        if self._sparse == "auto":  # once for all buffers, or blocks could be rounded differently
            X = as_array(self.data.sample.X_train)
            # half of what pays in memory: buffers are compressed anew in each epoch
            most = getattr(self.module, "MOST_NONZERO", 0.0) / 2
            self._sparse = "always" if np.count_nonzero(X) <= most * X.size else "never"

    def advance(
        self, position: Position, epochs: int, callback: Callable[[Array], object] | None = None
    ) -> None:
        """Train for some epochs, or fewer if `callback` returns true, as `Course.advance` does."""
        before = position.copy()
        sums = {"train": np.zeros(3), "test": np.zeros(3)}
        buffers = self._reader.buffers(position.epoch, epochs, evaluate=callback is not None)
        try:
            for filled in buffers:
                for use, (X, Y) in filled.rows.items():
                    if use == "step":
                        self._step(position, X, Y, filled.seed)
                    else:
                        sums[use] += self._figures(position, X, Y)
                if self.within is not None:
                    self.within(filled.epoch + 1, filled.done)
                if not filled.is_last:
                    continue
                position.epoch += 1
                before = position.copy()
                row = (
                    [sums[part][:2] / sums[part][2] for part in ("train", "test")]
                    if callback
                    else []
                )
                for total in sums.values():
                    total[:] = 0
                if callback is not None and callback(np.concatenate(row)[None]):
                    return
        except InputError as error:  # too late to be a matter of input
            raise RunError(str(error)) from error
        finally:
            buffers.close()
            # an epoch that did not end leaves nothing: positions are between epochs
            if position.epoch == before.epoch:
                for name, value in before.params.items():
                    position.params[name][...] = value
                position.state.clear()
                position.state.update(before.state)

    def replay(self, position: Position, epoch: int) -> Position:
        """Return the position after `epoch` epochs, reached again from an earlier one."""
        again = position.copy()
        if epoch > again.epoch:
            self.advance(again, epoch - again.epoch)
        return again

    def _step(self, position: Position, X: Array, Y: Array, seed: int) -> None:
        settings = self.settings
        if not len(X):  # less than a batch: it is in the next buffer
            return
        self.module.train(
            position.params,
            X,
            Y,
            epochs=1,
            batch=settings.batch,
            eta=settings.eta,
            seed=seed,
            start=position.epoch,
            state=position.state,
            evaluate=False,
            threads=settings.threads,
            sparse=self._sparse,
            **settings.training_numbers,
        )

    def _figures(self, position: Position, X: Array, Y: Array) -> NDArray[np.float64]:
        """Return loss and hits over a buffer, each times its rows, and the rows.

        The kernels evaluate what they are given as a test set when an epoch ends. So they are
        given an epoch of one sample at a learning rate of 0, which leaves a copy of the weights
        as they are: every optimiser's step is a multiple of the rate, of finite numbers.
        """
        settings = self.settings
        numbers = dict(settings.training_numbers)
        if "eps" in numbers:
            numbers["eps"] = 1.0  # 0/0 would be possible with 0
        history = self.module.train(
            {name: value.copy() for name, value in position.params.items()},
            X[:1],
            Y[:1],
            epochs=1,
            batch=1,
            eta=0.0,
            test=(X, Y),
            evaluate=True,
            threads=settings.threads,
            sparse=self._sparse,
            **numbers,
        )
        rows = len(X)
        loss, accuracy = history[0, 2:].tolist()
        return np.array([rows * loss, rows * accuracy if math.isfinite(accuracy) else 0, rows])
