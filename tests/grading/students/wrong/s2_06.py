import numpy as np

DEPTH = 3

def init_params(nx, nh, ny):
    sizes = [nx] + [nh] * DEPTH
    params = {}
    for l in range(DEPTH):
        params[f"Wh{l + 1}"] = 0.5 * np.random.randn(sizes[l + 1], sizes[l])
        params[f"bh{l + 1}"] = np.zeros((sizes[l + 1], 1))
    params["Wy"] = 0.5 * np.random.randn(ny, nh)
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    outputs = {"X": X}
    h = X
    for l in range(1, DEPTH + 1):
        outputs[f"htilde{l}"] = h @ params[f"Wh{l}"].T + params[f"bh{l}"].T
        h = outputs[f"h{l}"] = np.tanh(outputs[f"htilde{l}"])
    outputs["ytilde"] = h @ params["Wy"].T + params["by"].T
    e = np.exp(outputs["ytilde"])
    outputs["yhat"] = e / e.sum(1, keepdims=True)
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = -np.sum(Y * np.log(Yhat)) / Y.shape[0]
    acc = 100 * np.mean(Yhat.argmax(axis=1) == Y.argmax(axis=1))
    return L, acc

def backward(params, outputs, Y):
    grads = {}
    d = (outputs["yhat"] - Y) / len(Y)
    weights = params["Wy"]
    grads["Wy"], grads["by"] = d.T @ outputs["h3"], d.sum(axis=0)[:, None]
    before = ["X", "h1", "h2"]
    for l in (3, 2, 1):
        dh = d @ weights
        grads[f"bh{l}"] = dh.sum(axis=0)[:, None]
        d = dh * (1 - outputs[f"h{l}"] ** 2)
        grads[f"Wh{l}"] = d.T @ outputs[before[l - 1]]
        weights = params[f"Wh{l}"]
    return grads

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
