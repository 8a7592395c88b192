# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Backpropagation on neural networks: the lab, answered
#
# The lab asks you to write `backward` by hand, and puts four questions on the way. Here the
# functions are derived and written by gradwright, and each question is answered with numbers
# that this notebook measures, on your machine, while it runs.
#
# 1. [How do you get gradients for the different weights?](#gradients)
# 2. [Why do we initialise with random values?](#random)
# 3. [What happens during training, and what do the colours mean?](#training)
# 4. [What is the difference with `torch.autograd`?](#autograd)
# 5. [Deeper networks](#deeper), and [MNIST](#mnist)

# %%
import inspect
import time

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.colors import LinearSegmentedColormap

import codegen
import derive
import derive.printing
from runtime import CirclesData, MNISTData

EPOCHS = 150  # of the lab
EVERY = 25  # epochs from one picture to the next; 1 is the lab's

# %%
data = CirclesData()  # PyTorch tensors, as in the lab; backend="numpy" gives arrays
data.plot_data()

# %% [markdown]
# <a id="gradients"></a>
# ## How do you get gradients for the different weights?
#
# By the chain rule, backwards: from the loss to `ytilde`, from there to `Wy`, `by` and `h`, from
# `h` to `htilde`, and from there to `Wh` and `bh`. Each step needs only the one definition that
# it goes through. This is all of it for the lab's network, derived by SymPy, entry by entry, and
# then recognised as products of matrices:

# %%
network = derive.derivation("2-10-2", names="lab")
network

# %% [markdown]
# Two of these lines deserve a look. Where does `1 − h²` come from? The derivative of tanh at
# `htilde` is `1 − tanh(htilde)²`, and `tanh(htilde)` is known already: it is `h`, which is why
# `forward` returns `outputs`.


# %%
def told(target, first=0):
    """Print how a gradient was derived, from one of its steps on."""
    text = derive.printing.expression_text
    steps = [step for step in network.program.steps if step.target == target][first:]
    print(text(steps[0].before, steps[0].indices) if first else f"{target}[i,j]")
    for step in steps:
        print("  =", text(step.after, step.indices))
        print(f"        {step.rule}: {step.reason}")


told("dhtilde")

# %% [markdown]
# And how do softmax and cross-entropy together become nothing more than `(yhat − Y)/B`? After the
# derivative of the softmax has been taken (`first=0` shows that too), and `yhat` recognised in it:

# %%
told("dytilde", first=3)

# %% [markdown]
# From these formulas the lab's functions are written, and nothing else is in them: a comment
# with the formula, and below it the line that computes it. (`gradwright generate 2-10-2 --names
# lab -o network.py` gives the whole file.)

# %%
lab = codegen.compile_module(codegen.generate("2-10-2", names="lab"))
print(inspect.getsource(lab.backward).split('"""')[2])

# %% [markdown]
# Are they right? Ask somebody else: PyTorch, which knows nothing of our formulas. In float64,
# so that a difference would be a mistake and not rounding:


# %%
def torch_loss(params, X, Y):
    """The forward pass and the loss as the lab has them."""
    h = torch.tanh(torch.mm(X, params["Wh"].T) + params["bh"].T)
    yhat = torch.exp(torch.mm(h, params["Wy"].T) + params["by"].T)
    yhat = yhat / yhat.sum(dim=-1, keepdim=True)
    return -torch.mean((Y * torch.log(yhat)).sum(dim=1))


exact = CirclesData("torch", dtype="float64")
torch.manual_seed(0)
leaves = {n: torch.randn(s, dtype=torch.float64) for n, s in lab.PARAMETERS.items()}
leaves = {name: leaf.requires_grad_() for name, leaf in leaves.items()}
torch_loss(leaves, exact.Xtrain, exact.Ytrain).backward()
grads = lab.backward(leaves, lab.forward(leaves, exact.Xtrain)[1], exact.Ytrain)
for name, grad in grads.items():
    apart = (grad - leaves[name].grad).abs().max() / leaves[name].grad.abs().max()
    print(f"d{name:3} {tuple(grad.shape)!s:8}  relative difference from autograd {apart:.1e}")

