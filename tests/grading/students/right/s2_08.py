import torch
from torch.nn import functional as F

def init_params(nx, nh, ny):
    shapes = {"Wh": (nh, nx), "bh": (nh,), "Wy": (ny, nh), "by": (ny,)}
    params = {k: torch.nn.Parameter(torch.empty(s)) for k, s in shapes.items()}
    for p in params.values():
        torch.nn.init.normal_(p, std=0.3)
    return params

def forward(params, X):
    out = {"X": X}
    out["htilde"] = F.linear(X, params["Wh"], params["bh"].flatten())
    out["h"] = torch.tanh(out["htilde"])
    out["ytilde"] = F.linear(out["h"], params["Wy"], params["by"].flatten())
    out["yhat"] = F.log_softmax(out["ytilde"], dim=-1).exp()
    return out["yhat"], out

def loss_accuracy(Yhat, Y):
    L = F.nll_loss(Yhat.log(), Y.argmax(dim=1))
    acc = 100 * (Yhat.argmax(1) == Y.argmax(1)).double().mean()
    return L, acc.item()

def sgd(params, eta):
    opt = torch.optim.SGD(params.values(), lr=eta)
    opt.step()
    opt.zero_grad(set_to_none=True)
    return params
