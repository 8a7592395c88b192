import math
import torch
from torch.autograd import Variable
import numpy as np
import matplotlib
import matplotlib.pyplot as plt

def init_params(nx, nh, ny):
    """
    nx, nh, ny: integers
    out params: dictionnary
    """
    params = {}

    params["Wh"] = torch.randn((nh, nx))*0.3
    params["Wy"] = torch.randn((ny, nh))*0.3
    params["bh"] = torch.zeros((nh,1))
    params["by"] = torch.zeros((ny,1))

    return params

def forward(params, X):
    """
    params: dictionnary
    X: (n_batch, dimension)
    """
    bsize = X.size(0)
    nh = params['Wh'].size(0)
    ny = params['Wy'].size(0)
    outputs = {}

    outputs["X"] = X
    outputs["htilde"] = torch.mm(X, params["Wh"].T) + params["bh"].T
    outputs["h"] = torch.tanh(outputs["htilde"])
    outputs["ytilde"] = torch.mm(outputs["h"], params["Wy"].T) + params["by"].T
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
    yhat = outputs["yhat"]

    g = - Y / (bsize * yhat)
    g = yhat * (g - (g * yhat).sum(dim=1, keepdim=True))

    grads["by"] = g.sum(dim=0).view(params["by"].shape)
    grads["Wy"] = torch.tensordot(g, outputs["h"], dims=([0], [0]))

    g = torch.tensordot(g, params["Wy"], dims=1)
    g = g - g * outputs["h"].square()

    grads["bh"] = g.sum(dim=0).view(params["bh"].shape)
    grads["Wh"] = torch.tensordot(g, outputs["X"], dims=([0], [0]))

    return grads

def sgd(params, grads, eta):

    params['Wy'] = params['Wy'] - eta * grads['Wy']
    params['Wh'] = params['Wh'] - eta * grads['Wh']
    params['by'] = params['by'] - eta * grads['by']
    params['bh'] = params['bh'] - eta * grads['bh']

    return params
