"""The other opinion: the same networks in PyTorch, differentiated by its autograd.

Some of torch's convenience functions are not what their names say: ``F.softplus`` is the
identity above 20, ``F.binary_cross_entropy`` clamps its logarithms. They are not used here.
PyTorch is loaded when it is first needed.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derive.spec import NetworkSpec
from runtime.errors import InputError
from runtime.torch_formula import formula_values

Array = NDArray[Any]
Torch = Any  # torch's modules and tensors: it is not imported, nor its types, until needed


def load_torch(purpose: str = "the comparison") -> Torch:
    """Return the torch module.

    Raises
    ------
    InputError
        If it is not installed; `purpose` is what needs it.
    """
    try:
        return import_module("torch")
    except ImportError as error:
        raise InputError(
            f"PyTorch is not installed, and {purpose} needs it. "
            "Install it with: pip install 'gradwright[torch]'"
        ) from error


def _functional() -> Torch:
    return load_torch().nn.functional


# name -> function of a layer's (B, n)
ACTIVATIONS: dict[str, Callable[[Torch], Torch]] = {
    "tanh": lambda z: load_torch().tanh(z),
    "sigmoid": lambda z: load_torch().sigmoid(z),
    "relu": lambda z: load_torch().where(z > 0, z, load_torch().zeros_like(z)),
    "softplus": lambda z: load_torch().logaddexp(z, load_torch().zeros_like(z)),
    "elu": lambda z: _functional().elu(z),
    "gelu": lambda z: _functional().gelu(z),
    "silu": lambda z: _functional().silu(z),
    "identity": lambda z: z,
    "sin": lambda z: load_torch().sin(z),
    "softmax": lambda z: load_torch().softmax(z, 1),
    "log_softmax": lambda z: load_torch().log_softmax(z, 1),
}


def _cross_entropy(Y: Torch, P: Torch, _: Torch) -> Torch:
    return -(Y * load_torch().log(P)).sum(1)


def _binary_cross_entropy(Y: Torch, P: Torch, _: Torch) -> Torch:
    torch = load_torch()
    return -(Y * torch.log(P) + (1 - Y) * torch.log(1 - P)).sum(1)


def _huber(Y: Torch, P: Torch, _: Torch) -> Torch:
    return _functional().huber_loss(P, Y, reduction="none").mean(1)


def _hinge(Y: Torch, _: Torch, Z: Torch) -> Torch:
    torch = load_torch()
    return torch.maximum(torch.zeros_like(Z), 1 - (2 * Y - 1) * Z).sum(1)


# name -> losses (B,) of targets Y, outputs P and the last affine map Z, all (B, n)
LOSSES: dict[str, Callable[[Torch, Torch, Torch], Torch]] = {
    "cross-entropy": _cross_entropy,
    "binary-cross-entropy": _binary_cross_entropy,
    "mse": lambda Y, P, _: ((P - Y) ** 2).mean(1),
    "mae": lambda Y, P, _: load_torch().abs(P - Y).mean(1),
    "huber": _huber,
    "hinge": _hinge,
}


def _from_logits(loss: str, output: str, Y: Torch, Z: Torch) -> Torch | None:
    """Return the losses where log and output apart are infinite at extremes, else None."""
    torch = load_torch()
    log_sigmoid = _functional().logsigmoid
    if loss == "cross-entropy" and output in ("softmax", "log_softmax"):
        return -(Y * torch.log_softmax(Z, 1)).sum(1)
    if loss == "cross-entropy" and output == "sigmoid":
        return -(Y * log_sigmoid(Z)).sum(1)
    if loss == "binary-cross-entropy" and output == "sigmoid":
        return -(Y * log_sigmoid(Z) + (1 - Y) * log_sigmoid(-Z)).sum(1)
    return None


def oracle_output(
    spec: NetworkSpec, params: Mapping[str, Any], X: Any, dtype: str = "float64"
) -> Array:
    """Return the output (B, nL) of a network for inputs (B, n0), arrays in and out."""
    with _one_thread():
        given = {name: _tensor(params[name], dtype) for name in names_of(spec)}
        Z = _last_affine(spec, given, _tensor(X, dtype))
        output: Array = _activate(spec, spec.depth, Z).numpy()
    return output


def oracle_loss(
    spec: NetworkSpec,
    params: Mapping[str, Torch],
    X: Torch,
    Y: Torch,
    weights: Torch | None = None,
) -> Torch:
    """Return the mean loss over a batch as a torch scalar.

    Parameters
    ----------
    spec
        The network.
    params
        Tensors ``W{l} (n_l, n_{l-1})`` and ``b{l} (n_l,)``.
    X, Y
        Tensors (B, n0) and (B, nL).
    weights
        Sample weights (B,): the mean is then ``sum w l / sum w``.

    Raises
    ------
    InputError
        If PyTorch is missing, or an activation or the loss has no formula here.
    """
    Z = _last_affine(spec, params, X)
    losses = _from_logits(spec.loss, spec.activations[-1], Y, Z)
    if losses is None:
        losses = _losses(spec, Y, _activate(spec, spec.depth, Z), Z)
    mean = losses.mean() if weights is None else (weights * losses).sum() / weights.sum()
    if spec.l2:
        squares = [(params[f"W{layer}"] ** 2).sum() for layer in range(1, spec.depth + 1)]
        mean = mean + spec.l2 / 2 * sum(squares[1:], squares[0])
    return mean


def loss_and_gradients(
    spec: NetworkSpec,
    params: Mapping[str, Any],
    X: Any,
    Y: Any,
    weights: Any = None,
    dtype: str = "float64",
) -> tuple[float, dict[str, Array]]:
    """Return the mean loss over a batch and its gradient in each parameter, by autograd.

    Parameters and errors as for `oracle_loss`, with arrays in the place of tensors;
    everything is computed in `dtype`, on one thread.

    Returns
    -------
    loss : float
    gradients : dict of ndarray
        Shaped as the parameters; 0 where the loss does not depend on one.
    """
    with _one_thread():
        given = {name: _tensor(params[name], dtype).requires_grad_() for name in names_of(spec)}
        sample_weights = None if weights is None else _tensor(weights, dtype)
        loss = oracle_loss(spec, given, _tensor(X, dtype), _tensor(Y, dtype), sample_weights)
        gradients = gradients_of(loss, given)
    return float(loss.detach()), gradients


def gradients_of(loss: Torch, params: Mapping[str, Torch]) -> dict[str, Array]:
    """Return the gradient of a torch scalar in each of the tensors, 0 where there is none."""
    torch = load_torch()
    tensors = list(params.values())
    if not loss.requires_grad:
        return {name: np.zeros_like(tensor.detach().numpy()) for name, tensor in params.items()}
    found = torch.autograd.grad(loss, tensors, allow_unused=True)
    return {
        name: torch.zeros_like(tensor).numpy() if gradient is None else gradient.numpy()
        for (name, tensor), gradient in zip(params.items(), found, strict=True)
    }


def train_sgd(
    spec: NetworkSpec,
    params: Mapping[str, Any],
    X: Any,
    Y: Any,
    order: Any,
    batch: int,
    eta: float,
    dtype: str = "float64",
) -> dict[str, Array]:
    """Return the parameters after plain stochastic gradient descent by autograd.

    Parameters
    ----------
    spec, params
        As for `loss_and_gradients`; `params` is left as it is.
    X, Y
        Arrays (N, n0) and (N, nL).
    order
        Integers (epochs, N): the order of the samples in each epoch.
    batch
        Samples per step; a last partial batch is used, with its own mean.
    eta
        Learning rate.
    dtype
        Type of everything, ``"float32"`` or ``"float64"``.

    Raises
    ------
    InputError
        As for `oracle_loss`.
    """
    torch = load_torch()
    with _one_thread():
        values = {name: _tensor(params[name], dtype).requires_grad_() for name in names_of(spec)}
        X, Y = _tensor(X, dtype), _tensor(Y, dtype)
        for epoch in np.asarray(order):
            for first in range(0, len(epoch), batch):
                chosen = torch.from_numpy(epoch[first : first + batch].astype(np.int64))
                loss = oracle_loss(spec, values, X[chosen], Y[chosen])
                gradients = torch.autograd.grad(loss, list(values.values()))
                with torch.no_grad():
                    for value, gradient in zip(values.values(), gradients, strict=True):
                        value -= eta * gradient
    return {name: value.detach().numpy() for name, value in values.items()}


def names_of(spec: NetworkSpec) -> list[str]:
    """Return the names of a network's parameters: W1, b1, W2, …."""
    return [f"{letter}{layer}" for layer in range(1, spec.depth + 1) for letter in "Wb"]


