"""Part 2 of the lab: the same training with torch.autograd, beside the derived gradients.

    python part2_autograd.py [--epochs 150] [--folder lab/part2] [--seed 0] [--dtype float64]

Two networks start from the same weights and see the same batches. One is trained by the
derived `backward` and `sgd` of Part 1, the other by `.backward()` and the `sgd` of Part 2.
How far apart do they get? By rounding alone: --dtype float64 makes it a billion times less.
"""

import time

import numpy as np
import torch
from lab_tools import lab_functions, options, save_picture

from runtime import CirclesData

chosen = options(
    __doc__, epochs=150, folder="part2", dtype=("float32", "of all numbers, or float64")
)
lab = lab_functions("2-10-2", chosen.folder)


def forward(params, X):
    """As in Part 1, written with PyTorch; autograd takes note of it."""
    h = torch.tanh(torch.mm(X, params["Wh"].T) + params["bh"].T)
    yhat = torch.exp(torch.mm(h, params["Wy"].T) + params["by"].T)
    return yhat / yhat.sum(dim=-1, keepdim=True)


def loss(Yhat, Y):
    return -torch.mean((Y * torch.log(Yhat)).sum(dim=1))


def sgd(params, eta):
    with torch.no_grad():  # a step is no part of the function that is differentiated
        for param in params.values():
            param -= eta * param.grad
            param.grad.zero_()  # else the next .backward() adds to it
    return params


def apart(one, other):
    """Return the largest difference between two dictionaries of tensors."""
    return max(float((one[name] - other[name]).detach().abs().max()) for name in one)


np.random.seed(chosen.seed)
data = CirclesData("torch", dtype=chosen.dtype)
N, nx, nh, ny = data.Xtrain.shape[0], data.Xtrain.shape[1], 10, data.Ytrain.shape[1]
Nbatch, eta = 10, 0.03
start = lab.init_params(nx, nh, ny)
derived = {name: torch.tensor(value, dtype=data.Xtrain.dtype) for name, value in start.items()}
auto = {name: value.clone().requires_grad_() for name, value in derived.items()}

seconds = {"derived": 0.0, "autograd": 0.0}
worst = 0.0
print("epoch   loss, derived   loss, autograd   largest difference: gradient   weight")
for iteration in range(chosen.epochs):
    perm = np.random.permutation(N)
    for j in range(N // Nbatch):
        batch = perm[j * Nbatch : (j + 1) * Nbatch]
        X, Y = data.Xtrain[batch, :], data.Ytrain[batch, :]

        before = time.perf_counter()
        _, outputs = lab.forward(derived, X)
        grads = lab.backward(derived, outputs, Y)
        derived = lab.sgd(derived, grads, eta)
        seconds["derived"] += time.perf_counter() - before

        before = time.perf_counter()
        L = loss(forward(auto, X), Y)
        L.backward()
        seconds["autograd"] += time.perf_counter() - before
        worst = max(worst, apart(grads, {name: param.grad for name, param in auto.items()}))
        before = time.perf_counter()
        auto = sgd(auto, eta)
        seconds["autograd"] += time.perf_counter() - before

    if iteration % 10 == 9 or iteration == chosen.epochs - 1:
        losses = [loss(forward(p, data.Xtrain), data.Ytrain).item() for p in (derived, auto)]
        print(
            f"{iteration + 1:5}   {losses[0]:13.10f}   {losses[1]:14.10f}"
            f"{worst:30.1e}   {apart(derived, auto):6.1e}"
        )

steps = chosen.epochs * (N // Nbatch)
for name, params in {"derived": derived, "autograd": auto}.items():
    is_right = forward(params, data.Xtest).argmax(dim=1) == data.Ytest.argmax(dim=1)
    accuracy, step = 100 * is_right.double().mean(), 1e6 * seconds[name] / steps
    print(f"{name:8}  {step:6.0f} µs a step   test accuracy {accuracy:.1f} %")
    data.plot_data_with_grid(forward(params, data.Xgrid).detach(), f"{name}: {accuracy:.1f} %")
    save_picture(chosen.folder / f"{name}.png")
print(f"largest difference between the trained weights: {apart(derived, auto):.1e}")
print(f"pictures are in {chosen.folder}")
