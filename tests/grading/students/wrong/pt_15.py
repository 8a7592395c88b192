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
    e = (outputs["yhat"] - Y) / bsize
    eh = e @ params["Wy"] * (1 - outputs["h"]**2)
    grads["Wy"] = outputs["h"].T @ e
    grads["Wh"] = eh.T @ outputs["X"]
    grads["by"] = e.sum(0).unsqueeze(-1)
    grads["bh"] = eh.sum(0).unsqueeze(-1)
    return grads

def sgd(params, grads, eta):
    # W <- W - eta * dL/dW
    for nom in params.keys():
        params[nom] = params[nom] - eta * grads[nom]
    return params
