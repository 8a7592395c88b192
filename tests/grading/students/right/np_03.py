import numpy as np


def init_params(nx, nh, ny):
    g = np.random.default_rng(0)
    return {"Wh": g.normal(size=(nh, nx)) / np.sqrt(nx), "bh": np.zeros((nh, 1)),
            "Wy": g.normal(size=(ny, nh)) / np.sqrt(nh), "by": np.zeros((ny, 1))}


def forward(params, X):
    out = {"X": X}
    out["htilde"] = np.einsum("bi,hi->bh", X, params["Wh"]) + params["bh"][:, 0]
    out["h"] = np.tanh(out["htilde"])
    out["ytilde"] = np.einsum("bh,yh->by", out["h"], params["Wy"]) + params["by"][:, 0]
    ex = np.exp(out["ytilde"])
    out["yhat"] = ex / np.einsum("by->b", ex)[:, None]
    return out["yhat"], out


def loss_accuracy(Yhat, Y):
    L = -np.einsum("by,by->", Y, np.log(Yhat)) / len(Y)
    return L, 100 * np.mean(Yhat.argmax(1) == Y.argmax(1))


def backward(params, outputs, Y):
    b = len(Y)
    e = outputs["yhat"] - Y
    d = np.einsum("by,yh,bh->bh", e, params["Wy"], 1 - outputs["h"]**2)
    return {
        "Wy": np.einsum("by,bh->yh", e, outputs["h"]) / b,
        "by": np.einsum("by->y", e)[:, None] / b,
        "Wh": np.einsum("bh,bi->hi", d, outputs["X"]) / b,
        "bh": np.einsum("bh->h", d)[:, None] / b,
    }


def sgd(params, grads, eta):
    return {k: v - eta * grads[k] for k, v in params.items()}
