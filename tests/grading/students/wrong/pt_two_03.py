# TP2 - Rétropropagation à la main
# M1 optimisation pour la science des données
import torch
import numpy as np

def init_params(nx, nh, ny):
    # les poids sont aléatoires sinon tous les neurones apprennent la même chose
    Wh = torch.randn((nh, nx)) * 0.3
    Wy = torch.randn((ny, nh)) * 0.3
    bh = torch.zeros((nh, 1))
    by = torch.zeros((ny, 1))
    return {"Wh": Wh, "Wy": Wy, "bh": bh, "by": by}

def forward(params, X):
    htilde = torch.mm(X, params["Wh"].T)
    h = torch.tanh(htilde)
    ytilde = torch.mm(h, params["Wy"].T) + params["by"].T
    yhat = torch.softmax(ytilde, dim=1)
    outputs = {"X": X, "htilde": htilde, "h": h, "ytilde": ytilde, "yhat": yhat}
    return yhat, outputs

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
    dtanh = 1 - outputs["h"]**2
    dy = (outputs["yhat"] - Y) / bsize
    dh = torch.mm(dy, params["Wy"]) * dtanh
    grads["Wy"] = torch.mm(dy.T, outputs["h"])
    grads["by"] = dy.sum(0).reshape(-1, 1)
    dh = dh * dtanh
    grads["Wh"] = torch.mm(dh.T, outputs["X"])
    grads["bh"] = dh.sum(0).reshape(-1, 1)
    return grads

def sgd(params, grads, eta):
    # W <- W - eta * dL/dW
    for nom in params.keys():
        params[nom] = params[nom] - eta * grads[nom]
    return params
