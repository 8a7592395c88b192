"""The kernel programme: what is computed, in loops over named axes of flat buffers.

Grammar::

    KernelProgram = buffers, Node*, outputs
    Node   = Contract     out[a…] = alpha * sum_c left[…] * right[…] + (start or beta * out)
           | Elementwise  for all axes: buffer[…] = value, …
           | Reduce       out[a…] = alpha * (sum or max over one axis of value) + beta * out
           | Update       parameter = parameter - rate * gradient
    value  = Const | Argument | Load(buffer, axes) | Binary(op, value, value) | Negative(value)
           | Call(function, value…) | Select(comparison, value, value, value, value)

An axis is a name; its extent is an integer, or `BATCH` for the samples of a batch. Every
buffer is stored with its batch axis last, so that the innermost loop of everything runs
over samples: that is what makes a network of ten units fill a vector register. The meaning
of a kernel programme is given by `codegen.interpret`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, final

from codegen.errors import InternalError

BATCH = "B"
Extent = int | Literal["B"]
Role = Literal["input", "parameter", "work", "output", "register"]
Dtype = Literal["float32", "float64"]
DTYPES: tuple[Dtype, ...] = ("float32", "float64")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """A named array; `shape` holds integers and, last if at all, `BATCH`.

    With `batch_first` it lies in memory with its axes exchanged, one sample after another,
    as data come; only products by BLAS read it then. With a `room` it lies in the memory of the
    buffer of that name, in its first rows, while nothing needs what was there. One whose role
    is ``"register"`` has no memory: only the loop that computes an entry reads it.
    """

    name: str
    shape: tuple[Extent, ...]
    role: Role
    dtype: Dtype
    batch_first: bool = False
    room: str | None = None

    @property
    def memory(self) -> str:
        """The name of the buffer in whose memory it lies, its own where it has memory."""
        return self.room or self.name

    @property
    def owns_memory(self) -> bool:
        """Whether it has memory, and lies in no other one's."""
        return self.room is None and self.role != "register"


@final
@dataclass(frozen=True, slots=True)
class Const:
    """A number, rounded to the programme's type where it is used."""

    value: float


@final
@dataclass(frozen=True, slots=True)
class Argument:
    """A number given at run time: ``eta``, or ``B`` for the size of the batch."""

    name: str


@final
@dataclass(frozen=True, slots=True)
class Load:
    """An entry of a buffer, at named axes in the order in which it is stored."""

    buffer: str
    axes: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class Binary:
    """``left op right``."""

    op: Literal["+", "-", "*", "/"]
    left: "Value"
    right: "Value"


@final
@dataclass(frozen=True, slots=True)
class Negative:
    """``-value``, which for 0 is -0 and so is not ``0 - value``."""

    value: "Value"


@final
@dataclass(frozen=True, slots=True)
class Call:
    """An elementary function."""

    function: str
    arguments: tuple["Value", ...]


@final
@dataclass(frozen=True, slots=True)
class Select:
    """``then if left op right else otherwise``; the other branch contributes nothing."""

    op: Literal["<", "<=", ">", ">=", "==", "!="]
    left: "Value"
    right: "Value"
    then: "Value"
    otherwise: "Value"


