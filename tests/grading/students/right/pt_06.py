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
    Wh, Wy, bh, by = params["Wh"], params["Wy"], params["bh"], params["by"]

    htilde = torch.mm(X, Wh.T) + bh.T     # (B, nh)
    h = torch.tanh(htilde)                # (B, nh)
    ytilde = torch.mm(h, Wy.T) + by.T     # (B, ny)

    # softmax
    num = torch.exp(ytilde)
    den = torch.sum(num, dim=1, keepdim=True)
    yhat = num / den

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
    delta = outputs["yhat"].clone()
    delta.sub_(Y).div_(bsize)
    grads["Wy"] = delta.t().mm(outputs["h"])
    grads["by"] = delta.sum(0, keepdim=True).t()
    dh = delta.mm(params["Wy"])
    dh.mul_(outputs["h"].pow(2).neg_().add_(1))
    grads["Wh"] = dh.t().mm(outputs["X"])
    grads["bh"] = dh.sum(0, keepdim=True).t()
    return grads


def sgd(params, grads, eta):
    for nom in params:
        params[nom].sub_(grads[nom], alpha=eta)
    return params
