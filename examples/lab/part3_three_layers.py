"""Part 3 of the lab: a second hidden layer, so three layers of weights.

    python part3_three_layers.py [--epochs 150] [--every 10] [--folder lab/part3] [--seed 0]

Nothing is adapted by hand: the network is written 2-10-10-2 in place of 2-10-2, and derived
again. The formulas are printed first; the weights are Wh1, Wh2 and Wy.
"""

import numpy as np
from lab_tools import lab_functions, options, save_picture, train

import derive
from runtime import CirclesData

chosen = options(__doc__, epochs=150, folder="part3", every=(10, "a picture every so many epochs"))
print(derive.derivation("2-10-10-2", names="lab"), end="\n\n")
lab = lab_functions("2-10-10-2", chosen.folder)

np.random.seed(chosen.seed)
data = CirclesData()
nx, nh1, nh2, ny = data.Xtrain.shape[1], 10, 10, data.Ytrain.shape[1]
params = lab.init_params(nx, nh1, nh2, ny)
curves, _, _ = train(
    lab,
    data,
    params,
    epochs=chosen.epochs,
    Nbatch=10,
    every=chosen.every,
    folder=chosen.folder,
)
data.plot_loss(loss_train=curves[2], loss_test=curves[3], acc_train=curves[0], acc_test=curves[1])
save_picture(chosen.folder / "curves.png")
print(f"pictures are in {chosen.folder}")
