"""NumPy by hand, as one writes it in the lab.

This is the one place outside of the tests where a gradient is written by hand: our kernels
are measured against it, and nothing is ever trained with it.
"""

from typing import Any

import numpy as np

from runtime.bench.workload import Array, Order, Params, Workload, batches


def refusal(work: Workload) -> str | None:
    """Return why the loop by hand cannot do this work, or None."""
    *hidden, output = work.activations
    strangers = {*hidden} - {"tanh"} or {output} - {"softmax"}
    if not strangers and work.loss == "cross-entropy" and not work.l2:
        return None
    what = f"activation {min(strangers)}" if strangers else f"loss {work.loss}"
    what += f" with l2 {work.l2:g}" if work.l2 and not strangers else ""
    return (
        f"the loop by hand is for tanh, softmax and cross-entropy, and {work.spec} has the {what}"
    )


class NumPyPeer:
    """The loop that one writes by hand in the lab: tanh, softmax, cross-entropy, any depth."""

    def __init__(self, work: Workload, X: Array, Y: Array) -> None:
        self._work, self._X, self._Y = work, X, Y
        self._rng = np.random.default_rng(0)

    def train(self, params: Params, epochs: int, order: Order | None = None) -> None:
        """Train as `runtime.bench.peers.Contender` says."""
        layers = range(1, len(self._work.sizes))
        pairs = [(params[f"W{layer}"], params[f"b{layer}"]) for layer in layers]
        for epoch in range(epochs):
            shuffled = self._rng.permutation(len(self._X)) if order is None else order[epoch]
            for rows in batches(shuffled, self._work.batch):
                self._step(pairs, self._X[rows], self._Y[rows])

    def _step(self, pairs: list[tuple[Any, Any]], X: Array, Y: Array) -> None:
        H = [X]
        for W, b in pairs[:-1]:
            H.append(np.tanh(H[-1] @ W.T + b))
        W, b = pairs[-1]
        Z = H[-1] @ W.T + b
        E = np.exp(Z - Z.max(axis=1, keepdims=True))
        dZ = (E / E.sum(axis=1, keepdims=True) - Y) / len(X)
        for layer in reversed(range(len(pairs))):
            W, b = pairs[layer]
            dW, db = dZ.T @ H[layer], dZ.sum(axis=0)
            if layer:
                dZ = (dZ @ W) * (1 - H[layer] * H[layer])
            W -= self._work.eta * dW
            b -= self._work.eta * db
