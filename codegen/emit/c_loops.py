"""Kernel programmes in C as loops, one nest a node: for networks of any size.

A kernel runs over a chunk of samples. A tensor is a row of vectors for each unit, its samples
one after another; the two kinds of matrix product are functions of the template, which work
on blocks of entries at a time.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import final

from codegen.emit.block_layout import LANES, extents_of, rows_of
from codegen.emit.c_blocks import function_head, opened
from codegen.emit.c_values import Writer
from codegen.emit.lanes import fixed_at
from codegen.emit.rooms import Rooms
from codegen.emit.values import named_parts
from codegen.errors import InternalError
from codegen.kernel import (
    BATCH,
    Binary,
    Buffer,
    Const,
    Contract,
    Elementwise,
    Extent,
    KernelProgram,
    Load,
    Node,
    Reduce,
    Update,
    Value,
    loads,
    reads,
    writes,
)

INDENT = "    "
# samples, where the C compiler is told no other number: whole vectors of any processor, and a
# batch of usual size
CHUNK = 128
_PURPOSES = {
    "forward": "Write the output of some samples.",
    "loss": "Return the mean loss of some samples.",
    "gradients": "Return the mean loss of some samples; write its gradients.",
    "step": "Write the gradients of the mean loss of some samples.",
}


def chunk_function(program: KernelProgram, first: dict[str, int], gradients: dict[str, str]) -> str:
    """Return the function that runs a programme on a chunk of samples.

    Parameters
    ----------
    program
        Its outputs are ``P``, ``loss`` and gradients.
    first
        Where each parameter starts, in numbers.
    gradients
        The parameter that each gradient belongs to.
    """
    return _Kernel(program, first, gradients).source()


@final
@dataclass(frozen=True, slots=True)
class Space:
    """How much memory tensors take: rows of a chunk's numbers, and numbers beside them.

    The latter are a multiple of all LANES that a processor may have, so that vectors begin whole
    behind them.
    """

    rows: int = 0
    numbers: int = 0

    def __add__(self, other: "Space") -> "Space":
        return Space(self.rows + other.rows, self.numbers + other.numbers)

    def __str__(self) -> str:
        """Return how many vectors that is, in C."""
        parts = [f"{self.rows} * ROW"] if self.rows else []
        parts += [f"{self.numbers} / LANES"] if self.numbers else []
        return " + ".join(parts) or "0"


def work_space(program: KernelProgram, gradients: Collection[str]) -> Space:
    """Return the memory that a programme needs for its tensors."""
    return sum((_space(shape) for shape in _work(program, gradients).values()), Space())


def _work(program: KernelProgram, gradients: Collection[str]) -> dict[str, tuple[int | str, ...]]:
    """Return the shapes of the tensors that nobody else gives room to, nor another tensor."""
    nodes = (node for node in program.nodes if not isinstance(node, Update))
    written = {name for node in nodes for name in writes(node)}
    return {
        b.name: b.shape
        for b in program.buffers
        if b.name in written - set(gradients)
        and b.shape
        and b.owns_memory
        and _is_inside(program, b)
    }


def _is_inside(program: KernelProgram, buffer: Buffer) -> bool:
    """Whether who calls the function does not ask for a tensor."""
    return buffer.name not in program.outputs or program.name != "forward"


def _space(shape: tuple[int | str, ...]) -> Space:
    units = rows_of(shape)
    return Space(rows=units) if BATCH in shape else Space(numbers=-(-units // LANES) * LANES)


class _Kernel:
    """The lines of one kernel while they are written."""

    def __init__(
        self, program: KernelProgram, first: dict[str, int], gradients: dict[str, str]
    ) -> None:
        self.program = program
        self.first = first
        self.gradients = gradients
        self.buffers = {buffer.name: buffer for buffer in program.buffers}
        self.lines: list[str] = []
        self.told: set[str] = set()
        self.rooms = Rooms(program)
        self.writer = Writer(program, self.place)
        self.part = 0

    def source(self) -> str:
        for node in self.program.nodes:
            if not isinstance(node, Update):
                self.node(node)
        program = self.program
        used = {x for node in program.nodes for x in (*reads(node), *writes(node))}
        outputs = [n for n in self.gradients if n in used]
        scalars = [n for n in program.outputs if not self.buffers[n].shape]
        parameters = [n for n in self.first if n in used]
        inputs = [n for n in ("X", "Y") if n in used]
        work = _work(program, self.gradients)
        body = "\n".join(self.lines)
        arguments = ["const T *restrict params"] if parameters else []
        arguments += [f"const lanes *restrict {name}" for name in inputs]
        arguments += ["lanes w"] if "w" in used else []
        arguments += ["size_t vectors"] if "vectors" in body else []
        arguments += ["size_t rest"] if "rest" in body else []
        arguments += ["lanes *restrict work"] if work else []
        arguments += ["T *restrict grads"] if outputs else []
        if program.name == "forward":
            arguments += [f"lanes *restrict {name}" for name in program.outputs]
        kind = "T" if scalars else "void"
        head = [f"/* {_PURPOSES[program.name]} */"]
        head += function_head(f"static {kind} {program.name}_chunk", arguments)
        for name in parameters:
            head.append(f"{INDENT}const T *{name} = params + {self.first[name]};")
        for name in outputs:
            head.append(f"{INDENT}T *{name} = grads + {self.first[self.gradients[name]]};")
        taken = Space()
        for name, shape in work.items():
            place = "work" if taken == Space() else f"work + {taken}"
            if BATCH in shape:
                head.append(f"{INDENT}lanes *{name} = {place};  // {_shape(shape)}")
            else:
                head.append(f"{INDENT}T *{name} = (T *)({place});  // {_shape(shape)}")
            taken += _space(shape)
        tail = [f"{INDENT}return {', '.join(scalars)};"] if scalars else []
        return "\n".join([*head, *self.lines, *tail, "}"]) + "\n"

    def node(self, node: Node) -> None:
        for formula in node.origin:
            if formula not in self.told:  # a statement may take several nodes
                self.told.add(formula)
                self.add(1, f"// {formula}")
        for taken in self.rooms.taken_by(node):
            kind = "lanes" if BATCH in self.buffers[taken.name].shape else "T"
            self.add(1, f"{kind} *{taken.name} = {taken.room};  // {taken.why}")
        match node:
            case Contract():
                self.product(node)
            case Elementwise():
                self.elementwise(node)
            case Reduce():
                self.reduce(node)
            case Update():
                raise InternalError(f"{node} is no part of a chunk")

    def add(self, depth: int, line: str) -> None:
        self.lines.append(INDENT * depth + line)

    def place(self, load: Load) -> str:
        """Return how an entry is read or written."""
        shape = self.buffers[load.buffer].shape
        if not shape or load.buffer == "w":
            return load.buffer
        if self.buffers[load.buffer].role == "register":
            return f"{load.buffer.lower()}_here"
        units = [(a, e) for a, e in zip(load.axes, shape, strict=True) if e != BATCH]
        index = ""
        for axis, extent in units:
            index = (
                f"({index}) * {extent} + {axis}"
                if " " in index
                else (f"{index} * {extent} + {axis}" if index else axis)
            )
        if BATCH in shape:
            if index == "0" or not index:
                return f"{load.buffer}[v]"
            return f"{load.buffer}[{f'({index})' if ' ' in index else index} * ROW + v]"
        return f"{load.buffer}[{index}]"

    def in_loops(self, axes: tuple[str, ...], extents: Mapping[str, Extent], before: int) -> None:
        """Put what was written since into loops over units, and over vectors within."""
        body = self.lines[before:]
        order = [a for a in axes if extents[a] != BATCH] + [a for a in axes if extents[a] == BATCH]
        for depth in range(len(order), 0, -1):
            axis = order[depth - 1]
            if extents[axis] == BATCH:
                head = f"{INDENT * depth}for (size_t v = 0; v < vectors; v++)"
                several = len(body) > 1
                body = [head + " {" * several, *body, *[f"{INDENT * depth}}}"] * several]
            else:
                body = opened(axis, int(extents[axis]), body, depth, kind="size_t")
        self.lines[before:] = body

    def named(self, value: Value, depth: int) -> Value:
        names, rest = named_parts(value, f"part{self.part + 1}_")
        self.part += bool(names)
        for name, part in names:
            if self.writer.is_vector(part):
                self.writer.by_sample.add(name)
            kind = "lanes" if self.writer.is_vector(part) else "T"
            self.add(depth, f"const {kind} {name} = {self.writer.text(part)};")
        return rest

    def store(self, out: Load, value: Value, depth: int) -> None:
        shape = self.buffers[out.buffer].shape
        written = self.writer.vector(value) if BATCH in shape else self.writer.number(value)
        in_register = self.buffers[out.buffer].role == "register"
        declared = "const lanes " if in_register else "" if shape else "const T "
        self.add(depth, f"{declared}{self.place(out)} = {written};")

    def elementwise(self, node: Elementwise) -> None:
        used = [Load(store.buffer, store.axes) for store in node.stores]
        extents = self.program.extents(*used)
        before = len(self.lines)
        depth = 1 + len(node.axes)
        for store in node.stores:
            value = self.named(store.value, depth)
            self.store(Load(store.buffer, store.axes), value, depth)
        self.in_loops(node.axes, extents, before)

    def product(self, node: Contract) -> None:
        extents = extents_of(self.program, node)
        if node.alpha != Const(1.0) or node.beta:
            raise InternalError(f"{node} is not a product that C is emitted for")
        rows, columns = (extents[axis] for axis in node.out_axes)
        left, right = node.left, node.right
        if node.out_axes[0] not in left.axes:
            left, right = right, left
        if extents[node.axis] == BATCH:
            self.add(
                1,
                f"correlate({node.out}, {left.buffer}, {right.buffer}, {rows}, {columns}, "
                "vectors, rest);",
            )
            return
        if columns != BATCH or node.out_axes[1] not in right.axes:
            raise InternalError(f"{node} is not a product that C is emitted for")
        steps = self.steps(left)
        start = "NULL"
        if node.start is not None:
            if node.start.axes != node.out_axes[:1]:
                raise InternalError(f"{node} starts from what C has no form for")
            start = node.start.buffer
        self.add(
            1,
            f"multiply({node.out}, {left.buffer}, {steps[node.out_axes[0]]}, "
            f"{steps[node.axis]}, {right.buffer}, {rows}, {extents[node.axis]}, {start}, vectors);",
        )

    def steps(self, load: Load) -> dict[str, int]:
        """Return how far apart entries are that differ by 1 along an axis of a matrix."""
        columns = self.buffers[load.buffer].shape[1]
        return {load.axes[0]: int(columns), load.axes[1]: 1}

    def reduce(self, node: Reduce) -> None:
        extents = self.program.extents(Load(node.out, node.out_axes), *loads(node.value))
        out = Load(node.out, node.out_axes)
        value = node.value
        if node.alpha != Const(1.0):
            value = Binary("*", node.alpha, value)
        before = len(self.lines)
        depth = 1 + len(node.out_axes)
        shape = self.buffers[node.out].shape
        kind = "lanes" if BATCH in shape else "T"
        # a number that stays has its own name, and its sum is written straight into it
        total = "total" if shape else node.out
        if extents[node.axis] == BATCH:
            sum_name = "total" if shape else f"{node.out}_lanes"
            self.add(depth, f"lanes {sum_name} = v_all({self.writer.text(Const(0.0))});")
            self.add(depth, "for (size_t v = 0; v < vectors; v++)")
            inside = self.writer.vector(value)
            self.add(
                depth + 1,
                f"{sum_name} += of_samples({inside}, v + 1 < vectors ? LANES : rest);",
            )
            target = self.place(out) if shape else f"const T {node.out}"
            self.add(depth, f"{target} = v_total({sum_name}, LANES);")
        else:
            extent, axis = int(extents[node.axis]), node.axis
            first = fixed_at(value, axis, "0")
            write = self.writer.vector if kind == "lanes" else self.writer.number
            self.add(depth, f"{kind} {total} = {write(first)};")
            if extent > 1:
                start = len(self.lines)
                rest = self.named(value, depth + 1)
                line = f"{total} += {write(rest)};"
                if node.op == "max":
                    one = "v_max" if kind == "lanes" else "larger"
                    line = f"{total} = {one}({total}, {write(rest)});"
                self.add(depth + 1, line)
                body = self.lines[start:]
                self.lines[start:] = opened(axis, extent, body, depth, first=1, kind="size_t")
            if shape:
                self.add(depth, f"{self.place(out)} = {total};")
        self.in_loops(node.out_axes, extents, before)


def _shape(shape: tuple[int | str, ...]) -> str:
    return f"({', '.join('B' if e == BATCH else str(e) for e in shape)})"
