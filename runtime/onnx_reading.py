"""``runtime.import_onnx``: a dense network from an ONNX file.

The graph must be one chain from its input to its output: perhaps a scaling, then layers of
``Gemm``, or ``MatMul`` and ``Add``, with the activations that networks here have. It is read,
not run, and whatever else it holds is refused by name.
"""

import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, final

from numpy.typing import NDArray

from derive.spec import NetworkSpec, parse_spec
from runtime.data.scaling import SCALES, Scaling
from runtime.errors import InputError
from runtime.files import path_error, read_bytes, shown
from runtime.onnx_chain import Chain, Layer, read_chain
from runtime.onnx_package import ENTRY, LARGEST, load_onnx
from runtime.portable import PortableNetwork, checksum, natural_loss
from runtime.protobuf_size import refuse_bloated

Array = NDArray[Any]
_Found = TypeVar("_Found")


def import_onnx(path: str | os.PathLike[str], *, loss: str | None = None) -> PortableNetwork:
    """Read a dense network from an ONNX file; its numbers are taken as they are.

    Parameters
    ----------
    path
        The file, of at most 512 MB, with its weights in it.
    loss
        What the network is trained with; None: what the file says if it is one of ours, else
        what goes with its output: cross-entropy after a softmax, binary-cross-entropy after
        a sigmoid, mse else.

    Returns
    -------
    PortableNetwork
        A layer without a bias has one of zeros. Without word in the file, the classes are
        numbered where the outputs are probabilities, and a scaling is called ``"standard"``.

    Raises
    ------
    InputError
        If onnx is not installed, the file cannot be read, is damaged, or holds anything but such
        a network.
    """
    name = shown(path)
    try:
        status = Path(path).stat()
    except FileNotFoundError as error:
        raise InputError(f"{name}: there is no such file. Check the path.") from error
    except OSError as error:
        raise path_error(error, path, "read") from error
    if stat.S_ISREG(status.st_mode) and status.st_size > LARGEST:  # before a byte is read
        raise InputError(
            f"{name}: {status.st_size >> 20} MB. ONNX files of up to {LARGEST >> 20} MB are read."
        )
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise InputError(f"{name}: not an ordinary file. Give an ONNX file.")
    content = read_bytes(path)
    return _told_of(name, lambda: _network(content, Path(path).name, loss))


def _told_of(name: str, read: Callable[[], _Found]) -> _Found:
    try:
        return read()
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _network(content: bytes, name: str, loss: str | None) -> PortableNetwork:
    onnx = load_onnx()
    refuse_bloated(content)
    from google.protobuf.message import DecodeError

    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError:
        raise InputError(
            "damaged or cut short, or no ONNX file. Export the network again."
        ) from None
    chain = read_chain(onnx, model)
    entries = [entry.value for entry in model.metadata_props if entry.key == ENTRY]
    told = _Told.read(entries[0]) if entries else _Told()
    network = told.network(chain, loss)
    params: dict[str, Array] = {}
    for number, layer in enumerate(chain.layers, start=1):
        params |= {f"W{number}": layer.W, f"b{number}": layer.b}
    scaling = None
    if chain.scaling is not None:
        shift, unit = chain.scaling
        scaling = Scaling(kind=told.scale or SCALES[1], shift=shift, unit=unit)
    classes = told.classes if entries else _numbered_classes(network)
    return PortableNetwork(
        network=network,
        params=params,
        scaling=scaling,
        classes=classes,
        source={name: checksum(content)},
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What the metadata of a file of ours says; nothing, for a file of another programme."""

    spec: str | None = None
    loss: str | None = None
    define: tuple[str, ...] = ()
    l2: float = 0.0
    classes: tuple[int | str, ...] = ()
    scale: str | None = None

    @classmethod
    def read(cls, text: str | bytes) -> "_Told":
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            raise _strange() from None
        kinds = {"spec": str, "loss": str, "define": list, "l2": float, "classes": list}
        known = isinstance(found, dict) and set(found) == {*kinds, "scale"}
        if not known or not all(isinstance(found[key], kind) for key, kind in kinds.items()):
            raise _strange()
        if found["scale"] not in (None, *SCALES[1:]):
            raise _strange()
        if not all(isinstance(definition, str) for definition in found["define"]):
            raise _strange()
        if not all(type(label) in (int, str) for label in found["classes"]):
            raise _strange()
        lists = {key: tuple(found[key]) for key in ("define", "classes")}
        return cls(**{**found, **lists})

    def network(self, chain: Chain, loss: str | None) -> NetworkSpec:
        """Return the network of a chain, with the loss that is told or asked for.

        Raises
        ------
        InputError
            If it is not the network that is told of, or its classes are not.
        """
        text, output = _spec_of(chain.layers), chain.layers[-1].activation
        loss = loss or self.loss or natural_loss(output)
        network = parse_spec(text, loss=loss, define=self.define, l2=self.l2)
        outputs, classes = network.sizes[-1], len(self.classes)
        fits = classes in (0, outputs) or (classes, outputs) == (2, 1)
        if self.spec not in (None, text) or not fits:
            raise _strange()
        return network


def _strange() -> InputError:
    return InputError(
        f'its metadata entry "{ENTRY}" is not that of its network. Export the network again, or '
        "take the entry out."
    )


def _numbered_classes(network: NetworkSpec) -> tuple[int, ...]:
    outputs = int(network.sizes[-1])
    if network.activations[-1] in ("softmax", "log_softmax"):
        return tuple(range(outputs))
    return (0, 1) if network.activations[-1] == "sigmoid" and outputs == 1 else ()


def _spec_of(layers: tuple[Layer, ...]) -> str:
    parts = [str(layers[0].W.shape[1])]
    return "-".join([*parts, *(f"{layer.W.shape[0]}:{layer.activation}" for layer in layers)])
