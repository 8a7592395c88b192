"""Part 4 of the lab: MNIST, by the generated functions and then by compiled kernels.

    python part4_mnist.py [--epochs 10] [--folder lab/part4] [--seed 0] [--data-dir FOLDER]

The lab's loop runs as before, with 784-100-10 in place of 2-10-2; in place of the grid there
are forty test images. Then the same formulas, compiled (`gradwright generate 784-100-10`), are
trained from the same weights in the same order: the same network, sooner. MNIST is downloaded
once, unless a folder with its files is given.
"""

import time

import numpy as np
from lab_tools import lab_functions, options, save_picture, train

import codegen
from runtime import MNISTData

chosen = options(
    __doc__,
    epochs=10,
    folder="part4",
    every=(1, "a picture every so many epochs"),
    data_dir=(None, "folder with the files of MNIST; without it they are downloaded"),
)
data = MNISTData("numpy", data_dir=chosen.data_dir)
data.plot_data()
save_picture(chosen.folder / "digits.png")
N = data.Xtrain.shape[0]
Nbatch = 100
nx = data.Xtrain.shape[1]
nh = 100
ny = data.Ytrain.shape[1]
eta = 0.03

lab = lab_functions(f"{nx}-{nh}-{ny}", chosen.folder)
np.random.seed(chosen.seed)
params = lab.init_params(nx, nh, ny)
start = {name: value.copy() for name, value in params.items()}
curves, orders, seconds = train(
    lab,
    data,
    params,
    epochs=chosen.epochs,
    Nbatch=Nbatch,
    eta=eta,
    every=chosen.every,
    folder=chosen.folder,
)
data.plot_loss(loss_train=curves[2], loss_test=curves[3], acc_train=curves[0], acc_test=curves[1])
save_picture(chosen.folder / "curves.png")

# the same formulas, compiled: the same weights, the same order
kernels = codegen.compile_module(codegen.generate(f"{nx}-{nh}-{ny}"))
twins = {"W1": start["Wh"], "b1": start["bh"][:, 0], "W2": start["Wy"], "b2": start["by"][:, 0]}
settings = {"batch": Nbatch, "eta": eta, "order": orders}
trained = {name: value.copy() for name, value in twins.items()}
before = time.perf_counter()
kernels.train(trained, data.Xtrain, data.Ytrain, epochs=1, **settings | {"order": orders[:1]})
first = time.perf_counter() - before
trained = {name: value.copy() for name, value in twins.items()}
before = time.perf_counter()
kernels.train(trained, data.Xtrain, data.Ytrain, epochs=chosen.epochs, **settings)
compiled = time.perf_counter() - before

answers = kernels.forward(trained, data.Xtest).argmax(axis=1)
right = 100 * (answers == data.Ytest.argmax(axis=1)).mean()
apart = max(
    np.abs(params[name].ravel() - trained[twin].ravel()).max()
    for name, twin in {"Wh": "W1", "bh": "b1", "Wy": "W2", "by": "b2"}.items()
)
steps = chosen.epochs * (N // Nbatch)
print(f"""
{steps} steps              seconds   test accuracy
the lab's functions {seconds:10.2f}   {curves[1][-1]:8.2f} %
compiled kernels    {compiled:10.2f}   {right:8.2f} %   {seconds / compiled:.1f} times as fast
largest difference of a parameter: {apart:.1e}
(the first epoch of the kernels took {first:.1f} s, compilation included)
pictures are in {chosen.folder}""")
