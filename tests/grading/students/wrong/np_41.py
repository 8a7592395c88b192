import numpy as np

def init_params(nx, nh, ny):
    return {
        "Wh": 0.3 * np.random.randn(nh, nx),
        "Wy": 0.3 * np.random.randn(ny, nh),
        "bh": np.zeros((nh, 1)),
        "by": np.zeros((ny, 1)),
    }

def forward(params, X):
    htilde = X @ params["Wh"].T + params["bh"].T
    h = np.tanh(htilde)
    ytilde = h @ params["Wy"].T + params["by"].T
    e = np.exp(ytilde - ytilde.max(axis=1, keepdims=True))  # stable softmax
    yhat = e / e.sum(axis=1, keepdims=True)
    return yhat, {"X": X, "htilde": htilde, "h": h, "ytilde": ytilde, "yhat": yhat}

def loss_accuracy(Yhat, Y):
    L = -np.mean(np.sum(Y * np.log(Yhat), axis=1))
    acc = np.mean(np.argmax(Yhat, axis=1) == np.argmax(Y, axis=1)) * 100
    return L, acc

def backward(params, outputs, Y):
    n = Y.shape[0]
    grads = {k: np.zeros_like(v) for k, v in params.items()}
    for i in range(n):
        d = (outputs["yhat"][i] - Y[i]) / n
        dh = (params["Wy"].T @ d) * (1 - outputs["h"][i]**2)
        grads["Wy"] = np.outer(d, outputs["h"][i])
        grads["by"] = d.reshape(-1, 1)
        grads["Wh"] = np.outer(dh, outputs["X"][i])
        grads["bh"] = dh.reshape(-1, 1)
    return grads

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
