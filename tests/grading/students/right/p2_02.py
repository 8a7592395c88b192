import torch
import numpy as np

def init_params(nx, nh, ny):
    params = {"Wh": torch.randn(nh, nx) * 0.3, "Wy": torch.randn(ny, nh) * 0.3,
              "bh": torch.zeros(nh, 1), "by": torch.zeros(ny, 1)}
    for p in params.values():
        p.requires_grad_(True)
    return params

def forward(params, X):
    outputs = {"X": X}
    outputs["htilde"] = X @ params["Wh"].t() + params["bh"].t()
    outputs["h"] = outputs["htilde"].tanh()
    outputs["ytilde"] = outputs["h"] @ params["Wy"].t() + params["by"].t()
    outputs["yhat"] = torch.softmax(outputs["ytilde"], dim=1)
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = -(Y * Yhat.log()).sum(1).mean()
    acc = (Yhat.argmax(1) == Y.argmax(1)).float().mean() * 100
    return L, acc

def sgd(params, eta):
    for name in params:
        new = params[name].detach() - eta * params[name].grad
        params[name] = new.requires_grad_(True)
    return params

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

    # batches
    for j in range(N // Nbatch):

        indsBatch = range(j * Nbatch, (j+1) * Nbatch)
        X = Xtrain[indsBatch, :]
        Y = Ytrain[indsBatch, :]

        Yhat, outputs = forward(params, X)
        L, acc = loss_accuracy(Yhat, Y)
        L.backward()
        params = sgd(params, eta)

    Yhat_train, _ = forward(params, data.Xtrain)
    Yhat_test, _ = forward(params, data.Xtest)
    Ltrain, acctrain = loss_accuracy(Yhat_train, data.Ytrain)
    Ltest, acctest = loss_accuracy(Yhat_test, data.Ytest)
    Ygrid, _ = forward(params, data.Xgrid)

    title = 'Iter {}: Acc train {:.1f}% ({:.2f}), acc test {:.1f}% ({:.2f})'.format(iteration, acctrain, Ltrain, acctest, Ltest)
    print(title)
    # detach() est utilisé pour détacher les predictions du graphes de calcul autograd
    data.plot_data_with_grid(Ygrid.detach(), title)
