import numpy as np

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = np.random.randn(nh, nx) * 0.3
    params["Wy"] = np.random.randn(ny, nh) * 0.3
    params["bh"] = np.zeros((nh, 1))
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    outputs = {"X": X}
    outputs["htilde"] = np.inner(X, params["Wh"]) + params["bh"].ravel()
    outputs["h"] = np.tanh(outputs["htilde"])
    outputs["ytilde"] = np.inner(outputs["h"], params["Wy"]) + params["by"].ravel()
    outputs["yhat"] = np.exp(outputs["ytilde"])
    outputs["yhat"] = (outputs["yhat"].T / outputs["yhat"].sum(axis=1)).T
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = -np.vdot(Y, np.log(Yhat)) / len(Yhat)
    acc = np.mean(np.round(Yhat) == Y) * 100
    return L, acc

def backward(params, outputs, Y):
    grads = {}
    diff = (outputs["yhat"] - Y) / len(Y)
    grads["Wy"] = np.tensordot(diff, outputs["h"], axes=(0, 0))
    grads["by"] = np.expand_dims(diff.sum(axis=0), 1)
    diffh = np.tensordot(diff, params["Wy"], axes=(1, 0)) * (1 - outputs["h"] ** 2)
    grads["Wh"] = np.tensordot(diffh, outputs["X"], axes=(0, 0))
    grads["bh"] = np.expand_dims(diffh.sum(axis=0), 1)
    return grads

def sgd(params, grads, eta):
    params.update({k: params[k] - eta * grads[k] for k in grads})
    return params
