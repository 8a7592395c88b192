"""``runtime.as_torch_module``: a network as ``torch.nn.Module`` that runs on our kernels."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from derive.spec import DEFAULT_LOSS, NetworkSpec, parse_spec
from runtime.errors import InputError
from runtime.portable import PortableNetwork, shapes_of
from runtime.settings import DTYPES
from runtime.torch_oracle import load_torch
from runtime.torch_sequential import from_sequential
from runtime.trained import kernels

if TYPE_CHECKING:
    from runtime.torch_kernels import GeneratedModule


def as_torch_module(
    source: Any,
    *,
    loss: str | None = None,
    define: Sequence[str] = (),
    dtype: str | None = None,
    seed: int = 0,
    scale: float = 0.3,
) -> "GeneratedModule":
    """Return a network as a module of PyTorch; its gradients are the generated ones.

    Parameters
    ----------
    source
        The text of a network, or a `NetworkSpec`: its parameters are drawn. Or a model, a
        result of `runtime.train`, the folder of a run, a fitted estimator, or an
        ``nn.Sequential`` of linear layers and activations: they are copied. A text that names a
        folder is a network all the same; give a folder as `pathlib.Path`.
    loss, define
        For a text, as for `derive.parse_spec`: they decide the default output and what names
        of activations mean. For an ``nn.Sequential`` the loss of `portable()`.
    dtype
        ``"float32"`` or ``"float64"``; None: that of the source, float32 for a specification.
    seed, scale
        Of the parameters that are drawn: ``scale`` × normal, biases 0.

    Returns
    -------
    GeneratedModule
        Parameters are named ``W1, b1, …``, in its ``state_dict`` too; `to_sequential` gives
        PyTorch's own layers.

    Raises
    ------
    InputError
        If PyTorch is not installed, the network is none of ours, or its inputs were scaled
        in training, which the module would not do.

    Examples
    --------
    >>> import runtime
    >>> runtime.as_torch_module("2-10-2")
    GeneratedModule(2-10-2)
    """
    torch = load_torch("torch.nn.Module")
    if dtype is not None and dtype not in DTYPES:
        raise InputError(f"dtype: {dtype!r} is not known. Known: {', '.join(DTYPES)}.")
    if isinstance(source, str):
        source = parse_spec(source, loss=loss or DEFAULT_LOSS, define=define)
    if isinstance(source, NetworkSpec):
        shapes_of(source)  # refuses names for sizes
        dtype = dtype or "float32"
        drawn = kernels(source, dtype).init_params(seed, scale)
        portable = PortableNetwork(network=source, params=drawn)
    elif type(source) is torch.nn.Sequential:
        portable = from_sequential(source, loss)
    elif isinstance(source, torch.nn.Module):
        raise InputError(f"{type(source).__name__}: expected nn.Sequential. Put its layers in one.")
    else:
        portable = PortableNetwork.of(source)
    if portable.scaling is not None:
        raise InputError(
            "this network was trained on scaled inputs, which a module of PyTorch would not be "
            "told. Give its model (result.model), and scale the inputs (result.scaled)."
        )
    from runtime.torch_kernels import GeneratedModule

    module = GeneratedModule(portable)
    return module if dtype is None else module.to(getattr(torch, dtype))
