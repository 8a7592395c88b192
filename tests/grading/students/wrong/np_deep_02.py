import numpy as np

def init_params(nx, nh, ny):
    # Part 3: two hidden layers of the same size
    params = {}
    params["Wh1"] = np.random.randn(nh, nx) * 0.3
    params["bh1"] = np.zeros((nh, 1))
    params["Wh2"] = np.random.randn(nh, nh) * 0.3
    params["bh2"] = np.zeros((nh, 1))
    params["Wy"] = np.random.randn(ny, nh) * 0.3
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    outputs = {}
    outputs["X"] = X
    outputs["htilde1"] = X @ params["Wh1"].T + params["bh1"].T
    outputs["h1"] = np.tanh(outputs["htilde1"])
    outputs["htilde2"] = outputs["h1"] @ params["Wh2"].T + params["bh2"].T
    outputs["h2"] = np.tanh(outputs["htilde2"])
    outputs["ytilde"] = outputs["h2"] @ params["Wy"].T + params["by"].T
    expo = np.exp(outputs["ytilde"])
    outputs["yhat"] = expo / expo.sum(axis=1, keepdims=True)
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    # entropie croisée moyenne sur le batch
    N = Y.shape[0]
    L = -np.sum(Y * np.log(Yhat)) / N

    # précision en %
    pred = Yhat.argmax(axis=1)
    vrai = Y.argmax(axis=1)
    acc = 100.0 * (pred == vrai).sum() / N
    return L, acc

def backward(params, outputs, Y):
    n = Y.shape[0]
    Wh2, Wy = params["Wh2"], params["Wy"]
    h1, h2 = outputs["h1"], outputs["h2"]

    delta3 = (outputs["yhat"] - Y) / n
    delta2 = np.dot(delta3, Wy) * (1 - h2 ** 2)
    delta1 = np.dot(delta2, Wh2.T) * (1 - h1 ** 2)

    return {
        "Wy": np.dot(delta3.T, h2), "by": delta3.sum(axis=0).reshape(-1, 1),
        "Wh2": np.dot(delta2.T, h1), "bh2": delta2.sum(axis=0).reshape(-1, 1),
        "Wh1": np.dot(delta1.T, outputs["X"]), "bh1": delta1.sum(axis=0).reshape(-1, 1),
    }

def sgd(params, grads, eta):
    for key in grads:
        params[key] = params[key] - eta * grads[key]
    return params
