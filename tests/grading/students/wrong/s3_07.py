import numpy as np

def init_params(nx, nh, ny):
    return {"Wh": np.random.normal(scale=0.3, size=(nh, nx)), "bh": np.zeros((nh, 1)),
            "Wy": np.random.normal(scale=0.3, size=(ny, nh)), "by": np.zeros((ny, 1))}

def forward(params, X):
    U = np.matmul(X, params["Wh"].T) + params["bh"].T
    T = np.tanh(U)
    V = np.matmul(T, params["Wy"].T) + params["by"].T
    P = np.exp(V) / np.exp(V).sum(axis=1, keepdims=True)
    return P, {"X": X, "htilde": U, "h": T, "ytilde": V, "yhat": P}

def loss_accuracy(Yhat, Y):
    return -np.mean(np.sum(Y * np.log(Yhat), 1)), 100 * np.mean(np.argmax(Yhat, 1) == np.argmax(Y, 1))

def backward(params, outputs, Y):
    P, T, X = outputs["yhat"], outputs["h"], outputs["X"]
    B = Y.shape[0]
    dV = P - Y
    dU = np.matmul(dV, params["Wy"]) * (1 - T * T)
    dWy = np.matmul(dV.T, T) / B
    dby = np.mean(Y, axis=0).reshape(-1, 1)
    dWh = np.matmul(dU.T, X) / B
    dbh = np.mean(dU, axis=0).reshape(-1, 1)
    return {"Wh": dWh, "bh": dbh, "Wy": dWy, "by": dby}

def sgd(params, grads, eta):
    new = params.copy()
    for k in new:
        new[k] = new[k] - eta * grads[k]
    return new
