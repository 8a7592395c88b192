"""Kernel programmes as NumPy statements, one line a node: short, plain, and in any dtype."""

import re

from codegen.emit.values import text
from codegen.errors import InternalError
from codegen.kernel import (
    Call,
    Const,
    Contract,
    Elementwise,
    KernelProgram,
    Load,
    Node,
    Reduce,
    Select,
    Update,
    Value,
    parts,
    rebuild,
)

# what NumPy calls otherwise, or does not have
_NAMES = {"atan": "np.arctan", "pow": "np.power", "erf": "np.vectorize(math.erf)"}

_TYPED = re.compile(r"\bT\((-?[0-9.e+-]+)\)")  # a constant of the module's type


def numpy_lines(program: KernelProgram) -> list[str]:
    """Return the programme's statements; arrays are stored batch last."""
    return [_line(node) for node in program.nodes]


def _line(node: Node) -> str:
    match node:
        case Contract():
            rows, columns = node.out_axes
            left = node.left if rows in node.left.axes else node.right
            right = node.right if left is node.left else node.left
            first = left.buffer if left.axes == (rows, node.axis) else f"{left.buffer}.T"
            second = right.buffer if right.axes == (node.axis, columns) else f"{right.buffer}.T"
            product = f"{first} @ {second}"
            if node.alpha != Const(1.0):
                product = f"{value_text(node.alpha, ())} * ({product})"
            if node.start is not None:
                product = f"{product} + {_aligned(node.start, node.out_axes)}"
            return f"{node.out} {'+=' if node.beta else '='} {product}"
        case Elementwise(stores=(store,)):
            return f"{store.buffer} = {value_text(store.value, store.axes)}"
        case Reduce():
            inside = (node.axis, *node.out_axes)
            return f"{node.out} = np.{node.op}({value_text(node.value, inside)}, axis=0)"
        case Elementwise() | Update():
            raise InternalError(f"the NumPy text is that of an unfused programme, not of {node}")


def value_text(value: Value, axes: tuple[str, ...]) -> str:
    """Return a value for all entries at once; `axes` are those of the result."""
    written = text(_in_numpy(value), lambda load: _aligned(load, axes))
    return _TYPED.sub(r"\1", written)


def _in_numpy(value: Value) -> Value:
    """Write functions and selections by NumPy's names."""
    inner = tuple(_in_numpy(part) for part in parts(value))
    match value:
        case Call(function=function):
            return Call(_NAMES.get(function, f"np.{function}"), inner)
        case Select(op=op):
            left, right, then, otherwise = inner
            names = {"<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal"}
            names |= {"==": "equal", "!=": "not_equal"}
            return Call("np.where", (Call(f"np.{names[op]}", (left, right)), then, otherwise))
        case _:
            return rebuild(value, inner)


def _aligned(load: Load, axes: tuple[str, ...]) -> str:
    """Return a buffer with an axis for each of `axes`."""
    kept = tuple(axis for axis in axes if axis in load.axes)
    name = load.buffer if load.axes == kept else f"{load.buffer}.T"
    if kept == axes or not kept:
        return name
    return f"{name}[{', '.join(':' if axis in kept else 'None' for axis in axes)}]"
