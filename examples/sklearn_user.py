"""For a scikit-learn user: is NetworkClassifier as good as MLPClassifier, and faster?

    pip install 'gradwright[sklearn]'
    python examples/sklearn_user.py                # scikit-learn's digits, both by their defaults
    python examples/sklearn_user.py mnist          # 10 epochs; $GRADWRIGHT_DATA, or a download
    python examples/sklearn_user.py --repeats 9 --threads 1

Both get the same data, parameters and ``random_state``, and so start from the same weights and
see the samples in the same order. They fit in turns; the least and the median of each are
printed, with the ratio of the medians, accuracy on the test part, and how far apart their loss
curves are. One fit beforehand compiles the kernels or loads them: its time stands by itself.
"""

import argparse
import statistics
import time
import warnings
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from runtime.estimators import NetworkClassifier

EPOCHS = {"digits": 200, "mnist": 10}  # at most; digits stop by themselves


def digits() -> list[Any]:
    """Return inputs and classes of the training part and the test part."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0, stratify=y)
    return [X_train, y_train, X_test, y_test]


def mnist() -> list[Any]:
    from runtime.data.mnist import mnist as load

    data = load()
    return [data.X_train, data.Y_train.argmax(1), data.X_test, data.Y_test.argmax(1)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("data", nargs="?", default="digits", choices=list(EPOCHS))
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--threads", type=int, help="of both; by default each takes what it will")
    chosen = options.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # MNIST is not meant to
    X, y, X_test, y_test = digits() if chosen.data == "digits" else mnist()
    settings = {"max_iter": EPOCHS[chosen.data], "random_state": 0}
    threads: dict[Any, dict[str, Any]] = {
        NetworkClassifier: {"threads": chosen.threads},
        MLPClassifier: {},
    }
    print(f"{chosen.data}: {X.shape[0]} samples of {X.shape[1]} inputs, {X.dtype}")

    begin = time.perf_counter()
    NetworkClassifier(**settings, threads=chosen.threads).fit(X, y)
    print(f"first fit, kernels compiled or loaded: {time.perf_counter() - begin:.2f} s")

    seconds: dict[Any, list[float]] = {NetworkClassifier: [], MLPClassifier: []}
    fitted: dict[Any, Any] = {}
    for _ in range(chosen.repeats):
        for kind, times in seconds.items():
            with threadpool_limits(chosen.threads):
                begin = time.perf_counter()
                fitted[kind] = kind(**settings, **threads[kind]).fit(X, y)
            times.append(time.perf_counter() - begin)

    print(f"{'':>20}{'least s':>10}{'median s':>10}{'epochs':>8}{'accuracy':>10}")
    for kind, times in seconds.items():
        model = fitted[kind]
        print(
            f"{kind.__name__:>20}{min(times):>10.3f}{statistics.median(times):>10.3f}"
            f"{model.n_iter_:>8}{100 * model.score(X_test, y_test):>8.2f} %"
        )
    ours, theirs = (np.array(model.loss_curve_) for model in fitted.values())
    ratio = statistics.median(seconds[MLPClassifier]) / statistics.median(
        seconds[NetworkClassifier]
    )
    print(f"fit {ratio:.1f} times as fast, by the medians", end="")
    if len(ours) == len(theirs):
        difference = np.abs(ours - theirs).max() / theirs.max()
        print(f"; loss curves differ by at most {difference:.1e} of the first loss", end="")
    print()


if __name__ == "__main__":
    main()
