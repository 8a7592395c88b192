import numpy as np

def init_params(nx, nh, ny):
    params = {}
    for a, b, c in [("h", nh, nx), ("y", ny, nh)]:
        params["W" + a] = np.random.rand(b, c) - 0.5
        params["b" + a] = np.zeros((b, 1))
    return params

def forward(params, X):
    n = X.shape[0]
    ones = np.ones((n, 1))
    htilde = np.dot(X, params["Wh"].T) + np.dot(ones, params["bh"].T)
    h = (np.exp(htilde) - np.exp(-htilde)) / (np.exp(htilde) + np.exp(-htilde))
    ytilde = np.dot(h, params["Wy"].T) + np.dot(ones, params["by"].T)
    yhat = np.exp(ytilde) / np.dot(np.exp(ytilde).sum(axis=1)[:, None], np.ones((1, ytilde.shape[1])))
    outputs = {}
    outputs["X"], outputs["htilde"], outputs["h"] = X, htilde, h
    outputs["ytilde"], outputs["yhat"] = ytilde, yhat
    return yhat, outputs

def loss_accuracy(Yhat, Y):
    L = -1 / Y.shape[0] * np.sum(np.multiply(Y, np.log(Yhat)))
    acc = np.mean(np.equal(np.argmax(Yhat, axis=1), np.argmax(Y, axis=1))) * 100
    return L, acc

def backward(params, outputs, Y):
    n = Y.shape[0]
    ones = np.ones((n, 1))
    e_y = (outputs["yhat"] - Y) / n
    e_h = np.multiply(np.dot(e_y, params["Wy"]), 1 - np.square(outputs["h"]))
    return {
        "Wy": np.dot(e_y.T, outputs["h"]),
        "by": np.dot(e_y.T, ones),
        "Wh": np.dot(e_h.T, outputs["X"]),
        "bh": np.dot(e_h.T, ones),
    }

def sgd(params, grads, eta):
    for k in ["Wh", "Wy"]:
        params[k] -= eta * grads[k]
    for k in ["bh", "by"]:
        params[k] += eta * grads[k]
    return params
