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
    X, h, yhat = outputs["X"], outputs["h"], outputs["yhat"]
    B, nx = X.shape
    nh = h.shape[1]
    ny = Y.shape[1]
    gWy = np.zeros((ny, nh))
    gby = np.zeros((ny, 1))
    gWh = np.zeros((nh, nx))
    gbh = np.zeros((nh, 1))
    for b in range(B):
        for j in range(nh):
            s = 0.0
            for k in range(ny):
                e = (yhat[b, k] - Y[b, k]) / B
                gWy[k, j] += e * h[b, j]
                if j == 0:
                    gby[k, 0] += e
                s += e * params["Wy"][k, j]
            s *= 1 - h[b, j] ** 2
            gbh[j, 0] += s
            for i in range(nx):
                gWh[j, i] += s * X[b, i]
    return {"Wh": gWh, "Wy": gWy, "bh": gbh, "by": gby}

def sgd(params, grads, eta):
    # descente de gradient
    params["Wh"] -= eta * grads["Wh"]
    params["bh"] -= eta * grads["bh"]
    params["Wy"] -= eta * grads["Wy"]
    params["by"] -= eta * grads["by"]
    return params
