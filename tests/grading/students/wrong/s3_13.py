import numpy as np

def init_params(nx, nh, ny):
    params = {"Wh": np.random.randn(nh, nx), "Wy": np.random.randn(ny, nh)}
    params = {k: 0.3 * v for k, v in params.items()}
    params["bh"] = np.zeros((nh, 1))
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    htilde = X @ params["Wh"].T + params["bh"].T
    h = np.tanh(htilde)
    ytilde = h @ params["Wy"].T + params["by"].T
    yhat = np.exp(ytilde)
    yhat = yhat / yhat.sum(axis=1, keepdims=True)
    return yhat, {"X": X, "htilde": htilde, "h": h, "ytilde": ytilde, "yhat": yhat}

def loss_accuracy(Yhat, Y):
    s = 0
    for b in range(Y.shape[0]):
        for k in range(Y.shape[1]):
            s += Y[b, k] * np.log(Yhat[b, k])
    L = -s / Y.shape[0]
    correct = [int(np.argmax(Yhat[b]) == np.argmax(Y[b])) for b in range(Y.shape[0])]
    return L, 100 * sum(correct) / len(correct)

def backward(params, outputs, Y):
    X = outputs["X"]
    h = outputs["h"]
    yhat = outputs["yhat"]
    B = X.shape[0]
    dWh = np.zeros(params["Wh"].shape)
    dWy = np.zeros(params["Wy"].shape)
    dbh = np.zeros(params["bh"].shape)
    dby = np.zeros(params["by"].shape)
    for b in range(B):
        for k in range(yhat.shape[1]):
            ek = (yhat[b, k] - Y[b, k]) / B
            dby[k, 0] += ek
            for j in range(h.shape[1]):
                dWy[k, j] += ek * h[b, j]
                # derivative of tanh is 1/cosh^2
                ej = ek * params["Wy"][k, j] / np.cosh(h[b, j]) ** 2
                dbh[j, 0] += ej
                for i in range(X.shape[1]):
                    dWh[j, i] += ej * X[b, i]
    return {"Wh": dWh, "Wy": dWy, "bh": dbh, "by": dby}

def sgd(params, grads, eta):
    for key in params:
        params[key] = params[key] - eta * grads[key]
    return params
