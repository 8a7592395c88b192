import numpy as np

def logsumexp(z):
    m = z.max(axis=1, keepdims=True)
    return m + np.log(np.exp(z - m).sum(axis=1, keepdims=True))

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = np.random.uniform(-1, 1, (nh, nx)) * np.sqrt(6 / (nx + nh))
    params["Wy"] = np.random.uniform(-1, 1, (ny, nh)) * np.sqrt(6 / (nh + ny))
    params["bh"] = np.zeros((nh, 1))
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    outputs = {}
    outputs["X"] = X
    outputs["htilde"] = X @ params["Wh"].T + params["bh"].T
    outputs["h"] = 2 / (1 + np.exp(-2 * outputs["htilde"])) - 1   # = tanh
    outputs["ytilde"] = outputs["h"] @ params["Wy"].T + params["by"].T
    outputs["logyhat"] = outputs["ytilde"] - logsumexp(outputs["ytilde"])
    outputs["yhat"] = np.exp(outputs["logyhat"])
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    n = Y.shape[0]
    L = -np.log((Yhat * Y).sum(axis=1)).sum() / n
    acc = np.count_nonzero(np.argmax(Yhat, 1) == np.argmax(Y, 1)) * 100 / n
    return L, acc

def backward(params, outputs, Y):
    n = Y.shape[0]
    p = np.exp(outputs["ytilde"] - logsumexp(outputs["ytilde"]))
    t = np.tanh(outputs["htilde"])
    r = (p - Y) / n
    s = (r @ params["Wy"]) * (1 - t) * (1 + t)
    return {"Wy": r.T @ t, "by": r.T.sum(1, keepdims=True),
            "Wh": s.T @ outputs["X"], "bh": s.T.sum(1, keepdims=True)}

def sgd(params, grads, eta):
    params.update({k: params[k] - eta * grads[k] for k in grads})
    return params
