import torch

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = torch.empty(nh, nx).normal_(0, 0.3)
    params["bh"] = torch.zeros((nh, 1))
    params["Wy"] = torch.empty(ny, nh).normal_(0, 0.3)
    params["by"] = torch.zeros((ny, 1))
    return params

def forward(params, X):
    htilde = torch.einsum("bi,hi->bh", X, params["Wh"]) + params["bh"][:, 0]
    h = torch.tanh(htilde)
    ytilde = torch.einsum("bh,yh->by", h, params["Wy"]) + params["by"][:, 0]
    yhat = torch.nn.functional.softmax(ytilde, dim=1)
    return yhat, dict(X=X, htilde=htilde, h=h, ytilde=ytilde, yhat=yhat)

def loss_accuracy(Yhat, Y):
    L = torch.sum(-Y * torch.log(Yhat)) / Y.shape[0]
    acc = torch.sum(Yhat.argmax(dim=1) == Y.argmax(dim=1)) / Y.shape[0] * 100
    return L, acc

def backward(params, outputs, Y):
    grads = {}
    err = (outputs["yhat"] - Y) / Y.shape[0]
    grads["Wy"] = torch.einsum("by,bh->yh", err, outputs["h"])
    grads["by"] = err.sum(0)[:, None]
    dh = torch.einsum("by,yh->bh", err, grads["Wy"])
    dht = dh * (1 - outputs["h"] * outputs["h"])
    grads["Wh"] = torch.einsum("bh,bi->hi", dht, outputs["X"])
    grads["bh"] = dht.sum(0)[:, None]
    return grads

def sgd(params, grads, eta):
    for k in grads:
        params[k] = params[k] - eta * grads[k]
    return params
