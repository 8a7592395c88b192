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
    names = ["Wy"] + [f"Wh{l}" for l in range(DEPTH, 0, -1)]
    acts = [outputs[f"h{l}"] for l in range(DEPTH, 0, -1)] + [outputs["X"]]
    grads = {}
    delta = (outputs["yhat"] - Y) / Y.shape[0]
    for n, name in enumerate(names):
        grads[name] = delta.T @ acts[n]
        grads[name.replace("W", "b")] = delta.sum(axis=0, keepdims=True).T
        if n < len(names) - 1:
            delta = (delta @ params[name]) * (1.0 - np.square(acts[n]))
    return grads

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
