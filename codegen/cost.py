"""What a kernel programme costs: arithmetic, elementary functions, and bytes moved.

Each node is counted by itself: it computes every entry of its result once, reads each buffer
that it names once, and writes its result once. A later node reads from memory again what an
earlier one wrote, so that what fusion and folding save is seen in the bytes. What a cache or
a register keeps between two nodes is not known here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import final

from codegen.kernel import (
    BATCH,
    Binary,
    Call,
    Const,
    Contract,
    Elementwise,
    Extent,
    KernelProgram,
    Negative,
    Node,
    Reduce,
    Select,
    Update,
    Value,
    loads_of,
    parts,
    reads,
    writes,
)

_BYTES = {"float32": 4, "float64": 8}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Counts for one batch.

    Attributes
    ----------
    operations
        Additions, subtractions, multiplications, divisions, comparisons and changes of sign;
        a multiply-add is two.
    functions
        Evaluations of elementary functions.
    bytes
        Read and written.
    """

    operations: int
    functions: int
    bytes: int

    def __add__(self, other: "Cost") -> "Cost":
        """Return the sum of two costs."""
        return Cost(
            operations=self.operations + other.operations,
            functions=self.functions + other.functions,
            bytes=self.bytes + other.bytes,
        )


def cost(program: KernelProgram, batch: int) -> Cost:
    """Return what a programme costs for a batch of so many samples."""
    nothing = Cost(operations=0, functions=0, bytes=0)
    return sum((_cost(node, program, batch) for node in program.nodes), nothing)


def _cost(node: Node, program: KernelProgram, batch: int) -> Cost:
    size = {b.name: entries(b.shape, batch) for b in program.buffers}
    registers = {b.name for b in program.buffers if b.role == "register"}
    moved = sum(size[name] for name in (*reads(node), *writes(node)) if name not in registers)
    extents = program.extents(*loads_of(node))
    operations = functions = 0
    match node:
        case Contract():
            summed = entries((extents[node.axis],), batch)
            # the first product starts the sum, unless it starts from something
            begins = 0 if node.start is not None or node.beta else 1
            scaled = 0 if node.alpha == Const(1.0) else 1
            operations = size[node.out] * (2 * summed - begins + scaled)
        case Elementwise():
            for store in node.stores:
                operations += size[store.buffer] * _operations(store.value)
                functions += size[store.buffer] * _functions(store.value)
        case Reduce():
            summed = entries((extents[node.axis],), batch)
            terms = size[node.out] * summed
            scaled = 0 if node.alpha == Const(1.0) else 1
            combined = size[node.out] * (summed - 1 + node.beta + scaled)
            operations = terms * _operations(node.value) + combined
            functions = terms * _functions(node.value)
        case Update():
            operations = 2 * size[node.parameter]
    return Cost(operations=operations, functions=functions, bytes=moved * _BYTES[program.dtype])


def work_bytes(program: KernelProgram, batch: int) -> int:
    """Return how many bytes of memory the work of a programme takes for so many samples."""
    written = {name for node in program.nodes for name in writes(node)}
    own = [b for b in program.buffers if b.role == "work" and b.owns_memory and b.name in written]
    return _BYTES[program.dtype] * sum(entries(b.shape, batch) for b in own)


def entries(shape: tuple[Extent, ...], batch: int) -> int:
    """Return how many numbers a buffer holds."""
    return prod(batch if extent == BATCH else int(extent) for extent in shape)


def _inner(value: Value) -> Iterator[Value]:
    yield value
    for part in parts(value):
        yield from _inner(part)


def _operations(value: Value) -> int:
    return sum(isinstance(part, Binary | Negative | Select) for part in _inner(value))


def _functions(value: Value) -> int:
    return sum(isinstance(part, Call) for part in _inner(value))


__all__ = ["Cost", "cost", "entries", "work_bytes"]
