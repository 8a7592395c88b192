import math
import numpy as np
import matplotlib.pyplot as plt

def init_params(nx, nh, ny):
    """
    nx, nh, ny: integers
    out params: dictionnary
    """
    params = {}

    params["Wh"] = np.random.randn(nh, nx) * 0.3
    params["Wy"] = np.random.randn(ny, nh) * 0.3
    params["bh"] = np.zeros((nh, 1))
    params["by"] = np.zeros((ny, 1))

    return params


def forward(params, X):
    """
    params: dictionnary
    X: (n_batch, dimension)
    """
    bsize = X.shape[0]
    nh = params['Wh'].shape[0]
    ny = params['Wy'].shape[0]
    outputs = {}

    outputs["X"] = X
    outputs["htilde"] = np.dot(X, params["Wh"].T) + params["bh"].T
    outputs["h"] = np.tanh(outputs["htilde"])
    outputs["ytilde"] = np.dot(outputs["h"], params["Wy"].T) + params["by"].T
    outputs["yhat"] = np.exp(outputs["ytilde"])
    outputs["yhat"] = outputs["yhat"] / outputs["yhat"].sum(axis=-1, keepdims=True)

    return outputs['yhat'], outputs


def loss_accuracy(Yhat, Y):

    L = - np.mean((Y * np.log(Yhat)).sum(axis=1))  # mean for the batch

    indYhat = np.argmax(Yhat, 1)
    indY = np.argmax(Y, 1)

    acc = np.sum(indY == indYhat) * 100. / indY.shape[0]

    return L, acc


def backward(params, outputs, Y):
    bsize = Y.shape[0]
    grads = {}

    dytilde = (outputs["yhat"] - Y) / bsize
    dhtilde = np.dot(dytilde, params["Wy"]) * (1 - outputs["h"] ** 2)

    grads["Wy"] = np.dot(dytilde.T, outputs["h"])
    grads["Wh"] = np.dot(dhtilde.T, outputs["X"])
    grads["by"] = dytilde.sum(axis=0).reshape(-1, 1)
    grads["bh"] = dhtilde.sum(axis=0).reshape(-1, 1)

    return grads


def sgd(params, grads, eta):

    params['Wy'] = params['Wy'] - eta * grads['Wy']
    params['Wh'] = params['Wh'] - eta * grads['Wh']
    params['by'] = params['by'] - eta * grads['by']
    params['bh'] = params['bh'] - eta * grads['bh']

    return params
