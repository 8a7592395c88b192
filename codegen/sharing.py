"""How the threads of a training share a step: who computes what, and where they must meet.

A node whose result has an entry for each sample is computed by each thread for samples of
its own; one that sums over samples, for rows of its own: entries of one first index. A
number is computed by every thread for itself.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

from codegen.kernel import (
    BATCH,
    Buffer,
    Contract,
    Elementwise,
    KernelProgram,
    Load,
    Node,
    Reduce,
    Update,
    loads,
)

Split = Literal["samples", "rows", "everyone"]


def split_of(node: Node, buffers: Mapping[str, Buffer]) -> Split:
    """Return how the threads share a node."""
    (written, *_) = _written(node, buffers)
    shape = buffers[written.buffer].shape
    if not shape:
        return "everyone"
    return "samples" if BATCH in shape else "rows"


class Meetings:
    """Where threads must meet: before what needs, or changes, another one's part.

    Two nodes do not meet if each thread touches the same part of a buffer in both: its own
    samples, or rows of its own. Buffers that share memory are as one: rows of samples lie alike
    in it, so that a thread's own samples are the same part of each.
    """

    def __init__(self, program: KernelProgram) -> None:
        self.buffers = {buffer.name: buffer for buffer in program.buffers}
        self.memory = {buffer.name: buffer.memory for buffer in program.buffers}
        # since the last meeting: how, by memory. Each thread has gathered samples of its own
        self.written: dict[str, set[str]] = {
            buffer.name: {"samples"}
            for buffer in program.buffers
            if buffer.role == "input" and BATCH in buffer.shape
        }
        self.read: dict[str, set[str]] = {}

    def before(self, node: Node) -> bool:
        """Whether threads must meet before a node, which comes next."""
        split = split_of(node, self.buffers)
        read, written = (
            [(self.memory[x.buffer], self.part(x, node, split)) for x in used(node, self.buffers)]
            for used in (_read, _written)
        )
        meets = any(self.written.get(name, set()) - {part} for name, part in [*read, *written])
        meets = meets or any(self.read.get(name, set()) - {part} for name, part in written)
        meets = meets or any(part == "all" and name in self.written for name, part in read)
        if meets:
            self.written, self.read = {}, {}
        for name, part in read:
            self.read.setdefault(name, set()).add(part)
        for name, part in written:
            self.written.setdefault(name, set()).add(part)
        return meets

    def read_by_others(self, node: Node) -> tuple[str, ...]:
        """Return the buffers of which threads read each other's part in a node."""
        split = split_of(node, self.buffers)
        others = [
            load.buffer
            for load in _read(node, self.buffers)
            if self.part(load, node, split) != _own(self.buffers[load.buffer])
        ]
        return tuple(dict.fromkeys(others))

    def part(self, load: Load, node: Node, split: Split) -> str:
        """Return which part of a buffer a thread touches in a node."""
        shape = self.buffers[load.buffer].shape
        if not shape:
            return "own"  # each thread has the number for itself
        (first, *_) = _written(node, self.buffers)
        if split == "samples" and BATCH in shape:
            return "samples"
        if split == "rows" and load.axes[0] == first.axes[0] and shape[0] != BATCH:
            return f"rows of {shape[0]}"
        return "all"


def _own(buffer: Buffer) -> str:
    """Return the part of a buffer that a thread computes itself."""
    if not buffer.shape:
        return "own"
    return "samples" if BATCH in buffer.shape else f"rows of {buffer.shape[0]}"


def _written(node: Node, buffers: Mapping[str, Buffer]) -> Iterator[Load]:
    match node:
        case Contract() | Reduce():
            yield Load(node.out, node.out_axes)
        case Elementwise():
            yield from (Load(store.buffer, store.axes) for store in node.stores)
        case Update():
            yield Load(node.parameter, _entries(node, buffers))


def _read(node: Node, buffers: Mapping[str, Buffer]) -> Iterator[Load]:
    match node:
        case Contract():
            yield from (node.left, node.right, *loads(node.alpha))
            yield from (node.start,) if node.start else ()
        case Elementwise():
            stored = {store.buffer for store in node.stores}
            for store in node.stores:
                yield from (load for load in loads(store.value) if load.buffer not in stored)
        case Reduce():
            yield from (*loads(node.value), *loads(node.alpha))
        case Update():
            yield Load(node.gradient, _entries(node, buffers))
            yield from loads(node.rate)


def _entries(node: Update, buffers: Mapping[str, Buffer]) -> tuple[str, ...]:
    return tuple("jk"[: len(buffers[node.parameter].shape)])
