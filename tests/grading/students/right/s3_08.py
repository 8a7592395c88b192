import torch

class Tanh:
    def __call__(self, z):
        return torch.tanh(z)
    def slope(self, a):
        return 1 - a * a

act = Tanh()

def init_params(nx, nh, ny):
    p = {"Wh": torch.randn(nh, nx), "Wy": torch.randn(ny, nh), "bh": torch.zeros(nh, 1), "by": torch.zeros(ny, 1)}
    return {k: (0.3 * v).requires_grad_() for k, v in ((k, v.clone()) for k, v in p.items())} if False else {k: (0.3 * v).detach().requires_grad_() for k, v in p.items()}

def forward(params, X):
    h = act(X @ params["Wh"].mT + params["bh"].mT)
    z = h @ params["Wy"].mT + params["by"].mT
    e = torch.exp(z)
    yhat = e / torch.sum(e, 1, True)
    return yhat, {"X": X, "h": h, "ytilde": z, "yhat": yhat}

def loss_accuracy(Yhat, Y):
    L = torch.nn.NLLLoss()(Yhat.log(), Y.max(1)[1])
    acc = 100 * (Yhat.max(1)[1] == Y.max(1)[1]).sum() / len(Y)
    return L, acc

def sgd(params, eta):
    for k, p in params.items():
        with torch.no_grad():
            p.copy_(p - eta * p.grad)
        p.grad = None
    return params
