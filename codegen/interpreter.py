"""The meaning of a kernel programme, in plain NumPy: the oracle of every pass and emitter."""

import math
from collections.abc import Callable, Mapping

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
    """Return every buffer after the programme ran, in float64.

    Parameters
    ----------
    program
        At any stage, before or after any pass.
    values
        The inputs and parameters, stored as their buffers are: batch axis last.
    arguments
        Numbers given at run time, such as ``eta``; ``B`` is taken from the inputs.
    """
    memory = {name: np.array(value, dtype=np.float64) for name, value in values.items()}
    given = dict(arguments or {})
    for buffer in program.buffers:
        if buffer.name in memory and buffer.shape and buffer.shape[-1] == "B":
            given.setdefault("B", float(memory[buffer.name].shape[-1]))
    with np.errstate(all="ignore"):
        for node in program.nodes:
            _run(node, memory, given, program)
    return memory


def _run(
    node: Node, memory: dict[str, Array], given: Mapping[str, float], program: KernelProgram
) -> None:
    match node:
        case Contract():
            left, right = memory[node.left.buffer], memory[node.right.buffer]
            axes = _letters((*node.left.axes, *node.right.axes))
            rule = ",".join("".join(axes[a] for a in side.axes) for side in (node.left, node.right))
            rule += "->" + "".join(axes[a] for a in node.out_axes)
            product = _value(node.alpha, (), memory, given) * np.einsum(rule, left, right)
            if node.start is not None:
                product = product + _aligned(node.start, node.out_axes, memory)
            memory[node.out] = product + memory[node.out] if node.beta else product
        case Elementwise():
            for store in node.stores:
                shape = _shape(program, store.buffer, given)
                value = _value(store.value, store.axes, memory, given)
                memory[store.buffer] = np.broadcast_to(value, shape).copy()
        case Reduce():
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
    value: Value, axes: tuple[str, ...], memory: Mapping[str, Array], given: Mapping[str, float]
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


def _aligned(load: Load, axes: tuple[str, ...], memory: Mapping[str, Array]) -> Array:
    """Return a buffer with an axis for each of `axes`, of length 1 where it has none."""
    array = memory[load.buffer]
    kept = [axis for axis in axes if axis in load.axes]
    array = array.transpose([load.axes.index(axis) for axis in kept])
    return array.reshape([array.shape[kept.index(a)] if a in kept else 1 for a in axes])


def _shape(program: KernelProgram, name: str, given: Mapping[str, float]) -> tuple[int, ...]:
    return tuple(int(given["B"]) if e == "B" else int(e) for e in program.buffer(name).shape)


def _letters(axes: tuple[str, ...]) -> dict[str, str]:
    return {axis: chr(ord("a") + n) for n, axis in enumerate(dict.fromkeys(axes))}
