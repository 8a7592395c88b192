import numpy as np

def init_params(nx, nh, ny):
    p = {}
    p["Wh1"], p["bh1"] = np.random.randn(nh, nx) * 0.3, np.zeros((nh, 1))
    p["Wh2"], p["bh2"] = np.random.randn(nh, nh) * 0.3, np.zeros((nh, 1))
    p["Wy"], p["by"] = np.random.randn(ny, nh) * 0.3, np.zeros((ny, 1))
    return p

def forward(params, X):
    outputs = {"X": X}
    inp = X
    for l in (1, 2):
        outputs[f"htilde{l}"] = inp @ params[f"Wh{l}"].T + params[f"bh{l}"].T
        outputs[f"h{l}"] = inp = np.tanh(outputs[f"htilde{l}"])
    outputs["ytilde"] = inp @ params["Wy"].T + params["by"].T
    e = np.exp(outputs["ytilde"])
    outputs["yhat"] = e / e.sum(1, keepdims=True)
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = -np.mean(np.sum(Y * np.log(Yhat), axis=-1))
    return L, 100 * np.mean(Yhat.argmax(-1) == Y.argmax(-1))

def backward(params, outputs, Y):
    grads = {}
    delta = (outputs["yhat"] - Y) / len(Y)
    grads["Wy"] = delta.T @ outputs["h2"]
    grads["by"] = delta.sum(axis=0, keepdims=True).T
    W = params["Wy"]
    for l in (2, 1):
        delta = delta @ W * (1 - outputs[f"h{l}"] ** 2)
        a = outputs[f"h{l}"] if l > 1 else outputs["X"]
        grads[f"Wh{l}"] = delta.T @ a
        grads[f"bh{l}"] = delta.sum(axis=0, keepdims=True).T
        W = params[f"Wh{l}"]
    return grads

def sgd(params, grads, eta):
    for k in params.keys():
        params[k] = params[k] - eta * grads[k]
    return params
