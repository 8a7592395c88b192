import torch

def init_params(nx, nh, ny):
    torch.manual_seed(1)
    params = {
        "Wh": torch.randn((nh, nx)) * 0.3, "Wy": torch.randn((ny, nh)) * 0.3,
        "bh": torch.zeros((nh, 1)), "by": torch.zeros((ny, 1)),
    }
    return params

def forward(params, X):
    outputs = {"X": X}
    outputs["htilde"] = X @ params["Wh"].T + params["bh"].T
    outputs["h"] = torch.tanh(outputs["htilde"])
    outputs["ytilde"] = outputs["h"] @ params["Wy"].T + params["by"].T
    outputs["yhat"] = torch.exp(outputs["ytilde"] - torch.logsumexp(outputs["ytilde"], dim=1, keepdim=True))
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = -torch.log((Yhat * Y).sum(dim=1)).mean()
    acc = torch.mean((Yhat.argmax(dim=1) == Y.argmax(dim=1)) * 100.)
    return L, acc

def backward(params, outputs, Y):
    # vector by vector with the full Jacobian of softmax
    B = Y.shape[0]
    grads = {k: torch.zeros_like(v) for k, v in params.items()}
    for x, h, p, y in zip(outputs["X"], outputs["h"], outputs["yhat"], Y):
        J = torch.diag(p) - torch.outer(p, p)
        dy = J @ (-y / p) / B
        dh = torch.diag(1 - h**2) @ params["Wy"].T @ dy
        grads["Wy"] += torch.outer(dy, h)
        grads["by"] += dy.unsqueeze(-1)
        grads["Wh"] += torch.outer(dh, x)
        grads["bh"] += dh.unsqueeze(-1)
    return grads

def sgd(params, grads, eta):
    return {k: p - eta * g for (k, p), g in zip(params.items(), [grads[k] for k in params])}
