#!/usr/bin/env python
# coding: utf-8

# In[1]:


import numpy as np
import matplotlib.pyplot as plt


# In[2]:


def init_params(nx, nh, ny):
    """
    nx, nh, ny: integers
    out params: dictionnary
    """
    params = {}

    params["Wh"] = np.random.randn(nh, nx) * 0.3
    params["Wy"] = np.random.randn(ny, nh) * 0.3
    params["bh"] = np.zeros((nh, 1))
    params["by"] = np.zeros((ny, 1))

    return params


# In[3]:


def forward(params, X):
    """
    params: dictionnary
    X: (n_batch, dimension)
    """
    bsize = X.shape[0]
    nh = params['Wh'].shape[0]
    ny = params['Wy'].shape[0]
    outputs = {}

    outputs["X"] = X
    outputs["htilde"] = np.dot(X, params["Wh"].T) + params["bh"].T
    outputs["h"] = np.tanh(outputs["htilde"])
    outputs["ytilde"] = np.dot(outputs["h"], params["Wy"].T) + params["by"].T
    outputs["yhat"] = np.exp(outputs["ytilde"])
    outputs["yhat"] = outputs["yhat"] / outputs["yhat"].sum(axis=-1, keepdims=True)

    return outputs['yhat'], outputs


def loss_accuracy(Yhat, Y):

    L = - np.mean((Y * np.log(Yhat)).sum(axis=1))  # mean for the batch

    indYhat = np.argmax(Yhat, 1)
    indY = np.argmax(Y, 1)

    acc = np.sum(indY == indYhat) * 100. / indY.shape[0]

    return L, acc


# In[9]:


# premier essai : FAUX, il manque le 1/bsize et la dérivée de tanh
def backward(params, outputs, Y):
    grads = {}
    d = outputs["yhat"] - Y
    dh = np.dot(d, params["Wy"])
    grads["Wy"] = np.dot(d.T, outputs["h"])
    grads["Wh"] = np.dot(dh.T, outputs["X"])
    grads["by"] = d.sum(axis=0).reshape(-1, 1)
    grads["bh"] = dh.sum(axis=0).reshape(-1, 1)
    return grads


# In[11]:


# vérification par différences finies
p = init_params(3, 4, 2)
x = np.random.randn(6, 3)
y = np.eye(2)[np.random.randint(0, 2, 6)]
yh, o = forward(p, x)
g = backward(p, o, y)
eps = 1e-5
p["Wh"][0, 0] += eps
lp = loss_accuracy(forward(p, x)[0], y)[0]
p["Wh"][0, 0] -= 2 * eps
lm = loss_accuracy(forward(p, x)[0], y)[0]
print((lp - lm) / (2 * eps), g["Wh"][0, 0])


# In[12]:


# deuxième essai
def backward(params, outputs, Y):
    bsize = Y.shape[0]
    grads = {}
    # d = Y - outputs["yhat"]    # mauvais signe !
    d = (outputs["yhat"] - Y) / bsize
    # dh = np.dot(d, params["Wy"])
    dh = np.dot(d, params["Wy"]) * (1 - outputs["h"]**2)
    grads["Wy"] = np.dot(d.T, outputs["h"])
    grads["Wh"] = np.dot(dh.T, outputs["X"])
    grads["by"] = d.sum(axis=0).reshape(-1, 1)
    grads["bh"] = dh.sum(axis=0).reshape(-1, 1)
    return grads


# In[13]:


def sgd(params, grads, eta):

    params['Wy'] = params['Wy'] - eta * grads['Wy']
    params['Wh'] = params['Wh'] - eta * grads['Wh']
    params['by'] = params['by'] - eta * grads['by']
    params['bh'] = params['bh'] - eta * grads['bh']

    return params
