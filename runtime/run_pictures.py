"""Which pictures a run has, and how each is drawn from its result."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.data.dataset import labels_of
from runtime.data.sparse_rows import Inputs
from runtime.errors import InputError
from runtime.evaluation import predicted_labels
from runtime.result import TrainResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.floating[Any]]

_SURE = ("softmax", "sigmoid")  # output activations that give probabilities
_PIXELS = 784
_BLOCK = 1 << 12  # samples; kernels copy what they are given


def picture_names(result: TrainResult) -> list[str]:
    """Return the pictures that there are of a run, by the stems of their files."""
    data = result.data
    inputs, classes = data.inputs, len(data.classes)
    of_images = inputs == _PIXELS
    names = ["curves"]
    if inputs == 2 and classes:
        names.append("decision")
    if data.is_regression:
        names.append("regression")
    if 2 < classes <= 30:
        names.append("confusion")
    if of_images and _has_probabilities(result):
        names.append("mistakes")
    if of_images:
        names.append("first_layer")
    if result.gradient_norms is not None:
        names.append("gradient_norms")
    return names


def run_pictures(result: TrainResult, *, form: str = "png", log: bool = False) -> dict[str, bytes]:
    """Return the content of every picture of a run, by file name.

    Parameters
    ----------
    result
        The run.
    form
        One of `runtime.picture.FORMATS`; an animation is a GIF whatever it is.
    log
        Whether the loss has a logarithmic scale.
    """
    from runtime.picture import picture_bytes

    files = {}
    for name in picture_names(result):
        with drawn(result, name, log=log) as figure:
            files[f"{name}.{form}"] = picture_bytes(figure, form)
    if result.copies:
        files["decision.gif"] = decision_animation(result)
    return files


def drawn(result: TrainResult, name: str, *, log: bool = False) -> "AbstractContextManager[Figure]":
    """Give the figure of a picture of a run, in the context that it is to be saved in.

    Raises
    ------
    InputError
        If there is no such picture of this run.
    """
    if name == "curves":
        from runtime.plots import curves_figure

        return curves_figure(result.history, result.title, result.regression(), log=log)
    if name == "decision":
        from runtime.decision_picture import decision_figure

        return decision_figure(
            result.predict,
            result.data.sample.in_own_units(),
            result.title,
            probabilities=result.model.network.activations[-1] in _SURE,
        )
    if name == "regression":
        from runtime.regression_picture import regression_figure

        if not result.data.is_regression:
            raise InputError(f"{result.data.name}: {result.data.target_text}, no real targets.")
        return regression_figure(result.predict, result.data.sample.in_own_units(), result.title)
    if name == "gradient_norms":
        from runtime.gradient_picture import gradient_norms_figure

        norms = result.gradient_norms
        if norms is None:
            raise InputError("gradient norms: none were measured. Train with gradient_norms=True.")
        return gradient_norms_figure(norms.by_epoch, norms.samples, f"Gradients: {result.title}")
    if name == "first_layer":
        from runtime.image_pictures import first_layer_figure

        _refuse_other_than_images(result)
        settings = result.settings
        initial = result.model.module.init_params(settings.seed, settings.init_scale)
        return first_layer_figure(result.model.params["W1"], initial["W1"], result.title)
    if name == "mistakes":
        return _mistakes(result)
    return _confusion(result)


def decision_animation(result: TrainResult) -> bytes:
    """Return the network's decision at the epochs that were kept, as a GIF."""
    from runtime.animation import decision_gif

    forward, own = result.model.module.forward, result.data.sample.in_own_units()
    last = max(result.copies, default=0)
    start = f"{result.data.name}, {result.model.spec}"
    frames = [
        (
            f"{start}, epoch {epoch} of {last}",
            lambda X, params=params: forward(params, result.scaled(X)),
        )
        for epoch, params in sorted(result.copies.items())
    ]
    sure = result.model.network.activations[-1] in _SURE
    return decision_gif(frames, own, probabilities=sure)


@contextmanager
def _mistakes(result: TrainResult) -> "Iterator[Figure]":
    from runtime.image_pictures import mistakes_figure

    _refuse_other_than_images(result)
    if not _has_probabilities(result):
        raise InputError(
            f"{result.model.spec}: its outputs are no probabilities of classes, so there is no "
            "saying which mistakes are the worst."
        )
    data = result.data.sample
    labels, P = labels_of(data.Y_test), _outputs(result, data.X_test)
    with mistakes_figure(data.X_test, P, labels, data.classes, result.title) as figure:
        yield figure


@contextmanager
def _confusion(result: TrainResult) -> "Iterator[Figure]":
    from runtime.confusion_picture import MOST_CLASSES, confusion_figure

    data = result.data
    number = len(data.classes)
    if not 2 <= number <= MOST_CLASSES:
        raise InputError(
            f"{data.name}: {data.target_text}; a confusion matrix is drawn of 2 to "
            f"{MOST_CLASSES} classes."
        )
    confusion = np.zeros((number, number), np.int64)
    for X, Y in data.blocks("test"):
        said = predicted_labels(_outputs(result, X), result.model.network.activations[-1])
        np.add.at(confusion, (labels_of(Y), said), 1)
    with confusion_figure(confusion, data.classes, result.title) as figure:
        yield figure


def _outputs(result: TrainResult, X: Inputs) -> Array:
    """Return the outputs for inputs; what is not a number stands below all others."""
    forward = result.model.module.forward
    blocks = [
        forward(result.model.params, X[first : first + _BLOCK])
        for first in range(0, len(X), _BLOCK)
    ]
    outputs: Array = np.concatenate(blocks)
    return np.where(np.isnan(outputs), -np.inf, outputs)


def _has_probabilities(result: TrainResult) -> bool:
    sure = result.model.network.activations[-1] in _SURE
    return sure and len(result.data.classes) == result.data.outputs


def _refuse_other_than_images(result: TrainResult) -> None:
    inputs = result.data.inputs
    if inputs != _PIXELS:
        raise InputError(f"{result.data.name}: {inputs} inputs, an image has {_PIXELS} pixels.")
