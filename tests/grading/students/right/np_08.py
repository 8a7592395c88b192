import numpy as np

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = np.random.randn(nh, nx) * 0.3
    params["Wy"] = np.random.randn(ny, nh) * 0.3
    params["bh"] = np.zeros((1, nh))
    params["by"] = np.zeros((1, ny))
    return params

def forward(params, X):
    z1 = X @ params["Wh"].T + params["bh"]
    a1 = np.tanh(z1)
    z2 = a1 @ params["Wy"].T + params["by"]
    z2s = z2 - np.max(z2, axis=1, keepdims=True)
    a2 = np.exp(z2s) / np.sum(np.exp(z2s), axis=1, keepdims=True)
    return a2, {"X": X, "htilde": z1, "h": a1, "ytilde": z2, "yhat": a2}

def loss_accuracy(Yhat, Y):
    L = -np.mean(np.sum(Y * np.log(Yhat), axis=1))
    acc = np.mean(np.argmax(Yhat, axis=1) == np.argmax(Y, axis=1)) * 100
    return L, acc

def backward(params, outputs, Y):
    m = Y.shape[0]
    dz2 = outputs["yhat"] - Y
    dz1 = (dz2 @ params["Wy"]) * (1 - np.power(outputs["h"], 2))
    grads = {}
    grads["Wy"] = (1/m) * dz2.T @ outputs["h"]
    grads["by"] = (1/m) * np.sum(dz2, axis=0, keepdims=True)
    grads["Wh"] = (1/m) * dz1.T @ outputs["X"]
    grads["bh"] = (1/m) * np.sum(dz1, axis=0, keepdims=True)
    return grads

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
