import torch
import numpy as np
import matplotlib.pyplot as plt

def init_params(nx, nh1, nh2, ny):
    """ three layer network: nx -> nh1 -> nh2 -> ny """
    params = {}

    params["Wh1"] = torch.randn((nh1, nx))*0.3
    params["Wh2"] = torch.randn((nh2, nh1))*0.3
    params["Wy"] = torch.randn((ny, nh2))*0.3
    params["bh1"] = torch.zeros((nh1,1))
    params["bh2"] = torch.zeros((nh2,1))
    params["by"] = torch.zeros((ny,1))

    return params

def forward(params, X):
    outputs = {}

    outputs["X"] = X
    outputs["htilde1"] = torch.mm(X, params["Wh1"].T) + params["bh1"].T
    outputs["h1"] = torch.tanh(outputs["htilde1"])
    outputs["htilde2"] = torch.mm(outputs["h1"], params["Wh2"].T) + params["bh2"].T
    outputs["h2"] = torch.tanh(outputs["htilde2"])
    outputs["ytilde"] = torch.mm(outputs["h2"], params["Wy"].T) + params["by"].T
    outputs["yhat"] = torch.exp(outputs["ytilde"])
    outputs["yhat"] = outputs["yhat"] / outputs["yhat"].sum(dim=-1, keepdim=True)

    return outputs['yhat'], outputs

def loss_accuracy(Yhat, Y):
    # moyenne sur le batch
    bsize = Y.shape[0]
    L = -torch.sum(Y * torch.log(Yhat)) / bsize
    indYhat = torch.argmax(Yhat, dim=1)
    indY = torch.argmax(Y, dim=1)
    acc = 100. * torch.sum(indYhat == indY) / bsize
    return L, acc

def backward(params, outputs, Y):
    bsize = Y.shape[0]
    grads = {}

    dytilde = (outputs["yhat"] - Y) / bsize
    dh2tilde = torch.mm(dytilde, params["Wy"]) * (1 - outputs["h2"]**2)
    dh1tilde = torch.mm(dh2tilde, params["Wh2"]) * (1 - outputs["h1"]**2)

    grads["Wy"] = torch.mm(dytilde.T, outputs["h2"])
    grads["Wh2"] = torch.mm(dh2tilde.T, outputs["h1"])
    grads["Wh1"] = torch.mm(dh1tilde.T, outputs["X"])
    grads["by"] = dytilde.sum(dim=0).reshape(-1, 1)
    grads["bh2"] = dh2tilde.sum(dim=0).reshape(-1, 1)
    grads["bh1"] = dh1tilde.sum(dim=0).reshape(-1, 1)

    return grads

def sgd(params, grads, eta):
    for k in ["Wy", "Wh2", "Wh2", "by", "bh1", "bh2"]:
        params[k] = params[k] - eta * grads[k]
    return params
