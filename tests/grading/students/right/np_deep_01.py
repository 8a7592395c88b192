import numpy as np

def init_params(nx, nh, ny):
    # Part 3: two hidden layers of the same size
    params = {}
    params["Wh1"] = np.random.randn(nh, nx) * 0.3
    params["bh1"] = np.zeros((nh, 1))
    params["Wh2"] = np.random.randn(nh, nh) * 0.3
    params["bh2"] = np.zeros((nh, 1))
    params["Wy"] = np.random.randn(ny, nh) * 0.3
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    outputs = {}
    outputs["X"] = X
    outputs["htilde1"] = X @ params["Wh1"].T + params["bh1"].T
    outputs["h1"] = np.tanh(outputs["htilde1"])
    outputs["htilde2"] = outputs["h1"] @ params["Wh2"].T + params["bh2"].T
    outputs["h2"] = np.tanh(outputs["htilde2"])
    outputs["ytilde"] = outputs["h2"] @ params["Wy"].T + params["by"].T
    expo = np.exp(outputs["ytilde"])
    outputs["yhat"] = expo / expo.sum(axis=1, keepdims=True)
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = -np.mean(np.sum(Y * np.log(Yhat), axis=1))
    acc = np.mean(np.argmax(Yhat, axis=1) == np.argmax(Y, axis=1)) * 100
    return L, acc

def backward(params, outputs, Y):
    bsize = Y.shape[0]
    grads = {}
    dy = (outputs["yhat"] - Y) / bsize
    grads["Wy"] = dy.T @ outputs["h2"]
    grads["by"] = dy.sum(axis=0).reshape(-1, 1)
    d2 = (dy @ params["Wy"]) * (1 - outputs["h2"]**2)
    grads["Wh2"] = d2.T @ outputs["h1"]
    grads["bh2"] = d2.sum(axis=0).reshape(-1, 1)
    d1 = (d2 @ params["Wh2"]) * (1 - outputs["h1"]**2)
    grads["Wh1"] = d1.T @ outputs["X"]
    grads["bh1"] = d1.sum(axis=0).reshape(-1, 1)
    return grads

def sgd(params, grads, eta):
    for key in grads:
        params[key] = params[key] - eta * grads[key]
    return params
