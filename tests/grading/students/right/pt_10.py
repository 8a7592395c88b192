import numpy as np
import torch

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

def backward(params, outputs, Y):
    Wy = params["Wy"].detach().numpy()
    X, h, yhat = (outputs[k].detach().numpy() for k in ("X", "h", "yhat"))
    y = Y.numpy()
    dy = (yhat - y) / y.shape[0]
    dh = dy @ Wy * (1 - h**2)
    grads = {"Wy": dy.T @ h, "by": dy.sum(0, keepdims=True).T, "Wh": dh.T @ X, "bh": dh.sum(0, keepdims=True).T}
    return {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in grads.items()}

def sgd(params, grads, eta):
    for key in ["Wh", "Wy", "bh", "by"]:
        params[key] -= eta * grads[key]
    return params
