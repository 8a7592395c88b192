import torch

softmax = lambda z: torch.exp(z) / torch.exp(z).sum(-1, keepdim=True)
dtanh = lambda a: 1 - a ** 2

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = torch.randn(nh, nx) * 0.3
    params["Wy"] = torch.randn(ny, nh) * 0.3
    params["bh"] = torch.zeros(nh, 1)
    params["by"] = torch.zeros(ny, 1)
    return params

def forward(params, X):
    lin = lambda a, l: a.matmul(params["W" + l].T).add(params["b" + l].T)
    o = {"X": X}
    o["htilde"] = lin(X, "h")
    o["h"] = torch.tanh(o["htilde"])
    o["ytilde"] = lin(o["h"], "y")
    o["yhat"] = softmax(o["ytilde"])
    return o["yhat"], o

def loss_accuracy(Yhat, Y):
    L = -(Y * Yhat.log()).sum(1).mean()
    acc = (Yhat.argmax(1) == Y.argmax(1)).float().mean() * 100
    return L, acc

def backward(params, outputs, Y):
    grads = {}

    def layer(l, delta, entree):
        grads.setdefault("W" + l, delta.T.matmul(entree))
        grads.setdefault("b" + l, delta.sum(0)[:, None])
        return delta.matmul(params["W" + l])

    delta = (outputs["yhat"] - Y).div(len(Y))
    layer("h", layer("y", delta, outputs["h"]) * dtanh(outputs["h"]), outputs["X"])
    return grads

def sgd(params, grads, eta):
    for key in ["Wh", "Wy", "bh", "by"]:
        params[key] -= eta * grads[key]
    return params
