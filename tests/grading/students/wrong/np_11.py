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
    m = Y.shape[0]
    A1, A2 = outputs["h"], outputs["yhat"]

    dZ2 = (A2 - Y) * A2 * (1 - A2) / m
    dW2 = dZ2.T @ A1
    db2 = dZ2.sum(axis=0, keepdims=True).T

    dZ1 = (dZ2 @ params["Wy"]) * (1 - A1**2)
    dW1 = dZ1.T @ outputs["X"]
    db1 = dZ1.sum(axis=0, keepdims=True).T

    return {"Wh": dW1, "bh": db1, "Wy": dW2, "by": db2}

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
