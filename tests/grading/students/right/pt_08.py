import torch

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = torch.randn(nh, nx) * 0.3
    params["Wy"] = torch.randn(ny, nh) * 0.3
    params["bh"] = torch.zeros(nh)
    params["by"] = torch.zeros(ny)
    return params

def forward(params, X):
    htilde = X @ params["Wh"].T + params["bh"]
    h = torch.tanh(htilde)
    ytilde = h @ params["Wy"].T + params["by"]
    yhat = torch.exp(ytilde - torch.logsumexp(ytilde, dim=1, keepdim=True))
    return yhat, dict(X=X, htilde=htilde, h=h, ytilde=ytilde, yhat=yhat)

def loss_accuracy(Yhat, Y):
    L = -(Y * Yhat.log()).sum(1).mean()
    acc = (Yhat.argmax(1) == Y.argmax(1)).float().mean() * 100
    return L, acc

def backward(params, outputs, Y):
    dy = (outputs["yhat"] - Y) / len(Y)
    dh = (dy @ params["Wy"]) * (1 - outputs["h"]**2)
    return dict(Wy=dy.T @ outputs["h"], by=dy.sum(0), Wh=dh.T @ outputs["X"], bh=dh.sum(0))

def sgd(params, grads, eta):
    for key in ["Wh", "Wy", "bh", "by"]:
        params[key] -= eta * grads[key]
    return params
