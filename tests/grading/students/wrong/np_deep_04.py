import numpy as np

# réseau plus profond : 3 couches cachées

def init_params(nx, nh, ny):
    params = {}
    params["Wh1"] = np.random.randn(nh, nx) * 0.3
    params["Wh2"] = np.random.randn(nh, nh) * 0.3
    params["Wh3"] = np.random.randn(nh, nh) * 0.3
    params["Wy"] = np.random.randn(ny, nh) * 0.3
    for i in (1, 2, 3):
        params["bh%d" % i] = np.zeros((nh, 1))
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    outputs = {"X": X, "h0": X}
    for i in (1, 2, 3):
        outputs["htilde%d" % i] = outputs["h%d" % (i-1)] @ params["Wh%d" % i].T + params["bh%d" % i].T
        outputs["h%d" % i] = np.tanh(outputs["htilde%d" % i])
    outputs["ytilde"] = outputs["h3"] @ params["Wy"].T + params["by"].T
    e = np.exp(outputs["ytilde"])
    outputs["yhat"] = e / e.sum(axis=1, keepdims=True)
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = -np.mean(np.sum(Y * np.log(Yhat), axis=1))
    acc = np.mean(np.argmax(Yhat, axis=1) == np.argmax(Y, axis=1)) * 100
    return L, acc

def backward(params, outputs, Y):
    bsize = Y.shape[0]
    grads = {}
    dy = (outputs["yhat"] - Y) / bsize
    grads["Wy"] = dy.T @ outputs["h3"]
    grads["by"] = dy.sum(0).reshape(-1, 1)

    d3 = dy @ params["Wy"] * (1 - outputs["h3"]**2)
    grads["Wh3"] = d3.T @ outputs["h2"]
    grads["bh3"] = d3.sum(0).reshape(-1, 1)

    d2 = d3 @ params["Wh2"] * (1 - outputs["h2"]**2)
    grads["Wh2"] = d2.T @ outputs["h1"]
    grads["bh2"] = d2.sum(0).reshape(-1, 1)

    d1 = d2 @ params["Wh2"] * (1 - outputs["h1"]**2)
    grads["Wh1"] = d1.T @ outputs["X"]
    grads["bh1"] = d1.sum(0).reshape(-1, 1)
    return grads

def sgd(params, grads, eta):
    for key in grads:
        params[key] = params[key] - eta * grads[key]
    return params
