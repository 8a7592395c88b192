import numpy as np

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = np.random.normal(0, 0.3, (nh, nx))
    params["bh"] = np.zeros((nh, 1))
    params["Wy"] = np.random.normal(0, 0.3, (ny, nh))
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    htilde = X @ params["Wh"].T + params["bh"].T
    h = np.tanh(htilde)
    ytilde = h @ params["Wy"].T + params["by"].T
    e = np.exp(ytilde)
    yhat = e / np.sum(e, axis=1, keepdims=True)
    outputs = {"X": X, "htilde": htilde, "h": h, "ytilde": ytilde, "yhat": yhat}
    return yhat, outputs

def loss_accuracy(Yhat, Y):
    L = -np.sum(Y * np.log(Yhat)) / Y.shape[0]
    acc = 100 * np.mean(Yhat.argmax(axis=1) == Y.argmax(axis=1))
    return L, acc

def backward(params, outputs, Y):
    B = len(Y)
    grads = {k: np.zeros_like(v) for k, v in params.items()}
    for i in range(1, B):
        x = outputs["X"][i].reshape(-1, 1)
        h = outputs["h"][i].reshape(-1, 1)
        d = (outputs["yhat"][i] - Y[i]).reshape(-1, 1)
        dh = (params["Wy"].T @ d) * (1 - h ** 2)
        grads["Wy"] += d @ h.T / B
        grads["by"] += d / B
        grads["Wh"] += dh @ x.T / B
        grads["bh"] += dh / B
    return grads

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
