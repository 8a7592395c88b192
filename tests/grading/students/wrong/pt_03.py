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

    h = outputs["h"]
    # erreur en sortie
    erreur = Y - outputs["yhat"]

    grads["Wy"] = torch.mm(erreur.T, h) / bsize
    grads["by"] = torch.mean(erreur, dim=0).view(-1, 1)

    # erreur rétropropagée
    erreur_h = torch.mm(erreur, params["Wy"]) * (1 - h**2)
    grads["Wh"] = torch.mm(erreur_h.T, outputs["X"]) / bsize
    grads["bh"] = torch.mean(erreur_h, dim=0).view(-1, 1)

    return grads


def sgd(params, grads, eta):
    # W <- W - eta * dL/dW
    for nom in params.keys():
        params[nom] = params[nom] - eta * grads[nom]
    return params
