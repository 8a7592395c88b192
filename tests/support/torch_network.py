"""A dense network in PyTorch, written by hand from the contract: autograd's opinion."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

Arrays = Mapping[str, np.ndarray]

ACTIVATIONS = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "identity": lambda z: z,
    "softmax": lambda z: torch.softmax(z, dim=1),
    "softplus": lambda z: torch.log1p(torch.exp(-z.abs())) + torch.clamp(z, min=0),
    "elu": lambda z: torch.where(z > 0, z, torch.expm1(torch.clamp(z, max=0))),
    "gelu": lambda z: z * torch.special.ndtr(z),
    "silu": lambda z: z * torch.sigmoid(z),
    "sin": torch.sin,
    "log_softmax": lambda z: z - torch.logsumexp(z, dim=1, keepdim=True),
}


def activations(text: str, loss: str) -> list[str]:
    """Return the activation of each layer, read from the specification once more."""
    layers = text.split("-")[1:]
    default = ["tanh"] * (len(layers) - 1) + [{"cross-entropy": "softmax", "mse": "identity"}[loss]]
    return [layer.partition(":")[2] or other for layer, other in zip(layers, default, strict=True)]


class TorchNetwork:
    """The network of a specification, in float64."""

    def __init__(self, text: str, loss: str) -> None:
        self.activations = activations(text, loss)
        self.name = loss

    def output(self, params: Mapping[str, torch.Tensor], X: torch.Tensor) -> torch.Tensor:
        H = X
        for layer, name in enumerate(self.activations, start=1):
            H = ACTIVATIONS[name](H @ params[f"W{layer}"].T + params[f"b{layer}"])
        return H

    def mean_loss(self, P: torch.Tensor, Y: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        if self.name == "cross-entropy":
            losses = -(Y * torch.log(P)).sum(dim=1)
        else:
            losses = ((P - Y) ** 2).mean(dim=1)
        return (weights * losses).sum() / weights.sum()

    def forward(self, params: Arrays, X: np.ndarray) -> np.ndarray:
        return self.output(_tensors(params), _tensor(X)).detach().numpy()

    def loss_and_gradients(
        self, params: Arrays, X: np.ndarray, Y: np.ndarray, weights: np.ndarray | None = None
    ) -> tuple[float, dict[str, np.ndarray]]:
        given = _tensors(params)
        w = torch.ones(len(X), dtype=torch.float64) if weights is None else _tensor(weights)
        value = self.mean_loss(self.output(given, _tensor(X)), _tensor(Y), w)
        return value.item(), _gradients(value, given)

    def hvp(
        self,
        params: Arrays,
        X: np.ndarray,
        Y: np.ndarray,
        direction: Arrays,
        weights: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Return the Hessian times a direction: the gradient differentiated again."""
        given = _tensors(params)
        w = torch.ones(len(X), dtype=torch.float64) if weights is None else _tensor(weights)
        value = self.mean_loss(self.output(given, _tensor(X)), _tensor(Y), w)
        gradients = torch.autograd.grad(value, list(given.values()), create_graph=True)
        pairs = zip(given, gradients, strict=True)
        return _gradients(sum((g * _tensor(direction[n])).sum() for n, g in pairs), given)

    def vjp(
        self, params: Arrays, X: np.ndarray, dP: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        given, inputs = _tensors(params), _tensor(X).requires_grad_()
        value = (self.output(given, inputs) * _tensor(dP)).sum()
        found = _gradients(value, {"X": inputs, **given})
        return found.pop("X"), found

    def trained(
        self,
        params: Arrays,
        X: np.ndarray,
        Y: np.ndarray,
        orders: np.ndarray,
        batch: int,
        eta: float,
        weights: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Return the parameters after stochastic gradient descent in the given orders."""
        found = {name: np.array(value, np.float64) for name, value in params.items()}
        for order in orders:
            for first in range(0, len(order), batch):
                rows = order[first : first + batch]
                w = None if weights is None else weights[rows]
                _, gradients = self.loss_and_gradients(found, X[rows], Y[rows], w)
                for name, gradient in gradients.items():
                    found[name] = found[name] - eta * gradient
        return found


def _tensor(array: Any) -> torch.Tensor:
    return torch.tensor(np.asarray(array, np.float64))


def _tensors(params: Arrays) -> dict[str, torch.Tensor]:
    return {name: _tensor(value).requires_grad_() for name, value in params.items()}


def _gradients(value: torch.Tensor, given: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    found = torch.autograd.grad(value, list(given.values()), allow_unused=True)
    return {
        name: np.zeros(tuple(tensor.shape)) if gradient is None else gradient.numpy()
        for (name, tensor), gradient in zip(given.items(), found, strict=True)
    }
