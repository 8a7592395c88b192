# TP2 - Rétropropagation à la main
# M1 optimisation pour la science des données
import torch
import numpy as np

def init_params(nx, nh, ny):
    """
    nx, nh, ny: integers
    out params: dictionnary
    """
    params = {}

    params["Wh"] = torch.randn(nh, nx) * 0.3
    params["Wh"].requires_grad = True
    params["Wy"] = torch.randn(ny, nh) * 0.3
    params["Wy"].requires_grad = True

    params["bh"] = torch.zeros(nh,1, requires_grad=True)
    params["by"] = torch.zeros(ny,1, requires_grad=True)

    return params

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

@torch.no_grad()
def sgd(params, eta):
    for p in params.values():
        p -= eta * p.grad
        p.grad = None
    return params
