"""Train a network with its generated kernels. No mathematics here: all of it is codegen's."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType, ModuleType
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.data.dataset import Dataset
from runtime.errors import InputError, RunError
from runtime.history import History

Array = NDArray[np.floating[Any]]
Report = Callable[[History], object]

STEPS_TO_DIVERGE_HINT = 0.1  # the factor by which a smaller learning rate is suggested


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run is trained with; the defaults are those of the lab's Circles.

    Attributes
    ----------
    epochs, batch
        Passes over the training set, and samples per step.
    eta
        Learning rate.
    init_scale
        Standard deviation of the initial weights; biases start at 0.
    seed
        Draws the initial weights and the order of the samples.
    dtype
        ``"float32"`` or ``"float64"``.
    """

    epochs: int = 150
    batch: int = 10
    eta: float = 0.03
    init_scale: float = 0.3
    seed: int = 0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name, least in (("epochs", 0), ("batch", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{name}: {value!r}. Expected a whole number from {least}.")
        for name in ("eta", "init_scale"):
            value = getattr(self, name)
            if not np.isfinite(value) or value <= 0:
                raise InputError(f"{name}: {value!r}. Expected a positive number.")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A trained network: its emitted module and its parameters."""

    spec: str
    loss: str
    module: ModuleType
    source: str
    params: dict[str, Array]

    def predict(self, X: Array) -> Array:
        """Return the outputs (B, nL) for inputs (B, n0)."""
        outputs: Array = self.module.forward(self.params, X)
        return outputs


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a run gave.

    Attributes
    ----------
    model
        The network after the last epoch.
    history
        Loss and accuracy after each epoch.
    data
        What it was trained on.
    settings
        What it was trained with.
    stopped_by
        The signal that ended it early, or None.
    """

    model: Model
    history: History
    data: Dataset
    settings: Settings
    stopped_by: int | None = None

    def plot(self, path: str) -> None:
        """Write the learning curves as a picture."""
        from runtime.plots import plot_curves

        plot_curves(self.history, path, f"{self.data.name}, {self.model.spec}")

    def __str__(self) -> str:
        """Return the figures after the last epoch on one line."""
        return self.history.last_line()


def train(
    data: Dataset,
    spec: str,
    *,
    loss: str = "cross-entropy",
    labels: str = "one-hot",
    settings: Settings | None = None,
    report: Report | None = None,
    check: bool = False,
) -> TrainResult:
    """Generate the kernels of a network, and train it with them.

    Parameters
    ----------
    data
        For example ``runtime.data.circles.circles()``.
    spec
        The network; its first size is the number of inputs, its last that of classes.
    loss, labels
        As for `derive.parse_spec` and `derive.rewrite_program`.
    settings
        Epochs, batch, learning rate and the like.
    report
        Called with the history so far, at most 20 times a second; a true result stops
        after the epoch.
    check
        First compare the kernels with PyTorch autograd, and refuse to train if they differ.

    Raises
    ------
    InputError
        If the network does not fit the data, or a setting is out of range.
    RunError
        If the check fails, or the loss stops being a finite number.
    """
    settings = settings or Settings()
    model = prepare(data, spec, loss=loss, labels=labels, settings=settings)
    if check:
        check_kernels(model, settings)
    return run(model, data, settings, report)


def prepare(data: Dataset, spec: str, *, loss: str, labels: str, settings: Settings) -> Model:
    """Return the network with its kernels, ready to run, and its initial parameters."""
    import codegen
    from derive.spec import parse_spec

    parsed = parse_spec(spec, loss=loss)
    fits = (data.X_train.shape[1], data.Y_train.shape[1])
    if not parsed.is_symbolic and (parsed.sizes[0], parsed.sizes[-1]) != fits:
        raise InputError(
            f"network: {spec} has {parsed.sizes[0]} inputs and {parsed.sizes[-1]} outputs, but "
            f"{data.name} has {fits[0]} columns and {fits[1]} classes. "
            f"Expected {fits[0]}-…-{fits[1]}."
        )
    generated = codegen.generate(parsed, dtype=settings.dtype, labels=labels)
    module = codegen.compile_module(generated)
    params = module.init_params(settings.seed, settings.init_scale)
    # no epochs: compiles, or loads from the cache, so that the first epoch's time is its own
    few = np.s_[: min(2, len(data.X_train))]
    module.train(
        params,
        data.X_train[few],
        data.Y_train[few],
        epochs=0,
        batch=1,
        eta=settings.eta,
    )
    codegen.keep_compiled(module)
    return Model(spec=str(parsed), loss=loss, module=module, source=generated.text, params=params)


def check_kernels(model: Model, settings: Settings) -> None:
    """Raise `RunError` unless the kernels in use agree with PyTorch autograd."""
    from runtime.torch_check import check

    report = check(model.spec, kernels=model.module, dtype=settings.dtype, seed=settings.seed)
    if not report.ok:
        raise RunError(
            "the generated kernels differ from PyTorch autograd, so nothing was trained:\n"
            + report.to_text()
        )


def run(
    model: Model, data: Dataset, settings: Settings, report: Report | None = None
) -> TrainResult:
    """Train a prepared network in one compiled call; its parameters are updated in place."""
    data = data.astype(settings.dtype)
    progress = _Progress(report)
    with _signals_stop(progress):
        progress.start()
        model.module.train(
            model.params,
            data.X_train,
            data.Y_train,
            epochs=settings.epochs,
            batch=settings.batch,
            eta=settings.eta,
            seed=settings.seed,
            test=(data.X_test, data.Y_test),
            callback=progress,
        )
    _refuse_divergence(progress.history, model.params, settings)
    return TrainResult(
        model=model,
        history=progress.history,
        data=data,
        settings=settings,
        stopped_by=progress.signal,
    )


@dataclass(slots=True)
class _Progress:
    """Collects the rows that the kernel reports, and says when to stop."""

    report: Report | None
    history: History = field(default_factory=History.empty)
    signal: int | None = None
    _last: float = 0.0

    def start(self) -> None:
        self._last = time.perf_counter()

    def __call__(self, rows: Array) -> bool:
        now = time.perf_counter()
        # the kernel does not stop to look at the clock: epochs between two reports share it
        share = np.arange(1, len(rows) + 1) / len(rows)
        self.history = self.history.then(rows, (now - self._last) * share)
        self._last = now
        stop = bool(self.report(self.history)) if self.report is not None else False
        diverged = not np.isfinite(rows[:, 0]).all()
        return stop or diverged or self.signal is not None


@contextmanager
def _signals_stop(progress: _Progress) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end the run with its epoch; the second is as ever."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        progress.signal = number
        for known, handler in before.items():
            signal.signal(known, handler)

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _refuse_divergence(history: History, params: dict[str, Array], settings: Settings) -> None:
    losses = history.train_loss
    bad = np.flatnonzero(~np.isfinite(losses))
    if not bad.size and all(np.isfinite(value).all() for value in params.values()):
        return
    epoch = int(bad[0]) + 1 if bad.size else history.epochs
    raise RunError(
        f"training diverged: the loss is {losses[epoch - 1]} after epoch {epoch}. "
        f"Try a smaller learning rate, for example --eta {STEPS_TO_DIVERGE_HINT * settings.eta:g}"
        ", or smaller initial weights (--init-scale)."
    )
