import torch
import torch.nn.functional as F

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = torch.randn(nh, nx) * 0.3
    params["Wy"] = torch.randn(ny, nh) * 0.3
    params["bh"] = torch.zeros(nh, 1)
    params["by"] = torch.zeros(ny, 1)
    return params

def forward(params, X):
    outputs = {}
    outputs["X"] = X
    outputs["htilde"] = F.linear(X, params["Wh"], params["bh"].squeeze(1))
    outputs["h"] = torch.tanh(outputs["htilde"])
    outputs["ytilde"] = F.linear(outputs["h"], params["Wy"], params["by"].squeeze(1))
    outputs["yhat"] = F.softmax(outputs["ytilde"], dim=1)
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = F.nll_loss(torch.log(Yhat), Y.argmax(dim=1))
    acc = 100.0 * (Yhat.argmax(dim=1) == Y.argmax(dim=1)).sum() / Y.shape[0]
    return L, acc

def backward(params, outputs, Y):
    names = ["Wy", "Wh", "by", "bh"]
    with torch.enable_grad():
        leaves = [params[n].detach().requires_grad_() for n in names]
        Wy, Wh, by, bh = leaves
        h = torch.tanh(F.linear(outputs["X"], Wh, bh.flatten()))
        L = F.cross_entropy(F.linear(h, Wy, by.flatten()), Y.argmax(dim=1))
        gs = torch.autograd.grad(L, leaves)
    return dict(zip(names, gs))

def sgd(params, grads, eta):
    for key in ["Wh", "Wy", "bh", "by"]:
        params[key] -= eta * grads[key]
    return params
