import numpy as np

def init_params(nx, nh, ny):
    return {
        "Wh": 0.3 * np.random.randn(nh, nx),
        "Wy": 0.3 * np.random.randn(ny, nh),
        "bh": np.zeros((nh, 1)),
        "by": np.zeros((ny, 1)),
    }

def forward(params, X):
    outputs = {"X": X, "bsize": X.shape[0]}
    outputs["htilde"] = X @ params["Wh"].T + params["bh"].T
    outputs["h"] = np.tanh(outputs["htilde"])
    outputs["dtanh"] = 1 - outputs["h"]**2
    outputs["ytilde"] = outputs["h"] @ params["Wy"].T + params["by"].T
    outputs["exp"] = np.exp(outputs["ytilde"])
    outputs["yhat"] = outputs["exp"] / outputs["exp"].sum(axis=1, keepdims=True)
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = -np.mean(np.sum(Y * np.log(Yhat), axis=1))
    acc = np.mean(np.argmax(Yhat, axis=1) == np.argmax(Y, axis=1)) * 100
    return L, acc

def backward(params, outputs, Y):
    N = outputs["bsize"]
    e = outputs["yhat"] - Y
    eh = (e @ params["Wy"]) * outputs["dtanh"]
    grads = {}
    grads["Wy"] = np.mean(e[:, :, None] * outputs["h"][:, None, :], axis=0)
    grads["by"] = np.mean(e, axis=0).reshape(-1, 1)
    grads["Wh"] = eh.T @ outputs["X"] / N
    grads["bh"] = np.mean(eh, axis=0).reshape(-1, 1)
    return grads

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
