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
    outputs = {}
    outputs["X"] = X
    outputs["htilde"] = np.matmul(X, params["Wh"].T) + params["bh"].T
    outputs["h"] = np.tanh(outputs["htilde"])
    outputs["ytilde"] = np.matmul(outputs["h"], params["Wy"].T)
    outputs["yhat"] = softmax(outputs["ytilde"])
    return outputs["yhat"], outputs

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
    delta = (outputs["yhat"] - Y) / bsize
    grads["Wy"] = np.matmul(delta.T, outputs["h"])
    grads["by"] = np.sum(delta, axis=0).reshape(-1, 1)
    # on remonte à travers tanh
    delta = np.matmul(delta, params["Wy"]) * (1 - outputs["h"] ** 2)
    grads["Wh"] = np.matmul(delta.T, outputs["X"])
    grads["bh"] = np.sum(delta, axis=0).reshape(-1, 1)
    return grads

def sgd(params, grads, eta):
    # descente de gradient
    params["Wh"] -= eta * grads["Wh"]
    params["bh"] -= eta * grads["bh"]
    params["Wy"] -= eta * grads["Wy"]
    params["by"] -= eta * grads["by"]
    return params
