"""Which memory a node's results take, in words: for the emitters whose buffers share memory."""

from dataclasses import dataclass
from typing import final

from codegen.kernel import Elementwise, KernelProgram, Node, loads, writes


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A buffer that comes to lie in another one's memory.

    Attributes
    ----------
    name, room
        The buffer, and the one whose memory or first rows it is; if it is written over what
        the same loop reads, the name of that, so that compilers see that both are one.
    why
        Why it can lie there, as a comment.
    """

    name: str
    room: str
    why: str


def rooms_taken(program: KernelProgram, node: Node) -> tuple[Taken, ...]:
    """Return what a node writes to another one's memory."""
    buffers = {buffer.name: buffer for buffer in program.buffers}
    earlier = program.nodes[: program.nodes.index(node)]
    stores = node.stores if isinstance(node, Elementwise) else ()
    read = {load.buffer for store in stores for load in loads(store.value)}
    found = []
    for name in writes(node):
        room = buffers[name].room
        if room is None:
            continue
        there = [x for n in earlier for x in writes(n) if buffers[x].memory == room]
        if not there:
            taken = Taken(name=name, room=room, why=f"{room} is computed later")
        elif there[-1] in read:
            why = f"entry by entry: nothing reads {there[-1]} afterwards"
            taken = Taken(name=name, room=there[-1], why=why)
        else:
            taken = Taken(name=name, room=room, why=f"nothing reads {there[-1]} any more")
        found.append(taken)
    return tuple(found)
