import numpy as np

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = np.random.randn(nh, nx) * 0.3
    params["Wy"] = np.random.randn(ny, nh) * 0.3
    params["bh"] = np.zeros((nh, 1))
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    ht = X @ params["Wh"].T + params["bh"].T
    h = np.tanh(ht)
    yt = h @ params["Wy"].T + params["by"].T
    q = np.exp(yt)
    yh = q / q.sum(axis=1, keepdims=True)
    return yh, {"X": X, "htilde": ht, "h": h, "ytilde": yt, "yhat": yh}

def loss_accuracy(Yhat, Y):
    L = np.mean((Yhat - Y) ** 2)
    acc = 100 * np.mean(np.argmax(Yhat, axis=1) == np.argmax(Y, axis=1))
    return L, acc

def backward(params, outputs, Y):
    # mean squared error
    dy = 2 * (outputs["yhat"] - Y) / Y.size
    dh = (dy @ params["Wy"]) * (1 - outputs["h"] ** 2)
    return {"Wy": dy.T @ outputs["h"], "by": dy.sum(axis=0)[:, None],
            "Wh": dh.T @ outputs["X"], "bh": dh.sum(axis=0)[:, None]}

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
