"""The invariants of a kernel programme, checked after every pass."""

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from codegen.errors import InternalError
from codegen.interpreter import interpret
from codegen.kernel import (
    BATCH,
    Contract,
    Elementwise,
    KernelProgram,
    Load,
    Node,
    Reduce,
    Update,
    loads,
    reads,
    writes,
)
from codegen.verify_memory import verify_memory

_ARGUMENT = re.compile(r"Argument\(name='(\w+)'\)")


def verify(program: KernelProgram) -> KernelProgram:
    """Return `program` if it is well formed.

    What holds afterwards: every buffer is declared once; every buffer that is read has
    been written before, or is given; only parameters are written twice; each axis has one
    extent within a node; a load has as many axes as its buffer, and all are looped over;
    what a loop stores it uses at that entry only, and a sum does not read what it writes;
    factors are scalars; each output is written; what is read is still in its memory, where
    buffers share memory; nothing but the loop that computes it reads what has none.

    Raises
    ------
    InternalError
        Naming the programme, the node and the invariant that it breaks.
    """
    names = [buffer.name for buffer in program.buffers]
    if len(set(names)) != len(names):
        raise InternalError(f"{program.name}: a buffer is declared twice in {names}")
    given = {b.name for b in program.buffers if b.role in ("input", "parameter")}
    parameters = {b.name for b in program.buffers if b.role == "parameter"}
    defined = set(given)
    for node in program.nodes:
        for name in reads(node):
            if name not in defined:
                raise _broken(program, node, f"reads {name} before it is written")
        for name in writes(node):
            if name in defined and name not in parameters:
                raise _broken(program, node, f"writes {name} a second time")
            defined.add(name)
        _check_axes(program, node)
    for name in program.outputs:
        if name not in defined:
            raise InternalError(f"{program.name}: the output {name} is never written")
    verify_memory(program)
    return program


def results(program: KernelProgram) -> dict[str, NDArray[np.float64]]:
    """Return what a programme comes to for some numbers: its outputs, and its parameters."""
    draw = np.random.default_rng(0)
    values = {
        b.name: draw.uniform(0.1, 0.9, [3 if e == BATCH else int(e) for e in b.shape])
        for b in program.buffers
        if b.role in ("input", "parameter")
    }
    arguments = {name: 0.3 for node in program.nodes for name in _ARGUMENT.findall(repr(node))}
    arguments.pop("B", None)  # it follows from the inputs
    kept = {*program.outputs, *(b.name for b in program.buffers if b.role == "parameter")}
    found = interpret(program, values, arguments)
    return {name: found[name] for name in found if name in kept}


def verify_same(
    expected: Mapping[str, NDArray[np.float64]],
    found: Mapping[str, NDArray[np.float64]],
    where: str,
) -> None:
    """Check that two programmes come to the same, but for rounding; a folded gradient is gone.

    Raises
    ------
    InternalError
        Naming where the results changed, and which.
    """
    for name in found:
        if not np.allclose(found[name], expected[name], 1e-9, 1e-12, equal_nan=True):
            raise InternalError(f"{where} changed what {name} comes to")


def _check_axes(program: KernelProgram, node: Node) -> None:
    extents: dict[str, object] = {}
    looped: set[str] = set()
    used: list[Load] = []
    factors: list[Load] = []
    match node:
        case Contract():
            used = [Load(node.out, node.out_axes), node.left, node.right]
            factors = list(loads(node.alpha))
            looped = {*node.left.axes, *node.right.axes}
            summed = set(node.left.axes) & set(node.right.axes) - set(node.out_axes)
            if len(summed) != 1 or looped - summed != set(node.out_axes):
                raise _broken(program, node, "does not sum over exactly one axis")
            if {len(load.axes) for load in (node.left, node.right)} != {2}:
                raise _broken(program, node, "is no product of two matrices")
            if node.start is not None:
                used.append(node.start)
                if not set(node.start.axes) <= set(node.out_axes):
                    raise _broken(program, node, "starts from what its result has no axis for")
            if node.out in (node.left.buffer, node.right.buffer):
                raise _broken(program, node, f"writes {node.out} while it reads it")
        case Elementwise():
            looped = set(node.axes)
            written = {store.buffer: store.axes for store in node.stores}
            for store in node.stores:
                used += [Load(store.buffer, store.axes), *loads(store.value)]
                if set(store.axes) != looped:
                    raise _broken(program, node, f"stores {store.buffer} over other axes")
            for load in used:
                if written.get(load.buffer, load.axes) != load.axes:
                    raise _broken(program, node, f"uses {load.buffer} at two entries")
        case Reduce():
            used = [Load(node.out, node.out_axes), *loads(node.value)]
            factors = list(loads(node.alpha))
            looped = {*node.out_axes, node.axis}
            if not any(node.axis in load.axes for load in loads(node.value)):
                raise _broken(program, node, f"reduces over {node.axis}, which nothing has")
            if node.axis in node.out_axes:
                raise _broken(program, node, f"reduces over {node.axis}, and keeps it")
            if any(load.buffer == node.out for load in loads(node.value)):
                raise _broken(program, node, f"writes {node.out} while it reads it")
        case Update():
            factors = list(loads(node.rate))
            shapes = {program.buffer(n).shape for n in (node.parameter, node.gradient)}
            if len(shapes) != 1:
                raise _broken(program, node, "updates a parameter by another shape")
    for load in used:
        shape = program.buffer(load.buffer).shape
        if len(shape) != len(load.axes):
            raise _broken(program, node, f"uses {load.buffer} with {len(load.axes)} axes")
        if len(set(load.axes)) != len(load.axes):
            raise _broken(program, node, f"uses {load.buffer} with an axis twice")
        if not looped.issuperset(load.axes):
            raise _broken(program, node, f"uses {load.buffer} over an axis without a loop")
        for axis, extent in zip(load.axes, shape, strict=True):
            if extents.setdefault(axis, extent) != extent:
                raise _broken(program, node, f"the axis {axis} has two extents")
    if any(program.buffer(load.buffer).shape for load in factors):
        raise _broken(program, node, "has a factor that is not a scalar")


def _broken(program: KernelProgram, node: Node, why: str) -> InternalError:
    return InternalError(f"{program.name}: {type(node).__name__} {writes(node)} {why}: {node}")