def _last_affine(spec: NetworkSpec, params: Mapping[str, Torch], X: Torch) -> Torch:
    H = X
    for layer in range(1, spec.depth + 1):
        Z = H @ params[f"W{layer}"].T + params[f"b{layer}"]
        if layer < spec.depth:
            H = _activate(spec, layer, Z)
    return Z


def _activate(spec: NetworkSpec, layer: int, Z: Torch) -> Torch:
    name = spec.activations[layer - 1]
    own = spec.definition(name)
    if own is not None:
        return formula_values(
            own.formula, {own.parameter: Z}, ACTIVATIONS
        ) + load_torch().zeros_like(Z)
    return _known(ACTIVATIONS, name, "activation")(Z)


def _losses(spec: NetworkSpec, Y: Torch, P: Torch, Z: Torch) -> Torch:
    if spec.formula is not None:
        return formula_values(spec.formula, {"P": P, "Y": Y, "Z": Z}, ACTIVATIONS)
    return _known(LOSSES, spec.loss, "loss")(Y, P, Z)


def _known(formulas: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in formulas:
        raise InputError(
            f'{what}: "{name}" has no formula in PyTorch here, so it cannot be compared. '
            f"Known: {', '.join(formulas)}."
        )
    return formulas[name]


def _tensor(array: Any, dtype: str) -> Torch:
    # a copy: torch refuses some layouts, and must not see a change of the caller's
    return load_torch().from_numpy(np.array(array, dtype=dtype, order="C"))


@contextmanager
def _one_thread() -> Iterator[None]:
    torch = load_torch()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
