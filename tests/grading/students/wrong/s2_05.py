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
    delta = (outputs["yhat"] - Y) / Y.shape[0]
    grads["Wy"] = delta.T @ outputs["h3"]
    grads["by"] = delta.sum(0, keepdims=True).T
    delta = delta @ params["Wy"] * (1 - outputs["h3"] ** 2)
    grads["Wh3"] = delta.T @ outputs["h2"]
    grads["bh3"] = delta.sum(0, keepdims=True).T
    delta = delta @ params["Wh2"] * (1 - outputs["h2"] ** 2)
    grads["Wh2"] = delta.T @ outputs["h1"]
    grads["bh2"] = delta.sum(0, keepdims=True).T
    delta = delta @ params["Wh2"] * (1 - outputs["h1"] ** 2)
    grads["Wh1"] = delta.T @ outputs["X"]
    grads["bh1"] = delta.sum(0, keepdims=True).T
    return grads

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
