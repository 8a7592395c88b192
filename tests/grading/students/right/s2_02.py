import numpy as np

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = np.random.normal(0, 0.3, (nh, nx))
    params["bh"] = np.zeros((nh, 1))
    params["Wy"] = np.random.normal(0, 0.3, (ny, nh))
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    htilde = X @ params["Wh"].T + params["bh"].T
    h = np.tanh(htilde)
    ytilde = h @ params["Wy"].T + params["by"].T
    e = np.exp(ytilde)
    yhat = e / np.sum(e, axis=1, keepdims=True)
    outputs = {"X": X, "htilde": htilde, "h": h, "ytilde": ytilde, "yhat": yhat}
    return yhat, outputs

def loss_accuracy(Yhat, Y):
    L = -np.sum(Y * np.log(Yhat)) / Y.shape[0]
    acc = 100 * np.mean(Yhat.argmax(axis=1) == Y.argmax(axis=1))
    return L, acc

def backward(params, outputs, Y):
    B, ny = Y.shape
    Wy, h, X, yhat = params["Wy"], outputs["h"], outputs["X"], outputs["yhat"]
    nh, nx = h.shape[1], X.shape[1]
    gWy = [[0.0] * nh for _ in range(ny)]
    gby = [[0.0] for _ in range(ny)]
    gWh = [[0.0] * nx for _ in range(nh)]
    gbh = [[0.0] for _ in range(nh)]
    for b in range(B):
        for k in range(ny):
            e = (yhat[b][k] - Y[b][k]) / B
            gby[k][0] += e
            for j in range(nh):
                gWy[k][j] += e * h[b][j]
        for j in range(nh):
            s = 0.0
            for k in range(ny):
                s += (yhat[b][k] - Y[b][k]) / B * Wy[k][j]
            s *= (1 - h[b][j]) * (1 + h[b][j])
            gbh[j][0] += s
            for i in range(nx):
                gWh[j][i] += s * X[b][i]
    return {"Wh": np.array(gWh), "bh": np.array(gbh), "Wy": np.array(gWy), "by": np.array(gby)}

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
