from __future__ import annotations

from typing import Dict, Tuple

import numpy as np

Array = np.ndarray
Params = Dict[str, Array]


def linear(x: Array, w: Array, b: Array) -> Array:
    """x: (B, n), w: (m, n), b: (m, 1) -> (B, m)"""
    return x @ w.T + b.T


def linear_grad(grad_out: Array, x: Array) -> Tuple[Array, Array]:
    """gradients of the weights and of the bias of a linear layer"""
    return grad_out.T @ x, grad_out.sum(axis=0)[:, None]


def tanh_grad(grad_out: Array, y: Array) -> Array:
    return grad_out * (1.0 - y * y)


def init_params(nx: int, nh: int, ny: int) -> Params:
    return {
        "Wh": np.random.randn(nh, nx) * 0.3,
        "Wy": np.random.randn(ny, nh) * 0.3,
        "bh": np.random.randn(nh, 1) * 0.01,
        "by": np.random.randn(ny, 1) * 0.01,
    }


def forward(params: Params, X: Array) -> Tuple[Array, Dict[str, Array]]:
    outputs: Dict[str, Array] = {"X": X}
    outputs["htilde"] = linear(X, params["Wh"], params["bh"])
    outputs["h"] = np.tanh(outputs["htilde"])
    outputs["ytilde"] = linear(outputs["h"], params["Wy"], params["by"])
    scores = np.exp(outputs["ytilde"] - outputs["ytilde"].max(axis=1, keepdims=True))
    outputs["yhat"] = scores / scores.sum(axis=1, keepdims=True)
    return outputs["yhat"], outputs


def loss_accuracy(Yhat: Array, Y: Array) -> Tuple[float, float]:
    loss = float(-(Y * np.log(Yhat)).sum(axis=1).mean())
    accuracy = float((Yhat.argmax(axis=1) == Y.argmax(axis=1)).mean() * 100)
    return loss, accuracy


def backward(params: Params, outputs: Dict[str, Array], Y: Array) -> Params:
    grads: Params = {}
    grad = (outputs["yhat"] - Y) / len(Y)
    grads["Wy"], grads["by"] = linear_grad(grad, outputs["h"])
    grad = tanh_grad(grad @ params["Wy"], outputs["h"])
    grads["Wh"], grads["bh"] = linear_grad(grad, outputs["X"])
    return grads


def sgd(params: Params, grads: Params, eta: float) -> Params:
    for name in params:
        params[name] -= eta * grads[name]
    return params
