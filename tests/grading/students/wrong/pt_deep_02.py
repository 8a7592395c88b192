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
    L = -(Y * Yhat.log()).sum(1).mean()
    acc = (Yhat.argmax(1) == Y.argmax(1)).float().mean() * 100
    return L, acc

def backward(params, outputs, Y):
    bsize = Y.shape[0]
    X, h1, h2, yhat = outputs["X"], outputs["h1"], outputs["h2"], outputs["yhat"]
    grads = {}

    g = (yhat - Y) / bsize
    grads["Wy"], grads["by"] = g.T @ h2, g.sum(0)[:, None]
    g = (g @ params["Wy"]) * (1 - h2**2)
    grads["Wh2"], grads["bh2"] = g.T @ h2, g.sum(0)[:, None]
    g = (g @ params["Wh2"]) * (1 - h1**2)
    grads["Wh1"], grads["bh1"] = g.T @ X, g.sum(0)[:, None]
    return grads

def sgd(params, grads, eta):

    params['Wy'] = params['Wy'] - eta * grads['Wy']
    params['Wh1'] = params['Wh1'] - eta * grads['Wh1']
    params['Wh2'] = params['Wh2'] - eta * grads['Wh2']
    params['by'] = params['by'] - eta * grads['by']
    params['bh1'] = params['bh1'] - eta * grads['bh1']
    params['bh2'] = params['bh2'] - eta * grads['bh2']

    return params
