"""PyTorch as a good user writes it, eager and compiled, and as its tutorials do."""

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from runtime.bench.workload import Array, Order, Params, Workload
from runtime.torch_oracle import names_of, oracle_loss
from runtime.torch_sequential import to_sequential

if TYPE_CHECKING:
    import torch

# what PyTorch has fused functions for; the rest is computed from the formulas
_FUSED = ("identity", "tanh", "sigmoid", "relu", "softmax")
_FUSED_LOSSES = ("cross-entropy", "mse")
_SMALL = 1 << 18  # bytes: a training set that stays in the processor's cache


class TorchPeer:
    """PyTorch, eager: its own fused functions, autograd, and the plain update under no_grad.

    ``torch.optim.SGD`` would take half as long again for a small network, and labels as
    rows longer than as class numbers, so neither is used. A small set is put in order once
    per epoch; of a large one each batch is gathered alone, which stays in the cache. Each is
    the faster way for its sets.
    """

    _records = True  # autograd, what is computed from the parameters

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
        known = {*_FUSED} >= {*work.activations}
        self._fused = known and not work.l2 and work.loss in _FUSED_LOSSES
        self._network = work.network()

    def train(self, params: Params, epochs: int, order: Order | None = None) -> None:
        """Train as `runtime.bench.peers.Contender` says."""
        import torch

        tensors = [torch.tensor(value, requires_grad=self._records) for value in params.values()]
        for epoch in range(epochs):
            if order is None:
                shuffled = torch.randperm(self._work.samples)
            else:
                shuffled = torch.from_numpy(order[epoch])
            self._epoch(tensors, shuffled)
        for value, tensor in zip(params.values(), tensors, strict=True):
            value[...] = tensor.detach().numpy()

    def _epoch(self, tensors: "list[torch.Tensor]", shuffled: "torch.Tensor") -> None:
        size = self._work.batch
        X, Y = self._X, self._Y
        steps: Iterable[tuple[torch.Tensor, torch.Tensor]]
        if self._at_once:
            X, Y = X.index_select(0, shuffled), Y.index_select(0, shuffled)
            steps = zip(X.split(size), Y.split(size), strict=True)
        else:
            parts = shuffled.split(size)
            steps = ((X.index_select(0, part), Y.index_select(0, part)) for part in parts)
        for x, y in steps:
            self._update(tensors, x, y)

    def _update(self, tensors: "list[torch.Tensor]", x: "torch.Tensor", y: "torch.Tensor") -> None:
        """Do a step of gradient descent."""
        import torch

        self._loss(tensors, x, y).backward()
        with torch.no_grad():
            for tensor in tensors:
                tensor.sub_(tensor.grad, alpha=self._work.eta)
                tensor.grad = None

    def _loss(
        self, tensors: "Sequence[torch.Tensor]", x: "torch.Tensor", y: "torch.Tensor"
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


class CompiledTorchPeer(TorchPeer):
    """PyTorch, the whole step compiled: gradients by ``torch.func.grad``, and the update.

    With the C++ wrapper of its compiler, without which a small step takes a sixth longer.
    """

    _records = False

    def __init__(self, work: Workload, X: Array, Y: Array, threads: int) -> None:
        super().__init__(work, X, Y, threads)
        import torch

        def whole_step(tensors: "list[torch.Tensor]", x: "torch.Tensor", y: "torch.Tensor") -> None:
            changes = torch.func.grad(self._loss)(tensors, x, y)
            for tensor, change in zip(tensors, changes, strict=True):
                tensor.sub_(change, alpha=work.eta)

        self._step: Any = torch.compile(
            whole_step, fullgraph=True, dynamic=False, options={"cpp_wrapper": True}
        )

    def _update(self, tensors: "list[torch.Tensor]", x: "torch.Tensor", y: "torch.Tensor") -> None:
        import torch

        with torch.no_grad():
            self._step(tensors, x, y)


class TutorialTorchPeer:
    """PyTorch as its tutorials write it: ``nn.Sequential``, a ``DataLoader``, ``torch.optim.SGD``.

    What most programmes do; a step of a small network takes over twice as long as `TorchPeer`'s.
    """

    def __init__(self, work: Workload, X: Array, Y: Array, threads: int) -> None:
        import torch
        from torch.utils.data import TensorDataset

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self._work = work
        targets = Y.argmax(axis=1) if work.loss == "cross-entropy" else Y
        self._data = TensorDataset(torch.from_numpy(X), torch.from_numpy(targets))

    def train(self, params: Params, epochs: int, order: Order | None = None) -> None:
        """Train as `runtime.bench.peers.Contender` says."""
        from torch import nn, optim
        from torch.utils.data import DataLoader

        work = self._work
        model = to_sequential(work.network(), params)
        is_classifier = work.loss == "cross-entropy"
        if is_classifier:
            model = model[:-1]  # CrossEntropyLoss takes the logits
        loss_fn = nn.CrossEntropyLoss() if is_classifier else nn.MSELoss()
        optimizer = optim.SGD(model.parameters(), lr=work.eta)
        shuffled = DataLoader(self._data, batch_size=work.batch, shuffle=True)
        for epoch in range(epochs):
            loader = shuffled
            if order is not None:
                loader = DataLoader(self._data, work.batch, sampler=order[epoch].tolist())
            for x, y in loader:
                optimizer.zero_grad()
                loss_fn(model(x), y).backward()
                optimizer.step()
        for value, tensor in zip(params.values(), model.parameters(), strict=True):
            value[...] = tensor.detach().numpy()


def refusal_of_tutorial(work: Workload) -> str | None:
    """Return why PyTorch's modules cannot do this work, or None."""
    strangers = [name for name in work.activations if name not in _FUSED]
    natural = work.loss == "mse" or (work.loss, work.activations[-1]) == (
        "cross-entropy",
        "softmax",
    )
    if strangers or not natural or work.l2:
        return (
            f"it is written for {', '.join(_FUSED)} under cross-entropy of a softmax or mse, "
            f"without l2, and {work.spec} is another under {work.loss}"
        )
    return None


def refusal_to_compile(work: Workload) -> str | None:
    """Return why the compiled step cannot do this work, or None."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        return f"there is no C++ compiler called {compiler}"
    strangers = [name for name in work.activations if name not in _FUSED]
    if strangers or work.loss not in _FUSED_LOSSES or work.l2:
        return (
            f"its step is written for {', '.join(_FUSED)} under {' and '.join(_FUSED_LOSSES)} "
            f"without l2, and {work.spec} is another under {work.loss}"
        )
    return None


def _torch_activations() -> "dict[str, Callable[[torch.Tensor], torch.Tensor]]":
    import torch

    return {
        "identity": lambda Z: Z,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "relu": torch.relu,
        "softmax": lambda Z: torch.softmax(Z, dim=1),
    }
