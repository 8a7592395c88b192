import numpy as np

def init_params(nx, nh, ny):
    scale = 0.3
    shapes = [("Wh", (nh, nx)), ("bh", (nh, 1)), ("Wy", (ny, nh)), ("by", (ny, 1))]
    return {k: (scale * np.random.randn(*s) if k[0] == "W" else np.zeros(s)) for k, s in shapes}

def forward(params, X):
    outputs = {"X": X}
    outputs["htilde"] = (params["Wh"] @ X.T + params["bh"]).T
    outputs["h"] = np.tanh(outputs["htilde"])
    outputs["ytilde"] = (params["Wy"] @ outputs["h"].T + params["by"]).T
    exps = np.exp(outputs["ytilde"])
    outputs["yhat"] = exps / exps.sum(axis=-1, keepdims=True)
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    n = len(Y)
    L = sum(-np.log(Yhat[i]) @ Y[i] for i in range(n)) / n
    acc = sum(np.argmax(Yhat[i]) == np.argmax(Y[i]) for i in range(n)) / n * 100
    return L, acc

def backward(params, outputs, Y):
    n = len(Y)
    X, h, yhat = outputs["X"], outputs["h"], outputs["yhat"]
    d2 = (yhat - Y) / n
    d1 = d2 @ params["Wy"] * (1 - h ** 2)
    gWy = sum(np.outer(d2[i], h[i]) for i in range(0, n - 1))
    gWh = sum(np.outer(d1[i], X[i]) for i in range(0, n))
    return {"Wy": gWy, "by": d2.sum(0).reshape(-1, 1), "Wh": gWh, "bh": d1.sum(0).reshape(-1, 1)}

def sgd(params, grads, eta):
    for k in ("Wh", "bh", "Wy", "by"):
        params[k] -= eta * grads[k]
    return params
