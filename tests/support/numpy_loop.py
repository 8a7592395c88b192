"""The plain loop of the lab in NumPy, for many runs at once: what a network should learn.

Written by hand, formula by formula, so that nothing here comes from the project. `slip` makes
one of the mistakes that a comparison must notice.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# slip -> the mistake
SLIPS = {
    "factor": "the slope of tanh is left out",
    "sign": "the last bias goes uphill",
    "transposed": "the square part of dW1 is transposed",
    "sum": "the sum over the batch in place of the mean",
    "last mean": "a last partial batch is divided by the size of a full one",
    "weight": "one sample of each batch weighs a millionth more",
}


def draw_starts(
    sizes: tuple[int, int, int], runs: int, seed: int, scale: float = 0.3
) -> dict[str, Array]:
    """Return initial parameters of `runs` networks, stacked: W1 (runs, nh, nx), ….

    The weights are `scale` times standard normal, the biases 0.
    """
    rng = np.random.default_rng(seed)
    nx, nh, ny = sizes
    return {
        "W1": scale * rng.standard_normal((runs, nh, nx)),
        "b1": np.zeros((runs, nh)),
        "W2": scale * rng.standard_normal((runs, ny, nh)),
        "b2": np.zeros((runs, ny)),
    }


def draw_orders(runs: int, epochs: int, samples: int, seed: int) -> NDArray[np.int64]:
    """Return an order of the samples for each run and epoch: (runs, epochs, samples)."""
    rng = np.random.default_rng(seed)
    return rng.permuted(np.tile(np.arange(samples), (runs, epochs, 1)), axis=2)


def train_loop(
    params: Mapping[str, Array],
    X: Array,
    Y: Array,
    orders: NDArray[np.int64],
    batch: int,
    eta: float,
    slip: str | None = None,
) -> dict[str, Array]:
    """Return the parameters after training: tanh, softmax, cross-entropy, plain descent.

    Parameters
    ----------
    params
        As `draw_starts` gives them; left as they are.
    X, Y
        Samples (N, nx) and labels (N, ny), the same for all runs.
    orders
        Order of the samples (runs, epochs, N); a last partial batch has its own mean.
    batch, eta
        Samples per step, and learning rate.
    slip
        A mistake to make, one of `SLIPS`, or none.
    """
    assert slip is None or slip in SLIPS
    W1, b1 = params["W1"].copy(), params["b1"][:, None, :].copy()
    W2, b2 = params["W2"].copy(), params["b2"][:, None, :].copy()
    for epoch in range(orders.shape[1]):
        for first in range(0, orders.shape[2], batch):
            rows = orders[:, epoch, first : first + batch]
            x, y = X[rows], Y[rows]
            h = np.tanh(x @ W1.transpose(0, 2, 1) + b1)
            z = h @ W2.transpose(0, 2, 1) + b2
            e = np.exp(z - z.max(axis=2, keepdims=True))
            p = e / e.sum(axis=2, keepdims=True)
            count = {"sum": 1, "last mean": batch}.get(str(slip), rows.shape[1])
            dz = (p - y) / count
            if slip == "weight":
                dz[:, 0] *= 1 + 1e-6
            dW2, db2 = dz.transpose(0, 2, 1) @ h, dz.sum(axis=1, keepdims=True)
            back = dz @ W2
            slope = np.ones_like(h) if slip == "factor" else 1 - h * h
            dzt = back * slope
            dW1, db1 = dzt.transpose(0, 2, 1) @ x, dzt.sum(axis=1, keepdims=True)
            if slip == "transposed":
                dW1[:, :2] = dW1[:, :2].transpose(0, 2, 1).copy()
            W1 -= eta * dW1
            b1 -= eta * db1
            W2 -= eta * dW2
            b2 -= -eta * db2 if slip == "sign" else eta * db2
    return {"W1": W1, "b1": b1[:, 0], "W2": W2, "b2": b2[:, 0]}


def accuracies(params: Mapping[str, Array], X: Array, Y: Array) -> Array:
    """Return the share of samples that each run classifies as their labels say: (runs,)."""
    h = np.tanh(X @ params["W1"].transpose(0, 2, 1) + params["b1"][:, None, :])
    z = h @ params["W2"].transpose(0, 2, 1) + params["b2"][:, None, :]
    return (z.argmax(axis=2) == Y.argmax(axis=1)).mean(axis=1)
