from numpy import *
import numpy

init_params = lambda nx, nh, ny: {"Wh": asfortranarray(random.randn(nh, nx)), "bh": random.randn(nh, 1),
                                  "Wy": asfortranarray(random.randn(ny, nh)), "by": random.randn(ny, 1)}

def affine(X, W, b): return (W @ X.T + b).T

def forward(params, X):
    o = dict(X=X)
    o["htilde"] = affine(X, params["Wh"], params["bh"])
    o["h"] = (exp(2 * o["htilde"]) - 1) / (exp(2 * o["htilde"]) + 1)
    o["ytilde"] = affine(o["h"], params["Wy"], params["by"])
    o["yhat"] = exp(o["ytilde"])
    o["yhat"] /= o["yhat"].sum(axis=1)[:, newaxis]
    return o["yhat"], o

def loss_accuracy(Yhat, Y):
    picked = Yhat[arange(len(Y)), argmax(Y, 1)]
    return -average(log(picked)), sum(argmax(Yhat, 1) == argmax(Y, 1)) / len(Y) * 100

def backward(params, outputs, Y):
    dy = outputs["yhat"].copy()
    dy[arange(len(Y)), argmax(Y, 1)] -= 1
    dy /= len(Y)
    dh = dy @ params["Wy"]
    dh *= 1 - outputs["h"] ** 2
    return {"Wh": (outputs["X"].T @ dh).T, "bh": dh.T.sum(axis=1, keepdims=True),
            "Wy": (outputs["h"].T @ dy).T, "by": dy.T.sum(axis=1, keepdims=True)}

def sgd(params, grads, eta):
    for key, g in grads.items():
        params[key] -= eta * g
    return params
