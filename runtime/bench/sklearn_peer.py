"""scikit-learn's MLPClassifier, held to plain gradient descent."""

import warnings
from typing import Any

import numpy as np

from runtime.bench.workload import Array, Order, Params, Workload

# activation -> scikit-learn's name for it
_ACTIVATIONS = {"identity": "identity", "tanh": "tanh", "sigmoid": "logistic", "relu": "relu"}


def refusal(work: Workload) -> str | None:
    """Return why MLPClassifier cannot do this work, or None."""
    *hidden, output = work.activations
    strangers = [name for name in hidden if name not in _ACTIVATIONS]
    what = ""
    if strangers:
        what = f"activation {strangers[0]}"
    elif len({*hidden}) > 1:
        what = f"activations {', '.join(sorted({*hidden}))}"
    elif output != "softmax":
        what = f"output {output}"
    elif work.loss != "cross-entropy":
        what = f"loss {work.loss}"
    elif work.l2:
        what = f"penalty of l2 {work.l2:g}"
    if not what:
        return None
    return (
        "MLPClassifier has one of tanh, sigmoid, relu and identity for all hidden layers, then "
        f"softmax and cross-entropy, and {work.spec} has the {what}"
    )


def difference(work: Workload) -> str | None:
    """Return what it computes differently, so that parameters cannot be compared, or None."""
    if work.sizes[-1] != 2:
        return None
    return "for two classes MLPClassifier trains one logistic output in the place of two"


class SklearnPeer:
    """MLPClassifier with momentum and penalty at 0, from our start; its loss is the same mean.

    It also keeps the loss of every batch, which others are not asked for, and which it
    cannot leave out.
    """

    def __init__(self, work: Workload, X: Array, Y: Array) -> None:
        from sklearn.neural_network import MLPClassifier

        hidden = work.activations[:-1]
        self._work, self._X, self._Y = work, X, Y.argmax(axis=1)
        self._model: Any = MLPClassifier(
            work.sizes[1:-1],
            activation=_ACTIVATIONS[hidden[0]] if hidden else "identity",
            solver="sgd",
            alpha=0.0,
            batch_size=work.batch,
            learning_rate="constant",
            learning_rate_init=work.eta,
            momentum=0.0,
            nesterovs_momentum=False,
            random_state=np.random.RandomState(0),  # a state, not a seed: each run shuffles anew
            tol=0.0,
            n_iter_no_change=10**9,  # all epochs, whatever the loss does
            warm_start=True,
        )
        classes = np.arange(work.sizes[-1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fewer samples than a batch
            # makes room for parameters, which `train` then sets
            none = np.zeros((len(classes), X.shape[1]), X.dtype)
            self._model.partial_fit(none, classes, classes=classes)

    def train(self, params: Params, epochs: int, order: Order | None = None) -> None:
        """Train as `runtime.bench.peers.Contender` says; with two classes not from our start."""
        same = difference(self._work) is None
        if same:
            values = list(params.values())
            self._model.coefs_ = [np.ascontiguousarray(W.T) for W in values[::2]]
            self._model.intercepts_ = [b.copy() for b in values[1::2]]
        self._model.loss_curve_ = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "has not converged yet": it is not meant to
            if order is None:
                self._model.set_params(shuffle=True, max_iter=epochs)
                self._model.fit(self._X, self._Y)
            else:
                self._model.set_params(shuffle=False, max_iter=1)
                for rows in order:
                    self._model.fit(self._X[rows], self._Y[rows])
        if same:
            trained = zip(self._model.coefs_, self._model.intercepts_, strict=True)
            for layer, (W, b) in enumerate(trained, start=1):
                params[f"W{layer}"][...] = W.T
                params[f"b{layer}"][...] = b
