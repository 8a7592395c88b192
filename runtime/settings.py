"""What a network is trained with: numbers that were checked before anything began."""

import operator
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from runtime.errors import InputError

MOST_EPOCHS = 1_000_000  # a row of figures is kept for each
DTYPES = ("float32", "float64")
SPARSE = ("auto", "always", "never")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run is trained with; the defaults are those of the lab's Circles.

    Attributes
    ----------
    epochs, batch
        Passes over the training set, 1 to `MOST_EPOCHS`, and samples per step; a last
        partial batch is used, with its own mean.
    eta
        Learning rate.
    init_scale
        Standard deviation of the initial weights; biases start at 0.
    seed
        Draws the initial weights and the order of the samples.
    dtype
        ``"float32"`` or ``"float64"``.
    threads
        How many threads the kernels may use; None lets them choose. The kernels of this
        version run on one, whatever is asked for.
    sparse
        Whether the first layer runs over the inputs that are not 0 alone: ``"auto"`` where
        these are few, ``"always"`` or ``"never"``. Small networks never do.

    Raises
    ------
    InputError
        Naming the first that cannot be used.
    """

    epochs: int = 150
    batch: int = 10
    eta: float = 0.03
    init_scale: float = 0.3
    seed: int = 0
    dtype: str = "float32"
    threads: int | None = None
    sparse: str = "auto"

    def __post_init__(self) -> None:
        # NumPy's numbers are taken too, and stored as Python's: they go into JSON
        for name, least in (("epochs", 1), ("batch", 1), ("seed", 0)):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        if self.threads is not None:
            object.__setattr__(self, "threads", whole_number("threads", self.threads, 1))
        if self.epochs > MOST_EPOCHS:
            raise InputError(
                f"epochs: {self.epochs}. Expected a whole number from 1 to {MOST_EPOCHS}."
            )
        if self.sparse not in SPARSE:
            raise InputError(
                f"sparse: {_shown(self.sparse)} is not known. Known: {', '.join(SPARSE)}."
            )
        object.__setattr__(self, "dtype", _dtype(self.dtype))
        object.__setattr__(self, "eta", _number("eta", self.eta, self.dtype))
        if self.eta == 0:
            raise InputError("eta: 0. Expected a positive number, for example 0.03.")
        scale = _number("init_scale", self.init_scale, self.dtype)
        object.__setattr__(self, "init_scale", scale)


def whole_number(name: str, value: Any, least: int) -> int:
    """Return `value` as Python's int, or raise `InputError` that calls it `name`."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise InputError(f"{name}: {_shown(value)}. Expected a whole number from {least}.")
    return number


def _number(name: str, value: Any, dtype: str) -> float:
    """Return `value` as a float, if it is finite and not negative in `dtype`, too."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = np.nan
    if not np.isfinite(number) or number < 0:
        raise InputError(f"{name}: {_shown(value)}. Expected a positive number, such as 0.03.")
    with np.errstate(over="ignore"):
        stored = np.dtype(dtype).type(number)
    if not np.isfinite(stored) or (number and not stored):
        limits = np.finfo(dtype)
        raise InputError(
            f"{name}: {_shown(value)} is {stored} in {dtype}. Expected a number from "
            f"{limits.smallest_subnormal:.0e} to {limits.max:.0e}."
        )
    return number


def _dtype(value: Any) -> str:
    try:
        name = str(np.dtype(value).name)
    except TypeError:
        name = ""
    if value is None or name not in DTYPES:
        raise InputError(f"dtype: {_shown(value)} is not known. Known: {', '.join(DTYPES)}.")
    return name


def _shown(value: object, longest: int = 40) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= longest else f"{text[:longest]}..."
