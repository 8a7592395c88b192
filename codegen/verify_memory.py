"""That buffers which share memory never need it at the same time: checked by going through.

Who lies in each memory is followed node by node, and store by store in a loop. That knows
nothing of lifetimes, by which `codegen.passes.reuse_memory` decides.
"""

from math import prod

from codegen.approximation import may_run_again
from codegen.errors import InternalError
from codegen.kernel import (
    BATCH,
    Buffer,
    Elementwise,
    KernelProgram,
    Node,
    is_rows,
    loads,
    loads_of,
    reads,
    writes,
)


def verify_memory(program: KernelProgram) -> None:
    """Check who lies in which memory, and that each is read while it is there.

    Raises
    ------
    InternalError
        If a buffer lies where it does not fit, or where another one is needed, or has no
        memory though it is needed outside of the loop that computes it.
    """
    buffers = {buffer.name: buffer for buffer in program.buffers}
    for buffer in program.buffers:
        if buffer.room is not None:
            _check_room(program, buffer, buffers)
    _check_registers(program, buffers)
    inside: dict[str, str] = {}
    for node in program.nodes:
        _check_entries(program, node, buffers)
        for read, written in _steps(node):
            for name in read:
                if inside.get(buffers[name].memory, name) != name:
                    there = inside[buffers[name].memory]
                    raise _broken(program, f"{name} is read where {there} lies by then", node)
            for name in written:
                inside[buffers[name].memory] = name
    for name in program.outputs:
        if inside.get(buffers[name].memory, name) != name:
            raise _broken(program, f"{inside[buffers[name].memory]} lies over the output {name}")


def _check_room(program: KernelProgram, buffer: Buffer, buffers: dict[str, Buffer]) -> None:
    room = buffers.get(buffer.room or "")
    if room is None or room.room is not None or {room.role, buffer.role} != {"work"}:
        raise _broken(program, f"{buffer.name} lies in {buffer.room}, which is no work of its own")
    rows = is_rows(buffer.shape) and is_rows(room.shape)
    fits = rows and _units(buffer) <= _units(room)
    if room.dtype != buffer.dtype or not (fits or buffer.shape == room.shape) or not buffer.shape:
        raise _broken(program, f"{buffer.name} does not fit into {room.name}")


def _check_registers(program: KernelProgram, buffers: dict[str, Buffer]) -> None:
    for node in program.nodes:
        for name in reads(node):
            if buffers[name].role == "register":
                raise _broken(program, f"{name} is read, and has no memory", node)
        for name in writes(node):
            if buffers[name].role == "register" and not isinstance(node, Elementwise):
                raise _broken(program, f"{name} is a sum, and has no memory", node)
    for name in program.outputs:
        if buffers[name].role == "register":
            raise _broken(program, f"the output {name} has no memory")


def _check_entries(program: KernelProgram, node: Node, buffers: dict[str, Buffer]) -> None:
    """Check that a node writes over what it reads entry by entry alone, in a loop that runs once.

    One with a function that has a bound may run again (`codegen.emit.bounded`).
    """
    stores = node.stores if isinstance(node, Elementwise) else ()
    stored = {store.buffer: store.axes for store in stores}
    again = isinstance(node, Elementwise) and may_run_again(node)
    for target in writes(node):
        for load in loads_of(node):
            if load.buffer == target or buffers[load.buffer].memory != buffers[target].memory:
                continue
            alike = buffers[load.buffer].shape == buffers[target].shape
            if again or not alike or stored.get(target) != load.axes:
                raise _broken(program, f"{target} is written over {load.buffer} there", node)


def _steps(node: Node) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return what a node reads and then writes, store by store in a loop."""
    if not isinstance(node, Elementwise):
        return [(reads(node), writes(node))]
    return [
        (tuple(load.buffer for load in loads(store.value)), (store.buffer,))
        for store in node.stores
    ]


def _units(buffer: Buffer) -> int:
    return prod(int(extent) for extent in buffer.shape if extent != BATCH)


def _broken(program: KernelProgram, why: str, node: Node | None = None) -> InternalError:
    where = f": {node}" if node is not None else ""
    return InternalError(f"{program.name}: {why}{where}")
