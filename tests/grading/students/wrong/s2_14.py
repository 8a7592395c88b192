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
    correct = 0
    total = 0.0
    for p, y in zip(Yhat, Y):
        total -= np.log10(p[y.argmax()])
        correct += p.argmax() == y.argmax()
    return total / len(Y), 100.0 * correct / len(Y)

def backward(params, outputs, Y):
    dy = (outputs["yhat"] - Y) / Y.shape[0]
    dh = (dy @ params["Wy"]) * (1 - outputs["h"]**2)
    return {"Wh": dh.T @ outputs["X"], "Wy": dy.T @ outputs["h"],
            "bh": dh.sum(0)[:, None], "by": dy.sum(0)[:, None]}

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
