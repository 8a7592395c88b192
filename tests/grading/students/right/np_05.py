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
    n = Y.shape[0]
    delta = outputs["yhat"].copy()
    delta[np.arange(n), Y.argmax(axis=1)] -= 1  # one-hot labels
    delta /= n

    grads = {}
    grads["Wy"] = delta.T.dot(outputs["h"])
    grads["by"] = delta.sum(axis=0, keepdims=True).T
    dh = delta.dot(params["Wy"])
    dh -= dh * outputs["h"] * outputs["h"]
    grads["Wh"] = dh.T.dot(outputs["X"])
    grads["bh"] = dh.sum(axis=0, keepdims=True).T
    return grads


def sgd(params, grads, eta):
    # in place
    for k in grads:
        np.subtract(params[k], eta * grads[k], out=params[k])
    return params
