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
    # one sample is one column, as in the course
    n = Y.shape[0]
    A0 = np.asfortranarray(outputs["X"].T)
    A1 = np.asfortranarray(outputs["h"].T)
    A2 = np.asfortranarray(outputs["yhat"].T)
    D2 = (A2 - Y.T) / n
    D1 = (params["Wy"].T @ D2) * (1 - A1**2)
    return {
        "Wy": np.asfortranarray(D2 @ A1.T),
        "by": D2.sum(axis=1, keepdims=True),
        "Wh": np.asfortranarray(D1 @ A0.T),
        "bh": D1.sum(axis=1, keepdims=True),
    }

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
