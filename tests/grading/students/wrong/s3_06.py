import numpy as np

# j'utilise relu parce que c'est mieux que tanh
def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = np.random.randn(nh, nx) * 0.3
    params["Wy"] = np.random.randn(ny, nh) * 0.3
    params["bh"] = np.zeros((nh, 1))
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    outputs = {}
    outputs["X"] = X
    outputs["htilde"] = X @ params["Wh"].T + params["bh"].T
    outputs["h"] = np.maximum(0, outputs["htilde"])
    outputs["ytilde"] = outputs["h"] @ params["Wy"].T + params["by"].T
    outputs["yhat"] = np.exp(outputs["ytilde"])
    outputs["yhat"] = outputs["yhat"] / outputs["yhat"].sum(axis=1).reshape(-1, 1)
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = np.mean([-np.sum(y * np.log(p)) for p, y in zip(Yhat, Y)])
    acc = np.mean([np.argmax(p) == np.argmax(y) for p, y in zip(Yhat, Y)]) * 100
    return L, acc

def backward(params, outputs, Y):
    grads = {}
    delta_y = (outputs["yhat"] - Y) / Y.shape[0]
    delta_h = delta_y @ params["Wy"]
    delta_h = delta_h - delta_h * outputs["h"] * outputs["h"]
    grads["Wy"] = delta_y.T @ outputs["h"]
    grads["Wh"] = delta_h.T @ outputs["X"]
    grads["by"] = delta_y.sum(axis=0)[:, np.newaxis]
    grads["bh"] = delta_h.sum(axis=0)[:, np.newaxis]
    return grads

def sgd(params, grads, eta):
    for key, value in grads.items():
        params[key] = params[key] - eta * value
    return params
