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
    n = Y.shape[0]
    delta2 = (outputs["yhat"] - Y) / n
    delta1 = delta2.mm(params["Wy"]) * (1 - outputs["h"].pow(2))
    grads = {}
    grads["Wy"] = delta2.t().mm(torch.tanh(outputs["h"]))
    grads["by"] = delta2.sum(0).view(-1, 1)
    grads["Wh"] = delta1.t().mm(outputs["X"])
    grads["bh"] = delta1.sum(0).view(-1, 1)
    return grads

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
