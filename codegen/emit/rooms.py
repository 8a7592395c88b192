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


@final
class Rooms:
    """Follows a programme node by node, and knows who lies in each memory.

    Parameters
    ----------
    program
        Its nodes are told of in their order.
    """

    def __init__(self, program: KernelProgram) -> None:
        self.buffers = {buffer.name: buffer for buffer in program.buffers}
        self.inside: dict[str, str] = {}  # the buffer that was written last, by memory

    def taken_by(self, node: Node) -> tuple[Taken, ...]:
        """Return what a node, which comes next, writes to another one's memory."""
        stores = node.stores if isinstance(node, Elementwise) else ()
        read = {load.buffer for store in stores for load in loads(store.value)}
        found = []
        for name in writes(node):
            room = self.buffers[name].room
            if room is None:
                continue
            there = self.inside.get(room)
            if there is None:
                taken = Taken(name=name, room=room, why=f"{room} is computed later")
            elif there in read:
                why = f"entry by entry: nothing reads {there} afterwards"
                taken = Taken(name=name, room=there, why=why)
            else:
                taken = Taken(name=name, room=room, why=f"nothing reads {there} any more")
            found.append(taken)
        for name in writes(node):
            self.inside[self.buffers[name].memory] = name
        return tuple(found)
