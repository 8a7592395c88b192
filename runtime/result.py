"""What a training run gives back."""

import base64
import html
import os
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from derive.spec import NetworkSpec
from runtime.data.dataset import Dataset
from runtime.files import write_atomically
from runtime.history import History
from runtime.settings import Settings

Array = NDArray[np.floating[Any]]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A network, its kernels and its parameters.

    Attributes
    ----------
    network
        The network and its loss.
    labels
        ``"one-hot"`` if the derivation used that each row of labels sums to 1, or ``"any"``.
    params
        Weights ``W{l} (n_l, n_{l-1})`` and biases ``b{l} (n_l,)`` by name.
    module
        The emitted module, with its functions ``forward``, ``loss``, ``train`` and others.
    source
        The text of that module.
    """

    network: NetworkSpec
    labels: str
    params: dict[str, Array]
    module: ModuleType = field(repr=False)
    source: str = field(repr=False)

    @property
    def spec(self) -> str:
        """The network as a user would type it."""
        return str(self.network)

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return self.network.loss

    def predict(self, X: Array) -> Array:
        """Return the outputs (B, nL) for inputs (B, n0).

        Raises
        ------
        ValueError
            If `X` has another shape.
        """
        outputs: Array = self.module.forward(self.params, X)
        return outputs


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture as PNG bytes; a notebook shows it."""

    png: bytes = field(repr=False)

    def _repr_png_(self) -> bytes:
        return self.png


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
        What it was trained on, in the type it was trained in.
    settings
        What it was trained with.
    """

    model: Model
    history: History
    data: Dataset
    settings: Settings

    @property
    def title(self) -> str:
        """One line for a picture: the data, the network, how long."""
        epochs = "1 epoch" if self.history.epochs == 1 else f"{self.history.epochs} epochs"
        return f"{self.data.name}, {self.model.spec}, {epochs}"

    def plot(self, path: str | os.PathLike[str] | None = None) -> Picture:
        """Return the learning curves as a picture, and write it to `path` if one is given.

        Raises
        ------
        InputError, RunError
            If `path` cannot be written to.
        """
        from runtime.plots import curves_png

        picture = Picture(png=curves_png(self.history, self.title))
        if path is not None:
            write_atomically(path, picture.png)
        return picture

    def plot_decision(self, path: str | os.PathLike[str] | None = None) -> Picture:
        """Return the network's decision over the plane as a picture, as `plot` does.

        Raises
        ------
        InputError
            If the inputs are not two numbers.
        InputError, RunError
            If `path` cannot be written to.
        """
        from runtime.plots import decision_png

        # whether an output of 0.7 means 70 %
        sure = self.model.network.activations[-1] in ("softmax", "sigmoid")
        picture = Picture(
            png=decision_png(self.model.predict, self.data, self.title, probabilities=sure)
        )
        if path is not None:
            write_atomically(path, picture.png)
        return picture

    def __str__(self) -> str:
        """Return what was trained, and the figures after the last epoch."""
        return f"{self.title}\n{self.history.last_line()}"

    def _repr_html_(self) -> str:
        image = base64.b64encode(self.plot().png).decode("ascii")
        return (
            f"<p>{html.escape(self.history.last_line())}</p>"
            f'<img alt="learning curves" width="750" src="data:image/png;base64,{image}">'
        )
