import torch
from torch.func import grad, vmap

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = torch.randn(nh, nx) * 0.3
    params["Wy"] = torch.randn(ny, nh) * 0.3
    params["bh"] = torch.zeros(nh, 1)
    params["by"] = torch.zeros(ny, 1)
    return params

def forward(params, X):
    outputs = {"X": X}
    outputs["htilde"] = X @ params["Wh"].t() + params["bh"].t()
    outputs["h"] = outputs["htilde"].tanh()
    outputs["ytilde"] = outputs["h"] @ params["Wy"].t() + params["by"].t()
    outputs["yhat"] = torch.softmax(outputs["ytilde"], dim=1)
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = -(Y * Yhat.log()).sum(1).mean()
    acc = (Yhat.argmax(1) == Y.argmax(1)).float().mean() * 100
    return L, acc

def loss_one(params, x, y):
    h = torch.tanh(params["Wh"] @ x + params["bh"][:, 0])
    z = params["Wy"] @ h + params["by"][:, 0]
    return -(y * torch.log_softmax(z, dim=0)).sum()

def backward(params, outputs, Y):
    per_sample = vmap(grad(loss_one), in_dims=(None, 0, 0))(params, outputs["X"], Y)
    return {k: g.mean(dim=0) for k, g in per_sample.items()}

def sgd(params, grads, eta):
    return {k: p - eta * grads[k] for k, p in params.items()}
