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
    delta = outputs["yhat"] - Y
    assert delta.shape == Y.shape
    delta_h = (delta @ params["Wy"]) * (1 - torch.tanh(outputs["htilde"])**2)
    print("delta", tuple(delta.shape), "delta_h", tuple(delta_h.shape))
    sums = {
        "Wy": delta.T @ outputs["h"],
        "Wh": delta_h.T @ outputs["X"],
        "by": delta.sum(0).unsqueeze(1),
        "bh": delta_h.sum(0).unsqueeze(1),
    }
    return {k: v / bsize for k, v in sums.items()}

def sgd(params, grads, eta):
    for key in ["Wh", "Wy", "bh", "by"]:
        params[key] -= eta * grads[key]
    return params

if __name__ == "__main__":
    torch.manual_seed(0)
    params = init_params(2, 10, 2)
    X = torch.randn(8, 2)
    Y = torch.eye(2)[torch.randint(0, 2, (8,))]
    for i in range(100):
        yhat, out = forward(params, X)
        params = sgd(params, backward(params, out, Y), 0.1)
    print(loss_accuracy(yhat, Y))
