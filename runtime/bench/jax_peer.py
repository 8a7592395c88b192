"""JAX as a good user writes it: a jitted step for each batch, and all of training in a scan.

The order of the samples is drawn by NumPy beforehand, and each step gathers its own batch:
on two networks, small and wide, that was faster than ``jax.random.permutation`` inside, and
than putting the whole epoch in order at once.
"""

import os
from functools import partial
from typing import Any

import numpy as np

from runtime.bench.workload import Array, Order, Params, Workload

Jax = Any  # its modules, functions and arrays: it is not imported until it is needed

ACTIVATIONS = ("identity", "tanh", "sigmoid", "relu", "softmax")
LOSSES = ("cross-entropy", "mse")


def refusal(work: Workload) -> str | None:
    """Return why JAX is not given this work, or None."""
    strangers = [name for name in work.activations if name not in ACTIVATIONS]
    what = ""
    if strangers:
        what = f"activation {strangers[0]}"
    elif work.loss not in LOSSES:
        what = f"loss {work.loss}"
    elif work.l2:
        what = f"penalty of l2 {work.l2:g}"
    if not what:
        return None
    return (
        f"it is written for {', '.join(ACTIVATIONS)} under {' and '.join(LOSSES)}, and "
        f"{work.spec} has the {what}"
    )


class JaxPeer:
    """JAX on the processor, XLA holding to the threads that the process is bound to."""

    def __init__(self, work: Workload, X: Array, Y: Array, threads: int, *, whole: bool) -> None:
        os.environ["JAX_PLATFORMS"] = "cpu"
        os.environ["NPROC"] = str(threads)  # the size of XLA's pool
        os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)  # a cold start is measured
        import jax

        jax.config.update("jax_enable_x64", work.dtype == "float64")
        self._work, self._whole = work, whole
        self._rng = np.random.default_rng(0)
        self._X = jax.numpy.asarray(X)
        self._Y = jax.numpy.asarray(Y.argmax(axis=1) if _from_logits(work) else Y)
        self._scan = jax.jit(partial(_scan, work))
        self._step = jax.jit(partial(_step, work))

    def train(self, params: Params, epochs: int, order: Order | None = None) -> None:
        """Train as `runtime.bench.peers.Contender` says."""
        import jax

        if order is None:
            once = np.arange(self._work.samples, dtype=np.int32)
            order = self._rng.permuted(np.tile(once, (epochs, 1)), axis=1)
        order = np.asarray(order, np.int32)
        values = [jax.numpy.asarray(value) for value in params.values()]
        if self._whole:
            values = self._scan(values, self._X, self._Y, order)
        else:
            size = self._work.batch
            for rows in order:
                for first in range(0, len(rows), size):
                    values = self._step(values, self._X, self._Y, rows[first : first + size])
        for value, trained in zip(params.values(), values, strict=True):
            value[...] = trained


def _from_logits(work: Workload) -> bool:
    """Whether the labels may be class numbers, for softmax and cross-entropy in one."""
    return (work.loss, work.activations[-1]) == ("cross-entropy", "softmax")


def _scan(work: Workload, values: list[Jax], X: Jax, Y: Jax, order: Jax) -> list[Jax]:
    """Return the parameters after all epochs: a scan of scans; a last short batch follows."""
    from jax import lax

    whole = order.shape[1] // work.batch * work.batch

    def epoch(values: list[Jax], rows: Jax) -> tuple[list[Jax], None]:
        def one(values: list[Jax], rows: Jax) -> tuple[list[Jax], None]:
            return _step(work, values, X, Y, rows), None

        values, _ = lax.scan(one, values, rows[:whole].reshape(-1, work.batch))
        if whole < len(rows):
            values = _step(work, values, X, Y, rows[whole:])
        return values, None

    trained: list[Jax] = lax.scan(epoch, values, order)[0]
    return trained


def _step(work: Workload, values: list[Jax], X: Jax, Y: Jax, rows: Jax) -> list[Jax]:
    """Return the parameters after a step of gradient descent on some samples."""
    import jax

    changes = jax.grad(partial(_loss, work))(values, X[rows], Y[rows])
    return [value - work.eta * change for value, change in zip(values, changes, strict=True)]


def _loss(work: Workload, values: list[Jax], X: Jax, Y: Jax) -> Jax:
    """Return the mean loss over a batch."""
    import jax

    numpy = jax.numpy
    activate = {
        "identity": lambda Z: Z,
        "tanh": numpy.tanh,
        "sigmoid": jax.nn.sigmoid,
        "relu": jax.nn.relu,
        "softmax": jax.nn.softmax,
    }
    *hidden, output = work.activations
    H = X
    for name, W, b in zip(hidden, values[::2], values[1::2], strict=False):
        H = activate[name](H @ W.T + b)
    Z = H @ values[-2].T + values[-1]
    if _from_logits(work):
        return -numpy.take_along_axis(jax.nn.log_softmax(Z), Y[:, None], 1).mean()
    P = activate[output](Z)
    if work.loss == "mse":
        return ((P - Y) ** 2).mean()
    return -(Y * numpy.log(P)).sum(1).mean()
