import torch
from torch import nn

def init_params(nx, nh, ny):
    lin1, lin2 = nn.Linear(nx, nh).double(), nn.Linear(nh, ny).double()
    return {"Wh": lin1.weight.detach().clone(), "bh": lin1.bias.detach().clone().view(-1, 1),
            "Wy": lin2.weight.detach().clone(), "by": lin2.bias.detach().clone().view(-1, 1)}

def forward(params, X):
    htilde = nn.functional.linear(X, params["Wh"], params["bh"].flatten())
    h = torch.tanh(htilde)
    ytilde = nn.functional.linear(h, params["Wy"], params["by"].flatten())
    yhat = torch.exp(torch.log_softmax(ytilde, dim=1))
    return yhat, {"X": X, "htilde": htilde, "h": h, "ytilde": ytilde, "yhat": yhat}

def loss_accuracy(Yhat, Y):
    L = nn.functional.nll_loss(torch.log(Yhat), Y.argmax(dim=1))
    acc = 100.0 * torch.eq(Yhat.argmax(dim=1), Y.argmax(dim=1)).sum().item() / Y.size(0)
    return L, acc

def backward(params, outputs, Y):
    p = {k: v.detach().clone().requires_grad_() for k, v in params.items()}
    with torch.enable_grad():
        yhat, _ = forward(p, outputs["X"])
        L = -(Y * torch.log(yhat)).sum() / Y.size(0)
        L.backward()
    return {k: v.grad for k, v in p.items()}

def sgd(params, grads, eta):
    for k in params:
        params[k].add_(grads[k], alpha=-eta)
    return params
