"""When training has failed although it came to its end."""

import math

import numpy as np

from runtime.data.dataset import Dataset
from runtime.errors import RunError
from runtime.history import History
from runtime.result import Model
from runtime.settings import Settings

# a mean loss so many times that of an untrained network is no training, if still a number
HOPELESS = 1e4
_FEW = 1_000  # samples that tell how large the loss was before training


def refuse_divergence(history: History, model: Model, data: Dataset, settings: Settings) -> None:
    """Raise unless the run ended with numbers, and with some that an attempt could give."""
    losses = history.train_loss
    bad = np.flatnonzero(~np.isfinite(losses))
    broken = [name for name, value in model.params.items() if not np.isfinite(value).all()]
    finite = not bad.size and not broken
    if not history.epochs or (finite and losses[-1] <= HOPELESS):
        return
    before = model.module.loss(
        model.module.init_params(settings.seed, settings.init_scale),
        data.X_train[:_FEW],
        data.Y_train[:_FEW],
    )
    if not math.isfinite(before):
        raise RunError(
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
    raise RunError(
        f"training diverged: {found}, and was {before:.4g} before the first. Try a smaller "
        f"learning rate, for example --eta {eta:g}, or smaller initial weights (--init-scale)."
        + (" Large targets are best divided by their spread." if data.is_regression else "")
    )
