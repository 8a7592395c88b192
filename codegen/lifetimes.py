"""From when until when a buffer is needed, and which ones can share memory for that reason.

Two buffers can lie in the same memory if they are never needed at the same time. To find the
least memory for all is a hard problem; what is close to it in practice is to place the largest
first, each in the first memory where it fits [1]_.

References
----------
.. [1] Y. Pisarchyk and J. Lee, "Efficient memory management for deep neural net inference",
   MLSys Workshop on On-Device Intelligence (2020): "greedy by size" for shared objects.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Lifetime:
    """The places, both inclusive, between which something is needed."""

    first: int
    last: int

    def meets(self, other: "Lifetime") -> bool:
        """Whether both are needed at some place."""
        return self.first <= other.last and other.first <= self.last

    def with_(self, other: "Lifetime") -> "Lifetime":
        """Return the lifetime of both together."""
        return Lifetime(min(self.first, other.first), max(self.last, other.last))


def lifetimes(
    written: Iterable[tuple[int, str]], read: Iterable[tuple[int, str]]
) -> dict[str, Lifetime]:
    """Return the lifetime of everything that is written, in the order in which it is.

    Parameters
    ----------
    written, read
        Places with the names of what is written and read there, in order.
    """
    found: dict[str, Lifetime] = {}
    for place, name in written:
        found[name] = found.get(name, Lifetime(place, place)).with_(Lifetime(place, place))
    for place, name in read:
        if name in found:
            found[name] = found[name].with_(Lifetime(place, place))
    return found


def first_fit(needed: Mapping[str, Lifetime], sizes: Mapping[str, int]) -> dict[str, str]:
    """Return, for each name, the name of the one in whose memory it lies, which is the largest.

    Parameters
    ----------
    needed
        Lifetimes. Of names of the same size, the first one needed is placed first.
    sizes
        How much memory each one takes.
    """
    rooms: dict[str, list[str]] = {}  # who lies there, by the largest
    order = sorted(needed, key=lambda name: (-sizes[name], needed[name].first))
    for name in order:
        for inside in rooms.values():
            if not any(needed[name].meets(needed[other]) for other in inside):
                inside.append(name)
                break
        else:
            rooms[name] = [name]
    return {name: room for room, inside in rooms.items() for name in inside}
