import numpy as np

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = np.random.randn(nh, nx) * 0.5
    params["Wy"] = np.random.randn(ny, nh) * 0.5
    params["bh"] = np.random.randn(nh, 1) * 0.01
    params["by"] = np.random.randn(ny, 1) * 0.01
    return params

def forward(params, X):
    outputs = {}
    outputs["X"] = X
    outputs["htilde"] = np.zeros((X.shape[0], params["Wh"].shape[0]))
    outputs["ytilde"] = np.zeros((X.shape[0], params["Wy"].shape[0]))
    outputs["h"] = np.empty_like(outputs["htilde"])
    outputs["yhat"] = np.empty_like(outputs["ytilde"])
    for n in range(X.shape[0]):
        outputs["htilde"][n, :] = params["Wh"] @ X[n, :] + params["bh"].flatten()
        outputs["h"][n, :] = np.sinh(outputs["htilde"][n, :]) / np.cosh(outputs["htilde"][n, :])
        outputs["ytilde"][n, :] = params["Wy"] @ outputs["h"][n, :] + params["by"].flatten()
        outputs["yhat"][n, :] = np.exp(outputs["ytilde"][n, :])
        outputs["yhat"][n, :] /= outputs["yhat"][n, :].sum()
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = 0
    acc = 0
    for n in range(Y.shape[0]):
        for c in range(Y.shape[1]):
            if Y[n, c] != 0:
                L += -Y[n, c] * np.log(Yhat[n, c]) / Y.shape[0]
        acc += 100 / Y.shape[0] * (np.argmax(Y[n]) == np.argmax(Yhat[n]))
    return L, acc

def backward(params, outputs, Y):
    N, K = Y.shape
    J = params["Wh"].shape[0]
    I = outputs["X"].shape[1]
    Wh, bh = np.zeros((J, I)), np.zeros((J, 1))
    Wy, by = np.zeros((K, J)), np.zeros((K, 1))
    for k in range(K):
        for j in range(J):
            Wy[k, j] = np.mean((outputs["yhat"][:, k] - Y[:, k]) * outputs["h"][:, j])
        by[k] = np.mean(outputs["yhat"][:, k] - Y[:, k])
    for j in range(J):
        s = sum((outputs["yhat"][:, k] - Y[:, k]) * params["Wy"][k, j] for k in range(K))
        s = s / np.cosh(outputs["htilde"][:, j]) ** 2
        bh[j] = s.mean()
        for i in range(I):
            Wh[j, i] = (s * outputs["X"][:, i]).mean()
    return {"Wh": Wh, "bh": bh, "Wy": Wy, "by": by}

def sgd(params, grads, eta):
    for k in ["Wh", "Wy", "bh", "by"]:
        for i in range(params[k].shape[0]):
            for j in range(params[k].shape[1]):
                params[k][i, j] -= eta * grads[k][i, j]
    return params
