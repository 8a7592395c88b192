import numpy as np

class Linear:
    def __init__(self, W, b):
        self.W, self.b = W, b
    def __call__(self, x):
        return x @ self.W.T + self.b.T
    def back(self, x, d):
        return d.T @ x, d.T @ np.ones((len(d), 1)), d @ self.W

class Tanh:
    @staticmethod
    def f(z): return np.tanh(z)
    @staticmethod
    def df(z): return 1 / np.cosh(z) ** 2

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = np.random.normal(0, 0.3, (nh, nx))
    params["bh"] = np.zeros((nh, 1))
    params["Wy"] = np.random.normal(0, 0.3, (ny, nh))
    params["by"] = np.zeros((ny, 1))
    return params

def forward(params, X):
    first, second = Linear(params["Wh"], params["bh"]), Linear(params["Wy"], params["by"])
    outputs = {"X": X, "htilde": first(X)}
    outputs["h"] = Tanh.f(outputs["htilde"])
    outputs["ytilde"] = second(outputs["h"])
    logZ = np.log(np.exp(outputs["ytilde"]).sum(axis=1, keepdims=True))
    outputs["yhat"] = np.exp(outputs["ytilde"] - logZ)
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = -np.sum(Y * np.log(Yhat)) / Y.shape[0]
    acc = 100 * np.mean(Yhat.argmax(axis=1) == Y.argmax(axis=1))
    return L, acc

def backward(params, outputs, Y):
    first, second = Linear(params["Wh"], params["bh"]), Linear(params["Wy"], params["by"])
    d = (outputs["yhat"] - Y) / len(Y)
    gWy, gby, d = second.back(outputs["h"], d)
    gWh, gbh, _ = first.back(outputs["X"], d * Tanh.df(outputs["htilde"]))
    return {"Wy": gWy, "by": gby, "Wh": gWh, "bh": gbh}

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
