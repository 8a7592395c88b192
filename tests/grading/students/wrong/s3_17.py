import numpy as np

def init_params(nx, nh, ny):
    Wh = np.random.randn(nh, nx) * 0.3
    bh = np.zeros((nh, 1))
    Wy = np.random.randn(ny, nh) * 0.3
    by = np.zeros((ny, 1))
    params = {"Wh": Wh, "bh": bh, "Wy": Wy, "by": by}
    return params

def forward(params, X):
    ht = np.add(np.matmul(X, params["Wh"].transpose()), params["bh"].transpose())
    h = np.tanh(ht)
    yt = np.add(np.matmul(h, params["Wy"].transpose()), params["by"].transpose())
    ex = np.exp(yt)
    yh = np.divide(ex, ex.sum(axis=1, keepdims=True))
    outputs = {"X": X, "htilde": ht, "h": h, "ytilde": yt, "yhat": yh}
    return yh, outputs

def loss_accuracy(Yhat, Y):
    L = -np.log(Yhat[Y == 1]).mean()
    acc = np.mean(np.argmax(Yhat, axis=1) == np.argmax(Y, axis=1)) * 100
    return L, acc

def backward(params, outputs, Y):
    bs = outputs["X"].shape[0]
    dyt = np.subtract(outputs["yhat"], Y) / bs
    dWy = np.matmul(dyt.transpose(), outputs["h"])
    dby = dyt.sum(keepdims=True)
    dh = np.matmul(dyt, params["Wy"])
    dht = dh * (1 - outputs["h"] ** 2)
    dWh = np.matmul(dht.transpose(), outputs["X"])
    dbh = dht.sum(axis=0, keepdims=True).transpose()
    grads = {"Wh": dWh, "bh": dbh, "Wy": dWy, "by": dby}
    return grads

def sgd(params, grads, eta):
    for p in params:
        params[p] = params[p] - eta * grads[p]
    return params
