"""How well a trained network does on a set: loss and accuracy, or how far it is off."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.data.dataset import labels_of
from runtime.errors import RunError

Array = NDArray[np.floating[Any]]
_BLOCK = 1 << 12  # samples; kernels copy what they are given


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """Figures over all samples of a set.

    Attributes
    ----------
    samples
        How many there are.
    loss
        Mean loss of a sample, with the penalty ``--l2`` where there is one.
    confusion
        Shape (c, c): samples by true class (row) and predicted class (column); None for a
        regression.
    rmse
        Square root of the mean squared error over all samples and outputs; NaN for classes.
    r2
        ``1 - Σ (y - p)² / Σ (y - mean)²`` over all samples and outputs, the mean that of
        each output here; NaN for classes, and where the targets are all the same.
    """

    samples: int
    loss: float
    confusion: NDArray[np.int64] | None = None
    rmse: float = math.nan
    r2: float = math.nan

    @property
    def accuracy(self) -> float:
        """Share of the samples that are classified rightly, 0 to 1; NaN for a regression."""
        if self.confusion is None:
            return math.nan
        return float(np.trace(self.confusion)) / self.samples


def outputs_of(
    module: ModuleType,
    params: dict[str, Array],
    X: Array,
    place: Callable[[int], str] = "sample {} (counted from 0)".format,
) -> Array:
    """Return the outputs (rows, k) of a network, computed in blocks.

    Raises
    ------
    RunError
        If one is not finite: no class follows from it. `place` names the sample.
    """
    blocks = [
        module.forward(params, X[first : first + _BLOCK]) for first in range(0, len(X), _BLOCK)
    ]
    P: Array = np.concatenate(blocks)
    if not (finite := np.isfinite(P).all(axis=1)).all():
        row = int(finite.argmin())
        raise RunError(
            f"the network's output for {place(row)} is {P[row].tolist()}: its inputs are far "
            "outside of those that it was trained with. Scale or check them."
        )
    return P


def predicted_labels(P: Array, output: str) -> NDArray[np.integer[Any]]:
    """Return the place of the predicted class for each row of outputs.

    Parameters
    ----------
    P
        Outputs (rows, k). A single one decides between two classes: at 0 for ``identity``,
        at 1/2 for any other activation, as the kernels count hits.
    output
        Activation of the output.
    """
    if P.shape[1] == 1:
        return np.asarray(P[:, 0] > (0.0 if output == "identity" else 0.5), dtype=np.int64)
    return np.asarray(P.argmax(axis=1))


def evaluate(
    module: ModuleType,
    params: dict[str, Array],
    X: Array,
    Y: Array,
    *,
    output: str,
    classes: int,
) -> Evaluation:
    """Return the figures of a network over a set.

    Parameters
    ----------
    module, params
        The kernels and the parameters.
    X, Y
        Inputs as the network takes them, and targets as it was trained with.
    output
        Activation of the output.
    classes
        How many there are; 0 for a regression.

    Raises
    ------
    RunError
        If an output is not finite.
    """
    P = outputs_of(module, params, X)
    blocks = [slice(first, first + _BLOCK) for first in range(0, len(X), _BLOCK)]
    losses = [len(X[b]) * module.loss(params, X[b], Y[b]) for b in blocks]
    loss = math.fsum(losses) / len(X) if np.isfinite(losses).all() else float(np.sum(losses))
    if classes:
        confusion = np.zeros((classes, classes), np.int64)
        np.add.at(confusion, (labels_of(Y), predicted_labels(P, output)), 1)
        return Evaluation(samples=len(X), loss=loss, confusion=confusion)
    rmse, r2 = regression_scores(P, Y)
    return Evaluation(samples=len(X), loss=loss, rmse=rmse, r2=r2)


def regression_scores(P: Array, Y: Array) -> tuple[float, float]:
    """Return the root mean squared error and R² of outputs for real targets (rows, k)."""
    P, Y = P.astype(np.float64), Y.astype(np.float64)
    squares = float(np.sum((Y - P) ** 2))
    spread = total_spread(Y)
    return math.sqrt(squares / Y.size), 1 - squares / spread if spread > 0 else math.nan


def total_spread(Y: Array) -> float:
    """Return the sum of squared distances of the targets from their mean, by output."""
    Y = Y.astype(np.float64)
    return float(np.sum((Y - Y.mean(axis=0)) ** 2))