# %% [markdown]
# <a id="random"></a>
# ## Why do we initialise with random values?
#
# Because hidden units that start alike stay alike for ever. Try it. A training loop in a few
# lines, the lab's without its pictures, and three starts: all weights 0, all weights 0.3, and
# random.


# %%
def fit(lab, params, data, epochs, batch=10, eta=0.03):
    """Train as the lab does, in place; return loss and accuracy on the test set."""
    N = data.Xtrain.shape[0]
    for _ in range(epochs):
        perm = np.random.permutation(N)
        for j in range(N // batch):
            chosen = perm[j * batch : (j + 1) * batch]
            _, outputs = lab.forward(params, data.Xtrain[chosen])
            grads = lab.backward(params, outputs, data.Ytrain[chosen])
            params = lab.sgd(params, grads, eta)
    return lab.loss_accuracy(lab.forward(params, data.Xtest)[0], data.Ytest)


def equal_start(weight):
    return {
        name: np.full(shape, weight if name.startswith("W") else 0.0, np.float32)
        for name, shape in lab.PARAMETERS.items()
    }


arrays = CirclesData("numpy")
np.random.seed(0)
starts = {
    "all weights 0": equal_start(0.0),
    "all weights 0.3": equal_start(0.3),
    "0.3 times normal": lab.init_params(2, 10, 2),
}
print("start              test loss   accuracy   two hidden units differ at most by")
for name, params in starts.items():
    L, accuracy = fit(lab, params, arrays, EPOCHS)
    spread = np.ptp(params["Wh"], axis=0).max()
    print(f"{name:17}  {L:9.4f}   {accuracy:6.1f} %   {spread:.2g}")
print(f"(a network that knows nothing has the loss log 2 = {np.log(2):.4f})")

# %% [markdown]
# Neither equal start learns anything. The formulas say why.
#
# **All weights 0.** Then `htilde = 0`, so `h = tanh(0) = 0`. Look where `h` and `Wy` stand as
# factors: `dWy = dytildeᵀ h` is 0 since `h` is; `dh = dytilde Wy` is 0 since `Wy` is, so
# `dhtilde`, `dWh` and `dbh` are 0 too. Only `dby` is not. A step changes `by` alone, after which
# `h` and `Wy` are still 0, and so on: the network can learn how frequent the classes are, which
# is no news, and nothing else, after any number of steps.
#
# **All weights equal.** Entry by entry, the gradients of hidden unit `j` are

# %%
for name in ("dh", "dhtilde", "dWh", "dbh", "dWy"):
    print(network.program.statement(name))

# %% [markdown]
# The number of the unit stands in `Wy[·,j]`, `h[·,j]` and nowhere else, and `h[·,j]` comes from
# `Wh[j,·]` and `bh[j]`. So two units with the same numbers there get the same gradients, take
# the same step, and have the same numbers afterwards. By induction they always have: ten units
# do the work of one, and one tanh can do no more than cut the plane along a straight line.
#
# In one sentence: *renumbering the hidden units renumbers the gradients*, so a start that no
# renumbering changes leads to steps that no renumbering changes. The first half of it, measured,
# with random weights and a random renumbering:

# %%
order = np.random.permutation(10)


def renumbered(values):
    """Return parameters or gradients with the hidden units in another order."""
    return values | {
        "Wh": values["Wh"][order],
        "bh": values["bh"][order],
        "Wy": values["Wy"][:, order],
    }


def gradients(params):
    _, outputs = lab.forward(params, arrays.Xtrain)
    return lab.backward(params, outputs, arrays.Ytrain)


params = {n: np.random.standard_normal(s) for n, s in lab.PARAMETERS.items()}
one, other = renumbered(gradients(params)), gradients(renumbered(params))
print("largest difference:", max(np.abs(one[n] - other[n]).max() for n in one))

# %% [markdown]
# Random weights make the units differ, and that is enough: the biases may start at 0, as they
# do. But *how* random? Forty seeds for each of eight scales, 300 epochs each, which takes the
# compiled kernels about a second (and some more the first time, when they are compiled):

# %%
kernels = codegen.compile_module(codegen.generate("2-10-2"))
scales, seeds = (0.001, 0.01, 0.03, 0.1, 0.3, 1, 3, 10), 40


def accuracies(scale):
    """Return the test accuracies in percent after 150 and 300 epochs: (2, seeds)."""
    found = []
    for seed in range(seeds):
        history = kernels.train(
            kernels.init_params(seed, scale=scale),
            arrays.Xtrain,
            arrays.Ytrain,
            epochs=300,
            batch=10,
            eta=0.03,
            seed=seed,
            test=(arrays.Xtest, arrays.Ytest),
        )
        found.append(100 * history[[149, 299], 3])
    return np.transpose(found)


before = time.perf_counter()
results = np.array([accuracies(scale) for scale in scales])
print(f"{len(scales) * seeds} trainings in {time.perf_counter() - before:.1f} s")
low, middle, high = np.quantile(results[:, 1], [0.05, 0.5, 0.95], axis=1)
figure, axis = plt.subplots(figsize=(7, 3.6))
axis.fill_between(scales, low, high, color="#0072B2", alpha=0.25, label="5 to 95 % of the seeds")
axis.plot(scales, middle, color="#0072B2", marker="o", label="median")
axis.axvline(0.3, color="#D55E00", linestyle="--", label="the lab's 0.3")
axis.set(xscale="log", xlabel="weights are this times normal", ylabel="test accuracy (%)")
axis.set_title("The scale of the start, 300 epochs of Circles")
axis.legend(loc="lower right")
axis.grid(alpha=0.4)
plt.show()

# %% [markdown]
# Too small is nearly zero: `h` and `Wy` are small, so are the gradients in which they are
# factors, and training is stuck near the symmetric start for long. Too large is no better: `h`
# is close to ±1, `1 − h²` close to 0, and that is the factor in `dhtilde` through which all that
# `Wh` learns must pass.

# %% [markdown]
# <a id="training"></a>
# ## What happens during training, and what do the colours mean?
#
# The lab's loop, as it stands there with its blanks filled in. (Only the picture is drawn every
# `EVERY` epochs: set it to 1 for the lab's.) It replaces itself as you watch.

# %%
init_params, forward, loss_accuracy = lab.init_params, lab.forward, lab.loss_accuracy
backward, sgd = lab.backward, lab.sgd

np.random.seed(0)
N = data.Xtrain.shape[0]
Nbatch = 10
nx = data.Xtrain.shape[1]
nh = 10
ny = data.Ytrain.shape[1]
eta = 0.03

params = init_params(nx, nh, ny)
curves = [[], [], [], []]
planes = {}  # what the network said of the plane, to look at below

for iteration in range(EPOCHS):
    perm = np.random.permutation(N)
    Xtrain = data.Xtrain[perm, :]
    Ytrain = data.Ytrain[perm, :]

    for j in range(N // Nbatch):
        batch = range(j * Nbatch, (j + 1) * Nbatch)
        X = Xtrain[batch, :]
        Y = Ytrain[batch, :]

        Y_hat, outputs = forward(params, X)
        loss, accuracy = loss_accuracy(Y_hat, Y)
        grads = backward(params, outputs, Y)
        params = sgd(params, grads, eta)

    Yhat_train, _ = forward(params, data.Xtrain)
    Yhat_test, _ = forward(params, data.Xtest)
    Ltrain, acctrain = loss_accuracy(Yhat_train, data.Ytrain)
    Ltest, acctest = loss_accuracy(Yhat_test, data.Ytest)
    Ygrid, _ = forward(params, data.Xgrid)

    title = (
        f"Iter {iteration}: Acc train {acctrain:.1f}% ({Ltrain:.2f}), "
        f"acc test {acctest:.1f}% ({Ltest:.2f})"
    )
    if iteration % EVERY == 0 or iteration == EPOCHS - 1:
        data.plot_data_with_grid(Ygrid, title)
    planes[iteration] = Ygrid

    for curve, value in zip(curves, (acctrain, acctest, Ltrain, Ltest), strict=True):
        curve.append(value)

# %%
data.plot_loss(loss_train=curves[2], loss_test=curves[3], acc_train=curves[0], acc_test=curves[1])

# %% [markdown]
# **The colours** are the network's output for each point of the plane: the probability that it
# gives to the inner ring. Blue is near 1, the inner ring; orange near 0, the outer ring; white
# is 1/2, where it does not know. The black line is where it changes its mind. (The two colours
# can be told apart with any colour vision, and the classes have markers of their own.)

# %%
shown = sorted({min(EPOCHS - 1, epoch) for epoch in (0, 20, 50, 75, 100, EPOCHS - 1)})
rings = LinearSegmentedColormap.from_list("rings", ["#D55E00", "white", "#0072B2"])
figure, axes = plt.subplots(1, len(shown), figsize=(14, 2.7), squeeze=False)
for axis, epoch in zip(axes[0], shown, strict=True):
    inner = planes[epoch][:, 1].reshape(40, 40)
    axis.imshow(inner, cmap=rings, vmin=0, vmax=1, origin="lower", extent=(-2.05, 1.95) * 2)
    if inner.min() < 0.5 < inner.max():
        x = np.arange(-20, 20) / 10
        axis.contour(x, x, inner, levels=[0.5], colors="black")
    axis.set(title=f"iteration {epoch}", xticks=[], yticks=[])
plt.show()

print("iteration   test loss   accuracy   how sure   blue part of the plane")
for epoch in shown:
    inner = planes[epoch][:, 1]
    sure, blue = (2 * (inner - 0.5).abs()).mean(), (inner > 0.5).float().mean()
    radius = (16 * blue / np.pi) ** 0.5
    print(
        f"{epoch:9}   {curves[3][epoch]:9.3f}   {curves[1][epoch]:6.1f} %"
        f"   {sure:8.1%}   {blue:8.1%}, as much as a disc of radius {radius:.2f}"
    )

# %% [markdown]
# - **At first** everything is pale: the weights are small, the output is near 1/2 everywhere,
#   and the loss is near log 2 = 0.693. The black line is nearly straight: where its arguments
#   are small, tanh is nearly linear, and a network of linear layers can only cut the plane in two.
#   It even becomes paler: that such a cut is of no use is the first thing to be learnt.
# - **Then** the line bends and closes round the inner ring. The accuracy jumps about while the
#   loss hardly falls, since many points lie close to the line; once it has closed, both go well.
# - **At last** the colours become strong, in the middle first and outside, and a white seam
#   remains between: that is where the rings overlap. Going on makes the network more sure, not
#   much more often right.
#
# Training and test curves stay together, so there is no overfitting to speak of: 52 numbers
# cannot learn 200 points by heart. The rings overlap, and no border does better on average than a
# circle of radius 0.686, which is right on 95.5 % of such points, and on these as often as is
# printed below. Whoever reports 100 % should look for a mistake.
#
# It does not always go as fast. How fast is a matter of the seed, not of the gradient:

# %%
outside = np.hypot(*arrays.Xtest.T) > 0.686
print(f"the circle: {100 * (outside == (arrays.Ytest[:, 0] == 1)).mean():.1f} % of the test points")
for epochs, column in zip((150, 300), results[scales.index(0.3)], strict=True):
    print(
        f"after {epochs} epochs: median {np.median(column):.1f} %, "
        f"{(column < 90).mean():.0%} of {seeds} seeds below 90 %"
    )

# %% [markdown]
# <a id="autograd"></a>
# ## What is the difference with `torch.autograd`?
#
# In the numbers: none, but for rounding. Both networks start from the same weights and see the
# same batches; after each batch their gradients are compared.


# %%
def autograd_sgd(params, eta):
    with torch.no_grad():  # a step is no part of the function that is differentiated
        for param in params.values():
            param -= eta * param.grad
            param.grad.zero_()  # else the next .backward() adds to it
    return params


def side_by_side(dtype, epochs=30):
    """Return the largest differences of gradients and weights, and the seconds of each."""
    data = CirclesData("torch", dtype=dtype)
    np.random.seed(0)
    by_hand = {
        name: torch.tensor(value, dtype=data.Xtrain.dtype)
        for name, value in lab.init_params(2, 10, 2).items()
    }
    by_torch = {name: value.clone().requires_grad_() for name, value in by_hand.items()}
    gradient, seconds = 0.0, [0.0, 0.0]
    for _ in range(epochs):
        for batch in np.random.permutation(200).reshape(20, 10):
            X, Y = data.Xtrain[batch], data.Ytrain[batch]
            start = time.perf_counter()
            _, outputs = lab.forward(by_hand, X)
            grads = lab.backward(by_hand, outputs, Y)
            middle = time.perf_counter()
            torch_loss(by_torch, X, Y).backward()
            end = time.perf_counter()
            seconds = [seconds[0] + middle - start, seconds[1] + end - middle]
            for name, grad in grads.items():
                gradient = max(gradient, (grad - by_torch[name].grad).abs().max().item())
            lab.sgd(by_hand, grads, eta)
            autograd_sgd(by_torch, eta)
    weight = max((by_hand[n] - by_torch[n].detach()).abs().max().item() for n in by_hand)
    return gradient, weight, *(1e6 * s / (20 * epochs) for s in seconds)


print("largest difference    of a gradient   of a trained weight   derived        autograd")
for dtype in ("float32", "float64"):
    gradient, weight, ours, theirs = side_by_side(dtype)
    times = f"{ours:5.0f} µs/step  {theirs:5.0f} µs/step"
    print(f"{dtype:20}  {gradient:13.1e}   {weight:19.1e}   {times}")

# %% [markdown]
# In the programme there are four differences.
#
# 1. **`backward` need not be written.** While `forward` runs, PyTorch notes each operation; then
#    `.backward()` goes through the notes in reverse and applies the chain rule: what we did on
#    paper, once for each batch. So it costs time and memory for each batch as well.
# 2. **Gradients are in `.grad`, and add up.** Leave out `.grad.zero_()`, and the second batch has
#    the gradients of both.
# 3. **A step must not be noted.** Without `torch.no_grad()` PyTorch refuses to change in place
#    what it differentiates by.
# 4. **Results drag their notes along.** Whoever keeps losses for a curve, or plots a prediction,
#    takes `.item()` or `.detach()` first.
#
# The last three have a trap each, which is tried here:

# %%
leaf = {"w": torch.ones(1, requires_grad=True)}
for batch in (1, 2):
    (3 * leaf["w"]).sum().backward()
    print(f"batch {batch}: the gradient is 3, and .grad is {leaf['w'].grad.item():.0f}")
try:
    leaf["w"] -= 0.1 * leaf["w"].grad
except RuntimeError as error:
    print("without no_grad():", error)
try:
    np.asarray(3 * leaf["w"])
except RuntimeError as error:
    print("without detach():", error)

# %% [markdown]
# <a id="deeper"></a>
# ## Deeper networks
#
# For the network with two hidden layers nothing needs to be worked out anew. The pattern of one
# hidden layer repeats: `dh1 = dhtilde2 Wh2` where it was `dh = dytilde Wy`.

# %%
deeper = derive.derivation("2-10-10-2", names="lab")
for name in ("dytilde", "dWy", "dh2", "dhtilde2", "dWh2", "dh1", "dhtilde1", "dWh1"):
    print(deeper.program.statement(name))

# %%
for sizes in ((2, 10, 10, 2), (2, 10, 10, 10, 2)):
    module = codegen.compile_module(codegen.generate("-".join(map(str, sizes)), names="lab"))
    np.random.seed(0)
    params = module.init_params(*sizes)
    L, accuracy = fit(module, params, arrays, EPOCHS)
    print(f"{module.SPEC:12} test loss {L:.3f}, accuracy {accuracy:.1f} %")

# %% [markdown]
# And since it repeats, one derivation serves every depth. For a layer whose number ℓ is a
# symbol:

# %%
derive.layer_recurrence("N")

# %% [markdown]
# <a id="mnist"></a>
# ## MNIST
#
# The same functions for 784-100-10. One epoch here, if the data are on this machine; the whole
# of it, with compiled kernels beside it, is in `part4_mnist.py`.

# %%
try:
    digits = MNISTData("numpy", offline=True)
except derive.InputError as missing:
    print(missing)
else:
    module = codegen.compile_module(codegen.generate("784-100-10", names="lab"))
    np.random.seed(0)
    params = module.init_params(784, 100, 10)
    L, accuracy = fit(module, params, digits, 1, batch=100)
    digits.plot_data_with_grid(
        module.forward(params, digits.Xgrid)[0],
        f"one epoch: test accuracy {accuracy:.1f} %, loss {L:.2f}",
    )
