import torch

# Part 3 with three hidden layers, in double
def init_params(nx, nh, ny):
    sizes = [nx, nh, nh, nh, ny]
    names = ["h1", "h2", "h3", "y"]
    params = {}
    for i, n in enumerate(names):
        params["W" + n] = torch.randn(sizes[i + 1], sizes[i], dtype=torch.float64) * 0.3
        params["b" + n] = torch.zeros(sizes[i + 1], 1, dtype=torch.float64)
    return params

def forward(params, X):
    out = {"X": X}
    a = X
    for n in ["h1", "h2", "h3"]:
        z = a @ params["W" + n].T + params["b" + n].T
        a = torch.tanh(z)
        out[n.replace("h", "htilde")] = z
        out[n] = a
    out["ytilde"] = a @ params["Wy"].T + params["by"].T
    out["yhat"] = torch.softmax(out["ytilde"], dim=-1)
    return out["yhat"], out

def loss_accuracy(Yhat, Y):
    L = -(Y * torch.log(Yhat)).sum() / Y.shape[0]
    acc = 100 * (Yhat.max(1).indices == Y.max(1).indices).sum() / Y.shape[0]
    return L, acc

def backward(params, outputs, Y):
    d = (outputs["yhat"] - Y) / Y.shape[0]
    grads = {"Wy": d.T @ outputs["h3"], "by": d.sum(0).unsqueeze(1)}
    d3 = (d @ params["Wy"]) * (1 - outputs["h3"] ** 2)
    grads["Wh3"], grads["bh3"] = d3.T @ outputs["h2"], d3.sum(0).unsqueeze(1)
    d2 = d3 @ params["Wh3"]
    grads["Wh2"], grads["bh2"] = d2.T @ outputs["h1"], d2.sum(0).unsqueeze(1)
    d1 = (d2 @ params["Wh2"]) * (1 - outputs["h1"] ** 2)
    grads["Wh1"], grads["bh1"] = d1.T @ outputs["X"], d1.sum(0).unsqueeze(1)
    return grads

def sgd(params, grads, eta):
    with torch.no_grad():
        for n in grads:
            params[n] -= eta * grads[n]
    return params