Value = Const | Argument | Load | Binary | Negative | Call | Select


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A product of two matrices, summed over the one axis that `out` does not have.

    Attributes
    ----------
    alpha
        Factor of the product.
    start
        What the sum starts from: an entry for each of `out_axes`, such as a bias.
    beta
        1 to add to what `out` holds, 0 to overwrite it.
    method
        ``"loops"`` or ``"blas"``, once it has been chosen; ``"sparse"`` over the inputs that
        are not 0 where training has compressed them, and by BLAS where it has not.
    """

    out: str
    out_axes: tuple[str, ...]
    left: Load
    right: Load
    alpha: Value = Const(1.0)
    start: Load | None = None
    beta: Literal[0, 1] = 0
    method: Literal["undecided", "loops", "blas", "sparse"] = "undecided"
    origin: tuple[str, ...] = ()

    @property
    def axis(self) -> str:
        """The axis that is summed over."""
        (axis,) = set(self.left.axes) & set(self.right.axes) - set(self.out_axes)
        return axis


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """``buffer[axes] = value``."""

    buffer: str
    axes: tuple[str, ...]
    value: Value


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Elementwise:
    """A loop over `axes`, in each step of which every store is done, in order."""

    axes: tuple[str, ...]
    stores: tuple[Store, ...]
    origin: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Reduce:
    """``out[out_axes] = alpha * op over axis of value (+ out, where beta is 1)``."""

    out: str
    out_axes: tuple[str, ...]
    axis: str
    op: Literal["sum", "max"]
    value: Value
    alpha: Value = Const(1.0)
    beta: Literal[0, 1] = 0
    origin: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """``parameter -= rate * gradient``, entry by entry."""

    parameter: str
    gradient: str
    rate: Value
    origin: tuple[str, ...] = ()


Node = Contract | Elementwise | Reduce | Update


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class KernelProgram:
    """Nodes in order, the buffers they use, and what is asked of them.

    Attributes
    ----------
    name
        What it computes, for messages and comments: ``forward``, ``step``, …
    dtype
        Type of every buffer.
    buffers
        Every buffer that a node names.
    outputs
        Buffers that must hold their value at the end.
    """

    name: str
    dtype: Dtype
    buffers: tuple[Buffer, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    def __str__(self) -> str:
        """Write the programme, one line a node."""
        from codegen.show import show

        return show(self)

    def buffer(self, name: str) -> Buffer:
        """Return a buffer by name."""
        for buffer in self.buffers:
            if buffer.name == name:
                return buffer
        raise InternalError(f"{self.name}: no buffer is called {name}")

    def extents(self, *used: Load) -> dict[str, Extent]:
        """Return the extent of every axis of some loads."""
        return {
            axis: extent
            for load in used
            for axis, extent in zip(load.axes, self.buffer(load.buffer).shape, strict=True)
        }

    def readers(self, name: str) -> tuple[Node, ...]:
        """Return the nodes that read a buffer."""
        return tuple(node for node in self.nodes if name in reads(node))

    def writer(self, name: str) -> Node | None:
        """Return the node that writes a buffer, where one does."""
        return next((node for node in self.nodes if name in writes(node)), None)

    def written_between(self, first: Node, last: Node) -> set[str]:
        """Return the buffers that the nodes after `first` and before `last` write."""
        between = self.nodes[self.nodes.index(first) + 1 : self.nodes.index(last)]
        return {name for node in between for name in writes(node)}


def is_rows(shape: tuple[Extent, ...]) -> bool:
    """Whether a shape is that of rows over the samples of a batch, or of one such row."""
    return len(shape) in (1, 2) and shape[-1] == BATCH


def called(value: Value) -> set[str]:
    """Return the names of the functions that a value calls."""
    own = {value.function} if isinstance(value, Call) else set()
    return own.union(*(called(part) for part in parts(value)))


def loads(value: Value) -> Iterator[Load]:
    """Yield every load of a value, left to right."""
    match value:
        case Load():
            yield value
        case Binary(left=left, right=right):
            yield from loads(left)
            yield from loads(right)
        case Negative(value=inner):
            yield from loads(inner)
        case Call(arguments=arguments):
            for argument in arguments:
                yield from loads(argument)
        case Select(left=left, right=right, then=then, otherwise=otherwise):
            for part in (left, right, then, otherwise):
                yield from loads(part)
        case Const() | Argument():
            return


def loads_of(node: Node) -> Iterator[Load]:
    """Yield every load that a node names; an update names buffers alone."""
    match node:
        case Contract():
            yield from (node.left, node.right)
            if node.start:
                yield node.start
            yield from loads(node.alpha)
        case Elementwise():
            for store in node.stores:
                yield from loads(store.value)
        case Reduce():
            yield from (*loads(node.value), *loads(node.alpha))
        case Update():
            return


def rebuild(value: Value, parts: "tuple[Value, ...]") -> Value:
    """Return `value` with its direct parts replaced."""
    match value:
        case Binary(op=op):
            return Binary(op, *parts)
        case Negative():
            return Negative(*parts)
        case Call(function=function):
            return Call(function, parts)
        case Select(op=op):
            return Select(op, *parts)
        case Const() | Argument() | Load():
            return value


def parts(value: Value) -> tuple[Value, ...]:
    """Return the direct parts of a value."""
    match value:
        case Binary(left=left, right=right):
            return (left, right)
        case Negative(value=inner):
            return (inner,)
        case Call(arguments=arguments):
            return arguments
        case Select(left=left, right=right, then=then, otherwise=otherwise):
            return (left, right, then, otherwise)
        case Const() | Argument() | Load():
            return ()


def reads(node: Node) -> tuple[str, ...]:
    """Return the buffers that a node reads, in order, each once."""
    match node:
        case Contract():
            found = [node.left.buffer, node.right.buffer]
            found += [load.buffer for load in loads(node.alpha)]
            found += [node.start.buffer] if node.start else []
            found += [node.out] if node.beta else []
        case Elementwise():
            stored: set[str] = set()
            found = []
            for store in node.stores:
                found += [x.buffer for x in loads(store.value) if x.buffer not in stored]
                stored.add(store.buffer)
        case Reduce():
            found = [load.buffer for load in loads(node.value)]
            found += [load.buffer for load in loads(node.alpha)]
            found += [node.out] if node.beta else []
        case Update():
            found = [node.parameter, node.gradient]
            found += [load.buffer for load in loads(node.rate)]
    return tuple(dict.fromkeys(found))


def writes(node: Node) -> tuple[str, ...]:
    """Return the buffers that a node writes."""
    match node:
        case Contract() | Reduce():
            return (node.out,)
        case Elementwise():
            return tuple(store.buffer for store in node.stores)
        case Update():
            return (node.parameter,)
