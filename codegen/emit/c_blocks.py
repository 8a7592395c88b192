"""Kernel programmes of small networks in C: the kernels of `codegen.emit.lanes` once more.

A kernel runs over one block of LANES samples. Which nodes share a loop, and what is kept in
a variable, is decided as it is for Numba; a tensor that several loops read is an array of
vectors on the stack. What sums over the samples is left as a vector for each entry.
"""

import textwrap
from collections.abc import Iterator

from codegen.emit.block_layout import Layout, extents_of, units_of
from codegen.emit.c_values import Writer
from codegen.emit.lanes import BlockKernel, fixed_at
from codegen.emit.values import named_parts
from codegen.kernel import (
    BATCH,
    Binary,
    Const,
    Contract,
    Elementwise,
    KernelProgram,
    Load,
    Node,
    Reduce,
    Value,
    reads,
)

INDENT = "    "
WIDTH = 100
_PURPOSES = {
    "forward": "Write the output of a block of samples.",
    "loss": "Return the loss of a block of samples, of which some are here.",
    "gradients": "Return the loss of a block of samples; write what its gradients sum up.",
    "step": "Write what the gradients of a block of samples sum up.",
}
_IN_PLACE = (
    "Add the gradients of a block of samples; grads may be the parameters, hence no restrict."
)


