import numpy as np

def init_params(nx, nh, ny):
    params = {}
    lim = np.sqrt(6 / (nx + nh))
    params["Wh"] = np.random.uniform(-lim, lim, (nh, nx)).astype(np.float32)
    params["bh"] = np.zeros((nh, 1), dtype=np.float32)
    lim = np.sqrt(6 / (ny + nh))
    params["Wy"] = np.random.uniform(-lim, lim, (ny, nh)).astype(np.float32)
    params["by"] = np.zeros((ny, 1), dtype=np.float32)
    return params

def forward(params, X):
    X = X.astype(np.float32)
    P = {k: v.astype(np.float32) for k, v in params.items()}
    htilde = (P["Wh"] @ X.T + P["bh"]).T
    h = np.tanh(htilde)
    ytilde = (P["Wy"] @ h.T + P["by"]).T
    yhat = np.exp(ytilde - np.amax(ytilde, 1)[:, np.newaxis])
    yhat = yhat / np.sum(yhat, 1)[:, np.newaxis]
    return yhat, {"X": X, "htilde": htilde, "h": h, "ytilde": ytilde, "yhat": yhat}

def loss_accuracy(Yhat, Y):
    Yc = np.clip(Yhat, 1e-15, 1.0)
    return -np.mean(np.sum(Y * np.log(Yc), axis=1)), np.sum(np.argmax(Yhat, 1) == np.argmax(Y, 1)) / len(Y) * 100

def backward(params, outputs, Y):
    o = {k: np.asarray(v, dtype=np.float32) for k, v in outputs.items()}
    d = (o["yhat"] - Y.astype(np.float32)) / np.float32(len(Y))
    e = np.dot(d, params["Wy"].astype(np.float32)) * (np.float32(1) - o["h"] * o["h"])
    return {"Wy": np.dot(d.T, o["h"]), "by": d.sum(axis=0)[:, np.newaxis],
            "Wh": np.dot(e.T, o["X"]), "bh": e.sum(axis=0)[:, np.newaxis]}

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
