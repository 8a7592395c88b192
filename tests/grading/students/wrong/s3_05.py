import torch
torch.set_default_dtype(torch.double)

def init_params(nx, nh, ny):
    g = torch.Generator().manual_seed(0)
    params = {}
    for name, (rows, cols) in {"h": (nh, nx), "y": (ny, nh)}.items():
        params["W" + name] = torch.randn(rows, cols, generator=g) * 0.3
        params["b" + name] = torch.zeros(rows, 1)
    return params

def forward(params, X):
    htilde = torch.addmm(params["bh"].t(), X, params["Wh"].t())
    h = htilde.tanh()
    ytilde = torch.addmm(params["by"].t(), h, params["Wy"].t())
    yhat = ytilde.softmax(dim=1)
    return yhat, {"X": X, "htilde": htilde, "h": h, "ytilde": ytilde, "yhat": yhat}

def loss_accuracy(Yhat, Y):
    L = -(Y * Yhat.log()).sum(1).mean()
    acc = (Yhat.argmax(1) == Y.argmax(1)).double().mean() * 100
    return L, acc

def backward(params, outputs, Y):
    N = Y.size(0)
    # d(-Y log yhat) = -Y / yhat
    dY = -Y.div(outputs["yhat"]).div(N)
    dH = dY.mm(params["Wy"]).mul(1 - outputs["h"].square())
    grads = {}
    grads["Wy"] = dY.t().mm(outputs["h"])
    grads["by"] = dY.t().sum(1, keepdim=True)
    grads["Wh"] = dH.t().mm(outputs["X"])
    grads["bh"] = dH.t().sum(1, keepdim=True)
    return grads

def sgd(params, grads, eta):
    for k in params:
        params[k].sub_(eta * grads[k])
    return params
