import numpy as np

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = np.random.randn(nh, nx) / np.sqrt(nx)
    params["bh"] = np.zeros((nh, 1))
    params["Wy"] = np.random.randn(ny, nh) / np.sqrt(nh)
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    h_in = X @ np.transpose(params["Wh"]) + np.transpose(params["bh"])
    h_out = np.tanh(h_in)
    y_in = h_out @ np.transpose(params["Wy"]) + np.transpose(params["by"])
    y_in_safe = y_in - np.max(y_in, axis=1, keepdims=True)
    y_out = np.exp(y_in_safe) / np.sum(np.exp(y_in_safe), axis=1, keepdims=True)
    return y_out, {"X": X, "htilde": h_in, "h": h_out, "ytilde": y_in, "yhat": y_out}

def loss_accuracy(Yhat, Y):
    loss = np.average(-np.sum(Y * np.log(Yhat), axis=1))
    accuracy = np.average(np.argmax(Yhat, axis=1) == np.argmax(Y, axis=1)) * 100.0
    return loss, accuracy

def backward(params, outputs, Y):
    batch_size = Y.shape[0]
    grad_y_in = (outputs["yhat"] - Y) / batch_size
    grad_h_out = grad_y_in @ params["Wy"]
    grad_h_in = grad_h_out * (1.0 - outputs["h"]) * (1.0 + outputs["h"])
    grads = {}
    grads["Wy"] = np.transpose(grad_y_in) @ outputs["h"]
    grads["by"] = np.transpose(grad_y_in) @ np.ones((batch_size, 1))
    grads["Wh"] = np.transpose(grad_h_in) @ outputs["X"]
    grads["bh"] = np.transpose(grad_h_in) @ np.ones((batch_size, 1))
    return grads

def sgd(params, grads, eta):
    # momentum
    beta = 0.9
    v = {}
    for k in params:
        v[k] = np.zeros_like(params[k])
    for k in params:
        v[k] = beta * v[k] + (1 - beta) * grads[k]
        params[k] = params[k] - eta * v[k]
    return params
