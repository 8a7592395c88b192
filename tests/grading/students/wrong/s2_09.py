import torch

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = 0.3 * torch.randn(nh, nx)
    params["bh"] = torch.zeros(nh, 1)
    params["Wy"] = 0.3 * torch.randn(ny, nh)
    params["by"] = torch.zeros(ny, 1)
    return params

def forward(params, X):
    outputs = {"X": X}
    outputs["htilde"] = torch.mm(X, params["Wh"].T) + params["bh"].T
    outputs["h"] = torch.tanh(outputs["htilde"])
    outputs["ytilde"] = torch.mm(outputs["h"], params["Wy"].T) + params["by"].T
    outputs["yhat"] = torch.softmax(outputs["ytilde"], dim=1)
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = -torch.mean(torch.sum(Y * torch.log(Yhat), dim=1))
    acc = (Yhat.argmax(1) == Y.argmax(1)).float().mean() * 100
    return L, acc

def backward(params, outputs, Y):
    dyt = (outputs["yhat"] - Y) / Y.shape[0]
    dht = torch.einsum("bk,kj->bj", dyt, params["Wy"]) * (1 - outputs["h"] ** 2)
    dWy = torch.einsum("bk,bj->kj", dyt, outputs["h"]) + 0.1 * params["Wy"]
    dWh = torch.einsum("bj,bi->ji", dht, outputs["X"])
    return {"Wy": dWy, "Wh": dWh, "by": dyt.sum(0, keepdim=True).T, "bh": dht.sum(0, keepdim=True).T}

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
