import numpy as np

def init_params(nx, nh, ny):
    Wh = np.random.uniform(-0.5, 0.5, size=(nh, nx))
    Wy = np.random.uniform(-0.5, 0.5, size=(ny, nh))
    bh = np.zeros((nh, 1))
    by = np.zeros((ny, 1))
    return {"Wh": Wh, "Wy": Wy, "bh": bh, "by": by}

def forward(params, X):
    Wh, Wy, bh, by = (params[k] for k in ("Wh", "Wy", "bh", "by"))
    Z1 = X.dot(Wh.T) + bh.T
    A1 = np.tanh(Z1)
    Z2 = A1.dot(Wy.T) + by.T
    num = np.exp(Z2)
    den = num.sum(axis=1)
    A2 = num / den
    return A2, dict(X=X, htilde=Z1, h=A1, ytilde=Z2, yhat=A2)

def loss_accuracy(Yhat, Y):
    m = Y.shape[0]
    L = -(Y * np.log(Yhat)).sum() / m
    acc = (Yhat.argmax(axis=1) == Y.argmax(axis=1)).sum() / m * 100
    return L, acc

def backward(params, outputs, Y):
    m = Y.shape[0]
    dZ2 = outputs["yhat"] - Y
    dWy = dZ2.T.dot(outputs["h"]) / m
    dby = dZ2.T.sum(axis=1, keepdims=True) / m
    dA1 = dZ2.dot(params["Wy"])
    dZ1 = dA1 * (1 - np.power(outputs["h"], 2))
    dWh = dZ1.T.dot(outputs["X"]) / m
    dbh = dZ1.T.sum(axis=1, keepdims=True) / m
    return {"Wh": dWh, "Wy": dWy, "bh": dbh, "by": dby}

def sgd(params, grads, eta):
    params["Wh"] = params["Wh"] - eta * grads["Wh"]
    params["Wy"] = params["Wy"] - eta * grads["Wy"]
    params["bh"] = params["bh"] - eta * grads["bh"]
    params["by"] = params["by"] - eta * grads["by"]
    return params
