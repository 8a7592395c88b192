"""Part 3 of the lab, gone on with: N hidden layers, any N.

    python part3_n_layers.py [--epochs 150] [--folder lab/part3] [--seed 0]

A hidden layer is one definition, repeated, so it is derived once for a layer whose number ℓ
is a symbol; that is printed first. Then networks with 1 to 5 hidden layers are generated and
trained, and it is measured how large the gradients of their layers are before the first step,
relative to those of the output layer.
"""

import numpy as np
from lab_tools import lab_functions, options, train

import derive
from runtime import CirclesData

chosen = options(__doc__, epochs=150, folder="part3")
print(derive.layer_recurrence("N"), end="\n\n")

data = CirclesData("numpy")
nx, nh, ny = data.Xtrain.shape[1], 10, data.Ytrain.shape[1]
table = []
for n in range(1, 6):
    sizes = [nx, *[nh] * n, ny]
    lab = lab_functions("-".join(map(str, sizes)), chosen.folder)
    np.random.seed(chosen.seed)
    params = lab.init_params(*sizes)
    _, outputs = lab.forward(params, data.Xtrain)
    grads = lab.backward(params, outputs, data.Ytrain)
    means = [np.abs(grads[name]).mean() for name in grads if name.startswith("W")]
    curves, _, _ = train(lab, data, params, epochs=chosen.epochs, Nbatch=10, shown=False)
    table.append((n, curves, means))

print("\n N  acc train  acc test  loss train   mean |dW| over that of Wy, first layer first")
for n, (acctrain, acctest, Ltrain, _), means in table:
    shares = "  ".join(f"{mean / means[-1]:.2f}" for mean in means[:-1])
    print(f"{n:2}  {acctrain[-1]:7.1f} %  {acctest[-1]:6.1f} %  {Ltrain[-1]:10.3f}   {shares}")
