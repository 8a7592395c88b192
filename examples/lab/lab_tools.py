"""What the parts of the lab share: their options, the generated functions, the lab's loop."""

import argparse
import time
from pathlib import Path
from types import ModuleType

import numpy as np
from matplotlib import pyplot as plt

import codegen


def options(about: str, *, epochs: int, folder: str, **others: tuple[object, str]):
    """Read the command line: the options of every part, and `others` with default and help."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    known = {
        "epochs": (epochs, "passes over the training set"),
        "seed": (0, "of the weights and of the order of the samples"),
        "folder": (Path("lab", folder), "where pictures and generated code go"),
    }
    for name, (default, meaning) in (known | others).items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=str if default is None else type(default),
            default=default,
            help=meaning if default is None else f"{meaning} [%(default)s]",
        )
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    return chosen


def lab_functions(spec: str, folder: Path) -> ModuleType:
    """Derive and write the lab's functions for a network; the text is kept in the folder.

    As `gradwright generate SPEC --names lab -o FILE.py` does, and then `import FILE`.
    """
    source = codegen.generate(spec, names="lab")
    path = folder / f"lab_{spec.replace('-', '_')}.py"
    path.write_text(source.text, encoding="utf-8")
    print(f"the functions for {spec}: {path}")
    return codegen.compile_module(source)


def save_picture(path: Path) -> None:
    """Write the picture that was shown last."""
    plt.savefig(path, dpi=75)


def train(lab, data, params, *, epochs, Nbatch, eta=0.03, every=0, folder=None, shown=True):
    """Train as Part 1 does, with its loop; return four curves, the orders and the seconds.

    The seconds are those of the steps alone, without evaluation and pictures. `every` is 0
    for no pictures.
    """
    N = data.Xtrain.shape[0]
    curves, orders, seconds = [[], [], [], []], [], 0.0
    for iteration in range(epochs):
        perm = np.random.permutation(N)
        orders.append(perm)
        before = time.perf_counter()
        Xtrain, Ytrain = data.Xtrain[perm, :], data.Ytrain[perm, :]
        for j in range(N // Nbatch):
            X = Xtrain[j * Nbatch : (j + 1) * Nbatch, :]
            Y = Ytrain[j * Nbatch : (j + 1) * Nbatch, :]
            _, outputs = lab.forward(params, X)
            grads = lab.backward(params, outputs, Y)
            params = lab.sgd(params, grads, eta)
        seconds += time.perf_counter() - before

        Ltrain, acctrain = lab.loss_accuracy(lab.forward(params, data.Xtrain)[0], data.Ytrain)
        Ltest, acctest = lab.loss_accuracy(lab.forward(params, data.Xtest)[0], data.Ytest)
        for curve, figure in zip(curves, (acctrain, acctest, Ltrain, Ltest), strict=True):
            curve.append(float(figure))
        title = (
            f"Iter {iteration}: Acc train {acctrain:.1f}% ({Ltrain:.2f}), "
            f"acc test {acctest:.1f}% ({Ltest:.2f})"
        )
        if shown:
            print(title)
        if every and (iteration % every == 0 or iteration == epochs - 1):
            data.plot_data_with_grid(lab.forward(params, data.Xgrid)[0], title)
            save_picture(folder / f"epoch-{iteration:03}.png")
    return curves, np.array(orders), seconds
