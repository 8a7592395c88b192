import numpy as np

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = np.ones((nh, nx)) * 0.3
    params["Wy"] = np.ones((ny, nh)) * 0.3
    params["bh"] = np.zeros((nh, 1))
    params["by"] = np.zeros((ny, 1))
    return params

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
    g = (outputs["yhat"] - Y) / Y.shape[0]
    gh = (g @ params["Wy"]) * (1 - outputs["h"]**2)
    grads = {}
    grads["Wy"] = g.T @ outputs["h"]
    grads["by"] = np.sum(g, axis=0, keepdims=True).T
    grads["Wh"] = gh.T @ outputs["X"]
    grads["bh"] = np.sum(gh, axis=0, keepdims=True).T
    return grads

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
