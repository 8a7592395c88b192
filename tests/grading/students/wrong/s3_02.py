import numpy as np


def init_params(nx, nh, ny):
    p = dict()
    p["Wh"], p["bh"] = 0.3 * np.random.randn(nh, nx), np.zeros((nh, 1))
    p["Wy"], p["by"] = 0.3 * np.random.randn(ny, nh), np.zeros((ny, 1))
    return p


def forward(params, X):
    o = {"X": X}
    o["htilde"] = np.einsum("bi,ji->bj", X, params["Wh"]) + params["bh"].squeeze(1)
    o["h"] = np.tanh(o["htilde"])
    o["ytilde"] = np.einsum("bj,kj->bk", o["h"], params["Wy"]) + params["by"].squeeze(1)
    o["yhat"] = np.exp(o["ytilde"] - o["ytilde"].max(1)[:, None])
    o["yhat"] /= o["yhat"].sum(1)[:, None]
    return o["yhat"], o


def loss_accuracy(Yhat, Y):
    L = -np.einsum("bk,bk->", Y, np.log(Yhat)) / Y.shape[0]
    acc = 100 * np.count_nonzero(Yhat.argmax(-1) == Y.argmax(-1)) / Y.shape[0]
    return L, acc


def backward(params, outputs, Y):
    B, _ = Y.shape
    err = (outputs["yhat"] - Y) / B
    g = {}
    g["Wy"] = np.einsum("bk,bj->jk", err, outputs["h"])
    g["by"] = np.einsum("bk->k", err)[:, None]
    errh = np.einsum("bk,kj,bj->bj", err, params["Wy"], 1 - outputs["h"] ** 2)
    g["Wh"] = np.einsum("bj,bi->ji", errh, outputs["X"])
    g["bh"] = np.einsum("bj->j", errh)[:, None]
    return g


def sgd(params, grads, eta):
    for n, w in params.items():
        w -= eta * grads[n].reshape(w.shape)
    return params
