"""Networks of ours and PyTorch's ``nn.Sequential``: the same layers under two names.

Layer l of ours, ``W{l}`` and ``b{l}``, is the l-th ``nn.Linear`` of the sequence, its
``weight`` and its ``bias``: both lie as ``(out, in)``, so that nothing is transposed. What
stands between two linear layers is the activation.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from derive.spec import NetworkSpec, parse_spec
from runtime.errors import InputError
from runtime.portable import PortableNetwork, natural_loss
from runtime.torch_oracle import Torch, load_torch

# nn.Softplus is the identity above its threshold, 20 by default; e^-40 is below a rounding
_THRESHOLD = 40.0

# ours -> a module of torch.nn; sin has none there
_MODULES: dict[str, Callable[[Torch], Torch]] = {
    "tanh": lambda nn: nn.Tanh(),
    "sigmoid": lambda nn: nn.Sigmoid(),
    "relu": lambda nn: nn.ReLU(),
    "softplus": lambda nn: nn.Softplus(threshold=_THRESHOLD),
    "elu": lambda nn: nn.ELU(),
    "gelu": lambda nn: nn.GELU(),
    "silu": lambda nn: nn.SiLU(),
    "identity": lambda nn: nn.Identity(),
    "softmax": lambda nn: nn.Softmax(dim=-1),
    "log_softmax": lambda nn: nn.LogSoftmax(dim=-1),
}


def _any(_: Torch) -> bool:
    return True


# class in torch.nn -> ours, and what an instance must be like
_NAMES: dict[str, tuple[str, str, Callable[[Torch], bool]]] = {
    "Tanh": ("tanh", "", _any),
    "Sigmoid": ("sigmoid", "", _any),
    "ReLU": ("relu", "", _any),
    "Softplus": (
        "softplus",
        "beta=1 and threshold of at least 20",
        lambda m: bool(m.beta == 1 and m.threshold >= 20),
    ),
    "ELU": ("elu", "alpha=1", lambda m: bool(m.alpha == 1)),
    "GELU": ("gelu", 'approximate="none"', lambda m: bool(m.approximate == "none")),
    "SiLU": ("silu", "", _any),
    "Identity": ("identity", "", _any),
    "Softmax": ("softmax", "dim=-1 or 1", lambda m: m.dim in (-1, 1)),
    "LogSoftmax": ("log_softmax", "dim=-1 or 1", lambda m: m.dim in (-1, 1)),
}


def to_sequential(network: NetworkSpec, params: dict[str, Any]) -> Torch:
    """Return ``nn.Sequential`` with the same layers and a copy of the parameters.

    Raises
    ------
    InputError
        If PyTorch is not installed, or has no module for an activation.
    """
    torch = load_torch("nn.Sequential")
    layers: list[Torch] = []
    for number, name in enumerate(network.activations, start=1):
        if name not in _MODULES:
            raise InputError(
                f'layers[{number}].activation: torch.nn has no module for "{name}". Use the '
                f"network as a module of its own, or one of: {', '.join(sorted(_MODULES))}."
            )
        W, b = (torch.from_numpy(np.array(params[f"{kind}{number}"])) for kind in "Wb")
        # on "meta" nothing is drawn: a seed of the user's gives the same numbers afterwards
        linear = torch.nn.Linear(W.shape[1], W.shape[0], device="meta", dtype=W.dtype)
        linear.weight, linear.bias = torch.nn.Parameter(W), torch.nn.Parameter(b)
        layers.append(linear)
        if name != "identity":
            layers.append(_MODULES[name](torch.nn))
    return torch.nn.Sequential(*layers)


def from_sequential(sequence: Torch, loss: str | None = None) -> PortableNetwork:
    """Return the network that an ``nn.Sequential`` of linear layers and activations is.

    Parameters
    ----------
    sequence
        Its parameters are copied.
    loss
        What it is trained with; None: what goes with its output, mse after a linear one.

    Raises
    ------
    InputError
        Naming the first module that our networks do not have.
    """
    torch = load_torch("nn.Sequential")
    linears: list[Torch] = []
    names: list[str | None] = []
    for place, module in enumerate(sequence):
        where = f"sequence[{place}], {type(module).__name__}"
        # exactly these classes: one derived from them may compute anything
        if type(module) is torch.nn.Linear:
            if module.bias is None:
                raise InputError(
                    f"{where}: it has no bias, and layers here always have one. Give it a bias of "
                    "zeros."
                )
            linears.append(module)
            names.append(None)
        elif not linears:
            raise InputError(f"{where}: stands before the first Linear. Apply it to the inputs.")
        elif names[-1] is not None:
            raise InputError(f"{where}: a second activation in a row. Leave one of them out.")
        else:
            names[-1] = _activation(torch, module, where)
        if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
            raise InputError(f"{where}: it has hooks, which would be lost. Remove them first.")
    if not linears:
        raise InputError("sequence: it has no Linear. Give at least one layer.")
    output = names[-1] or "identity"
    layers = [
        f"{linear.out_features}:{name or 'identity'}"
        for linear, name in zip(linears, names, strict=True)
    ]
    network = parse_spec(
        "-".join([str(linears[0].in_features), *layers]), loss=loss or natural_loss(output)
    )
    params = {}
    for number, linear in enumerate(linears, start=1):
        for name, tensor in ((f"W{number}", linear.weight), (f"b{number}", linear.bias)):
            params[name] = _array(torch, name, tensor)
    return PortableNetwork(network=network, params=params)


def _activation(torch: Torch, module: Torch, where: str) -> str:
    kind = type(module).__name__
    if kind not in _NAMES or type(module) is not getattr(torch.nn, kind):
        raise InputError(
            f"{where}: not a layer of ours. Known: Linear, {', '.join(sorted(_NAMES))}."
        )
    name, needed, fits = _NAMES[kind]
    if not fits(module):
        raise InputError(f"{where}: {module}. Expected {needed}.")
    return name


def _array(torch: Torch, name: str, tensor: Torch) -> Any:
    if tensor.is_meta:
        raise InputError(f"{name}: a tensor without numbers (device meta). Load its weights first.")
    if tensor.dtype not in (torch.float32, torch.float64):
        raise InputError(
            f"{name}: it is {tensor.dtype}. Expected float32 or float64: convert the network by "
            ".float() or .double()."
        )
    return tensor.detach().cpu().numpy().copy()
