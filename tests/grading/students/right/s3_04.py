import numpy as np

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = np.random.randn(nh, nx) * 0.3
    params["Wy"] = np.random.randn(ny, nh) * 0.3
    params["bh"] = np.zeros((nh, 1))
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    htilde = np.hstack([X, np.ones((len(X), 1))]) @ np.hstack([params["Wh"], params["bh"]]).T
    h = 2 / (1 + np.exp(-2 * htilde)) - 1
    ytilde = np.hstack([h, np.ones((len(X), 1))]) @ np.hstack([params["Wy"], params["by"]]).T
    yhat = 1 / np.exp(ytilde[:, None, :] - ytilde[:, :, None]).sum(axis=2)
    return yhat, {"X": X, "htilde": htilde, "h": h, "ytilde": ytilde, "yhat": yhat}

def loss_accuracy(Yhat, Y):
    eps = 1e-12
    L = -np.mean(np.sum(Y * np.log(Yhat + eps), axis=1))
    acc = 100 * np.mean(np.argmax(Yhat, axis=1) == np.argmax(Y, axis=1))
    return L, acc

def backward(params, outputs, Y):
    n = len(Y)
    Xa = np.hstack([outputs["X"], np.ones((n, 1))])
    Ha = np.hstack([outputs["h"], np.ones((n, 1))])
    E = outputs["yhat"] - Y
    Gy = E.T @ Ha / n
    Gh = ((E @ params["Wy"]) * (1 - outputs["h"] ** 2)).T @ Xa / n
    return {"Wh": Gh[:, :-1], "bh": Gh[:, -1:], "Wy": Gy[:, :-1], "by": Gy[:, -1:]}

def sgd(params, grads, eta):
    for k, v in params.items():
        np.subtract(v, eta * grads[k], out=v)
    return params
