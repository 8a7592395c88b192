import numpy as np

L = 4  # number of hidden layers

def init_params(nx, nh, ny):
    params = {}
    n = nx
    for l in range(1, L + 1):
        params[f"Wh{l}"] = np.random.randn(nh, n) * 0.3
        params[f"bh{l}"] = np.zeros((nh, 1))
        n = nh
    params["Wy"] = np.random.randn(ny, n) * 0.3
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    outputs = {"X": X}
    a = X
    for l in range(1, L + 1):
        outputs[f"htilde{l}"] = a @ params[f"Wh{l}"].T + params[f"bh{l}"].T
        a = outputs[f"h{l}"] = np.tanh(outputs[f"htilde{l}"])
    outputs["ytilde"] = a @ params["Wy"].T + params["by"].T
    e = np.exp(outputs["ytilde"])
    outputs["yhat"] = e / e.sum(axis=1, keepdims=True)
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = -np.mean(np.sum(Y * np.log(Yhat), axis=1))
    acc = np.mean(np.argmax(Yhat, axis=1) == np.argmax(Y, axis=1)) * 100
    return L, acc

def backward(params, outputs, Y):
    grads = {}
    d = (outputs["yhat"] - Y) / len(Y)
    grads["Wy"] = d.T @ outputs[f"h{L}"]
    grads["by"] = d.sum(0)[:, None]
    d = d @ params["Wy"]
    for l in range(L, 0, -1):
        d = d * (1 - outputs[f"h{l}"]**2)
        below = outputs[f"h{l-1}"] if l > 1 else outputs["X"]
        grads[f"Wh{l}"] = d.T @ below
        grads[f"bh{l}"] = d.sum(0)[:, None]
        d = d @ params[f"Wh{l}"]
    return grads

def sgd(params, grads, eta):
    for key in grads:
        params[key] = params[key] - eta * grads[key]
    return params
