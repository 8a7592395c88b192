#!/usr/bin/env python
# coding: utf-8

# In[3]:


import numpy as np
import matplotlib.pyplot as plt
get_ipython().run_line_magic('matplotlib', 'inline')


# In[4]:


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


# In[5]:


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


# In[12]:


def loss_accuracy(Yhat, Y):

    L = - np.mean((Y * np.log(Yhat)).sum(axis=1))  # mean for the batch

    indYhat = np.argmax(Yhat, 1)
    indY = np.argmax(Y, 1)

    acc = np.sum(indY == indYhat) * 100. / indY.shape[0]

    return L, acc


# In[17]:


def backward(params, outputs, Y):
    bsize = Y.shape[0]
    grads = {}

    # shapes :
    # yhat (B, ny), h (B, nh), X (B, nx)
    E = (outputs["yhat"] - Y) / bsize
    D = np.dot(E, params["Wy"]) * (1 - outputs["h"] ** 2)

    grads["Wy"] = np.dot(E.T, outputs["h"])
    grads["Wh"] = np.dot(D.T, outputs["h"])
    grads["by"] = np.sum(E, axis=0).reshape(-1, 1)
    grads["bh"] = np.sum(D, axis=0).reshape(-1, 1)

    return grads


# In[18]:


def sgd(params, grads, eta):

    params['Wy'] = params['Wy'] - eta * grads['Wy']
    params['Wh'] = params['Wh'] - eta * grads['Wh']
    params['by'] = params['by'] - eta * grads['by']
    params['bh'] = params['bh'] - eta * grads['bh']

    return params


# In[19]:


# init
data = CirclesData()
data.plot_data()
N = data.Xtrain.shape[0]
Nbatch = 10
nx = data.Xtrain.shape[1]
nh = 10
ny = data.Ytrain.shape[1]
eta = 0.03

params = init_params(nx, nh, ny)

curves = [[],[], [], []]

# epoch
for iteration in range(150):

    # permute
    perm = np.random.permutation(N)
    Xtrain = data.Xtrain[perm, :]
    Ytrain = data.Ytrain[perm, :]

    for j in range(N // Nbatch):

        indsBatch = range(j * Nbatch, (j+1) * Nbatch)
        X = Xtrain[indsBatch, :]
        Y = Ytrain[indsBatch, :]

        Y_hat, outputs = forward(params, X)
        loss, accuracy = loss_accuracy(Y_hat, Y)
        grads = backward(params, outputs, Y)
        params = sgd(params, grads, eta)


    Yhat_train, _ = forward(params, data.Xtrain)
    Yhat_test, _ = forward(params, data.Xtest)
    Ltrain, acctrain = loss_accuracy(Yhat_train, data.Ytrain)
    Ltest, acctest = loss_accuracy(Yhat_test, data.Ytest)
    Ygrid, _ = forward(params, data.Xgrid)

    title = 'Iter {}: Acc train {:.1f}% ({:.2f}), acc test {:.1f}% ({:.2f})'.format(iteration, acctrain, Ltrain, acctest, Ltest)
    print(title)
    data.plot_data_with_grid(Ygrid, title)

    curves[0].append(acctrain)
    curves[1].append(acctest)
    curves[2].append(Ltrain)
    curves[3].append(Ltest)

fig = plt.figure()
plt.plot(curves[0], label="acc. train")
plt.plot(curves[1], label="acc. test")
plt.plot(curves[2], label="loss train")
plt.plot(curves[3], label="loss test")
plt.legend()
plt.show()
