import numpy as np

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = np.random.randn(nh, nx) * 0.1
    params["Wy"] = np.random.randn(ny, nh) * 0.1
    params["bh"] = np.zeros((nh, 1))
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    A = X @ params["Wh"].T
    A += params["bh"].T
    H = np.tanh(A)
    S = H @ params["Wy"].T
    S += params["by"].T
    E = np.exp(S)
    P = E / E.sum(axis=1, keepdims=True)
    return P, {"X": X, "htilde": A, "h": H, "ytilde": S, "yhat": P}

def loss_accuracy(Yhat, Y):
    # probability that the network gives to the class
    p = Yhat.max(axis=1)
    L = -np.log(p).mean()
    pred = Yhat.argmax(axis=1)
    true = Y.argmax(axis=1)
    acc = (pred == true).mean() * 100
    return L, acc

def backward(params, outputs, Y):
    H = outputs["H"] if "H" in outputs else outputs["h"]
    D = (outputs["yhat"] - Y) / Y.shape[0]
    G = (D @ params["Wy"]) * (1 - H**2)
    return {"Wy": D.T @ H, "by": D.sum(axis=0, keepdims=True).T,
            "Wh": G.T @ outputs["X"], "bh": G.sum(axis=0, keepdims=True).T}

def sgd(params, grads, eta):
    for k in params:
        params[k] -= eta * grads[k]
    return params
