import numpy as np

def softmax(z):
    z = z - np.max(z)
    return np.exp(z) / np.sum(np.exp(z))

def init_params(nx, nh, ny):
    r = np.random.RandomState(42)
    return {"Wh": r.randn(nh, nx) * .3, "bh": np.zeros((nh, 1)), "Wy": r.randn(ny, nh) * .3, "by": np.zeros((ny, 1))}

def forward(params, X):
    lin1 = X @ params["Wh"].T + params["bh"].T
    act1 = np.tanh(lin1)
    lin2 = act1 @ params["Wy"].T + params["by"].T
    act2 = softmax(lin2)
    return act2, {"X": X, "htilde": lin1, "h": act1, "ytilde": lin2, "yhat": act2}

def loss_accuracy(Yhat, Y):
    losses = [-np.sum(y * np.log(yh)) for y, yh in zip(Y, Yhat)]
    hits = [y.argmax() == yh.argmax() for y, yh in zip(Y, Yhat)]
    return np.mean(losses), 100 * np.mean(hits)

def backward(params, outputs, Y):
    grads = {}
    nb = Y.shape[0]
    e2 = outputs["yhat"] - Y
    e1 = (e2 @ params["Wy"]) * (1 - outputs["h"] ** 2)
    grads["Wy"] = 1 / nb * e2.T @ outputs["h"]
    grads["Wh"] = 1 / nb * e1.T @ outputs["X"]
    grads["by"] = 1 / nb * np.sum(e2, axis=0).reshape((-1, 1))
    grads["bh"] = 1 / nb * np.sum(e1, axis=0).reshape((-1, 1))
    return grads

def sgd(params, grads, eta):
    return {k: v - eta * grads[k] for k, v in params.items()}
