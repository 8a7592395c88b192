"""Fuse neighbouring elementwise loops over the same entries into one.

``P[j,i] := E[j,i] / S[i]`` then ``dZ[j,i] := (P[j,i] - Y[j,i]) * w[i]`` become one loop
that reads ``E`` once and keeps ``P`` in a register.
"""

from dataclasses import replace

from codegen.kernel import (
    Elementwise,
    KernelProgram,
    Load,
    Node,
    Store,
    Value,
    loads,
    parts,
    rebuild,
)


def fuse(program: KernelProgram) -> KernelProgram:
    """Return `program` with every pair of neighbours fused whose entries correspond."""
    nodes: list[Node] = []
    for node in program.nodes:
        last = nodes[-1] if nodes else None
        if isinstance(last, Elementwise) and isinstance(node, Elementwise):
            fused = _fused(program, last, node)
            if fused is not None:
                nodes[-1] = fused
                continue
        nodes.append(node)
    return replace(program, nodes=tuple(nodes))


def _fused(program: KernelProgram, first: Elementwise, second: Elementwise) -> Elementwise | None:
    if not first.axes:
        return None
    shapes = [program.buffer(node.stores[0].buffer).shape for node in (first, second)]
    if shapes[0] != shapes[1]:
        return None
    target, own = first.stores[0].axes, second.stores[0].axes
    names = dict(zip(own, target, strict=True))
    stores = tuple(_renamed_store(store, names) for store in second.stores)
    # what one loop writes, the other may touch at the same entry only
    if _elsewhere(first.stores, stores) or _elsewhere(stores, first.stores):
        return None
    origin = tuple(dict.fromkeys(first.origin + second.origin))
    return Elementwise(axes=first.axes, stores=first.stores + stores, origin=origin)


def _renamed_store(store: Store, names: dict[str, str]) -> Store:
    return Store(
        buffer=store.buffer,
        axes=tuple(names[axis] for axis in store.axes),
        value=_renamed(store.value, names),
    )


def _renamed(value: Value, names: dict[str, str]) -> Value:
    if isinstance(value, Load):
        return Load(value.buffer, tuple(names[axis] for axis in value.axes))
    return rebuild(value, tuple(_renamed(part, names) for part in parts(value)))


def _elsewhere(writing: tuple[Store, ...], touching: tuple[Store, ...]) -> bool:
    """Whether a store of `touching` reads or writes, at another entry, what `writing` writes."""
    written = {store.buffer: store.axes for store in writing}
    touched = [Load(store.buffer, store.axes) for store in touching]
    touched += [load for store in touching for load in loads(store.value)]
    return any(written.get(load.buffer, load.axes) != load.axes for load in touched)
