import numpy as np

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = np.random.normal(0, 0.3, (nh, nx))
    params["bh"] = np.zeros((nh, 1))
    params["Wy"] = np.random.normal(0, 0.3, (ny, nh))
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    W, b = params["Wh"].astype(np.float32), params["bh"].astype(np.float32)
    V, c = params["Wy"].astype(np.float32), params["by"].astype(np.float32)
    X = X.astype(np.float32)
    htilde = np.einsum("bi,ji->bj", X, W) + b[:, 0]
    h = np.tanh(htilde)
    ytilde = np.einsum("bj,kj->bk", h, V) + c[:, 0]
    yhat = np.exp(ytilde) / np.exp(ytilde).sum(-1)[:, None]
    return yhat, {"X": X, "htilde": htilde, "h": h, "ytilde": ytilde, "yhat": yhat}

def loss_accuracy(Yhat, Y):
    L = -np.sum(Y * np.log(Yhat)) / Y.shape[0]
    acc = 100 * np.mean(Yhat.argmax(axis=1) == Y.argmax(axis=1))
    return L, acc

def backward(params, outputs, Y):
    delta = (outputs["yhat"] - Y.astype(np.float32)) * np.float32(1 / len(Y))
    eps = np.einsum("bk,kj,bj->bj", delta, params["Wy"].astype(np.float32), 1 - outputs["h"] ** 2)
    return {
        "Wh": np.einsum("bj,bi->ji", eps, outputs["X"]),
        "bh": np.einsum("bj->j", eps)[:, None],
        "Wy": np.einsum("bk,bj->kj", delta, outputs["h"]),
        "by": np.einsum("bk->k", delta)[:, None],
    }

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
