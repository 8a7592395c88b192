"""Who computes it: our kernels, PyTorch as a good user writes it, and NumPy by hand.

This is the one place outside of the tests where a gradient is written by hand: the NumPy
loop is what our kernels are measured against, and nothing is ever trained with it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.bench import c_peer
from runtime.bench.c_peer import CPeer
from runtime.bench.workload import Array, Params, Workload, batches
from runtime.errors import InputError, InternalError
from runtime.torch_oracle import names_of, oracle_loss

if TYPE_CHECKING:
    import torch

OURS = "gradwright"
# peer -> the module that must be there, how it is called, and the extra that installs it
PEERS: Mapping[str, tuple[str, str, str | None]] = {
    "torch": ("torch", "PyTorch", "torch"),
    "numpy": ("numpy", "NumPy", None),
    "c": ("ctypes", "our own C", None),
}
ON_REQUEST = ("c",)  # a yardstick of ours, and no other tool
_SMALL = 1 << 18  # bytes: a training set that stays in the processor's cache

Order = NDArray[np.int64]


class Contender(Protocol):
    """Someone who can do the work."""

    def train(self, params: Params, epochs: int, order: Order | None = None) -> None:
        """Train `params` in place, in the given order (epochs, N) or shuffled anew."""


def contender(name: str, work: Workload, X: Array, Y: Array, threads: int) -> Contender:
    """Return the contender of that name, ready to run.

    Raises
    ------
    InputError
        If it cannot compute this network.
    """
    if name == OURS:
        return Ours(work, X, Y, threads)
    if name == "torch":
        return TorchPeer(work, X, Y, threads)
    if name == "numpy":
        return NumPyPeer(work, X, Y)
    if name == "c":
        return CPeer(work, X, Y)
    raise InternalError(f"no contender is called {name!r}")


def why_not(name: str, work: Workload) -> str | None:
    """Return why a peer cannot do this work, or None."""
    if name == "c" and not c_peer.is_there():
        return f"there is no C compiler called {c_peer.COMPILER}"
    if name == "numpy":
        *hidden, output = work.activations
        strangers = {*hidden} - {"tanh"} or {output} - {"softmax"}
        if strangers or work.loss != "cross-entropy" or work.l2:
            what = f"activation {min(strangers)}" if strangers else f"loss {work.loss}"
            what += f" with l2 {work.l2:g}" if work.l2 and not strangers else ""
            return (
                f"the loop by hand is for tanh, softmax and cross-entropy, and {work.spec} has "
                f"the {what}"
            )
    return None


class Ours:
    """Our kernels: one compiled call for a whole run."""

    def __init__(self, work: Workload, X: Array, Y: Array, threads: int) -> None:
        import codegen

        generated = codegen.generate(work.network(), dtype=work.dtype, labels=work.labels)
        self._module = codegen.compile_module(generated)
        self._work, self._X, self._Y, self._threads = work, X, Y, threads

    def train(self, params: Params, epochs: int, order: Order | None = None) -> None:
        """Train as `Contender` says."""
        self._module.train(
            params,
            self._X,
            self._Y,
            epochs=epochs,
            batch=self._work.batch,
            eta=self._work.eta,
            order=order,
            evaluate=False,
            threads=self._threads,
            sparse=self._work.sparse,
        )


class TorchPeer:
    """PyTorch, eager: its own fused functions, autograd, and the plain update under no_grad.

    ``torch.optim.SGD`` would take half as long again for a small network, and labels as
    rows longer than as class numbers, so neither is used. A small set is put in order once
    per epoch; of a large one each batch is gathered alone, which stays in the cache. Each is
    the faster way for its sets.
    """

    def __init__(self, work: Workload, X: Array, Y: Array, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self._work = work
        self._output = work.activations[-1]
        self._from_logits = (work.loss, self._output, work.l2) == ("cross-entropy", "softmax", 0)
        self._X = torch.from_numpy(X)
        self._Y = torch.from_numpy(Y.argmax(axis=1) if self._from_logits else Y)
        self._at_once = X.nbytes <= _SMALL
        self._activate = _torch_activations()
        known = {*self._activate} >= {*work.activations}
        self._fused = known and not work.l2 and work.loss in ("cross-entropy", "mse")
        self._network = work.network()

    def train(self, params: Params, epochs: int, order: Order | None = None) -> None:
        """Train as `Contender` says."""
        import torch

        tensors = [torch.tensor(value, requires_grad=True) for value in params.values()]
        for epoch in range(epochs):
            if order is None:
                shuffled = torch.randperm(self._work.samples)
            else:
                shuffled = torch.from_numpy(order[epoch])
            self._epoch(tensors, shuffled)
        for value, tensor in zip(params.values(), tensors, strict=True):
            value[...] = tensor.detach().numpy()

    def _epoch(self, tensors: "list[torch.Tensor]", shuffled: "torch.Tensor") -> None:
        import torch

        size, eta = self._work.batch, self._work.eta
        X, Y = self._X, self._Y
        steps: Iterable[tuple[torch.Tensor, torch.Tensor]]
        if self._at_once:
            X, Y = X.index_select(0, shuffled), Y.index_select(0, shuffled)
            steps = zip(X.split(size), Y.split(size), strict=True)
        else:
            parts = shuffled.split(size)
            steps = ((X.index_select(0, part), Y.index_select(0, part)) for part in parts)
        for x, y in steps:
            self._loss(tensors, x, y).backward()
            with torch.no_grad():
                for tensor in tensors:
                    tensor.sub_(tensor.grad, alpha=eta)
                    tensor.grad = None

    def _loss(
        self, tensors: "list[torch.Tensor]", x: "torch.Tensor", y: "torch.Tensor"
    ) -> "torch.Tensor":
        """Return the mean loss over a batch."""
        from torch.nn.functional import cross_entropy, linear, mse_loss

        if not self._fused:
            names = names_of(self._network)
            loss: torch.Tensor = oracle_loss(
                self._network, dict(zip(names, tensors, strict=True)), x, y
            )
            return loss
        H = x
        weights, biases = tensors[::2], tensors[1::2]
        for name, W, b in zip(self._work.activations[:-1], weights, biases, strict=False):
            H = self._activate[name](linear(H, W, b))
        Z = linear(H, weights[-1], biases[-1])
        if self._from_logits:
            return cross_entropy(Z, y)
        P = self._activate[self._output](Z)
        return mse_loss(P, y) if self._work.loss == "mse" else -(y * P.log()).sum(1).mean()


def _torch_activations() -> "dict[str, Callable[[torch.Tensor], torch.Tensor]]":
    import torch

    return {
        "identity": lambda Z: Z,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "relu": torch.relu,
        "softmax": lambda Z: torch.softmax(Z, dim=1),
    }


class NumPyPeer:
    """The loop that one writes by hand in the lab: tanh, softmax, cross-entropy, any depth."""

    def __init__(self, work: Workload, X: Array, Y: Array) -> None:
        if reason := why_not("numpy", work):
            raise InputError(f"numpy: {reason}.")
        self._work, self._X, self._Y = work, X, Y
        self._rng = np.random.default_rng(0)

    def train(self, params: Params, epochs: int, order: Order | None = None) -> None:
        """Train as `Contender` says."""
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
