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
    p = torch.softmax(outputs["ytilde"], dim=0)
    dytilde = (p - Y) / Y.size(0)
    dhtilde = (dytilde @ params["Wy"]) * (1 - torch.tanh(outputs["htilde"]) ** 2)
    return {
        "Wy": dytilde.T @ outputs["h"],
        "by": dytilde.sum(dim=0).unsqueeze(1),
        "Wh": dhtilde.T @ outputs["X"],
        "bh": dhtilde.sum(dim=0).unsqueeze(1),
    }

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
