"""Compute a function of the same entries once, for all statements that need it.

``S[i] := sum_k exp(Z[k,i] - M[i])`` and ``P[j,i] := exp(Z[j,i] - M[i]) / S[i]`` become
``E[k,i] := exp(Z[k,i] - M[i])``, ``S[i] := sum_k E[k,i]`` and ``P[j,i] := E[j,i] / S[i]``.
SymPy's own common subexpressions do not serve: they look at one expression, and take
indices for numbers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from codegen.kernel import (
    Buffer,
    Call,
    Elementwise,
    KernelProgram,
    Load,
    Node,
    Reduce,
    Store,
    Value,
    loads,
    parts,
    rebuild,
    writes,
)


def share(program: KernelProgram) -> KernelProgram:
    """Return `program` with every call that two nodes make stored by the first."""
    while (repeated := _first_repeated(program)) is not None:
        program = _stored(program, repeated)
    return program


def _first_repeated(program: KernelProgram) -> Value | None:
    changing = _changing(program)
    seen: dict[Value, int] = {}
    for number, node in enumerate(program.nodes):
        for call in _calls(node):
            shape = _shape_of(call)
            if shape not in changing and seen.setdefault(shape, number) != number:
                return shape
    return None


def _changing(program: KernelProgram) -> set[Value]:
    """Return the calls of what a node that makes them stores, or of an updated parameter."""
    given = {b.name for b in program.buffers if b.role == "parameter"}
    updated = {name for node in program.nodes for name in writes(node)} & given
    return {
        _shape_of(call)
        for node in program.nodes
        for call in _calls(node)
        if {load.buffer for load in loads(call)} & updated.union(writes(node))
    }


def _calls(node: Node) -> Iterator[Call]:
    match node:
        case Elementwise():
            for store in node.stores:
                yield from _calls_in(store.value)
        case Reduce():
            yield from _calls_in(node.value)
        case _:
            return


def _calls_in(value: Value) -> Iterator[Call]:
    if isinstance(value, Call) and any(load.axes for load in loads(value)):
        yield value
    for part in parts(value):
        yield from _calls_in(part)


def _shape_of(call: Value) -> Value:
    """Return `call` with its axes named in order of appearance."""
    return _renamed(call, {axis: f"a{n}" for n, axis in enumerate(_axes(call))})


def _axes(value: Value) -> tuple[str, ...]:
    return tuple(dict.fromkeys(axis for load in loads(value) for axis in load.axes))


def _renamed(value: Value, names: Mapping[str, str]) -> Value:
    if isinstance(value, Load):
        return Load(value.buffer, tuple(names[axis] for axis in value.axes))
    return rebuild(value, tuple(_renamed(part, names) for part in parts(value)))


def _stored(program: KernelProgram, repeated: Value) -> KernelProgram:
    """Return `program` with the call computed before its first use, and read after."""
    name = _unused(program, repeated)
    nodes: list[Node] = []
    buffers = list(program.buffers)
    for node in program.nodes:
        for call in _calls(node):
            if _shape_of(call) == repeated and name not in {b.name for b in buffers}:
                axes = _storage_order(program, call)
                buffers.append(_buffer(program, name, call, axes))
                store = Store(buffer=name, axes=axes, value=call)
                nodes.append(Elementwise(axes=axes, stores=(store,), origin=node.origin))
        nodes.append(_reading(node, repeated, name, program))
    return replace(program, buffers=tuple(buffers), nodes=tuple(nodes))


def _reading(node: Node, repeated: Value, name: str, program: KernelProgram) -> Node:
    def put(value: Value) -> Value:
        if isinstance(value, Call) and _shape_of(value) == repeated:
            return Load(name, _storage_order(program, value))
        return rebuild(value, tuple(put(part) for part in parts(value)))

    match node:
        case Elementwise():
            stores = tuple(replace(store, value=put(store.value)) for store in node.stores)
            return replace(node, stores=stores)
        case Reduce():
            return replace(node, value=put(node.value))
        case _:
            return node


def _storage_order(program: KernelProgram, call: Value) -> tuple[str, ...]:
    """Return a call's axes with the batch last, as every buffer has them."""
    extents = program.extents(*loads(call))
    return tuple(sorted(_axes(call), key=lambda axis: extents[axis] == "B"))


def _buffer(program: KernelProgram, name: str, call: Value, axes: tuple[str, ...]) -> Buffer:
    extents = program.extents(*loads(call))
    shape = tuple(extents[axis] for axis in axes)
    return Buffer(name=name, shape=shape, role="work", dtype=program.dtype)


def _unused(program: KernelProgram, call: Value) -> str:
    """Return a name for the call's values that says what they are: ``exp_Z2``."""
    assert isinstance(call, Call)
    wanted = f"{call.function}_{next(loads(call)).buffer}"
    taken = {buffer.name for buffer in program.buffers}
    taken |= {name for node in program.nodes for name in writes(node)}
    number = 1
    name = wanted
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name
