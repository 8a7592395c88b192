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


    L = - torch.mean((Y * torch.log(Yhat)).sum(dim=1)) # mean for the batch

    _, indYhat = torch.max(Yhat, 1)
    _, indY = torch.max(Y, 1)

    acc = torch.sum(indY == indYhat) * 100. / indY.size(0);


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

    params['Wy'] = params['Wy'] - eta * grads['Wy']
    params['Wh1'] = params['Wh1'] - eta * grads['Wh1']
    params['Wh2'] = params['Wh2'] - eta * grads['Wh2']
    params['by'] = params['by'] - eta * grads['by']
    params['bh1'] = params['bh1'] - eta * grads['bh1']
    params['bh2'] = params['bh2'] - eta * grads['bh2']

    return params