class CBlockKernel(BlockKernel):
    """The lines of one kernel while they are written."""

    def __init__(self, program: KernelProgram, layout: Layout) -> None:
        super().__init__(program, layout)
        self.writer = Writer(program, self.place)
        self.part = 0

    def source(self) -> str:
        """Return the function."""
        program = self.program
        for group in self.groups():
            self.group(group)
        scalars = [name for name in program.outputs if not self.buffers[name].shape]
        outputs = [b.name for b in self.outputs() if program.name == "forward"]
        sums = [n for n in self.used if n in self.gradients]
        inputs = [
            n for n in ("X", "Y", "w") if n in {x for node in program.nodes for x in reads(node)}
        ]
        parameters = list(self.parameter_lines())
        in_place = self.changes and self.adds_in_place
        alone = "" if in_place else "restrict "
        arguments = [f"const T *{alone}params"] if parameters else []
        arguments += [f"const lanes *restrict {n}" if n != "w" else "lanes w" for n in inputs]
        arguments += ["size_t here"] if scalars or self.knows_samples else []
        arguments += [f"lanes *{alone}{self.sums_name}"] if sums else []
        arguments += [f"lanes *restrict {name}" for name in outputs]
        kind = "T" if scalars else "void"
        head = [f"/* {_IN_PLACE if in_place else _PURPOSES[program.name]} */"]
        head += function_head(f"static inline {kind} {program.name}_block", arguments)
        head += [INDENT + line for line in (*parameters, *map(self.gradient_line, sums))]
        rooms = self.rooms()
        for name in sorted(rooms, key=lambda name: name != rooms[name][0]):  # a room comes first
            room, why = rooms[name]
            shape = self.shape(name) + (f", {why}" if why else "")
            is_own = name == room
            declared = f"lanes *{name} = {room}"
            if is_own:
                empty = " = {0}" if self.starts_empty(name) else ""
                declared = f"lanes {name}[{self.rows(name)}]{empty}"
            head.append(f"{INDENT}{declared};  // {shape}")
        head += [INDENT + line for line in self.view_lines()]
        tail = [f"{INDENT}return {', '.join(scalars)};"] if scalars else []
        return "\n".join([*head, *self.lines, *tail, "}"]) + "\n"

    sums_name = "sums"
    adds_in_place = False  # to gradients, in place of leaving what must be summed up
    knows_samples = False  # how many samples a block has

    def parameter_lines(self) -> Iterator[str]:
        """Yield the lines that name the parameters."""
        first = self.layout.first_entries()
        for name in self.used:
            if self.buffers[name].role == "parameter":
                yield f"const T *{name} = params + {first[name]};  // {self.shape(name)}"

    def gradient_line(self, name: str) -> str:
        """Return the line that names a gradient, or what it sums up."""
        first = self.layout.first_entries()[self.layout.parameter_of[name]]
        return f"lanes *{name} = sums + {first};  // {self.shape(name)}"

    def starts_empty(self, _room: str) -> bool:
        """Whether rows of some work are read that nothing is written to: they must hold numbers."""
        return False

    def view_lines(self) -> Iterator[str]:
        """Yield lines that give tensors further names."""
        yield from ()

    def shape(self, name: str) -> str:
        """Return the shape of a tensor, without the samples."""
        extents = [str(e) for e in self.buffers[name].shape if e != BATCH]
        return f"({', '.join(extents)}{',' if len(extents) == 1 else ''})"

    def rows(self, name: str) -> int:
        """Return how many vectors a tensor takes."""
        total = 1
        for extent in self.buffers[name].shape:
            total *= int(extent) if extent != BATCH else 1
        return total

    def place(self, load: Load) -> str:
        """Return how an entry is read."""
        if load.buffer in self.known:
            return self.known[load.buffer]
        if not self.buffers[load.buffer].shape or load.buffer == "w":
            return load.buffer
        self.used[load.buffer] = None
        axes = units_of(self.program, load)
        columns = [e for e in self.buffers[load.buffer].shape if e != BATCH][-1:]
        if len(axes) == 2:
            return f"{load.buffer}[{axes[0]} * {columns[0]} + {axes[1]}]"
        return f"{load.buffer}[{axes[0] if axes else '0'}]"

    # lines

    def group(self, group: list[Node]) -> None:
        """Write nodes that share a loop."""
        kept = self.known.copy()
        loop = self.loop(group[0])
        before = len(self.lines)
        for node in group:
            self.tell(node, 2 if loop else 1)
            self.node(node, group, 2 if loop else 1)
        if not loop:
            return
        self.known = kept  # what a loop keeps in variables is gone after it
        body = self.lines[before:]
        comments = []
        if len(group) == 1:  # then the formula stands above the loop
            while body and body[0].lstrip().startswith("//"):
                comments.append(body.pop(0).removeprefix(INDENT))
        self.lines[before:] = [*comments, *opened(loop[0], loop[1], body, 1)]

    def tell(self, node: Node, depth: int) -> None:
        """Write the formulas of a node as a comment, each once."""
        for formula in node.origin:
            if formula not in self.told:
                self.told.add(formula)
                self.add(depth, f"// {formula}")

    def inside(self, out: Load, depth: int) -> tuple[int, list[tuple[str, int]]]:
        """Return the depth within the loops over all axes of units but the first, and these."""
        shape = self.buffers[out.buffer].shape
        loops = [
            (axis, int(extent))
            for axis, extent in list(zip(out.axes, shape, strict=True))[1:]
            if extent != BATCH
        ]
        return depth + len(loops), loops

    def close(self, before: int, loops: list[tuple[str, int]], depth: int) -> None:
        """Put what was written since into loops."""
        body = self.lines[before:]
        for number, (axis, extent) in reversed(list(enumerate(loops))):
            body = opened(axis, extent, body, depth + number)
        self.lines[before:] = body

    def define(self, depth: int, variable: str, value: str) -> None:
        """Write a line that gives a value to a new variable."""
        self.add(depth, f"lanes {variable} = {value};")

    def store(self, depth: int, place: str, value: str) -> None:
        """Write a line that writes a value to a place in memory."""
        self.add(depth, f"{place} = {value};")

    def named(self, value: Value, depth: int) -> Value:
        """Write what a value uses twice to variables; return the value in these."""
        names, rest = named_parts(value, f"part{self.part + 1}_")
        self.part += bool(names)
        for name, part in names:
            is_vector = self.writer.is_vector(part)
            if is_vector:
                self.writer.by_sample.add(name)
            kind = "lanes" if is_vector else "T"
            self.add(depth, f"const {kind} {name} = {self.writer.text(part)};")
        return rest

    def elementwise(self, node: Elementwise, group: list[Node], depth: int) -> None:
        """Write the stores of a loop."""
        for store in node.stores:
            out = Load(store.buffer, store.axes)
            before = len(self.lines)
            inner, loops = self.inside(out, depth)
            value = self.named(store.value, inner)
            self.keep(out, self.writer.vector(value), group, inner)
            self.close(before, loops, depth)

    def product(self, node: Contract, group: list[Node], depth: int) -> None:
        """Write a product of two matrices."""
        extents = extents_of(self.program, node)
        out = Load(node.out, node.out_axes)
        before = len(self.lines)
        inner, loops = self.inside(out, depth)
        product: Value = Binary("*", node.left, node.right)
        if node.alpha != Const(1.0) and extents[node.axis] == BATCH:
            product = Binary("*", node.alpha, product)
        if extents[node.axis] == BATCH:
            self.add(inner, f"{self.place(out)} = {self.writer.vector(product)};")
        else:
            total = self.variable(node.out)
            start = self.writer.vector(node.start or Const(0.0))
            self.add(inner, f"lanes {total} = {start};")
            self.add(
                inner,
                f"for (int {node.axis} = 0; {node.axis} < {extents[node.axis]}; {node.axis}++)",
            )
            self.add(inner + 1, f"{total} += {self.writer.text(product)};")
            if node.alpha != Const(1.0):
                self.add(inner, f"{total} = {self.writer.text(node.alpha)} * {total};")
            self.keep(out, total, group, inner)
        self.close(before, loops, depth)

    def reduce(self, node: Reduce, group: list[Node], depth: int) -> None:
        """Write a sum, or a largest entry."""
        extents = extents_of(self.program, node)
        out = Load(node.out, node.out_axes)
        before = len(self.lines)
        inner, loops = self.inside(out, depth)
        scaled = node.value
        if node.alpha != Const(1.0):
            scaled = Binary("*", node.alpha, scaled)
        if extents[node.axis] == BATCH:
            if not self.buffers[node.out].shape:
                self.add(
                    inner, f"const T {node.out} = v_total({self.writer.vector(scaled)}, here);"
                )
            else:
                self.add(inner, f"{self.place(out)} = {self.writer.vector(scaled)};")
        else:
            extent, axis = int(extents[node.axis]), node.axis
            total = self.variable(node.out)
            first = self.writer.vector(fixed_at(scaled, axis, "0"))
            self.add(inner, f"lanes {total} = {first};")
            if extent > 1:
                start = len(self.lines)
                value = self.writer.vector(self.named(scaled, inner + 1))
                line = f"{total} += {value};"
                if node.op == "max":
                    line = f"{total} = v_max({total}, {value});"
                self.add(inner + 1, line)
                self.lines[start:] = opened(axis, extent, self.lines[start:], inner, first=1)
            self.keep(out, total, group, inner)
        self.close(before, loops, depth)


def function_head(name: str, parameters: list[str]) -> list[str]:
    """Return the first lines of a function, its parameters on lines of their own if need be."""
    line = f"{name}({', '.join(parameters)})"
    if len(line) <= WIDTH:
        return [line, "{"]
    folded = textwrap.wrap(", ".join(parameters), WIDTH - 4, break_long_words=False)
    return [f"{name}(", *(INDENT + part for part in folded[:-1]), f"{INDENT}{folded[-1]})", "{"]


def opened(
    axis: str, extent: int, body: list[str], depth: int, first: int = 0, kind: str = "int"
) -> list[str]:
    """Return lines inside of a loop, in braces if they are more than one statement."""
    head = f"{INDENT * depth}for ({kind} {axis} = {first}; {axis} < {extent}; {axis}++)"
    if len(body) == 1:
        return [head, *body]
    return [head + " {", *body, f"{INDENT * depth}}}"]
