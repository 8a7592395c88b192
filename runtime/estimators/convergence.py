"""When to stop: after epochs in a row that improve by less than a tolerance."""

import math
from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Convergence:
    """Epochs without progress so far, counted as scikit-learn's MLPClassifier does.

    Attributes
    ----------
    tol, patience
        An epoch makes no progress if it improves by less than `tol`; more than `patience` of
        them in a row are enough.
    best_loss, best_score
        The best so far: of the loss, which is to be small, or of the validation score.
    count
        Epochs in a row without progress.
    """

    tol: float
    patience: float
    best_loss: float = math.inf
    best_score: float = -math.inf
    count: int = 0

    @property
    def safe_epochs(self) -> float:
        """Epochs that can be trained before any of them but the last can be enough."""
        return self.patience + 1 - self.count

    @property
    def is_enough(self) -> bool:
        """Whether there is nothing to be expected any more."""
        return self.count > self.patience

    def note_loss(self, loss: float) -> None:
        """Count an epoch by its loss."""
        self.count = self.count + 1 if loss > self.best_loss - self.tol else 0
        self.best_loss = min(loss, self.best_loss)

    def note_score(self, score: float) -> bool:
        """Count an epoch by its validation score; return whether it is the best."""
        self.count = self.count + 1 if score < self.best_score + self.tol else 0
        is_best = score > self.best_score
        self.best_score = score if is_best else self.best_score
        return is_best
