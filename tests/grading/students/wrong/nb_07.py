#!/usr/bin/env python
# coding: utf-8

# In[1]:


import numpy as np


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


# In[4]:


def loss_accuracy(Yhat, Y):

    L = - np.mean((Y * np.log(Yhat)).sum(axis=1))  # mean for the batch

    indYhat = np.argmax(Yhat, 1)
    indY = np.argmax(Y, 1)

    acc = np.sum(indY == indYhat) * 100. / indY.shape[0]

    return L, acc


# In[5]:


def backward(params, outputs, Y):
    bsize = Y.shape[0]
    grads = {}
    for k in params:
        grads[k] = np.zeros(params[k].shape)

    # one sample after the other
    for i in range(bsize):
        x = outputs["X"][i].reshape(-1, 1)
        h = outputs["h"][i].reshape(-1, 1)
        yhat = outputs["yhat"][i].reshape(-1, 1)
        y = Y[i].reshape(-1, 1)

        dyhat = -y / yhat
        J = np.diag(yhat[:, 0]) + np.dot(yhat, yhat.T)
        dytilde = np.dot(J, dyhat)
        dh = np.dot(params["Wy"].T, dytilde)
        dhtilde = dh * (1 - h**2)

        grads["Wy"] += np.dot(dytilde, h.T) / bsize
        grads["by"] += dytilde / bsize
        grads["Wh"] += np.dot(dhtilde, x.T) / bsize
        grads["bh"] += dhtilde / bsize

    return grads


# In[6]:


def sgd(params, grads, eta):

    params['Wy'] = params['Wy'] - eta * grads['Wy']
    params['Wh'] = params['Wh'] - eta * grads['Wh']
    params['by'] = params['by'] - eta * grads['by']
    params['bh'] = params['bh'] - eta * grads['bh']

    return params


# In[7]:


print(init_params(2, 3, 2))
