import numpy as np

def init_params(nx, nh, ny):
    params = {}
    sizes = (nx, nh, nh, ny)
    for l, name in enumerate(("h1", "h2", "y")):
        params["W" + name] = np.random.randn(sizes[l + 1], sizes[l]) * 0.3
        params["b" + name] = np.zeros((sizes[l + 1], 1))
    return params

def forward(params, X):
    ht1 = X @ params["Wh1"].T + params["bh1"].T
    h1 = np.tanh(ht1)
    ht2 = h1 @ params["Wh2"].T + params["bh2"].T
    h2 = np.tanh(ht2)
    yt = h2 @ params["Wy"].T + params["by"].T
    ex = np.exp(yt)
    yh = ex / ex.sum(1, keepdims=True)
    return yh, {"X": X, "htilde1": ht1, "h1": h1, "htilde2": ht2, "h2": h2, "ytilde": yt, "yhat": yh}

def loss_accuracy(Yhat, Y):
    return -(Y * np.log(Yhat)).sum(1).mean(), 100 * (Yhat.argmax(1) == Y.argmax(1)).mean()

def backward(params, outputs, Y):
    B = Y.shape[0]
    grads = {}
    dy = (outputs["yhat"] - Y) / B
    grads["Wy"] = dy.T @ outputs["h2"]
    grads["by"] = dy.sum(0)[:, None]
    d2 = (dy @ params["Wy"]) * (1 - outputs["h2"] ** 2)
    grads["Wh2"] = d2.T @ outputs["h1"]
    grads["bh2"] = d2.sum(0)[:, None]
    d1 = (d2 @ params["Wh2"].T) * (1 - outputs["h1"] ** 2)
    grads["Wh1"] = d1.T @ outputs["X"]
    grads["bh1"] = d1.sum(0)[:, None]
    return grads

def sgd(params, grads, eta):
    for k in params:
        params[k] -= eta * grads[k]
    return params
