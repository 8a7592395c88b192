"""When a run ends before its last epoch because it is good enough, or gets no better."""

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray


@final
@dataclass(slots=True, kw_only=True)
class Stopping:
    """Watches the figures of a run, epoch by epoch; they alone decide, so a rerun stops alike.

    Attributes
    ----------
    patience
        Stop after so many epochs without a lower test loss than before; None: never.
    target
        Stop at this test accuracy, from 0 to 1; None: never.
    epochs
        Epochs seen, none after the last.
    best
        The epoch with the lowest test loss so far, counted from 1; 0 before there is one.
    stop
        The epoch after which the run ends, or None.
    reason
        Why, for a message.
    """

    patience: int | None = None
    target: float | None = None
    epochs: int = 0
    best: int = 0
    stop: int | None = None
    reason: str = ""
    _lowest: float = math.inf

    def feed(self, figures: NDArray[np.floating[Any]]) -> bool:
        """Take the figures (epochs, 4) of further epochs; return whether the run is over."""
        if self.patience is None and self.target is None:
            return False
        for _, _, test_loss, test_accuracy in figures.tolist():
            if self.stop is not None:
                break
            self.epochs += 1
            if test_loss < self._lowest:
                self.best, self._lowest = self.epochs, test_loss
            if self.target is not None and test_accuracy >= self.target:
                self._end(f"the test accuracy reached {100 * self.target:g} %")
            elif self.patience is not None and self.epochs - self.best >= self.patience:
                self._end(f"the test loss has not fallen since epoch {self.best}")
        return self.stop is not None

    def _end(self, reason: str) -> None:
        self.stop, self.reason = self.epochs, reason
