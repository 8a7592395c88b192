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
    # entropie croisée
    N = Y.shape[0]
    L = -np.sum(Yhat * np.log(Y + 1e-8)) / N
    acc = 100.0 * np.sum(Yhat.argmax(axis=1) == Y.argmax(axis=1)) / N
    return L, acc

def backward(params, outputs, Y):
    N = Y.shape[0]
    X, h, yhat = outputs["X"], outputs["h"], outputs["yhat"]
    d_ytilde = (yhat - Y) / N
    d_h = np.matmul(d_ytilde, params["Wy"])
    d_htilde = d_h * (1 - h * h)
    grads = {}
    grads["Wy"] = np.matmul(d_ytilde.T, h)
    grads["by"] = np.sum(d_ytilde, axis=0).reshape(-1, 1)
    grads["Wh"] = np.matmul(d_htilde.T, X)
    grads["bh"] = np.sum(d_htilde, axis=0).reshape(-1, 1)
    return grads

def sgd(params, grads, eta):
    # descente de gradient
    params["Wh"] -= eta * grads["Wh"]
    params["bh"] -= eta * grads["bh"]
    params["Wy"] -= eta * grads["Wy"]
    params["by"] -= eta * grads["by"]
    return params
