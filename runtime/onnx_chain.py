"""The chain of layers in an ONNX graph; what is no such chain is refused by name."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError
from runtime.files import shown
from runtime.onnx_package import OPERATORS, Onnx

Array = NDArray[Any]

_ACTIVATIONS = {operator: name for name, operator in OPERATORS.items()}
_OTHERS = ("Add", "Cast", "Div", "Flatten", "Gemm", "Identity", "MatMul", "Mul", "Sub")

# operator -> its attributes -> what they may be
_ATTRIBUTES: dict[str, dict[str, tuple[Any, ...]]] = {
    "Gemm": {"alpha": (1.0,), "beta": (1.0,), "transA": (0,), "transB": (0, 1)},
    "Elu": {"alpha": (1.0,)},
    "Gelu": {"approximate": (b"none",)},
    "Softmax": {"axis": (-1, 1)},
    "LogSoftmax": {"axis": (-1, 1)},
    "Flatten": {"axis": (1,)},
    "Cast": {"to": (1, 11), "saturate": (0, 1)},  # to float32 or float64
}


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """``W (out, in)``, ``b (out,)`` and the name of the activation."""

    W: Array
    b: Array
    activation: str


@final
@dataclass(slots=True, kw_only=True, eq=False)
class _Open:
    """A layer as far as it was met."""

    W: Array
    b: Array | None = None
    activation: str | None = None

    def closed(self) -> Layer:
        """Return the layer; what it has none of is zeros, or the identity."""
        b = np.zeros(len(self.W), self.W.dtype) if self.b is None else self.b
        return Layer(W=self.W, b=b, activation=self.activation or "identity")


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chain:
    """Layers from input to output, and shift and unit of the inputs if they are scaled."""

    layers: tuple[Layer, ...]
    scaling: tuple[NDArray[np.float64], NDArray[np.float64]] | None


def read_chain(onnx: Onnx, model: Any) -> Chain:
    """Return the chain of layers that a model is.

    Raises
    ------
    InputError
        Naming the first thing that is none.
    """
    if model.functions or model.training_info:
        raise InputError("it defines functions or a training of its own. Export it without.")
    # where the bytes of a text are no UTF-8, the parser leaves them as bytes
    if not all(isinstance(text, str) for text in _texts(model.graph)):
        raise InputError("damaged: a name in it is no text. Export the network again.")
    graph = _Graph(onnx, model.graph)
    reader = _Reader(onnx, graph)
    value = graph.input
    while value != graph.output:
        value = reader.step(value)
    if graph.readers(value):
        raise InputError(f"{graph.told(graph.readers(value)[0])}: reads the output.")
    if reader.steps != graph.size:
        raise InputError("some nodes are not between input and output. Export it without them.")
    return reader.chain()


@final
class _Graph:
    """The nodes by what they read; no name is given to two values."""

    def __init__(self, onnx: Onnx, graph: Any) -> None:
        self._onnx = onnx
        if graph.sparse_initializer:
            raise InputError("it holds sparse tensors. Export dense ones.")
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        inputs = [given.name for given in graph.input if given.name not in self._tensors]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise InputError(
                f"{len(inputs)} inputs and {len(graph.output)} outputs. Expected one of each."
            )
        self.input, self.output = inputs[0], graph.output[0].name
        _refuse_higher_rank(next(given for given in graph.input if given.name == self.input))
        nodes = []
        for node in graph.node:
            if node.domain not in ("", "ai.onnx"):
                raise InputError(f"{self.told(node)}: of {shown(node.domain)}, not of ONNX itself.")
            if node.op_type == "Constant":
                tensor = _constant(node, self.told(node))
                self._tensors[node.output[0]] = tensor
            else:
                nodes.append(node)
        self.size = len(nodes)
        self._readers: dict[str, list[Any]] = {}
        self._taken: set[str] = set()
        made = [self.input, *self._tensors]
        for node in nodes:
            for name in dict.fromkeys(node.input):
                self._readers.setdefault(name, []).append(node)
            made.extend(node.output)
        if len(made) != len(set(made)):
            raise InputError("two values have one name. Export the network again.")

    def readers(self, value: str) -> list[Any]:
        """Return the nodes that read a value."""
        return self._readers.get(value, [])

    def told(self, node: Any) -> str:
        """Return what messages call a node."""
        name = node.name or next(iter(node.output), "")
        return f"node {shown(name)}, {shown(node.op_type)}"

    def array(self, name: str) -> Array:
        """Return a tensor in the file, as an array of its own.

        Raises
        ------
        InputError
            If it is not there, elsewhere, of another type, not of its size, or a matrix that
            was taken before.
        """
        if name not in self._tensors:
            raise InputError(f"{shown(name)}: not a tensor in the file, but computed.")
        tensor = self._tensors[name]
        # else a file that names one matrix a thousand times would fill the memory with it
        if name in self._taken and len(tensor.dims) > 1:
            raise InputError(f"{shown(name)}: two layers share it. Export each with its own.")
        self._taken.add(name)
        return _array(self._onnx, tensor, shown(name))


@final
class _Reader:
    """Goes along the chain, and keeps what it has met."""

    def __init__(self, onnx: Onnx, graph: _Graph) -> None:
        self._onnx = onnx
        self._graph = graph
        self._layers: list[_Open] = []
        self._before: list[tuple[str, Any]] = []  # operators before the first layer
        self._summed = False  # whether the last layer came from MatMul, which Add may follow
        self.steps = 0

    def step(self, value: str) -> str:
        """Take in the node that reads a value, and return what it computes."""
        graph = self._graph
        nodes = graph.readers(value)
        if (silu := self._silu(value, nodes)) is not None:
            return silu
        if len(nodes) != 1:
            where = shown(value)
            raise InputError(f"{where}: {len(nodes)} nodes read it. Expected one, in one chain.")
        node = nodes[0]
        if len(node.output) != 1:
            raise InputError(f"{graph.told(node)}: {len(node.output)} outputs, expected one.")
        self.steps += 1
        attributes = self._attributes(node)
        match node.op_type:
            case "Gemm":
                self._gemm(node, value, attributes)
            case "MatMul":
                self._layer(node, self._other(node, value, first=True).T, None)
                self._summed = True
            case "Add":
                self._add(node, value)
            case "Cast" | "Sub" | "Div":
                self._scale(node, value, attributes)
            case "Identity" | "Flatten":  # of a matrix, nothing
                pass
            case kind if kind in _ACTIVATIONS:
                self._activate(node, _ACTIVATIONS[kind])
            case _:
                known = sorted({*_ACTIVATIONS, *_OTHERS})
                raise InputError(f"{graph.told(node)}: not known here. Known: {', '.join(known)}.")
        return str(node.output[0])

    def chain(self) -> Chain:
        """Return what was met."""
        if not self._layers:
            raise InputError("it has no layer with weights. Expected Gemm, or MatMul and Add.")
        layers = [layer.closed() for layer in self._layers]
        for number, (one, other) in enumerate(pairwise(layers), start=1):
            if other.W.shape[1] != one.W.shape[0]:
                raise InputError(
                    f"layer {number} has {one.W.shape[0]} outputs, and the next "
                    f"{other.W.shape[1]} inputs."
                )
        return Chain(layers=tuple(layers), scaling=self._scaling(layers[0].W))

    def _attributes(self, node: Any) -> dict[str, Any]:
        allowed = _ATTRIBUTES.get(node.op_type, {})
        found = {}
        for given in node.attribute:
            value = {1: given.f, 2: given.i, 3: given.s}.get(given.type)
            if value not in allowed.get(given.name, ()):
                raise InputError(
                    f"{self._graph.told(node)}: its {shown(given.name)} is not what networks here "
                    "have."
                )
            found[given.name] = value
        return found

    def _other(self, node: Any, value: str, *, first: bool = False) -> Array:
        """Return the tensor that stands beside a value; the value is read once."""
        names = list(node.input)
        if len(names) != 2 or names.count(value) != 1 or (first and names[0] != value):
            raise InputError(f"{self._graph.told(node)}: expected a value and a tensor.")
        return self._graph.array(names[1 - names.index(value)])

    def _gemm(self, node: Any, value: str, attributes: dict[str, Any]) -> None:
        names = list(node.input)
        if len(names) not in (2, 3) or names[0] != value or value in names[1:]:
            raise InputError(f"{self._graph.told(node)}: expected a value, a weight and a bias.")
        W = self._graph.array(names[1])
        b = self._graph.array(names[2]) if len(names) == 3 and names[2] else None
        self._layer(node, W if attributes.get("transB", 0) else W.T, b)
        self._summed = False

    def _layer(self, node: Any, W: Array, b: Array | None) -> None:
        if W.ndim != 2:
            raise InputError(f"{self._graph.told(node)}: its weight is no matrix.")
        self._layers.append(_Open(W=np.ascontiguousarray(W)))
        if b is not None:
            self._bias(node, self._layers[-1], b)

    def _add(self, node: Any, value: str) -> None:
        last = self._layers[-1] if self._layers else None
        if last is None or not self._summed or last.b is not None or last.activation is not None:
            raise InputError(f"{self._graph.told(node)}: no MatMul stands right before it.")
        self._bias(node, last, self._other(node, value))

    def _bias(self, node: Any, layer: _Open, b: Array) -> None:
        rows = len(layer.W)
        if b.shape not in ((rows,), (1, rows)):
            raise InputError(
                f"{self._graph.told(node)}: its bias has shape {b.shape}, expected ({rows},)."
            )
        layer.b = b.reshape(rows)

    def _activate(self, node: Any, name: str) -> None:
        if not self._layers:
            raise InputError(f"{self._graph.told(node)}: stands before the first layer.")
        if self._layers[-1].activation is not None:
            raise InputError(f"{self._graph.told(node)}: a second activation in a row.")
        self._layers[-1].activation = name

    def _silu(self, value: str, nodes: list[Any]) -> str | None:
        """Take in ``z * sigmoid(z)``, if that is what stands here."""
        kinds = {node.op_type: node for node in nodes}
        if len(nodes) != 2 or set(kinds) != {"Sigmoid", "Mul"}:
            return None
        sigmoid, product = kinds["Sigmoid"], kinds["Mul"]
        inner = list(sigmoid.output)
        whole = sorted(product.input) == sorted([value, *inner])
        if not whole or self._graph.readers(inner[0]) != [product] or len(product.output) != 1:
            return None
        self._attributes(sigmoid), self._attributes(product)
        self._activate(product, "silu")
        self.steps += 2
        return str(product.output[0])

    def _scale(self, node: Any, value: str, attributes: dict[str, Any]) -> None:
        if self._layers or len(self._before) == 4:
            raise InputError(f"{self._graph.told(node)}: no scaling of the inputs.")
        if node.op_type == "Cast":
            self._before.append(("Cast", attributes.get("to")))
        else:
            self._before.append((node.op_type, self._other(node, value, first=True)))

    def _scaling(self, W: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        kinds = [kind for kind, _ in self._before]
        own = {"float32": 1, "float64": 11}[str(W.dtype)]
        if kinds and kinds[-1] == "Cast" and self._before[-1][1] != own:
            raise InputError("the inputs are cast to another type than the weights have.")
        if kinds in ([], ["Cast"]):
            return None
        if kinds not in (["Sub", "Div"], ["Cast", "Sub", "Div"], ["Cast", "Sub", "Div", "Cast"]):
            raise InputError(
                f"before the first layer stand {', '.join(kinds)}. Expected nothing, or Sub and "
                "Div, each perhaps beside Cast."
            )
        values = dict(self._before)
        found = [np.asarray(values[kind], np.float64).ravel() for kind in ("Sub", "Div")]
        if any(len(part) != W.shape[1] for part in found):
            raise InputError(f"its scaling is not that of {W.shape[1]} inputs.")
        return found[0], found[1]


def _texts(graph: Any) -> Iterator[str | bytes]:
    """Yield every name in a graph that is read here."""
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    for named in (*graph.input, *graph.output, *graph.initializer):
        yield named.name


def _refuse_higher_rank(given: Any) -> None:
    kind = given.type.tensor_type
    if kind.HasField("shape") and len(kind.shape.dim) != 2:
        raise InputError(
            f"{shown(given.name)}: the input has {len(kind.shape.dim)} axes. Expected (samples, "
            "numbers): export the network for inputs that are flat."
        )


def _constant(node: Any, where: str) -> Any:
    """Return the tensor of a Constant."""
    if len(node.output) != 1 or len(node.attribute) != 1 or node.attribute[0].name != "value":
        raise InputError(f"{where}: no tensor. Export the network again.")
    return node.attribute[0].t


def _array(onnx: Onnx, tensor: Any, where: str) -> Array:
    kinds = onnx.TensorProto
    if tensor.data_location == kinds.EXTERNAL or tensor.external_data:
        raise InputError(
            f"{where}: its numbers are in another file. Save the network in one file: "
            "onnx.save(onnx.load(FILE), NEW)."
        )
    known: dict[int, tuple[str, Callable[[Any], Any]]] = {
        kinds.FLOAT: ("<f4", lambda t: t.float_data),
        kinds.DOUBLE: ("<f8", lambda t: t.double_data),
    }
    if tensor.data_type not in known:
        raise InputError(f"{where}: not of float32 or float64. Convert the network first.")
    code, numbers = known[tensor.data_type]
    shape = tuple(tensor.dims)
    if not 1 <= len(shape) <= 2 or min(shape) < 1:
        raise InputError(f"{where}: shape {shape}. Expected a vector or a matrix.")
    count = math.prod(shape)
    if tensor.raw_data:
        found: Array = np.frombuffer(tensor.raw_data, np.uint8)
        if found.size != count * int(code[-1]):
            raise InputError(f"{where}: damaged: {found.size} bytes for shape {shape}.")
        found = found.view(code)
    else:
        listed = numbers(tensor)
        if len(listed) != count:
            raise InputError(f"{where}: damaged: {len(listed)} numbers for shape {shape}.")
        found = np.array(listed, code)
    # a copy that belongs to the caller, in the machine's own order of bytes
    return found.astype(found.dtype.newbyteorder("=")).reshape(shape)
