import numpy as np

rng = np.random.default_rng(42)

def init_params(nx, nh, ny):
    return dict(W1=rng.normal(scale=0.3, size=(nx, nh)), b1=np.zeros(nh),
                W2=rng.normal(scale=0.3, size=(nh, ny)), b2=np.zeros(ny))

def forward(params, X):
    Z1 = X @ params["W1"] + params["b1"]
    A1 = np.tanh(Z1)
    Z2 = A1 @ params["W2"] + params["b2"]
    Z2 = Z2 - Z2.max(axis=1, keepdims=True)
    A2 = np.exp(Z2)
    A2 /= A2.sum(axis=1, keepdims=True)
    cache = {"X": X, "Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}
    return A2, cache

def loss_accuracy(Yhat, Y):
    return -np.log((Yhat * Y).sum(1)).mean(), (Yhat.argmax(1) == Y.argmax(1)).mean() * 100

def backward(params, cache, Y):
    m = len(Y)
    dZ2 = cache["A2"] - Y
    dA1 = dZ2 @ params["W2"].T
    dZ1 = dA1 * (1 - cache["A1"] ** 2)
    return {"W1": cache["X"].T @ dZ1 / m, "b1": dZ1.mean(axis=0),
            "W2": cache["A1"].T @ dZ2 / m, "b2": dZ2.mean(axis=0)}

def sgd(params, grads, eta):
    return {k: params[k] - eta * grads[k] for k in params}
