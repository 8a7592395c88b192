import numpy as np

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = (np.random.randn(nh, nx) * 0.3).astype(np.float32)
    params["Wy"] = (np.random.randn(ny, nh) * 0.3).astype(np.float32)
    params["bh"] = np.zeros((nh, 1), dtype=np.float32)
    params["by"] = np.zeros((ny, 1), dtype=np.float32)
    return params

def forward(params, X):
    X = X.astype(np.float32)
    outputs = {"X": X}
    outputs["htilde"] = X @ params["Wh"].T + params["bh"].T
    outputs["h"] = np.tanh(outputs["htilde"])
    outputs["ytilde"] = outputs["h"] @ params["Wy"].T + params["by"].T
    outputs["yhat"] = np.exp(outputs["ytilde"])
    outputs["yhat"] = outputs["yhat"] / outputs["yhat"].sum(axis=-1, keepdims=True)
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = -np.mean(np.sum(Y * np.log(Yhat), axis=1))
    acc = np.mean(np.argmax(Yhat, axis=1) == np.argmax(Y, axis=1)) * 100
    return L, acc

def backward(params, outputs, Y):
    Y = Y.astype(np.float32)
    bsize = np.float32(Y.shape[0])
    dy = (outputs["yhat"] - Y) / bsize
    dh = (dy @ params["Wy"]) * (1 - outputs["h"]**2)
    return {"Wy": dy.T @ outputs["h"], "by": dy.sum(axis=0).reshape(-1, 1),
            "Wh": dh.T @ outputs["X"], "bh": dh.sum(axis=0).reshape(-1, 1)}

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
