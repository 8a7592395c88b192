import numpy as np
from dataclasses import dataclass

@dataclass
class Layer:
    W: str
    b: str

LAYERS = [Layer("Wh1", "bh1"), Layer("Wh2", "bh2"), Layer("Wh3", "bh3"), Layer("Wy", "by")]

def init_params(nx, nh, ny):
    sizes = [nx] + 3 * [nh] + [ny]
    params = {}
    for layer, n_in, n_out in zip(LAYERS, sizes, sizes[1:]):
        params[layer.W] = np.random.randn(n_out, n_in) / np.sqrt(n_in)
        params[layer.b] = np.zeros((n_out, 1))
    return params

def forward(params, X):
    A = [X]
    outputs = {"X": X}
    for number, layer in enumerate(LAYERS[:-1], start=1):
        Z = A[-1] @ params[layer.W].T + params[layer.b].T
        A.append(np.tanh(Z))
        outputs["htilde%d" % number] = Z
        outputs["h%d" % number] = A[-1]
    Z = A[-1] @ params["Wy"].T + params["by"].T
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    outputs["ytilde"] = Z
    outputs["yhat"] = E / E.sum(axis=1, keepdims=True)
    outputs["activations"] = A
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    return -np.sum(Y * np.log(Yhat)) / len(Y), 100 * np.mean(Yhat.argmax(1) == Y.argmax(1))

def backward(params, outputs, Y):
    A = outputs["activations"]
    delta = (outputs["yhat"] - Y) / len(Y)
    grads = {}
    for layer, a in zip(reversed(LAYERS), reversed(A)):
        grads[layer.W] = delta.T @ a
        grads[layer.b] = delta.T.sum(1, keepdims=True)
        delta = (delta @ params[layer.W]) * (1 - a**2)
    return grads

def sgd(params, grads, eta):
    for layer in LAYERS:
        params[layer.W] -= eta * grads[layer.W]
        params[layer.b] -= eta * grads[layer.b]
    return params
