"""How well a trained network does on a set: loss and accuracy, or how far it is off."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.blocks.column_statistics import ColumnStatistics
from runtime.data.dataset import labels_of
from runtime.data.sparse_rows import Inputs
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
    X: Inputs,
    place: Callable[[int], str] = "sample {} (counted from 0)".format,
    first: int = 0,
) -> Array:
    """Return the outputs (rows, k) of a network, computed in blocks.

    Raises
    ------
    RunError
        If one is not finite: no class follows from it. `place` names the sample, `first` being
        the number of the first.
    """
    blocks = [module.forward(params, X[at : at + _BLOCK]) for at in range(0, len(X), _BLOCK)]
    P: Array = np.concatenate(blocks)
    if not (finite := np.isfinite(P).all(axis=1)).all():
        row = int(finite.argmin())
        raise RunError(
            f"the network's output for {place(first + row)} is {P[row].tolist()}: its inputs are "
            "far outside of those that it was trained with. Scale or check them."
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
    samples: Iterable[tuple[Inputs, Array]],
    *,
    output: str,
    classes: int,
) -> Evaluation:
    """Return the figures of a network over a set.

    Parameters
    ----------
    module, params
        The kernels and the parameters.
    samples
        Block by block, inputs as the network takes them, and targets as it was trained with.
    output
        Activation of the output.
    classes
        How many there are; 0 for a regression.

    Raises
    ------
    RunError
        If an output is not finite.
    """
    losses: list[float] = []
    confusion = np.zeros((classes, classes), np.int64)
    scores, rows = Scores(), 0
    for X, Y in samples:
        P = outputs_of(module, params, X, first=rows)
        for first in range(0, len(X), _BLOCK):
            block = slice(first, first + _BLOCK)
            losses.append(len(X[block]) * module.loss(params, X[block], Y[block]))
        rows += len(X)
        if classes:
            np.add.at(confusion, (labels_of(Y), predicted_labels(P, output)), 1)
        else:
            scores.add(P, Y)
    loss = math.fsum(losses) / rows if np.isfinite(losses).all() else float(np.sum(losses))
    if classes:
        return Evaluation(samples=rows, loss=loss, confusion=confusion)
    rmse, r2 = scores.rmse_and_r2()
    return Evaluation(samples=rows, loss=loss, rmse=rmse, r2=r2)


@final
class Scores:
    """How far outputs are off real targets, block by block."""

    def __init__(self) -> None:
        self.squares = 0.0
        self.targets: ColumnStatistics | None = None

    def add(self, P: Array, Y: Array) -> None:
        """Take further outputs and targets (rows, k) into account."""
        self.targets = self.targets or ColumnStatistics.of_nothing(Y.shape[1])
        self.targets.add(Y)
        self.squares += float(np.sum((Y.astype(np.float64) - P.astype(np.float64)) ** 2))

    def rmse_and_r2(self) -> tuple[float, float]:
        """Return the root mean squared error and R²."""
        assert self.targets is not None
        spread = float(self.targets.squares.sum())
        number = self.targets.rows * len(self.targets.squares)
        r2 = 1 - self.squares / spread if spread > 0 else math.nan
        return math.sqrt(self.squares / number), r2


def regression_scores(
    module: ModuleType, params: dict[str, Array], samples: Iterable[tuple[Inputs, Array]]
) -> tuple[float, float]:
    """Return the root mean squared error and R² for samples with real targets, block by block.

    Raises
    ------
    RunError
        If an output is not finite.
    """
    scores = Scores()
    for X, Y in samples:
        scores.add(outputs_of(module, params, X), Y)
    return scores.rmse_and_r2()


def mean_spread(samples: Iterable[tuple[Inputs, Array]]) -> float:
    """Return the mean squared distance of real targets from the mean of their output."""
    targets: ColumnStatistics | None = None
    for _, Y in samples:
        targets = targets or ColumnStatistics.of_nothing(Y.shape[1])
        targets.add(Y)
    assert targets is not None
    return float(targets.squares.mean() / targets.rows)
