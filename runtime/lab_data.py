"""The lab's data as its notebook uses them: ``CirclesData()`` and ``MNISTData()``.

    data = CirclesData()
    data.plot_data()
    Ygrid, _ = forward(params, data.Xgrid)
    data.plot_data_with_grid(Ygrid, "after an epoch")

Arrays are PyTorch tensors where PyTorch is installed, as in the lab, else NumPy's.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, SupportsFloat, SupportsIndex, final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from runtime.data.dataset import Dataset, labels_of
from runtime.data.sparse_rows import as_array
from runtime.errors import InputError
from runtime.screen import Screen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BACKENDS = ("torch", "numpy")

_EXAMPLES = 4  # images of each digit in a picture

Curve = SupportsFloat | Sequence[SupportsFloat]


@final
class CirclesData:
    """Two noisy rings in the plane, 200 points for training and 200 for test.

    Parameters
    ----------
    backend
        Of the arrays: ``"torch"`` or ``"numpy"``; None for PyTorch if it is installed.
    data_seed
        Draws the points.
    dtype
        float32, as PyTorch's own numbers are, or float64.

    Attributes
    ----------
    Xtrain, Xtest
        Points (200, 2): first the 100 of the outer ring, then those of the inner one.
    Ytrain, Ytest
        One-hot labels (200, 2): outer, inner.
    Xgrid
        The points -2.0, -1.9, … 1.9 squared, (1600, 2), the first coordinate fastest.
    dataset
        The set as the rest of the package knows it.

    Raises
    ------
    InputError
        If the backend is not known or not installed, or the seed or dtype is unusable.
    """

    def __init__(
        self,
        backend: str | None = None,
        *,
        data_seed: SupportsIndex = 0,
        dtype: DTypeLike = "float32",
    ) -> None:
        from runtime.data.circles import circles

        self.dataset = circles(data_seed).astype(dtype)
        grid = self.dataset.grid
        assert grid is not None
        self.Xtrain, self.Ytrain, self.Xtest, self.Ytest = _parts(self.dataset, backend)
        self.Xgrid = _maker(backend)(grid)
        self._plots = _Plots(self.dataset)

    def __repr__(self) -> str:
        return f"CirclesData({_told(self.Xtrain, self.Xtest)})"

    def plot_data(self) -> None:
        """Show the points: training filled, test hollow."""
        from runtime.decision_picture import points_figure

        self._plots.show("data", points_figure, self.dataset, "Circles")

    def plot_data_with_grid(self, Ygrid: Any, title: str = "") -> None:
        """Show what a network says of the plane, and the points that it learns from.

        The shade is the probability of the inner ring: orange for the outer one, blue for the
        inner one, white where the network cannot decide. The black line is its decision.

        Parameters
        ----------
        Ygrid
            The network's output for `Xgrid`, (1600, 2), an array or a tensor; if not all of it
            lies between 0 and 1, the shade is the lead of the inner ring's output.
        title
            One line above.

        Raises
        ------
        InputError
            If `Ygrid` has another shape.
        """
        from runtime.decision_picture import surface_figure

        outputs = _outputs("Ygrid", Ygrid, len(self.Xgrid), 2)
        axis = np.unique(np.asarray(self.dataset.grid, dtype=np.float64)[:, 0])
        surface = outputs.reshape(len(axis), len(axis), 2)
        sure = bool(((surface >= 0) & (surface <= 1))[np.isfinite(surface)].all())
        given = axis, axis, surface, self.dataset, title
        self._plots.show("grid", surface_figure, *given, probabilities=sure)

    def plot_loss(
        self, loss_train: Curve, loss_test: Curve, acc_train: Curve, acc_test: Curve
    ) -> None:
        """Show loss and accuracy over the epochs.

        Parameters
        ----------
        loss_train, loss_test, acc_train, acc_test
            Four numbers, which are added to those of the calls before; or four sequences, a
            number an epoch, which are shown as they are. Accuracies in percent.
        """
        self._plots.curves((loss_train, acc_train, loss_test, acc_test))


@final
class MNISTData:
    """Handwritten digits of 28 × 28 pixels, 60,000 for training and 10,000 for test.

    Parameters
    ----------
    backend
        Of the arrays: ``"torch"`` or ``"numpy"``; None for PyTorch if it is installed.
    data_dir
        Folder with MNIST's files; without it that named by ``GRADWRIGHT_DATA``, and without
        that the user's cache, into which they are downloaded once.
    offline
        Never use the network.

    Attributes
    ----------
    Xtrain, Xtest
        Images (60000, 784) and (10000, 784), float32, from 0 for paper to 1 for ink.
    Ytrain, Ytest
        One-hot labels (60000, 10) and (10000, 10).
    Xgrid
        The first four test images of each digit, (40, 784). There is no plane to draw a grid
        on, so the lab's loop looks at these instead.
    dataset
        The set as the rest of the package knows it.

    Raises
    ------
    InputError
        If the backend is not known or not installed, or the files are not to be had.
    RunError
        If the disk fills up during a download.
    """

    def __init__(
        self,
        backend: str | None = None,
        *,
        data_dir: str | os.PathLike[str] | None = None,
        offline: bool = False,
    ) -> None:
        from runtime.data.mnist import mnist

        make = _maker(backend)  # what is wrong with it shows before a download
        self.dataset = mnist(data_dir, offline=offline)
        self.Xtrain, self.Ytrain, self.Xtest, self.Ytest = _parts(self.dataset, backend)
        self._shown = _first_of_each(self.dataset.Y_test)
        self.Xgrid = make(self.dataset.X_test[self._shown])
        self._plots = _Plots(self.dataset)

    def __repr__(self) -> str:
        return f"MNISTData({_told(self.Xtrain, self.Xtest)})"

    def plot_data(self) -> None:
        """Show the first four training images of each digit."""
        from runtime.digit_picture import digits_figure

        data = self.dataset
        shown = _first_of_each(data.Y_train)
        labels = _names(data, data.Y_train[shown])
        self._plots.show("data", digits_figure, data.X_train[shown], labels, "MNIST")

    def plot_data_with_grid(self, Ygrid: Any, title: str = "") -> None:
        """Show the images of `Xgrid`, and what a network takes each of them for.

        Parameters
        ----------
        Ygrid
            The network's output for `Xgrid`, (40, 10), an array or a tensor.
        title
            One line above.

        Raises
        ------
        InputError
            If `Ygrid` has another shape.
        """
        from runtime.digit_picture import digits_figure

        data = self.dataset
        outputs = _outputs("Ygrid", Ygrid, len(self._shown), len(data.classes))
        self._plots.show(
            "grid",
            digits_figure,
            data.X_test[self._shown],
            _names(data, data.Y_test[self._shown]),
            title,
            answers=_names(data, outputs),
            certainty=outputs.max(axis=1),
        )

    def plot_loss(
        self, loss_train: Curve, loss_test: Curve, acc_train: Curve, acc_test: Curve
    ) -> None:
        """Show loss and accuracy over the epochs; parameters as for `CirclesData`."""
        self._plots.curves((loss_train, acc_train, loss_test, acc_test))


@final
class _Plots:
    """What both sets show alike."""

    def __init__(self, dataset: Dataset) -> None:
        self._screen = Screen()
        self._title = {"circles": "Circles", "mnist": "MNIST"}[dataset.name]
        self._epochs: list[list[float]] = []

    def show(
        self,
        place: str,
        picture: Callable[..., AbstractContextManager["Figure"]],
        *given: Any,
        **options: Any,
    ) -> None:
        self._screen.show(lambda blank: picture(*given, **options, blank=blank), place)

    def curves(self, given: Sequence[Curve]) -> None:
        from runtime.history import History
        from runtime.plots import curves_figure

        columns = [_numbers(value) for value in given]
        if all(column.ndim == 0 for column in columns):
            self._epochs.append([float(column) for column in columns])
            table = np.array(self._epochs)
        elif all(column.ndim == 1 for column in columns):
            if len({len(column) for column in columns}) > 1:
                lengths = ", ".join(str(len(column)) for column in columns)
                raise InputError(f"plot_loss: the curves have {lengths} epochs; expected as many.")
            table = np.stack(columns, axis=1)
        else:
            raise InputError("plot_loss: expected four numbers, or four sequences of numbers.")
        table = table / [1, 100, 1, 100]
        history = History(figures=table, seconds=np.zeros(len(table)))
        self.show("curves", curves_figure, history, self._title)


def _maker(backend: str | None) -> Callable[[NDArray[Any]], Any]:
    """Return what makes an array one of the backend's, without a copy."""
    if backend is not None and backend not in BACKENDS:
        raise InputError(f'backend: "{backend}" is not known. Known: {", ".join(BACKENDS)}.')
    is_installed = find_spec("torch") is not None
    if backend == "torch" and not is_installed:
        raise InputError(
            'backend "torch": PyTorch is not installed. Install it by pip install '
            "'gradwright[torch]', or use backend=\"numpy\"."
        )
    if backend == "numpy" or not is_installed:
        return lambda array: array
    import torch

    make: Callable[[NDArray[Any]], Any] = torch.from_numpy
    return make


