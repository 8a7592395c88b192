# %% [markdown]
# TP 2 Backprop - version numpy

# %%
import numpy as np
import matplotlib.pyplot as plt
exec(open("utils-data.py").read())

# %%
def init_params(nx, nh, ny):
    # initialisation aléatoire pour casser la symétrie
    params = dict()
    params["Wh"] = np.random.normal(0, 0.3, size=(nh, nx))
    params["bh"] = np.zeros((nh, 1))
    params["Wy"] = np.random.normal(0, 0.3, size=(ny, nh))
    params["by"] = np.zeros((ny, 1))
    return params

# %%
def softmax(z):
    """softmax ligne par ligne"""
    ez = np.exp(z)
    return ez / np.sum(ez, axis=1).reshape(-1, 1)

def forward(params, X):
    Wh, bh = params["Wh"], params["bh"]
    Wy, by = params["Wy"], params["by"]

    # couche cachée
    htilde = np.matmul(X, Wh.T) + bh.T
    h = np.tanh(htilde)

    # couche de sortie
    ytilde = np.matmul(h, Wy.T) + by.T
    yhat = softmax(ytilde)

    outputs = {}
    outputs["X"] = X
    outputs["htilde"] = htilde
    outputs["h"] = h
    outputs["ytilde"] = ytilde
    outputs["yhat"] = yhat
    return yhat, outputs

# %%
def loss_accuracy(Yhat, Y):
    # entropie croisée moyenne sur le batch
    N = Y.shape[0]
    L = -np.sum(Y * np.log(Yhat)) / N

    # précision en %
    pred = Yhat.argmax(axis=1)
    vrai = Y.argmax(axis=1)
    acc = 100.0 * (pred == vrai).sum() / N
    return L, acc

# %%
def backward(params, outputs, Y):
    bsize = Y.shape[0]
    grads = {}

    diff = outputs["yhat"] - Y
    diff_h = np.matmul(diff, params["Wy"]) * (1 - outputs["h"]**2)

    grads["Wy"] = np.matmul(diff.T, outputs["h"]) / bsize
    grads["Wh"] = np.matmul(diff_h.T, outputs["X"]) / bsize
    grads["by"] = np.sum(diff, axis=0).reshape(-1, 1)
    grads["bh"] = np.sum(diff_h, axis=0).reshape(-1, 1)

    return grads

# %%
def sgd(params, grads, eta):
    # descente de gradient
    params["Wh"] -= eta * grads["Wh"]
    params["bh"] -= eta * grads["bh"]
    params["Wy"] -= eta * grads["Wy"]
    params["by"] -= eta * grads["by"]
    return params

# %%
# petit test
p = init_params(2, 10, 2)
x = np.random.randn(5, 2)
y = np.eye(2)[np.random.randint(0, 2, 5)]
yh, o = forward(p, x)
print(yh.shape, loss_accuracy(yh, y))
g = backward(p, o, y)
for k in g:
    print(k, g[k].shape, p[k].shape)

# %%
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
