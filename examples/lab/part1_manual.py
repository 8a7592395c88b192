"""Part 1 of the lab: fully manual backprop, with functions that gradwright derived and wrote.

    python part1_manual.py [--epochs 150] [--every 1] [--folder lab/part1] [--seed 0]

The lab leaves `backward` and `sgd` blank. Here all five functions come from
`gradwright generate 2-10-2 --names lab`: open the file that is named first, the formula stands
above each line. The loop is the lab's own, with its blanks filled in.
"""

import numpy as np
from lab_tools import lab_functions, options, save_picture

from runtime import CirclesData

chosen = options(__doc__, epochs=150, folder="part1", every=(1, "a picture every so many epochs"))
lab = lab_functions("2-10-2", chosen.folder)
init_params, forward, loss_accuracy = lab.init_params, lab.forward, lab.loss_accuracy
backward, sgd = lab.backward, lab.sgd

# init
np.random.seed(chosen.seed)
data = CirclesData()
data.plot_data()
save_picture(chosen.folder / "data.png")
N = data.Xtrain.shape[0]
Nbatch = 10
nx = data.Xtrain.shape[1]
nh = 10
ny = data.Ytrain.shape[1]
eta = 0.03

params = init_params(nx, nh, ny)

curves = [[], [], [], []]

# epoch
for iteration in range(chosen.epochs):
    # permute
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
    print(title)
    if iteration % chosen.every == 0 or iteration == chosen.epochs - 1:
        data.plot_data_with_grid(Ygrid, title)
        save_picture(chosen.folder / f"epoch-{iteration:03}.png")

    curves[0].append(acctrain)
    curves[1].append(acctest)
    curves[2].append(Ltrain)
    curves[3].append(Ltest)

data.plot_loss(loss_train=curves[2], loss_test=curves[3], acc_train=curves[0], acc_test=curves[1])
save_picture(chosen.folder / "curves.png")
print(f"pictures are in {chosen.folder}")
