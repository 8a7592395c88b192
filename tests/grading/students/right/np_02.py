# -*- coding: utf-8 -*-
# TP 2 : rétropropagation
import numpy as np

np.random.seed(42)


def init_params(nx, nh, ny):
    # initialisation aléatoire pour casser la symétrie
    params = dict()
    params["Wh"] = np.random.normal(0, 0.3, size=(nh, nx))
    params["bh"] = np.zeros((nh, 1))
    params["Wy"] = np.random.normal(0, 0.3, size=(ny, nh))
    params["by"] = np.zeros((ny, 1))
    return params


def softmax(z):
    """softmax ligne par ligne"""
    ez = np.exp(z)
    return ez / np.sum(ez, axis=1).reshape(-1, 1)


def forward(params, X):
    Wh, bh = params["Wh"], params["bh"]
    Wy, by = params["Wy"], params["by"]

    # couche cachée
    htilde = np.matmul(X, Wh.T) + bh.T
    h = np.tanh(htilde)

    # couche de sortie
    ytilde = np.matmul(h, Wy.T) + by.T
    yhat = softmax(ytilde)

    outputs = {}
    outputs["X"] = X
    outputs["htilde"] = htilde
    outputs["h"] = h
    outputs["ytilde"] = ytilde
    outputs["yhat"] = yhat
    return yhat, outputs


def loss_accuracy(Yhat, Y):
    # entropie croisée moyenne sur le batch
    N = Y.shape[0]
    L = -np.sum(Y * np.log(Yhat)) / N

    # précision en %
    pred = Yhat.argmax(axis=1)
    vrai = Y.argmax(axis=1)
    acc = 100.0 * (pred == vrai).sum() / N
    return L, acc


def backward(params, outputs, Y):
    bsize = Y.shape[0]
    grads = {"Wh": 0, "bh": 0, "Wy": 0, "by": 0}
    # un exemple à la fois
    for i in range(bsize):
        x = outputs["X"][i].reshape(-1, 1)
        h = outputs["h"][i].reshape(-1, 1)
        delta = outputs["yhat"][i].reshape(-1, 1) - Y[i].reshape(-1, 1)
        grads["Wy"] = grads["Wy"] + delta @ h.T
        grads["by"] = grads["by"] + delta
        delta = (params["Wy"].T @ delta) * (1 - h ** 2)
        grads["Wh"] = grads["Wh"] + delta @ x.T
        grads["bh"] = grads["bh"] + delta
    for k in grads:
        grads[k] = grads[k] / bsize
    return grads


def sgd(params, grads, eta):
    # descente de gradient
    params["Wh"] -= eta * grads["Wh"]
    params["bh"] -= eta * grads["bh"]
    params["Wy"] -= eta * grads["Wy"]
    params["by"] -= eta * grads["by"]
    return params
