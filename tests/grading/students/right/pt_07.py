import torch

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = torch.randn(nh, nx) * 0.3
    params["Wy"] = torch.randn(ny, nh) * 0.3
    params["bh"] = torch.zeros(nh, 1)
    params["by"] = torch.zeros(ny, 1)
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

def backward(params, outputs, Y):
    e = (outputs["yhat"] - Y).unsqueeze(2)              # (B, ny, 1)
    h = outputs["h"].unsqueeze(1)                       # (B, 1, nh)
    x = outputs["X"].unsqueeze(1)                       # (B, 1, nx)
    W = params["Wy"].t().expand(e.shape[0], -1, -1)     # (B, nh, ny)
    d = torch.bmm(W, e) * (1 - h * h).transpose(1, 2)   # (B, nh, 1)
    return {
        "Wy": torch.bmm(e, h).mean(0),
        "Wh": torch.bmm(d, x).mean(0),
        "by": e.mean(0),
        "bh": d.mean(0),
    }

def sgd(params, grads, eta):
    for key in ["Wh", "Wy", "bh", "by"]:
        params[key] -= eta * grads[key]
    return params
