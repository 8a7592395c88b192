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
    N = Y.shape[0]
    h = outputs["h"]
    d_ytilde = (outputs["yhat"] - Y) / N
    d_htilde = np.matmul(d_ytilde, params["Wy"]) * (1 - h ** 2)
    grads = {}
    grads["Wy"] = np.matmul(d_ytilde.T, h)
    grads["by"] = np.sum(d_ytilde, axis=0).reshape(-1, 1)
    grads["Wh"] = np.matmul(d_htilde.T, outputs["X"])
    grads["bh"] = np.sum(d_htilde, axis=0).reshape(-1, 1)
    return grads


def sgd(params, grads, eta):
    for cle in ("Wh", "bh", "Wy", "by"):
        params[cle] += eta * grads[cle]
    return params
