"""For a student of the lab: are my gradients right, and if not, where is the mistake?

    pip install gradwright
    python examples/student.py [--picture student.png]

The five functions are the lab's, written by hand. `main` has this very file graded; then a copy
with a slip that many make, so that you see what is said of it; then it trains with these functions
and draws the border that they find. Put your own functions in the place of these.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

SLIP = "dhtilde = dh * (1 - outputs['h'] ** 2)", "dhtilde = dh"


def init_params(nx, nh, ny):
    return {
        "Wh": 0.3 * np.random.randn(nh, nx),
        "bh": np.zeros((nh, 1)),
        "Wy": 0.3 * np.random.randn(ny, nh),
        "by": np.zeros((ny, 1)),
    }


def forward(params, X):
    htilde = X @ params["Wh"].T + params["bh"].T
    h = np.tanh(htilde)
    ytilde = h @ params["Wy"].T + params["by"].T
    exponentials = np.exp(ytilde - ytilde.max(axis=1, keepdims=True))
    yhat = exponentials / exponentials.sum(axis=1, keepdims=True)
    return yhat, {"X": X, "htilde": htilde, "h": h, "ytilde": ytilde, "yhat": yhat}


def loss_accuracy(Yhat, Y):
    loss = -np.sum(Y * np.log(np.maximum(Yhat, 1e-300))) / len(Y)
    return loss, 100 * np.mean(Yhat.argmax(axis=1) == Y.argmax(axis=1))


def backward(params, outputs, Y):
    dytilde = (outputs["yhat"] - Y) / len(Y)
    dh = dytilde @ params["Wy"]
    dhtilde = dh * (1 - outputs['h'] ** 2)  # fmt: skip
    return {
        "Wy": dytilde.T @ outputs["h"],
        "by": dytilde.sum(axis=0)[:, np.newaxis],
        "Wh": dhtilde.T @ outputs["X"],
        "bh": dhtilde.sum(axis=0)[:, np.newaxis],
    }


def sgd(params, grads, eta):
    for name in params:
        params[name] -= eta * grads[name]
    return params


def main() -> None:
    import runtime
    from runtime.grading.report import verdict_text

    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--picture", type=Path, default=Path("student.png"))
    chosen = options.parse_args()

    text = Path(__file__).read_text("utf-8")
    print("As it stands:\n" + verdict_text(runtime.grade(__file__)))
    with tempfile.TemporaryDirectory() as folder:
        slipped = Path(folder) / "slipped.py"
        slipped.write_text(text.replace(f"    {SLIP[0]}", f"    {SLIP[1]}"), encoding="utf-8")
        print("\nWithout the factor 1 − h²:\n" + verdict_text(runtime.grade(slipped)))

    np.random.seed(0)
    data = runtime.CirclesData(backend="numpy")
    params = init_params(2, 10, 2)
    for epoch in range(300):
        order = np.random.permutation(len(data.Xtrain))
        for batch in order.reshape(-1, 10):
            _, outputs = forward(params, data.Xtrain[batch])
            params = sgd(params, backward(params, outputs, data.Ytrain[batch]), 0.03)
        if epoch % 100 == 99:
            loss, accuracy = loss_accuracy(forward(params, data.Xtest)[0], data.Ytest)
            print(f"epoch {epoch + 1}: test loss {loss:.3f}, accuracy {accuracy:.1f} %")

    import matplotlib as mpl

    mpl.use("Agg")  # a file, not a window
    from matplotlib import pyplot as plt

    data.plot_data_with_grid(forward(params, data.Xgrid)[0], f"{accuracy:.1f} % of the test points")
    plt.savefig(chosen.picture)
    print(f"the border is in {chosen.picture}")


if __name__ == "__main__":
    main()
