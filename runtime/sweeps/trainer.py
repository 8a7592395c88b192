"""One run after another, by the kernels of ``gradwright train``, without what it does around them.

A run is one call of the emitted module's ``train``. Settings, data, initial weights, the order of
the samples and the evaluation are those of `runtime.train`, so the figures are the same to the
last bit; what is left out is what a single run wants beside: progress, checkpoints, pictures.
"""

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from codegen.cache import cache_folder
from runtime import locks
from runtime.divergence import HOPELESS, broken_arrays, hopeless_loss
from runtime.errors import RunError
from runtime.history import FIGURES
from runtime.result import Model
from runtime.sweeps.job import Job
from runtime.sweeps.outcome import Outcome, curve_epochs
from runtime.sweeps.plan import Point
from runtime.training import prepare

_ACCURACIES = slice(1, None, 2)  # columns of the figures


@final
@dataclass(slots=True, kw_only=True)
class Trainer:
    """Does runs of a job by their numbers; several threads may share one.

    Attributes
    ----------
    job
        The sweep's work.
    """

    job: Job
    _models: dict[str, Model] = field(default_factory=dict)
    _reuse: tuple[str, dict[str, Any]] = ("", {})
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def train(self, number: int) -> Outcome:
        """Do a run.

        Raises
        ------
        InputError, RunError
            If the kernels cannot be had, or there is not enough memory.
        """
        point, seed = self.job.plan.run(number)
        model = self._model(point)
        began = time.perf_counter()
        params, figures = self._figures(model, point, seed)
        seconds = time.perf_counter() - began
        bad = self._diverged_at(model, params, figures, point, seed)
        measure = FIGURES.index("test_loss" if self.job.data.is_regression else "test_accuracy")
        at = curve_epochs(len(figures))
        curve = figures[at - 1, measure].astype(np.float32)
        last = figures[-1]
        if bad is not None:
            curve[at > bad] = np.nan
            last = np.full(len(FIGURES), np.nan)
        return Outcome(
            key=self.job.plan.key(number),
            status="done" if bad is None else "diverged",
            figures=last,
            curve=curve,
            seconds=seconds,
        )

    def _figures(
        self, model: Model, point: Point, seed: int
    ) -> tuple[dict[str, NDArray[Any]], NDArray[np.float64]]:
        """Return the weights after the last epoch, and the figures (epochs, 4) after each."""
        data, settings = self.job.data, point.settings
        try:
            with np.errstate(over="ignore"):
                params = model.module.init_params(seed, settings.init_scale)
            figures: NDArray[np.float64] = model.module.train(
                params,
                data.X_train,
                data.Y_train,
                epochs=settings.epochs,
                batch=settings.batch,
                eta=settings.eta,
                seed=seed,
                test=(data.X_test, data.Y_test),
                threads=settings.threads,
                sparse=settings.sparse,
                reuse=self._shared(model),
                **settings.training_numbers,
            )
        except MemoryError:
            raise RunError(
                f"there is not enough memory to train {model.spec} in batches of "
                f"{settings.batch}. Use smaller ones (--batch), or fewer workers (--workers)."
            ) from None
        if data.is_regression:
            figures[:, _ACCURACIES] = np.nan  # the kernels count hits all the same
        return params, figures

    def _shared(self, model: Model) -> dict[str, Any]:
        """Return what runs share: checks of the data, and lists of the inputs that are not 0.

        It is kept for one network at a time, since for many it would fill the memory.
        """
        name, kept = self._reuse
        if name != model.module.__name__:
            kept = {}
            self._reuse = model.module.__name__, kept
        return kept

    def _diverged_at(
        self,
        model: Model,
        params: dict[str, NDArray[Any]],
        figures: NDArray[np.float64],
        point: Point,
        seed: int,
    ) -> int | None:
        """Return after how many good epochs a run went wrong, by the rule of `runtime.running`."""
        losses, limit = figures[:, 0], HOPELESS
        if np.any(losses > limit):
            limit = hopeless_loss(model, self.job.data, point.with_seed(seed))
        bad = np.flatnonzero(~(losses <= limit))
        if bad.size:
            return int(bad[0])
        return len(losses) - 1 if broken_arrays(params) else None

    def _model(self, point: Point) -> Model:
        """Return a point's kernels, compiled; one process of the machine compiles them."""
        code = point.settings.training_code
        name = f"{point.network.text} {sorted(code.items())}"
        model = self._models.get(name)
        if model is None:
            with self._one_at_a_time, _alone_on_machine(name):
                if name not in self._models:
                    self._models[name] = prepare(
                        point.network, self.job.data, point.settings, labels=self.job.labels
                    )
                model = self._models[name]
        return model


@contextlib.contextmanager
def _alone_on_machine(name: str) -> Iterator[None]:
    """Let processes that want the same kernels at once have the first one compile them."""
    lock = None
    try:
        folder = cache_folder().with_name("locks")
        with contextlib.suppress(OSError):  # no lock, no harm: they compile it several times
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            place = folder / hashlib.sha256(name.encode()).hexdigest()[:16]
            lock = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
            locks.lock(lock, wait=True)
        yield
    finally:
        if lock is not None:
            os.close(lock)
