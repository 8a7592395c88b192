import torch as th

ETA = 0.03

def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = 0.3 * th.randn(nh, nx)
    params["Wy"] = 0.3 * th.randn(ny, nh)
    params["bh"] = th.zeros(nh, 1)
    params["by"] = th.zeros(ny, 1)
    return params

def forward(params, X):
    outputs = {"X": X}
    outputs["htilde"] = X.mm(params["Wh"].t()).add(params["bh"].t())
    outputs["h"] = outputs["htilde"].tanh()
    outputs["ytilde"] = outputs["h"].mm(params["Wy"].t()).add(params["by"].t())
    e = outputs["ytilde"].exp()
    outputs["yhat"] = e / e.sum(1, keepdim=True)
    return outputs["yhat"], outputs

def loss_accuracy(Yhat, Y):
    L = th.mean(-(Y * Yhat.log()).sum(1))
    acc = th.mean((Yhat.argmax(1) == Y.argmax(1)).float()) * 100
    return L, acc

def backward(params, outputs, Y):
    bsize = Y.shape[0]
    dy = (outputs["yhat"] - Y) / bsize * ETA
    dh = dy.mm(params["Wy"]) * (1 - outputs["h"].pow(2))
    grads = {}
    grads["Wy"] = dy.t().mm(outputs["h"])
    grads["Wh"] = dh.t().mm(outputs["X"])
    grads["by"] = dy.sum(0).view(-1, 1)
    grads["bh"] = dh.sum(0).view(-1, 1)
    return grads

def sgd(params, grads, eta):
    for k in params.keys():
        params[k] = params[k] - eta * grads[k]
    return params
