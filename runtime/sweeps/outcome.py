"""What came of one run, and its form as a line: between processes, and in ``runs.jsonl``.

A line is a JSON object whose last entry is the CRC-32 of everything before it. So what a worker
sends is what the file keeps, and a line that was cut short or damaged is told from a whole one.
"""

import json
import math
import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Self, final

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError
from runtime.history import FIGURES

POINTS = 200  # of a curve, at most
_STATUSES = ("done", "diverged")
_SUM = ',"crc32":"'  # where the check begins


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """The result of a run.

    Attributes
    ----------
    key
        Names the run: see `runtime.sweeps.plan`.
    status
        ``"done"``, or ``"diverged"`` where ``gradwright train`` would have said so.
    figures
        Shape (4,), float64: train loss, train accuracy, test loss and test accuracy after the
        last epoch. NaN is what was not measured, and all of a run that diverged.
    curve
        Test accuracy (test loss, where targets are real) after the epochs that `curve_epochs`
        gives, float32; NaN from where a run diverged.
    seconds
        What the training took.
    """

    key: str
    status: Literal["done", "diverged"]
    figures: NDArray[np.float64]
    curve: NDArray[np.float32]
    seconds: float

    def to_line(self) -> str:
        """Return the outcome as a line without its end."""
        content = {
            "key": self.key,
            "status": self.status,
            "figures": [None if math.isnan(value) else value for value in self.figures.tolist()],
            "curve": b64encode(self.curve.astype("<f4").tobytes()).decode("ascii"),
            "seconds": round(self.seconds, 6),
        }
        body = json.dumps(content, separators=(",", ":"), allow_nan=False)[:-1]
        return f'{body}{_SUM}{zlib.crc32(body.encode()):08x}"}}'

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Read what `to_line` wrote, and nothing else.

        Raises
        ------
        InputError
            If the line is not whole, or is not an outcome.
        """
        body, found, end = line.rpartition(_SUM)
        if not found or end != f'{zlib.crc32(body.encode()):08x}"}}':
            raise InputError("the line was cut short, or damaged")
        try:
            content = json.loads(f"{body}}}")
            return cls._of(content)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise InputError("the line is whole, but is no run of a sweep") from None

    @classmethod
    def _of(cls, content: Any) -> Self:
        """Return the outcome in a JSON object; raises what Python does where it is none."""
        key, status, seconds = content["key"], content["status"], float(content["seconds"])
        figures = [math.nan if v is None else float(v) for v in content["figures"]]
        curve = np.frombuffer(b64decode(content["curve"], validate=True), "<f4")
        named = isinstance(key, str) and status in _STATUSES
        if not named or len(figures) != len(FIGURES) or not 0 < curve.size <= POINTS:
            raise ValueError
        return cls(
            key=key,
            status=status,
            figures=np.array(figures),
            curve=curve.astype(np.float32),
            seconds=seconds,
        )


@cache
def curve_epochs(epochs: int) -> NDArray[np.int64]:
    """Return after which epochs, counted from 1, a curve has a point: all, or 200 of them."""
    found = np.unique(np.linspace(1, epochs, min(epochs, POINTS)).round().astype(np.int64))
    found.flags.writeable = False
    return found
