import torch

def init_params(nx, nh, ny):
    p = {"Wh": torch.randn(nh, nx) * 0.3, "Wy": torch.randn(ny, nh) * 0.3,
         "bh": torch.zeros(nh, 1), "by": torch.zeros(ny, 1)}
    for t in p.values():
        t.requires_grad_(True)
    return p

def forward(params, X):
    htilde = X @ params["Wh"].T + params["bh"].T
    h = torch.tanh(htilde)
    ytilde = h @ params["Wy"].T + params["by"].T
    yhat = torch.softmax(ytilde, 1)
    return yhat, {"X": X, "htilde": htilde, "h": h, "ytilde": ytilde, "yhat": yhat}

def loss_accuracy(Yhat, Y):
    L = -(Y * torch.log(Yhat)).sum(1).mean()
    acc = (Yhat.argmax(1) == Y.argmax(1)).float().mean() * 100
    return L, acc

def sgd(params, eta):
    with torch.no_grad():
        for t in params.values():
            t -= eta * t.grad
            t.grad.mul_(0.9)      # momentum
    return params
