import numpy as np

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = np.asfortranarray(np.random.randn(nh, nx) * 0.3)
    params["Wy"] = np.asfortranarray(np.random.randn(ny, nh) * 0.3)
    params["bh"] = np.zeros((nh, 1))
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    S = [X]
    for w, b in (("Wh", "bh"), ("Wy", "by")):
        S.append(S[-1] @ params[w].T + params[b].T)
        S.append(np.tanh(S[-1]) if w == "Wh" else np.exp(S[-1]) / np.exp(S[-1]).sum(1, keepdims=True))
    return S[-1], dict(zip(["X", "htilde", "h", "ytilde", "yhat"], S))

def loss_accuracy(Yhat, Y):
    return np.sum([-np.log(p[t.argmax()]) for p, t in zip(Yhat, Y)]) / len(Y), np.sum([p.argmax() == t.argmax() for p, t in zip(Yhat, Y)]) * 100 / len(Y)

def backward(params, outputs, Y):
    """ chain rule right to left, as the teacher did on the board (columns are samples) """
    Xc, hc, yc, Yc = outputs["X"].T, outputs["h"].T, outputs["yhat"].T, Y.T
    m = Yc.shape[1]
    dzy = yc - Yc
    dzh = (params["Wy"].T @ dzy) * (1 - hc**2)
    return {
        "Wy": (dzy @ hc.T) / m,
        "by": np.mean(dzy, axis=1, keepdims=True),
        "Wh": (dzh @ Xc.T) / m,
        "bh": np.mean(dzh, axis=1, keepdims=True),
    }

def sgd(params, grads, eta):
    for k in grads:
        params[k] = params[k] - eta * grads[k]
    return params