def _parts(dataset: Dataset, backend: str | None) -> tuple[Any, Any, Any, Any]:
    make = _maker(backend)
    X = as_array(dataset.X_train), as_array(dataset.X_test)
    arrays = X[0], dataset.Y_train, X[1], dataset.Y_test
    X_train, Y_train, X_test, Y_test = (make(array) for array in arrays)
    return X_train, Y_train, X_test, Y_test


def _told(Xtrain: Any, Xtest: Any) -> str:
    kind = "NumPy arrays" if isinstance(Xtrain, np.ndarray) else "PyTorch tensors"
    return f"{len(Xtrain)} + {len(Xtest)} samples, {Xtrain.shape[1]} inputs, {kind}"


def _numbers(value: Any) -> NDArray[np.float64]:
    """Return an array, a tensor, a number or a list of these as float64."""
    if isinstance(value, (list, tuple)):  # NumPy does not take tensors in a list apart
        return np.array([_numbers(entry) for entry in value], dtype=np.float64)
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value, dtype=np.float64)


def _outputs(name: str, value: Any, rows: int, columns: int) -> NDArray[np.float64]:
    outputs = _numbers(value)
    if outputs.shape != (rows, columns):
        raise InputError(
            f"{name} has shape {outputs.shape}, expected {(rows, columns)}: what the network "
            "gives for Xgrid."
        )
    return outputs


def _first_of_each(Y: NDArray[Any]) -> NDArray[np.integer[Any]]:
    """Return the rows of the first few samples of each class: first the first of each."""
    labels = labels_of(Y)
    rows = [np.flatnonzero(labels == k)[:_EXAMPLES] for k in range(Y.shape[1])]
    return np.array([found[n] for n in range(_EXAMPLES) for found in rows if n < len(found)])


def _names(dataset: Dataset, outputs: NDArray[Any]) -> list[str]:
    return [str(dataset.classes[k]) for k in outputs.argmax(axis=1)]
