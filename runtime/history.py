"""What a training run measured after each epoch, and its form as ``history.csv``."""

import math
import re
from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.errors import InputError

FIGURES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
HEADER = ",".join(("epoch", *FIGURES, "seconds"))

# as `repr` writes a float; `float` itself would also take "1_0", " 1 " and "nan"
_FLOAT = re.compile(r"-?(?:[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|inf)")


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Loss and accuracy on both sets after each epoch, and the time that passed.

    Attributes
    ----------
    figures
        Shape (epochs, 4), float64, read-only; the columns are `FIGURES`. Accuracies are
        fractions, 0 to 1. NaN is what was not measured, such as accuracies where targets
        are real; in ``history.csv`` it is an empty cell.
    seconds
        Shape (epochs,), float64, read-only: seconds of training from the start of the run
        to the end of each epoch, those before an interruption included.

    Examples
    --------
    >>> history = History(figures=[[0.13, 0.94, 0.1234, 0.955]], seconds=[0.25])
    >>> history.last_line()
    'test accuracy 95.50 %  test loss 0.1234  train accuracy 94.00 %  train loss 0.1300  1 epochs in 0.2 s'
    """  # noqa: E501  (one line is what it is)

    figures: NDArray[np.float64]
    seconds: NDArray[np.float64]

    def __post_init__(self) -> None:
        figures, seconds = _frozen(self.figures), _frozen(self.seconds)
        if figures.ndim != 2 or figures.shape[1] != len(FIGURES):
            raise InputError(f"figures: shape {figures.shape}, expected (epochs, {len(FIGURES)}).")
        if seconds.shape != figures.shape[:1]:
            raise InputError(f"seconds: shape {seconds.shape}, expected {figures.shape[:1]}.")
        object.__setattr__(self, "figures", figures)
        object.__setattr__(self, "seconds", seconds)

    @classmethod
    def empty(cls) -> Self:
        """Return the history of a run that has not done an epoch yet."""
        return cls(figures=np.empty((0, len(FIGURES))), seconds=np.empty(0))

    @property
    def epochs(self) -> int:
        """Number of epochs done."""
        return len(self.seconds)

    @property
    def train_loss(self) -> NDArray[np.float64]:
        """Mean loss over the training set, shape (epochs,)."""
        return self.figures[:, 0]

    @property
    def train_accuracy(self) -> NDArray[np.float64]:
        """Share of the training set that is classified rightly, shape (epochs,), 0 to 1."""
        return self.figures[:, 1]

    @property
    def test_loss(self) -> NDArray[np.float64]:
        """Mean loss over the test set, shape (epochs,)."""
        return self.figures[:, 2]

    @property
    def test_accuracy(self) -> NDArray[np.float64]:
        """Share of the test set that is classified rightly, shape (epochs,), 0 to 1."""
        return self.figures[:, 3]

    def __eq__(self, other: object) -> bool:
        """Compare number by number; NaN equals NaN here, as "not measured" does."""
        if not isinstance(other, History):
            return NotImplemented
        return np.array_equal(self.figures, other.figures, equal_nan=True) and np.array_equal(
            self.seconds, other.seconds
        )

    __hash__ = None  # type: ignore[assignment]  # arrays have no hash

    def then(self, figures: ArrayLike, seconds: ArrayLike) -> Self:
        """Return this history with further epochs after it.

        Parameters
        ----------
        figures
            Shape (more, 4), columns as `FIGURES`.
        seconds
            Shape (more,), counted from where these epochs began, not from the start of the
            run.

        Raises
        ------
        InputError
            If a shape does not fit.
        """
        before = self.seconds[-1] if self.epochs else 0.0
        return type(self)(
            figures=np.concatenate([self.figures, np.asarray(figures, dtype=np.float64)]),
            seconds=np.concatenate([self.seconds, np.asarray(seconds, dtype=np.float64) + before]),
        )

    def until(self, epoch: int) -> Self:
        """Return the first `epoch` epochs of this history."""
        return type(self)(figures=self.figures[:epoch], seconds=self.seconds[:epoch])

    def to_csv(self) -> str:
        """Return the content of ``history.csv``.

        Every float is written with as many digits as give it back exactly; what was not
        measured is an empty cell.
        """
        rows = zip(self.figures.tolist(), self.seconds.tolist(), strict=True)
        lines = [
            ",".join([str(epoch), *map(_cell, figures), repr(seconds)])
            for epoch, (figures, seconds) in enumerate(rows, start=1)
        ]
        return "\n".join([HEADER, *lines, ""])

    @classmethod
    def from_csv(cls, text: str, source: str = "history.csv") -> Self:
        """Read what `to_csv` wrote, and nothing else.

        Parameters
        ----------
        text
            Content of the file.
        source
            What messages call it.

        Raises
        ------
        InputError
            With the number of the first line that is not as it should be.
        """
        lines = text.replace("\r\n", "\n").split("\n")
        if lines[0] != HEADER:
            raise _refused(source, 1, f'the header must be "{HEADER}"')
        if lines[-1] != "":
            raise _refused(source, len(lines), "it has no end: the file was cut short")
        rows: list[list[float]] = []
        for number, line in enumerate(lines[1:-1], start=2):
            row = _row(line, len(rows) + 1, source, number)
            if rows and row[-1] < rows[-1][-1]:
                raise _refused(source, number, "seconds must not go back")
            rows.append(row)
        table = np.array(rows, dtype=np.float64).reshape(len(rows), len(FIGURES) + 1)
        return cls(figures=table[:, :-1], seconds=table[:, -1])

    def last_line(self, epoch: int | None = None) -> str:
        """Return what `train` prints at the very end: the figures after `epoch`, or the last."""
        at = (epoch or self.epochs) - 1
        figures = self.figures[at].tolist() if self.epochs else [math.nan] * len(FIGURES)
        train_loss, train_accuracy, test_loss, test_accuracy = figures
        return (
            f"test accuracy {100 * test_accuracy:.2f} %  test loss {figure_text(test_loss)}  "
            f"train accuracy {100 * train_accuracy:.2f} %  train loss {figure_text(train_loss)}  "
            f"{self.duration_text()}"
        )

    def duration_text(self) -> str:
        """Return how many epochs took how long: the end of the last line."""
        seconds = float(self.seconds[-1]) if self.epochs else 0.0
        return f"{self.epochs} epochs in {_duration(seconds)} s"


def figure_text(value: float) -> str:
    """Return a loss or an error as it is printed: four decimals, or three digits of power."""
    # four decimals would turn 0.00002 into 0, and 1e30 into thirty digits
    plain = value == 0 or not math.isfinite(value) or 1e-3 <= abs(value) < 1e5
    return f"{value:.4f}" if plain else f"{value:.3e}"


def _frozen(values: ArrayLike) -> NDArray[np.float64]:
    array = np.array(values, dtype=np.float64)
    array.flags.writeable = False
    return array


def _cell(value: float) -> str:
    return "" if math.isnan(value) else repr(value)


def _duration(seconds: float) -> str:
    # a small network trains in milliseconds: do not print 0.0
    return f"{seconds:.1f}" if seconds >= 0.1 or seconds == 0 else f"{seconds:.3f}"


def _row(line: str, epoch: int, source: str, number: int) -> list[float]:
    cells = line.split(",")
    expected = len(FIGURES) + 2
    if len(cells) != expected:
        raise _refused(source, number, f"{len(cells)} cells, expected {expected}")
    if cells[0] != str(epoch):
        raise _refused(source, number, f'epoch "{cells[0]}", expected {epoch}')
    row = []
    for name, cell in zip((*FIGURES, "seconds"), cells[1:], strict=True):
        if cell and not _FLOAT.fullmatch(cell):
            raise _refused(source, number, f'{name}: "{cell}" is not a number')
        value = float(cell) if cell else math.nan
        if name.endswith("accuracy") and not (math.isnan(value) or 0 <= value <= 1):
            raise _refused(source, number, f"{name}: {cell} is not between 0 and 1")
        if name == "seconds" and not 0 <= value < math.inf:
            raise _refused(source, number, f'seconds: "{cell}" is not a time')
        row.append(value)
    return row


def _refused(source: str, number: int, reason: str) -> InputError:
    message = f"{source}, line {number}: {reason}."
    return InputError(f"{message} Restore the file as gradwright wrote it, or start a new run.")
