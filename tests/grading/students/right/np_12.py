import numpy as np
from numpy import exp, log, tanh

def init_params(nx, nh, ny, scale=0.3):
    params = {}
    rng = np.random.default_rng()
    params["Wh"] = rng.standard_normal((nh, nx)) * scale
    params["Wy"] = rng.standard_normal((ny, nh)) * scale
    params["bh"] = np.zeros((nh, 1))
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    outputs = {"X": X}
    outputs["htilde"] = X.dot(params["Wh"].T) + params["bh"].reshape(1, -1)
    outputs["h"] = tanh(outputs["htilde"])
    outputs["ytilde"] = outputs["h"].dot(params["Wy"].T) + params["by"].reshape(1, -1)
    outputs["yhat"] = exp(outputs["ytilde"]) / exp(outputs["ytilde"]).sum(1, keepdims=True)
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = -(Y * log(Yhat)).sum(1).mean()
    acc = 100. * (Yhat.argmax(1) == Y.argmax(1)).mean()
    return L, acc

def backward(params, outputs, Y):
    bsize = Y.shape[0]
    err = Y - outputs["yhat"]           # minus the gradient
    err_h = err.dot(params["Wy"]) * (1 - outputs["h"]**2)
    grads = {}
    grads["Wy"] = -err.T.dot(outputs["h"]) / bsize
    grads["Wh"] = -err_h.T.dot(outputs["X"]) / bsize
    grads["by"] = -err.sum(0).reshape(-1, 1) / bsize
    grads["bh"] = -err_h.sum(0).reshape(-1, 1) / bsize
    return grads

def sgd(params, grads, eta):
    new_params = {}
    for name, value in params.items():
        new_params[name] = value - eta * grads[name]
    return new_params
