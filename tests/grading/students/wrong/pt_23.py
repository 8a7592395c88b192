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
    bsize = Y.shape[0]
    grads = {}
    g = (outputs["yhat"] - Y) / bsize
    grads["Wy"] = g.T @ outputs["h"]
    grads["by"] = g.sum(0, keepdim=True).T
    g = (g @ params["Wy"]) * (1 - outputs["h"]**2)
    grads["Wh"] = g.T @ outputs["X"]
    grads["bh"] = g.sum(0, keepdim=True).T
    return grads

def sgd(params, grads, eta):
    Wy = params['Wy'] - eta * grads['Wy']
    Wh = params['Wh'] - eta * grads['Wh']
    by = params['by'] - eta * grads['by']
    bh = params['bh'] - eta * grads['bh']
    return params
