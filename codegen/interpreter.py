"""The meaning of a kernel programme, in plain NumPy: the oracle of every pass and emitter."""

import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from codegen.errors import InternalError
from codegen.kernel import (
    Argument,
    Binary,
    Call,
    Const,
    Contract,
    Elementwise,
    KernelProgram,
    Load,
    Negative,
    Node,
    Reduce,
    Select,
    Update,
    Value,
    loads,
)

Array = NDArray[np.float64]

FUNCTIONS: dict[str, Callable[..., Array]] = {
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "erf": np.vectorize(math.erf, otypes=[np.float64]),
    "expm1": np.expm1,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "pow": np.power,
}

_BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}
_COMPARE: dict[str, Callable[[Array, Array], NDArray[np.bool_]]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


def interpret(
    program: KernelProgram,
    values: Mapping[str, NDArray[np.floating]],
    arguments: Mapping[str, float] | None = None,
) -> dict[str, Array]:
    """Return every buffer after the programme ran, in float64, but for those that are gone.

    Buffers that share memory do so here. What is written loses what was there before, unless
    a loop writes it over the same entry of what it reads: so who reads too late, or what has
    been overwritten in part, gets NaN.

    Parameters
    ----------
    program
        At any stage, before or after any pass.
    values
        The inputs and parameters, stored as their buffers are: batch axis last.
    arguments
        Numbers given at run time, such as ``eta``; ``B`` is taken from the inputs.
    """
    given = dict(arguments or {})
    for buffer in program.buffers:
        if buffer.name in values and buffer.shape and buffer.shape[-1] == "B":
            given.setdefault("B", float(values[buffer.name].shape[-1]))
    memory = _Memory(program, given)
    for name, value in values.items():
        memory[name] = np.array(value, dtype=np.float64)
    with np.errstate(all="ignore"):
        for node in program.nodes:
            _run(node, memory, given, program)
    return {name: array for name, array in memory.arrays.items() if memory.is_there(name)}


class _Memory:
    """The arrays of buffers, by name; those that share memory are parts of one array."""

    def __init__(self, program: KernelProgram, given: Mapping[str, float]) -> None:
        self.arrays: dict[str, Array] = {}
        self.memory_of = {buffer.name: buffer.memory for buffer in program.buffers}
        shared = {buffer.room for buffer in program.buffers if buffer.room is not None}
        self.rooms = {
            name: np.full(math.prod(_shape(program, name, given)), np.nan) for name in shared
        }
        self.inside: dict[str, str] = {}  # who lies in a room

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]

    def __setitem__(self, name: str, value: Array) -> None:
        room = self.rooms.get(self.memory_of.get(name, name))
        if room is not None:
            part = room[: value.size].reshape(value.shape)  # a view
            part[...] = value
            value = part
            self.inside[self.memory_of[name]] = name
        self.arrays[name] = value

    def is_there(self, name: str) -> bool:
        """Whether nothing has been written over a buffer."""
        return self.inside.get(self.memory_of.get(name, name), name) == name

    def lose(self, target: str, used: Iterable[Load] = (), axes: tuple[str, ...] = ()) -> None:
        """Forget what is where a buffer will be written, unless it is used at `axes` alone."""
        room = self.memory_of[target]
        kept = {load.axes for load in used if self.memory_of[load.buffer] == room}
        if room in self.rooms and kept != {axes}:
            self.rooms[room][:] = np.nan


def _run(node: Node, memory: _Memory, given: Mapping[str, float], program: KernelProgram) -> None:
    match node:
        case Contract():
            if not node.beta:
                memory.lose(node.out)
            left, right = memory[node.left.buffer], memory[node.right.buffer]
            axes = _letters((*node.left.axes, *node.right.axes))
            rule = ",".join("".join(axes[a] for a in side.axes) for side in (node.left, node.right))
            rule += "->" + "".join(axes[a] for a in node.out_axes)
            product = _value(node.alpha, (), memory, given) * np.einsum(rule, left, right)
            if node.start is not None:
                product = product + _aligned(node.start, node.out_axes, memory)
            memory[node.out] = product + memory[node.out] if node.beta else product
        case Elementwise():
            used = [load for store in node.stores for load in loads(store.value)]
            for store in node.stores:
                memory.lose(store.buffer, used, store.axes)
                shape = _shape(program, store.buffer, given)
                value = _value(store.value, store.axes, memory, given)
                memory[store.buffer] = np.broadcast_to(value, shape).copy()
        case Reduce():
            if not node.beta:
                memory.lose(node.out)
            axes_in = (*node.out_axes, node.axis)
            value = _value(node.value, axes_in, memory, given)
            result = value.sum(-1) if node.op == "sum" else value.max(-1)
            result = _value(node.alpha, (), memory, given) * result
            result = np.broadcast_to(result, _shape(program, node.out, given)).copy()
            memory[node.out] = result + memory[node.out] if node.beta else result
        case Update():
            rate = _value(node.rate, (), memory, given)
            memory[node.parameter] = memory[node.parameter] - rate * memory[node.gradient]


def _value(
    value: Value, axes: tuple[str, ...], memory: _Memory, given: Mapping[str, float]
) -> Array:
    def at(part: Value) -> Array:
        return _value(part, axes, memory, given)

    match value:
        case Const(value=number):
            return np.asarray(number)
        case Argument(name=name):
            return np.asarray(given[name])
        case Load():
            return _aligned(value, axes, memory)
        case Binary(op=op, left=left, right=right):
            return _BINARY[op](at(left), at(right))
        case Negative(value=inner):
            return -at(inner)
        case Call(function=function, arguments=arguments) if function in FUNCTIONS:
            return FUNCTIONS[function](*map(at, arguments))
        case Select(op=op, left=left, right=right, then=then, otherwise=otherwise):
            return np.where(_COMPARE[op](at(left), at(right)), at(then), at(otherwise))
        case _:
            raise InternalError(f"{value} has no meaning in NumPy")


def _aligned(load: Load, axes: tuple[str, ...], memory: _Memory) -> Array:
    """Return a buffer with an axis for each of `axes`, of length 1 where it has none."""
    array = memory[load.buffer]
    kept = [axis for axis in axes if axis in load.axes]
    array = array.transpose([load.axes.index(axis) for axis in kept])
    return array.reshape([array.shape[kept.index(a)] if a in kept else 1 for a in axes])


def _shape(program: KernelProgram, name: str, given: Mapping[str, float]) -> tuple[int, ...]:
    return tuple(int(given["B"]) if e == "B" else int(e) for e in program.buffer(name).shape)


def _letters(axes: tuple[str, ...]) -> dict[str, str]:
    return {axis: chr(ord("a") + n) for n, axis in enumerate(dict.fromkeys(axes))}
