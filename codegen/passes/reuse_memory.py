"""Let buffers that are never needed at the same time share memory.

``H[j,i] := tanh(Z[j,i])``, and nothing reads ``Z`` afterwards: then ``H`` is written over
``Z``, entry by entry. Buffers that such loops connect are taken for one, as a register
allocator coalesces what a copy connects [1]_; these are then placed in as little memory as
the first fit finds (`codegen.lifetimes`). Names stay what they are, each written once.

Threads that share a programme (`codegen.sharing`) must not meet more often for it: what one
reads of another's is needed until all meet the next time.

References
----------
.. [1] G. J. Chaitin et al., "Register allocation via coloring", Computer Languages 6 (1981).
"""

from dataclasses import replace
from math import prod

from codegen.approximation import may_run_again
from codegen.kernel import (
    BATCH,
    Buffer,
    Elementwise,
    Extent,
    KernelProgram,
    Load,
    is_rows,
    loads,
    reads,
    writes,
)
from codegen.lifetimes import Lifetime, first_fit, lifetimes
from codegen.sharing import Meetings


def reuse_memory(program: KernelProgram) -> KernelProgram:
    """Return `program` with a `room` for each buffer that lies in another one's memory.

    Only work that has a shape takes part, not what callers hand over. A sum is never written
    over what it reads, since each of its entries reads many, nor is what a function computes that
    has a bound: beyond it the loop runs once more (`codegen.emit.bounded`).
    """
    work = {b.name: b for b in program.buffers if b.role == "work" and b.shape}
    needed, by_others = _needed(program, work)
    chain_of = _chains(program, needed, by_others)
    chains: dict[str, Lifetime] = {}
    for name, chain in chain_of.items():
        chains[chain] = chains.get(chain, needed[name]).with_(needed[name])
    rooms: dict[str, str] = {}
    for kind in dict.fromkeys(_kind(work[chain].shape) for chain in chains):
        alike = {c: time for c, time in chains.items() if _kind(work[c].shape) == kind}
        rooms |= first_fit(alike, {chain: _units(work[chain].shape) for chain in alike})
    found = {name: rooms[chain] for name, chain in chain_of.items() if rooms[chain] != name}
    buffers = tuple(replace(b, room=found.get(b.name)) for b in program.buffers)
    return replace(program, buffers=buffers)


def _needed(
    program: KernelProgram, work: dict[str, Buffer]
) -> tuple[dict[str, Lifetime], dict[str, int]]:
    """Return from which node until which one each buffer is needed, and until when by others.

    The second are those of which another thread reads what this one computes.
    """
    end = len(program.nodes)
    meetings = Meetings(program)
    meets = [place for place, node in enumerate(program.nodes) if meetings.before(node)]
    written, read, by_others = [], [(end, name) for name in program.outputs], {}
    for place, node in enumerate(program.nodes):
        written += [(place, name) for name in writes(node) if name in work]
        read += [(place, name) for name in reads(node)]
        for name in meetings.read_by_others(node):
            by_others[name] = next((later - 1 for later in meets if later > place), end)
    read += [(place, name) for name, place in by_others.items()]
    return lifetimes(written, read), by_others


def _chains(
    program: KernelProgram,
    needed: dict[str, Lifetime],
    by_others: dict[str, int],
) -> dict[str, str]:
    """Return the first buffer of the chain that each one belongs to, written one over another."""
    first = {name: name for name in needed}
    followed: set[str] = set()
    for place, node in enumerate(program.nodes):
        if not isinstance(node, Elementwise) or may_run_again(node):
            continue
        for number, store in enumerate(node.stores):
            if store.buffer not in needed:
                continue
            target = Load(store.buffer, store.axes)
            read = [x.buffer for s in node.stores[: number + 1] for x in loads(s.value)]
            for name in dict.fromkeys(read):
                if (
                    name in needed
                    and name not in followed
                    and needed[name].first < place == needed[name].last
                    and by_others.get(name, -1) < place
                    and _only_before(node, name, target, number)
                ):
                    first[store.buffer] = first[name]
                    followed.add(name)
                    break
    return first


def _only_before(node: Elementwise, name: str, target: Load, number: int) -> bool:
    """Whether a loop reads a buffer at the entry of a store alone, and not after it."""
    read = [
        (at, load)
        for at, store in enumerate(node.stores)
        for load in loads(store.value)
        if load.buffer == name
    ]
    return all(at <= number and load.axes == target.axes for at, load in read)


def _kind(shape: tuple[Extent, ...]) -> tuple[Extent, ...]:
    """Return what buffers must have in common to share memory: rows of samples, or the shape."""
    rows: tuple[Extent, ...] = ("B",)
    return rows if is_rows(shape) else shape


def _units(shape: tuple[Extent, ...]) -> int:
    return prod(int(extent) for extent in shape if extent != BATCH)
