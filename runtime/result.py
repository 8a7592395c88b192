"""What a training run gives back."""

import base64
import html
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from derive.spec import NetworkSpec
from runtime.blocks.streamed import AnyDataset
from runtime.evaluation import mean_spread, regression_scores
from runtime.files import write_atomically
from runtime.history import History, figure_text
from runtime.position import Position
from runtime.settings import Settings
from runtime.snapshots import GradientNorms

if TYPE_CHECKING:
    from runtime.picture import Picture

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

    @property
    def loss_is_mean_square(self) -> bool:
        """Whether the loss is the mean squared error and nothing else."""
        return self.loss == "mse" and self.network.l2 == 0

    def predict(self, X: Array) -> Array:
        """Return the outputs (B, nL) for inputs (B, n0), scaled as those in training.

        Raises
        ------
        ValueError
            If `X` has another shape.
        """
        outputs: Array = self.module.forward(self.params, X)
        return outputs


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a run gave.

    Attributes
    ----------
    model
        The network after the last epoch; with patience, after the best one.
    history
        Loss and accuracy after each epoch.
    data
        What it was trained on, in the type it was trained in; a `StreamedDataset` if it is
        larger than memory.
    settings
        What it was trained with.
    state
        The optimiser's arrays after the last epoch, by the names in the module's ``STATE``;
        empty where it has none. With it training goes on as if it had not stopped.
    threads
        How many the kernels ran on; None: not known.
    best
        With patience, the epoch with the lowest test loss, whose weights the model has.
    stopped_because
        Why the run ended before its last epoch; empty if nothing but a signal ended it.
    copies
        With ``animate``, the parameters at some epochs; 0 is before training.
    errors
        For real targets whose RMSE and R² do not follow from the loss, these by epoch, over the
        training set and then over the test set.
    gradient_norms
        How long each layer's gradient was on the way, if that was asked for.
    position, before_best
        Where the run ended, and with patience the last kept position up to its best epoch:
        what ``runtime.train(resume=...)`` goes on from.
    """

    model: Model
    history: History
    data: AnyDataset
    settings: Settings
    state: dict[str, Array] = field(default_factory=dict, repr=False)
    threads: int | None = None
    best: int | None = None
    stopped_because: str = ""
    copies: Mapping[int, dict[str, Array]] = field(default_factory=dict, repr=False)
    errors: Mapping[int, tuple[float, ...]] = field(default_factory=dict, repr=False)
    gradient_norms: GradientNorms | None = field(default=None, repr=False)
    position: Position | None = field(default=None, repr=False)
    before_best: Position | None = field(default=None, repr=False)

    @property
    def epoch(self) -> int:
        """The epoch after which the network was as the model has it, counted from 1."""
        return self.best or self.history.epochs

    @property
    def title(self) -> str:
        """One line for a picture: the data, the network, how long."""
        epochs = "1 epoch" if self.history.epochs == 1 else f"{self.history.epochs} epochs"
        return f"{self.data.name}, {self.model.spec}, {epochs}"

    def predict(self, X: Array) -> Array:
        """Return the outputs (B, nL) for inputs (B, n0) as the user has them, before scaling.

        Raises
        ------
        ValueError
            If `X` has another shape.
        """
        return self.model.predict(self.scaled(X))

    def scaled(self, X: Array) -> Array:
        """Return inputs (B, n0) as the user has them in the units and type of the training."""
        X = np.array(X, dtype=self.settings.dtype)
        if self.data.scaling is not None and X.ndim == 2:
            self.data.scaling.apply(X)
        return X

    def regression(self) -> dict[str, NDArray[np.float64]] | None:
        """Return RMSE and R² after each epoch; None for a classification.

        Returns
        -------
        dict
            ``train_rmse``, ``train_r2``, ``test_rmse``, ``test_r2``, each of shape (epochs,).
            Kernels report the loss alone. For ``mse`` without ``--l2`` these follow from it;
            else they are known for the model's epoch and for those that were looked at, at
            most one in ten, and NaN for the others.
        """
        if not self.data.is_regression:
            return None
        found: dict[str, NDArray[np.float64]] = {}
        follows = self.model.loss_is_mean_square
        for place, part in enumerate(("train", "test")):
            losses = getattr(self.history, f"{part}_loss")
            squares = losses.copy() if follows else np.full(len(losses), np.nan)
            spread = mean_spread(self.data.blocks(part))
            rmse = np.sqrt(squares)
            r2 = 1 - squares / spread if spread > 0 else np.full(len(losses), np.nan)
            for epoch, errors in self.errors.items():
                rmse[epoch - 1], r2[epoch - 1] = errors[2 * place : 2 * place + 2]
            if len(losses):
                at = self.epoch - 1
                rmse[at], r2[at] = regression_scores(
                    self.model.module, self.model.params, self.data.blocks(part)
                )
            found |= {f"{part}_rmse": rmse, f"{part}_r2": r2}
        return found

    def last_line(self) -> str:
        """Return what `train` prints at the very end: the figures of the model."""
        figures = self.regression()
        if figures is None or not self.history.epochs:
            return self.history.last_line(self.best)
        at = self.epoch - 1
        last = {name: float(values[at]) for name, values in figures.items()}
        parts = [
            f"{part} RMSE {figure_text(last[f'{part}_rmse'])}  {part} R² {last[f'{part}_r2']:.4f}  "
            f"{part} loss {figure_text(float(getattr(self.history, f'{part}_loss')[at]))}  "
            for part in ("test", "train")
        ]
        return "".join(parts) + self.history.duration_text()

    def plot(self, path: str | os.PathLike[str] | None = None, *, log: bool = False) -> "Picture":
        """Return the learning curves as a picture, and write it to `path` if one is given.

        A notebook shows the picture, and ``.figure`` is matplotlib's figure.

        Parameters
        ----------
        path
            A file; an SVG if its name ends in ``.svg``, else a PNG.
        log
            Whether the loss has a logarithmic scale.

        Raises
        ------
        InputError, RunError
            If `path` cannot be written to.

        Examples
        --------
        >>> import runtime
        >>> result = runtime.train("circles", "2-4-2", epochs=20)
        >>> picture = result.plot()
        >>> [axes.get_title() for axes in picture.figure.axes]
        ['Loss', 'Accuracy']
        """
        return self._picture("curves", path, log=log)

    def plot_decision(self, path: str | os.PathLike[str] | None = None) -> "Picture":
        """Return the network's decision over the plane as a picture, as `plot` does.

        Raises
        ------
        InputError
            If the inputs are not two numbers, or the targets no classes.
        InputError, RunError
            If `path` cannot be written to.
        """
        return self._picture("decision", path)

    def plot_regression(self, path: str | os.PathLike[str] | None = None) -> "Picture":
        """Return what the network says of real targets as a picture, as `plot` does.

        Raises
        ------
        InputError
            If the targets are classes.
        InputError, RunError
            If `path` cannot be written to.
        """
        return self._picture("regression", path)

    def plot_confusion(self, path: str | os.PathLike[str] | None = None) -> "Picture":
        """Return which classes of the test set are taken for which, as `plot` does.

        Raises
        ------
        InputError
            If the targets are no classes, or more than can be shown.
        InputError, RunError
            If `path` cannot be written to.
        """
        return self._picture("confusion", path)

    def plot_mistakes(self, path: str | os.PathLike[str] | None = None) -> "Picture":
        """Return the test images that the network is most wrongly sure of, as `plot` does.

        Raises
        ------
        InputError
            If the inputs are not 784 pixels, or there are no probabilities of classes.
        InputError, RunError
            If `path` cannot be written to.
        """
        return self._picture("mistakes", path)

    def plot_first_layer(self, path: str | os.PathLike[str] | None = None) -> "Picture":
        """Return the weights of the first layer as images, as `plot` does.

        Raises
        ------
        InputError
            If the inputs are not 784 pixels.
        InputError, RunError
            If `path` cannot be written to.
        """
        return self._picture("first_layer", path)

    def plot_gradient_norms(self, path: str | os.PathLike[str] | None = None) -> "Picture":
        """Return how long each layer's gradient was over the epochs, as `plot` does.

        Raises
        ------
        InputError
            If they were not measured.
        InputError, RunError
            If `path` cannot be written to.
        """
        return self._picture("gradient_norms", path)

    def animation(self, path: str | os.PathLike[str] | None = None) -> bytes:
        """Return how the decision over the plane came about, as the bytes of a GIF.

        Raises
        ------
        InputError
            If it was not trained with ``animate=True``, or the inputs are not two numbers.
        InputError, RunError
            If `path` cannot be written to.
        """
        from runtime.run_pictures import decision_animation

        content = decision_animation(self)
        if path is not None:
            write_atomically(path, content)
        return content

    def _picture(
        self, name: str, path: str | os.PathLike[str] | None, *, log: bool = False
    ) -> "Picture":
        from runtime.picture import Picture, picture_bytes, png_bytes
        from runtime.run_pictures import drawn

        with drawn(self, name, log=log) as figure:
            picture = Picture(png=png_bytes(figure), figure=figure)
            if path is not None:
                svg = os.fspath(path).lower().endswith(".svg")
                content = picture_bytes(figure, "svg") if svg else picture.png
                write_atomically(path, content)
        return picture

    def __str__(self) -> str:
        """Return what was trained, and the figures of the model."""
        return f"{self.title}\n{self.last_line()}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        del cycle
        printer.text(str(self))  # IPython's plain text: no arrays

    def _repr_html_(self) -> str:
        image = base64.b64encode(self.plot().png).decode("ascii")
        return (
            f"<p>{html.escape(self.last_line())}</p>"
            f'<img alt="learning curves" width="750" src="data:image/png;base64,{image}">'
        )
