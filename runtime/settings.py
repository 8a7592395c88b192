"""What a network is trained with: numbers that were checked before anything began."""

import operator
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np

from codegen.optimizers import METHODS, OPTIONS, recipe
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
    optimizer, schedule
        Names of `codegen.optimizers`: what a step does with the gradients, and the course of
        the learning rate over the epochs.
    momentum, beta1, beta2, eps, weight_decay, clip_norm
        Numbers of the optimiser: those that it reads have its defaults where they are not
        given, and the others are None. Without `clip_norm` the gradient is as long as it is.
    patience
        Stop after so many epochs without a lower test loss, and keep the weights of the epoch
        with the lowest; None: train all epochs, and keep the last weights.
    target_accuracy
        Stop once the test accuracy, 0 to 1, is that high.

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
    optimizer: str = "sgd"
    schedule: str = "constant"
    momentum: float | None = None
    beta1: float | None = None
    beta2: float | None = None
    eps: float | None = None
    weight_decay: float | None = None
    clip_norm: float | None = None
    patience: int | None = None
    target_accuracy: float | None = None

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
        self._check_optimizer()
        if self.patience is not None:
            object.__setattr__(self, "patience", whole_number("patience", self.patience, 1))
        if self.target_accuracy is not None:
            target = _number("target_accuracy", self.target_accuracy, "float64")
            if not 0 < target <= 1:
                raise InputError(
                    f"target_accuracy: {target:g}. Expected a share above 0, at most 1: 0.95 is "
                    "95 %."
                )
            object.__setattr__(self, "target_accuracy", target)

    def _check_optimizer(self) -> None:
        clips = self.clip_norm is not None
        known = recipe(self.optimizer, clip_norm=clips, schedule=self.schedule).options
        for name, option in OPTIONS.items():
            value = getattr(self, name)
            if name not in known:
                if value is not None:
                    having = [m for m in METHODS if name in recipe(m).options]
                    raise InputError(
                        f"{name}: the optimiser {self.optimizer} does not have it. "
                        f"Use one that has: {', '.join(having)}."
                    )
                continue
            number = _number(name, option.default if value is None else value, self.dtype)
            if number >= option.below or (name == "clip_norm" and number == 0):
                limits = "above 0" if name == "clip_norm" else f"from 0, and below {option.below}"
                raise InputError(f"{name}: {_shown(value)}. Expected a number {limits}.")
            object.__setattr__(self, name, number)

    @property
    def training_code(self) -> dict[str, Any]:
        """What `codegen.generate` is told of the optimiser: what is baked in."""
        # stochastic gradient descent and nothing else is fastest, and has no weight decay
        plain = self.optimizer == "sgd" and not self.weight_decay
        return {
            "optimizer": None if plain else self.optimizer,
            "clip_norm": self.clip_norm is not None,
            "schedule": self.schedule,
        }

    @property
    def training_numbers(self) -> dict[str, float]:
        """The numbers that the module's ``train`` then takes, by keyword."""
        options = recipe(**self.training_code).options
        numbers = {name: getattr(self, name) for name in options}
        if self.schedule != "constant":
            numbers["schedule_epochs"] = self.epochs
        return numbers

    def as_json(self) -> dict[str, Any]:
        """Return them by name as JSON can hold them, without numbers that are not in use."""
        unused = {*OPTIONS, "patience", "target_accuracy"}
        return {
            name: value
            for name, value in asdict(self).items()
            if value is not None or name not in unused
        }


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
