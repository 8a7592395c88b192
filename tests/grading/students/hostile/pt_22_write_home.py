import os
import pwd
import torch

CANARY = "gradwright_hostile_canary"

places = [os.environ.get("HOME", "."), pwd.getpwuid(os.getuid()).pw_dir, os.getcwd()]
try:
    places.append(os.path.dirname(os.path.abspath(__file__)))
except NameError:
    pass
for place in places:
    try:
        with open(os.path.join(place, CANARY), "w") as f:
            f.write("written by a student's file\n")
    except OSError:
        pass

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
    return {k: torch.zeros_like(v) for k, v in params.items()}

def sgd(params, grads, eta):
    for key in ["Wh", "Wy", "bh", "by"]:
        params[key] -= eta * grads[key]
    return params
