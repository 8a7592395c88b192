"""``runtime.export_onnx``: a trained network as an ONNX file.

Layer l is one ``Gemm`` with ``transB=1``: ``W{l}`` lies in the file as it lies in memory. The
input is ``X (B, n0)``, the output ``P (B, nL)``, with any B. A scaling stands in front, computed in
float64 as it is here. What ONNX has no place for (loss, classes, kind of scaling) is JSON in the
metadata entry ``gradwright``.

References
----------
.. [1] https://onnx.ai/onnx/operators, the operators by version of the set.
"""

import json
import os
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError
from runtime.files import write_atomically
from runtime.onnx_package import ENTRY, LARGEST, OPERATORS, load_onnx
from runtime.portable import PortableNetwork

_OPERATOR_SET = {False: (17, 8), True: (20, 9)}  # with gelu: from 20 on; (set, version of the IR)
# what onnxruntime 1.32 has no float64 for, and silu, which it fuses into what up to 1.29 had none
_FLOAT32_ONLY = ("softplus", "elu", "gelu", "silu")


def export_onnx(source: Any, path: str | os.PathLike[str]) -> None:
    """Write a trained network as an ONNX file, whole or not at all.

    Parameters
    ----------
    source
        A model, the result of `runtime.train`, the folder of a run, a fitted estimator (ours or
        scikit-learn's MLPClassifier or MLPRegressor), or a `PortableNetwork`.
        The result and the folder know the scaling of the inputs, which goes into the file.
    path
        The file; one that is there is replaced.

    Raises
    ------
    InputError, RunError
        If onnx is not installed, the network is too large or has an activation that ONNX has no
        operator for, or `path` cannot be written to.

    Examples
    --------
    >>> import runtime
    >>> result = runtime.train("circles", epochs=20)  # doctest: +SKIP
    >>> runtime.export_onnx(result, "circles.onnx")  # doctest: +SKIP
    """
    write_atomically(path, onnx_bytes(PortableNetwork.of(source)))


def onnx_bytes(portable: PortableNetwork) -> bytes:
    """Return the content of the file that `export_onnx` writes: equal input, equal bytes.

    Raises
    ------
    InputError
        As `export_onnx` does.
    """
    _refuse_what_onnx_lacks(portable)
    onnx = load_onnx()
    writer = _Writer(onnx, portable)
    sizes, activations = portable.network.sizes, portable.network.activations
    value = "X" if portable.scaling is None else writer.scaled("X", "H0")
    for layer, name in enumerate(activations, start=1):
        last = layer == len(activations)
        out = "P" if last else f"H{layer}"
        Z = out if name == "identity" else f"Z{layer}"
        writer.affine(value, layer, Z)
        if name != "identity":
            writer.activation(name, Z, out, layer)
        value = out
    graph = onnx.helper.make_graph(
        writer.nodes,
        "gradwright",
        [onnx.helper.make_tensor_value_info("X", writer.type, ["B", sizes[0]])],
        [onnx.helper.make_tensor_value_info("P", writer.type, ["B", sizes[-1]])],
        writer.tensors,
        doc_string=portable.network.text,
    )
    operators, ir = _OPERATOR_SET["gelu" in activations]
    model = onnx.helper.make_model(
        graph,
        producer_name="gradwright",
        opset_imports=[onnx.helper.make_opsetid("", operators)],
        ir_version=ir,
    )
    onnx.helper.set_model_props(model, {ENTRY: _entry(portable)})
    return bytes(model.SerializeToString(deterministic=True))


def _refuse_what_onnx_lacks(portable: PortableNetwork) -> None:
    network = portable.network
    known = ("identity", "silu", *OPERATORS)
    for layer, name in enumerate(network.activations, start=1):
        where = f'layers[{layer}].activation: "{name}"'
        if name not in known:
            raise InputError(
                f"{where}: ONNX has no operator for a function of your own. Known: "
                f"{', '.join(sorted(known))}."
            )
        if portable.dtype == "float64" and name in _FLOAT32_ONLY:
            raise InputError(
                f"{where}: onnxruntime has it in float32 only. Train with --dtype float32."
            )
    size = sum(array.nbytes for array in portable.params.values())
    if size > LARGEST * 0.99:
        raise InputError(
            f"network: {network} has {size >> 20} MB of parameters. ONNX files of up to "
            f"{LARGEST >> 20} MB are written: use a smaller network."
        )


def _entry(portable: PortableNetwork) -> str:
    network = portable.network
    content = {
        "spec": network.text,
        "loss": network.loss,
        "define": [str(definition) for definition in network.definitions],
        "l2": network.l2,
        "classes": list(portable.classes),
        "scale": None if portable.scaling is None else portable.scaling.kind,
    }
    return json.dumps(content, sort_keys=True)


@final
class _Writer:
    """Collects nodes and tensors, in the order of the computation."""

    def __init__(self, onnx: Any, portable: PortableNetwork) -> None:
        self._onnx = onnx
        self._portable = portable
        kinds = onnx.TensorProto
        self.type = {"float32": kinds.FLOAT, "float64": kinds.DOUBLE}[portable.dtype]
        self._double = kinds.DOUBLE
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []

    def scaled(self, value: str, out: str) -> str:
        """Add ``(x - shift) / unit`` in float64, as `runtime.data.scaling` computes it."""
        scaling = self._portable.scaling
        assert scaling is not None
        casts = self.type != self._double
        if casts:
            value = self._node("Cast", [value], "X_double", to=self._double)
        shift = self._tensor("shift", scaling.shift)
        value = self._node("Sub", [value, shift], "X_shifted")
        unit = self._tensor("unit", scaling.unit)
        value = self._node("Div", [value, unit], "X_scaled" if casts else out)
        return self._node("Cast", [value], out, to=self.type) if casts else value

    def affine(self, value: str, layer: int, out: str) -> None:
        """Add ``H Wᵀ + 1 bᵀ``."""
        names = [f"W{layer}", f"b{layer}"]
        W, b = (self._tensor(name, self._portable.params[name]) for name in names)
        self._node("Gemm", [value, W, b], out, transB=1)

    def activation(self, name: str, Z: str, out: str, layer: int) -> None:
        """Add an activation."""
        if name == "silu":
            self._node("Sigmoid", [Z], f"S{layer}")
            self._node("Mul", [Z, f"S{layer}"], out)
        elif name in ("softmax", "log_softmax"):
            self._node(OPERATORS[name], [Z], out, axis=-1)
        else:
            self._node(OPERATORS[name], [Z], out)

    def _node(self, operator: str, inputs: list[str], out: str, **attributes: int) -> str:
        node = self._onnx.helper.make_node(operator, inputs, [out], name=out, **attributes)
        self.nodes.append(node)
        return out

    def _tensor(self, name: str, array: NDArray[Any]) -> str:
        array = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
        self.tensors.append(self._onnx.numpy_helper.from_array(array, name))
        return name
