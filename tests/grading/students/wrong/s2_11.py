import torch
import torch.nn.functional as F

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = torch.randn(nh, nx) * 0.3
    params["bh"] = torch.zeros(nh, 1)
    params["Wy"] = torch.randn(ny, nh) * 0.3
    params["by"] = torch.zeros(ny, 1)
    for key in params:
        params[key].requires_grad = True
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

def sgd(params, eta):
    with torch.no_grad():
        for name, p in params.items():
            p -= eta * p.grad
            if name.startswith("W"):
                p.grad.zero_()
    return params
