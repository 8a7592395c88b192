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

def with_ones(a):
    return np.hstack([a, np.ones((a.shape[0], 1))])

def backward(params, outputs, Y):
    n = float(Y.shape[0])
    d_out = np.divide(np.subtract(outputs["yhat"], Y), n)
    G2 = d_out.T @ with_ones(outputs["h"])
    d_hid = np.multiply(d_out @ params["Wy"], 1 - np.power(outputs["h"], 2))
    G1 = d_hid.T @ with_ones(outputs["X"])
    return {"Wh": G1[:, :-1], "bh": G1[:, -1:], "Wy": G2[:, :-1], "by": G2[:, -1:]}

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
