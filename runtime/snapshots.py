"""What is looked at while a run stands still between two epochs, for pictures.

The run is interrupted at epochs that are spread evenly, and goes on from there exactly: see
`runtime.position`. So looking changes no bit of it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.errors import RunError
from runtime.evaluation import regression_scores
from runtime.position import AnyCourse, Position

if TYPE_CHECKING:
    from runtime.result import TrainResult

Array = NDArray[np.floating[Any]]

SAMPLES = 1_000  # training samples that gradients are computed of, at most
NORMS = 100  # epochs at which they are, at most
FRAMES = 40  # epochs at which the parameters are copied, at most
WATCHED = 20  # epochs at which the result so far is handed over, at most
SCORES = 50  # epochs at which errors of real targets are, at most, and one in
SCORED = 10  # so that they take no more than 2 % of the time: an epoch passes a set five times


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GradientNorms:
    """How long the gradient of the loss is, layer by layer, while a network learns.

    Attributes
    ----------
    by_epoch
        By epoch, 0 being before training, the Euclidean norm of the gradient for the weights
        and biases of each layer together, the first layer first.
    samples
        How many training samples the loss is the mean of; the same at every epoch.
    """

    by_epoch: Mapping[int, tuple[float, ...]]
    samples: int


@final
@dataclass(slots=True, kw_only=True)
class Snapshots:
    """Looks at a run at chosen epochs.

    Attributes
    ----------
    epochs
        Epochs of the whole run.
    animate
        Whether the parameters are copied.
    gradient_norms
        Whether gradients are measured.
    scores
        Whether errors of real targets are measured.
    watch
        Called with the result so far; a true answer ends the run. None: nobody asks.
    copies
        The parameters by epoch.
    norms
        As `GradientNorms.by_epoch`.
    errors
        By epoch, RMSE and R² over the training set, and over the test set; NaN where an output
        is not finite.
    """

    epochs: int
    animate: bool = False
    gradient_norms: bool = False
    scores: bool = False
    watch: "Callable[[TrainResult], object] | None" = None
    copies: dict[int, dict[str, Array]] = field(default_factory=dict)
    norms: dict[int, tuple[float, ...]] = field(default_factory=dict)
    errors: dict[int, tuple[float, ...]] = field(default_factory=dict)

    def next_after(self, epoch: int) -> int:
        """Return the next epoch to look at, the last one if there is none before it."""
        wanted = [self.epochs]
        for is_on, number in (
            (self.animate, FRAMES),
            (self.gradient_norms, NORMS),
            (self.scores, self._scores),
            (self.watch is not None, WATCHED),
        ):
            if is_on:
                wanted.append(next(e for e in _spread(self.epochs, number) if e > epoch))
        return min(wanted)

    def look(self, position: Position, course: AnyCourse, *, last: bool = False) -> None:
        """Look at a position, if it is at an epoch to look at or the last of the run."""
        epoch = position.epoch
        if self.animate and (last or epoch in _spread(self.epochs, FRAMES)):
            self.copies[epoch] = {name: value.copy() for name, value in position.params.items()}
        if self.gradient_norms and (last or epoch in _spread(self.epochs, NORMS)):
            self.norms[epoch] = _norms(position, course)
        if self.scores and epoch and epoch in _spread(self.epochs, self._scores):
            self.errors[epoch] = _errors(position, course)

    def is_watched(self, epoch: int, *, last: bool) -> bool:
        """Tell whether the result so far is to be handed over after an epoch."""
        return self.watch is not None and (last or epoch in _spread(self.epochs, WATCHED))

    @property
    def _scores(self) -> int:
        return min(SCORES, max(1, self.epochs // SCORED))

    def measured(self, samples: int) -> GradientNorms | None:
        """Return the norms, if there are any, for a training set of so many samples."""
        if not self.norms:
            return None
        return GradientNorms(by_epoch=dict(self.norms), samples=min(samples, SAMPLES))


def _spread(epochs: int, number: int) -> list[int]:
    """Return at most so many epochs besides 0, evenly spread, the last among them."""
    number = min(number, epochs)
    return [round(k * epochs / number) for k in range(number + 1)]


def _errors(position: Position, course: AnyCourse) -> tuple[float, ...]:
    data = course.data
    found: list[float] = []
    for part in ("train", "test"):
        try:
            found += regression_scores(course.module, position.params, data.blocks(part))
        except RunError:  # not finite
            found += [math.nan, math.nan]
    return tuple(found)


def _norms(position: Position, course: AnyCourse) -> tuple[float, ...]:
    data = course.data.sample
    rows = np.arange(len(data.X_train))
    if len(rows) > SAMPLES:  # from all over the set: it may be in order of the classes
        rows = np.linspace(0, len(rows) - 1, SAMPLES).astype(np.int64)
    _, gradients = course.module.loss_and_gradients(
        position.params, data.X_train[rows], data.Y_train[rows]
    )
    squares: dict[int, float] = {}
    for name, gradient in gradients.items():
        layer = int(name[1:])  # W1, b1, …
        exact = gradient.astype(np.float64)
        squares[layer] = squares.get(layer, 0.0) + float(np.sum(exact * exact))
    return tuple(math.sqrt(squares[layer]) for layer in sorted(squares))
