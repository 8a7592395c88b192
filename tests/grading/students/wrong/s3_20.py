import numpy as np

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = np.random.randn(nh, nx) * 0.3
    params["Wy"] = np.random.randn(ny, nh) * 0.3
    params["bh"] = np.zeros((nh, 1))
    params["by"] = np.zeros((ny, 1))
    return params

def relu(z):
    return z * (z > 0)

def forward(params, X):
    outputs = {"X": X}
    outputs["htilde"] = X @ params["Wh"].T + params["bh"].T
    outputs["h"] = relu(outputs["htilde"])
    outputs["ytilde"] = outputs["h"] @ params["Wy"].T + params["by"].T
    outputs["yhat"] = np.exp(outputs["ytilde"]) / np.exp(outputs["ytilde"]).sum(axis=1, keepdims=True)
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = -np.mean(np.sum(Y * np.log(Yhat), axis=1))
    acc = 100 * np.mean(np.argmax(Yhat, axis=1) == np.argmax(Y, axis=1))
    return L, acc

def backward(params, outputs, Y):
    grads = {}
    dytilde = (outputs["yhat"] - Y) / Y.shape[0]
    dhtilde = (dytilde @ params["Wy"]) * (outputs["htilde"] > 0)
    grads["Wy"] = dytilde.T @ outputs["h"]
    grads["by"] = dytilde.sum(axis=0, keepdims=True).T
    grads["Wh"] = dhtilde.T @ outputs["X"]
    grads["bh"] = dhtilde.sum(axis=0, keepdims=True).T
    return grads

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
