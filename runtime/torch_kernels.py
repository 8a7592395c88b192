"""Our kernels inside PyTorch's autograd. Imports PyTorch: see `runtime.torch_module`.

The forward pass is the emitted ``forward``, the backward pass the emitted ``vjp``, which
computes the forward values it needs again: nothing is kept between the two but the inputs.
"""

import sys
from functools import lru_cache
from types import ModuleType
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from derive.spec import NetworkSpec
from runtime.errors import InputError
from runtime.portable import PortableNetwork
from runtime.torch_sequential import to_sequential
from runtime.trained import kernels

_DTYPES = {torch.float32: "float32", torch.float64: "float64"}


@final
class KernelFunction(torch.autograd.Function):  # type: ignore[misc]  # torch's types are not read
    """The outputs P (B, nL) of inputs X (B, n0) and all parameters, and their gradients."""

    @staticmethod
    def forward(ctx: Any, module: ModuleType, X: Any, *params: Any) -> Any:
        """Call the emitted ``forward``."""
        ctx.module = module
        ctx.save_for_backward(X, *params)
        return torch.from_numpy(module.forward(_named(module, params), _array(X)))

    @staticmethod
    def backward(ctx: Any, dP: Any) -> Any:
        """Pull dP (B, nL) back to the inputs and all parameters."""
        found = _PullBack.apply(ctx.module, dP, *ctx.saved_tensors)
        wanted = ctx.needs_input_grad[1:]
        return None, *(
            value if needed else None for value, needed in zip(found, wanted, strict=True)
        )


@final
class _PullBack(torch.autograd.Function):  # type: ignore[misc]
    """The emitted ``vjp``, as a function of its own.

    So that autograd knows what gradients depend on: whoever differentiates them is told that
    it cannot be done, where they would count as constants otherwise.
    """

    @staticmethod
    def forward(ctx: Any, module: ModuleType, dP: Any, X: Any, *params: Any) -> Any:
        """Call the emitted ``vjp``."""
        del ctx
        dX, gradients = module.vjp(_named(module, params), _array(X), _array(dP))
        return tuple(map(torch.from_numpy, (dX, *gradients.values())))

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        """Refuse."""
        del ctx, cotangents
        raise InputError(
            "second derivatives: the kernels give first ones only. Use to_sequential() for them, "
            "or hvp of a module generated with --hvp."
        )


@final
class GeneratedModule(torch.nn.Module):  # type: ignore[misc]
    """A network whose forward and backward pass are generated kernels, on the CPU.

    Its parameters are ``W1, b1, W2, …``, and these are the names in its ``state_dict``. It is
    trained, saved, copied and converted (``.double()``) as any module. Inputs are
    ``(…, n0)`` of the parameters' type. Gradients are of first order: to differentiate them
    again is refused.

    Attributes
    ----------
    network
        The specification that the kernels come from.
    """

    def __init__(self, portable: PortableNetwork) -> None:
        super().__init__()
        self.network = portable.network
        for name, array in portable.params.items():
            self.register_parameter(name, torch.nn.Parameter(torch.from_numpy(np.array(array))))

    def forward(self, X: Any) -> Any:
        """Return the outputs (…, nL) for inputs (…, n0).

        Raises
        ------
        InputError
            If inputs and parameters are not on the CPU, not of one type, float32 or float64,
            or the inputs are not of the network's size.
        """
        params = tuple(self.parameters())
        n, dtype = int(self.network.sizes[0]), params[0].dtype
        for what, tensor in (("inputs", X), *self.named_parameters()):
            if tensor.device.type != "cpu":
                raise InputError(
                    f"{what}: on {tensor.device}, and the kernels run on the CPU only. Move it by "
                    ".cpu(), or use to_sequential()."
                )
            if tensor.dtype != dtype or dtype not in _DTYPES:
                raise InputError(
                    f"{what}: {tensor.dtype}, and the parameters are {dtype}. Expected float32 "
                    "or float64 for both: convert by .float() or .double()."
                )
        if X.ndim == 0 or X.shape[-1] != n:
            raise InputError(f"inputs: shape {tuple(X.shape)}, expected (..., {n}).")
        rows = _call()(self.network, _DTYPES[dtype], X.reshape(-1, n), *params)
        return rows.reshape(*X.shape[:-1], int(self.network.sizes[-1]))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return a copy of the parameters, as our other functions take them."""
        return {name: _array(value).copy() for name, value in self.named_parameters()}

    def portable(self) -> PortableNetwork:
        """Return the network with a copy of its parameters, to be saved or exported."""
        return PortableNetwork(network=self.network, params=self.arrays())

    def to_sequential(self) -> Any:
        """Return the same network as ``nn.Sequential``, with a copy of the parameters.

        Raises
        ------
        InputError
            If ``torch.nn`` has no module for an activation.
        """
        return to_sequential(self.network, self.arrays())

    def extra_repr(self) -> str:
        """Return what stands between the brackets when the module is printed."""
        return str(self.network)


def _apply(network: NetworkSpec, dtype: str, X: Any, *params: Any) -> Any:
    return KernelFunction.apply(_kernels(network, dtype), X, *params)


_UNTRACED: list[Any] = []


def _call() -> Any:
    """Return `_apply`, which ``torch.compile`` is kept out of: it would trace into Numba.

    Only once its tracer is there, since to load it takes 1.6 s.
    """
    if "torch._dynamo" not in sys.modules:
        return _apply
    if not _UNTRACED:
        _UNTRACED.append(torch.compiler.disable(_apply))
    return _UNTRACED[0]


@lru_cache(maxsize=64)
def _kernels(network: NetworkSpec, dtype: str) -> ModuleType:
    return kernels(network, dtype)


def _named(module: ModuleType, params: Any) -> dict[str, NDArray[Any]]:
    return {name: _array(p) for name, p in zip(module.PARAMETERS, params, strict=True)}


def _array(tensor: Any) -> NDArray[Any]:
    """Return a tensor's memory as an array: nothing is copied."""
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    return array
