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
    grads = {}

    X = outputs["X"]
    e = (outputs["yhat"] - Y) / bsize
    d = np.matmul(e, params["Wy"]) * (1 - outputs["h"] ** 2)

    grads["Wy"] = np.matmul(e.T, X)
    grads["Wh"] = np.matmul(d.T, X)
    grads["by"] = np.sum(e, axis=0).reshape(-1, 1)
    grads["bh"] = np.sum(d, axis=0).reshape(-1, 1)
    return grads


def sgd(params, grads, eta):
    # descente de gradient
    params["Wh"] -= eta * grads["Wh"]
    params["bh"] -= eta * grads["bh"]
    params["Wy"] -= eta * grads["Wy"]
    params["by"] -= eta * grads["by"]
    return params
