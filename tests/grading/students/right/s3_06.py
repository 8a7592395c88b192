import numpy as np
import functools

def init_params(nx, nh, ny):
    f = functools.partial(np.random.normal, 0.0, 0.3)
    return {"Wh1": f((nh, nx)), "bh1": np.zeros((nh, 1)), "Wh2": f((nh, nh)), "bh2": np.zeros((nh, 1)),
            "Wy": f((ny, nh)), "by": np.zeros((ny, 1))}

def affine(W, b, A):
    return np.einsum('oi,ni->no', W, A) + b[:, 0]

def forward(params, X):
    htilde1 = affine(params["Wh1"], params["bh1"], X)
    h1 = np.tanh(htilde1)
    htilde2 = affine(params["Wh2"], params["bh2"], h1)
    h2 = np.tanh(htilde2)
    ytilde = affine(params["Wy"], params["by"], h2)
    yhat = np.exp(ytilde) / np.einsum('nk->n', np.exp(ytilde))[:, None]
    return yhat, locals()

def loss_accuracy(Yhat, Y):
    L = np.einsum('nk,nk->', Y, -np.log(Yhat)) / Y.shape[0]
    acc = sum(map(lambda a, b: int(a.argmax() == b.argmax()), Yhat, Y)) * 100 / Y.shape[0]
    return L, acc

def backward(params, outputs, Y):
    n = Y.shape[0]
    g = {}
    e3 = outputs["yhat"] - Y
    e2 = np.einsum('nk,kj,nj->nj', e3, params["Wy"], 1 - outputs["h2"] ** 2)
    e1 = np.einsum('nk,kj,nj->nj', e2, params["Wh2"], 1 - outputs["h1"] ** 2)
    for key, e, a in (("y", e3, "h2"), ("h2", e2, "h1"), ("h1", e1, "X")):
        g["W" + key] = np.einsum('nk,nj->kj', e, outputs[a]) / n
        g["b" + key] = np.einsum('nk->k', e).reshape(-1, 1) / n
    return g

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - np.multiply(eta, grads[k])
    return params
