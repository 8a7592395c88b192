#!/usr/bin/env python
# coding: utf-8

# In[1]:


# TP2 - Rétropropagation à la main
# M1 optimisation pour la science des données
import torch
import numpy as np


# In[2]:


def init_params(nx, nh, ny):
    # les poids sont aléatoires sinon tous les neurones apprennent la même chose
    Wh = torch.randn((nh, nx)) * 0.3
    Wy = torch.randn((ny, nh)) * 0.3
    bh = torch.zeros((nh, 1))
    by = torch.zeros((ny, 1))
    return {"Wh": Wh, "Wy": Wy, "bh": bh, "by": by}


# In[3]:


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


# In[4]:


def backward(params, outputs, Y):
    bsize = Y.shape[0]
    grads = {}
    dytilde = (outputs["yhat"] - Y) / bsize
    dhtilde = torch.mm(dytilde, params["Wy"]) * (1 - outputs["h"]**2)
    grads["Wy"] = torch.mm(dytilde.T, outputs["h"])
    grads["Wh"] = torch.mm(dhtilde.T, outputs["X"])
    grads["by"] = dytilde.sum(dim=0).reshape(-1, 1)
    grads["bh"] = dhtilde.sum(dim=0).reshape(-1, 1)
    return grads


# In[5]:


# version plus courte
def backward(params, outputs, Y):
    delta_y = (outputs["yhat"] - Y) / Y.shape[0]
    delta_h = delta_y @ params["Wy"] * (1 - outputs["h"]**2)
    return {"Wy": delta_y.T @ outputs["h"],
            "Wh": delta_h.T @ outputs["X"],
            "by": delta_y.sum(0).reshape(-1, 1),
            "bh": delta_y.sum(0).reshape(-1, 1)}


# In[6]:


def sgd(params, grads, eta):
    # W <- W - eta * dL/dW
    for nom in params.keys():
        params[nom] = params[nom] - eta * grads[nom]
    return params
