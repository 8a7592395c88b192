"""When training has failed although it came to its end."""

import math
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.blocks.streamed import AnyDataset
from runtime.errors import RunError
from runtime.history import History
from runtime.position import AnyCourse, Course, Position
from runtime.result import Model, TrainResult
from runtime.settings import Settings

# a mean loss so many times that of an untrained network is no training, if still a number
HOPELESS = 1e4
_FEW = 1_000  # samples that tell how large the loss was before training


class DivergenceError(RunError):
    """Numbers ran away in an epoch, and those before it were good.

    Attributes
    ----------
    result
        The run up to the last epoch that was good; None if there is none.
    """

    def __init__(self, message: str, result: TrainResult | None = None) -> None:
        super().__init__(message)
        self.result = result


def refuse_divergence(history: History, model: Model, data: AnyDataset, settings: Settings) -> None:
    """Raise unless the run ended with numbers, and with some that an attempt could give."""
    losses = history.train_loss
    bad = np.flatnonzero(~np.isfinite(losses))
    broken = broken_arrays(model.params)
    finite = not bad.size and not broken
    if not history.epochs or (finite and losses[-1] <= HOPELESS):
        return
    before = _loss_before(model.module, data, settings)
    if not math.isfinite(before):
        raise DivergenceError(
            f"the loss is {before} before the first step, so nothing was trained: the output "
            f"{model.network.activations[-1]} does not suit the loss {model.loss}, or the "
            "inputs or initial weights are too large. For cross-entropy use softmax (the "
            "default), scale the inputs, or use a smaller --init-scale."
        )
    if finite and losses[-1] <= HOPELESS * max(1.0, before):
        return
    epoch = int(bad[0]) + 1 if bad.size else history.epochs
    eta = min(settings.eta / 10, 0.03)
    found = f"the loss is {losses[epoch - 1]:.4g} after epoch {epoch}"
    if not bad.size and broken:  # where(z > 0, z, 0) is 0 for NaN, so the loss may not tell
        found = f"not all of {', '.join(broken)} is finite, although {found}"
    raise DivergenceError(
        f"training diverged: {found}, and was {before:.4g} before the first. Try a smaller "
        f"learning rate, for example --eta {eta:g}, or smaller initial weights (--init-scale)."
        + (" Large targets are best divided by their spread." if data.is_regression else "")
    )


def hopeless_loss(model: Model, data: AnyDataset, settings: Settings) -> float:
    """Return the loss above which a run is given up, `HOPELESS` at least."""
    before = _loss_before(model.module, data, settings)
    return HOPELESS * max(1.0, before) if math.isfinite(before) else HOPELESS


def _loss_before(module: ModuleType, data: AnyDataset, settings: Settings) -> float:
    params, few = module.init_params(settings.seed, settings.init_scale), data.sample
    return float(module.loss(params, few.X_train[:_FEW], few.Y_train[:_FEW]))


def broken_arrays(params: Mapping[str, NDArray[Any]]) -> list[str]:
    """Return the names of the parameters that are not finite throughout."""
    return [name for name, value in params.items() if not np.isfinite(value).all()]


def failure_text(course: AnyCourse, good: Position) -> str:
    """Return in which step of the epoch after `good`, and in which layer, numbers ran away.

    The step is found by bisection. The epoch's order is drawn again, and its first steps are
    an epoch of their own over fewer samples. Of a set that is read block by block the step is
    not told, and nothing where the loss was no number before the first step.
    """
    if not math.isfinite(_loss_before(course.module, course.data, course.settings)):
        return ""  # nothing ran away: it was so from the start
    if not isinstance(course, Course):
        return _largest(good, f" After epoch {good.epoch}") if good.epoch else ""
    batch, samples = course.settings.batch, len(course.data.X_train)
    order = course.module.epoch_order(samples, good.epoch, course.settings.seed)

    def after(steps: int) -> Position:
        return _part_of_epoch(course, good, order[: steps * batch])

    first, last = 0, -(-samples // batch)  # steps after which all is finite, and not
    end = after(last)
    if not broken_arrays(end.params):
        return _largest(end, f" After epoch {good.epoch + 1}")
    while last - first > 1:
        middle = (first + last) // 2
        if broken_arrays(after(middle).params):
            last = middle
        else:
            first = middle
    broken = ", ".join(broken_arrays(after(last).params))
    found = f" In step {last} of epoch {good.epoch + 1} {broken} ceased to be finite"
    return _largest(after(first), f"{found}; before it")


def _part_of_epoch(course: Course, good: Position, order: NDArray[np.intp]) -> Position:
    """Return the position after those samples of the next epoch, in that order."""
    reached = good.copy()
    settings, data = course.settings, course.data
    if order.size:
        with course.together():
            course.module.train(
                reached.params,
                np.ascontiguousarray(data.X_train[order]),
                np.ascontiguousarray(data.Y_train[order]),
                epochs=1,
                order=np.arange(order.size)[None],
                batch=settings.batch,
                eta=settings.eta,
                start=reached.epoch,
                state=reached.state,
                threads=settings.threads,
                sparse=settings.sparse,
                **course.options,
            )
    return reached


def _largest(position: Position, when: str) -> str:
    largest = {name: float(np.abs(value).max()) for name, value in position.params.items()}
    name = max(largest, key=lambda name: largest[name])
    return f"{when} the largest parameter was {largest[name]:.3g}, in {name}: layer {name[1:]}."
