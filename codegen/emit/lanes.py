"""Kernel programmes of small networks as Numba functions of vectors, one lane a sample.

A kernel runs over a block of `LANES` samples: a vector holds one entry of a tensor for each
of them, so that a loop over units remains and none over samples. Weights are numbers, which
every lane shares. What sums over the samples is kept as a vector for each entry, and LANES of
these are reduced to one vector of sums, pair by pair: in a small network a sum for each entry
would take as long as all the rest. Where hidden layers fill whole vectors, units are in lanes
instead, and little of this is left (`codegen.emit.unit_lanes`).

Where everything lies, `codegen.emit.block_layout` says.

Neighbouring nodes that loop over the same units share the loop. What is read in that loop
only is kept in a variable, and has no row.
"""

from collections.abc import Iterator
from itertools import accumulate

from codegen.emit.block_layout import Layout, extents_of, rows_of, units_of
from codegen.emit.values import named_parts, text
from codegen.errors import InternalError
from codegen.kernel import (
    BATCH,
    Argument,
    Binary,
    Buffer,
    Const,
    Contract,
    Elementwise,
    KernelProgram,
    Load,
    Node,
    Reduce,
    Update,
    Value,
    loads_of,
    parts,
    reads,
    rebuild,
    writes,
)
from codegen.lifetimes import first_fit, lifetimes

INDENT = "    "


class _Kernel:
    """The lines of one kernel while they are written."""

    def __init__(self, program: KernelProgram, layout: Layout) -> None:
        self.program = program
        self.layout = layout
        self.buffers = {buffer.name: buffer for buffer in program.buffers}
        self.lines: list[str] = []
        self.told: set[str] = set()
        self.known: dict[str, str] = {}  # buffers that are in a variable
        self.used: dict[str, None] = {}  # tensors in memory, in order
        self.work_rows = 0
        self.gradients = set(layout.gradients.values())
        self.changes = any(isinstance(node, Update) for node in program.nodes)

    # what is where

    @property
    def gradient_row(self) -> str:
        """The row from which on a kernel adds to the gradients.

        Plain gradient descent may have them added to the parameters (`_step` in ``blocks.txt``).
        """
        return "into" if self.changes else "GRADIENT"

    def outputs(self) -> list[Buffer]:
        named = [self.buffers[name] for name in self.program.outputs]
        return [b for b in named if BATCH in b.shape]

    def source(self) -> str:
        program = self.program
        for group in self.groups():
            self.group(group)
        scalars = [name for name in program.outputs if not self.buffers[name].shape]
        given = ["memory", "block"]
        given += ["here"] if self.sums_over_samples() else []
        given += ["into"] if self.changes else []
        head = [
            "@_jit",
            f"def _{program.name}_block({', '.join(given)}):",
            f'{INDENT}"""{_INTO if self.changes else _PURPOSES[program.name]}"""',
            *(f"{INDENT}{line}" for line in self.tensors()),
        ]
        tail = []
        if self.has_entries():
            tail = [
                f"{INDENT}# each sum over the samples, LANES entries at a time",
                f"{INDENT}for p in range(PARAMETER_ROWS):",
                f"{INDENT * 2}gradient[p] += sums(entries, p, here)",
            ]
        if scalars:
            tail.append(f"{INDENT}return {', '.join(scalars)}")
        return "\n".join([*head, *self.lines, *tail]) + "\n"

    def sums_over_samples(self) -> bool:
        """Whether the kernel must know how many samples a block has."""
        return any(
            name in self.gradients or not self.buffers[name].shape
            for node in self.program.nodes
            if not isinstance(node, Update)
            for name in writes(node)
        )

    def has_entries(self) -> bool:
        """Whether gradients are left as a vector of samples for each entry, to be summed up."""
        return any(name in self.gradients for name in self.used)

    def tensors(self) -> Iterator[str]:
        """Yield the lines that name the tensors in memory."""
        first, where = self.layout.first_entries(), self.places()
        for name in self.in_order():
            buffer = self.buffers[name]
            units = tuple(extent for extent in buffer.shape if extent != BATCH)
            columns = units[-1] if len(units) > 1 else 1
            if buffer.role == "parameter":
                shape = ", ".join(map(str, buffer.shape)) + "," * (len(buffer.shape) == 1)
                yield f"{name} = numbers(memory, {first[name]}, {columns})  # ({shape})"
            else:
                shape = f"({', '.join(map(str, (*units, 'LANES')))})"
                yield f"{name} = rows(memory, {where[name]}, {columns})  # {shape}{self.why(name)}"
        if self.has_entries():
            gradient = f"rows(memory, {self.gradient_row}, 1)"
            yield f"entries, gradient = rows(memory, SUMS, 1), {gradient}"

    def in_memory(self) -> dict[str, None]:
        """Return the tensors that lie in memory, in order of their use."""
        return self.used

    def in_order(self) -> list[str]:
        """Return the tensors that lie in memory, in the order in which they are named."""
        kinds = ("parameter", "input", "work", "output")
        return sorted(self.in_memory(), key=lambda name: kinds.index(self.buffers[name].role))

    def why(self, name: str) -> str:
        """Return why a tensor can lie in the memory of another, as the end of a comment."""
        reason = self.rooms().get(name, ("", ""))[1]
        return f", {reason}" if reason else ""

    def places(self) -> dict[str, str]:
        """Return in which row each tensor starts, but for the parameters."""
        first, places = self.layout.first_entries(), {}
        inputs, start = {}, 0
        for name, rows in self.layout.inputs.items():
            inputs[name] = f"block + {start}" if start else "block"
            start += rows
        inputs["dP"] = inputs["Y"]
        rooms = self.rooms()
        owners = [name for name, (room, _) in rooms.items() if name == room]
        sizes = [rows_of(self.buffers[name].shape) for name in owners]
        work = dict(zip(owners, accumulate(sizes, initial=0), strict=False))
        self.work_rows = sum(sizes)
        outputs = {b.name for b in self.outputs()}
        parameter_of = self.layout.parameter_of
        for name in self.in_memory():
            if name in self.gradients:
                places[name] = f"SUMS + {first[parameter_of[name]]}"
            elif name in outputs:
                places[name] = "OUTPUT"
            elif self.buffers[name].role == "input":
                places[name] = inputs[name]
            elif self.buffers[name].role != "parameter":
                places[name] = f"WORK + {work[rooms[name][0]]}"
        return places

    def rooms(self) -> dict[str, tuple[str, str]]:
        """Return whose memory each tensor of work lies in, and as a comment why it can.

        Nodes of a group take turns, entry by entry, so that nothing is written over what the
        same group reads.
        """
        outputs = {b.name for b in self.outputs()}
        names = {
            name
            for name in self.in_memory()
            if self.buffers[name].role in ("work", "output")
            and name not in self.gradients | outputs
        }
        groups = [(place, node) for place, nodes in enumerate(self.groups()) for node in nodes]
        needed = lifetimes(
            [(place, name) for place, node in groups for name in writes(node) if name in names],
            [(place, name) for place, node in groups for name in reads(node)],
        )
        sizes = {name: rows_of(self.buffers[name].shape) for name in needed}
        rooms = first_fit(needed, sizes)
        found, there = {}, dict.fromkeys(rooms.values(), "")
        for name in needed:  # in the order in which they are computed
            room, before = rooms[name], there[rooms[name]]
            why = f"nothing reads {before} any more" if before else f"{room} is computed later"
            found[name] = room, "" if name == room else why
            there[room] = name
        return {name: found[name] for name in self.in_memory() if name in found}

    # which nodes share a loop

    def groups(self) -> list[list[Node]]:
        """Return the nodes in order, those together that loop over the same units."""
        groups: list[list[Node]] = []
        for node in self.program.nodes:
            if isinstance(node, Update):
                continue
            if groups and self.joins(node, groups[-1]):
                groups[-1].append(node)
            else:
                groups.append([node])
        return groups

    def joins(self, node: Node, group: list[Node]) -> bool:
        axis = self.loop(group[0])
        if not axis or self.loop(node) != axis:
            return False
        written = {name for earlier in group for name in writes(earlier)}
        return all(
            units_of(self.program, load)[:1] == axis[:1]
            for load in loads_of(node)
            if load.buffer in written
        )

    def loop(self, node: Node) -> tuple[str, int] | tuple[()]:
        """Return the first axis of units that a node loops over, and its extent."""
        name = writes(node)[0]
        axes = node.axes if isinstance(node, Elementwise) else node.out_axes  # type: ignore[union-attr]
        axes = units_of(self.program, Load(name, axes))
        return (axes[0], int(self.buffers[name].shape[0])) if axes else ()

    # lines

    def group(self, group: list[Node]) -> None:
        kept = self.known.copy()
        loop = self.loop(group[0])
        depth = 1
        formulas = len(self.lines)
        if loop:
            self.add(1, f"for {loop[0]} in range({loop[1]}):")
            depth = 2
        for node in group:
            self.tell(node, depth)
            self.node(node, group, depth)
        if loop:  # what a loop keeps in variables is gone after it
            self.known = kept
            if len(group) == 1:  # then the formula stands above the loop
                self.raise_comments(formulas)

    def raise_comments(self, start: int) -> None:
        loop, *rest = self.lines[start:]
        comments = []
        while rest and rest[0].lstrip().startswith("#"):
            comments.append(rest.pop(0).removeprefix(INDENT))
        self.lines[start:] = [*comments, loop, *rest]

    def tell(self, node: Node, depth: int) -> None:
        for formula in node.origin:
            if formula not in self.told:  # a statement may take several nodes
                self.told.add(formula)
                self.add(depth, f"# {formula}")

    def add(self, depth: int, line: str) -> None:
        self.lines.append(INDENT * depth + line)

    def node(self, node: Node, group: list[Node], depth: int) -> None:
        match node:
            case Elementwise():
                self.elementwise(node, group, depth)
            case Contract():
                self.product(node, group, depth)
            case Reduce():
                self.reduce(node, group, depth)
            case Update():
                raise InternalError(f"{node} is no part of a block")

    def place(self, load: Load) -> str:
        """Return how an entry is read."""
        if load.buffer in self.known:
            return self.known[load.buffer]
        if not self.buffers[load.buffer].shape:
            return load.buffer
        self.used[load.buffer] = None
        axes = units_of(self.program, load)
        return f"{load.buffer}[{', '.join(axes) or '0'}]"

    def inner_loops(self, out: Load, depth: int) -> int:
        """Open the loops over all axes of units but the first; return the depth inside."""
        shape = self.buffers[out.buffer].shape
        for axis, extent in list(zip(out.axes, shape, strict=True))[1:]:
            if extent != BATCH:
                self.add(depth, f"for {axis} in range({extent}):")
                depth += 1
        return depth

    def keep(self, out: Load, value: str, group: list[Node], depth: int) -> None:
        """Write a value to where the nodes after this one read it."""
        name = out.buffer
        variable = self.variable(name)
        readers = [node for node in self.program.nodes if name in reads(node)]
        alone = not units_of(self.program, out)  # one vector, which stays in a variable
        inside = alone or (all(node in group for node in readers) and len(out.axes) == 2)
        if inside and name not in self.program.outputs:
            if value != variable:
                self.define(depth, variable, value)
            self.known[name] = variable
            return
        if any(node in group for node in readers):
            if value != variable:
                self.define(depth, variable, value)
            value = variable
        self.store(depth, self.place(out), value)
        if value == variable:
            self.known[name] = variable

    def define(self, depth: int, variable: str, value: str) -> None:
        """Write a line that gives a value to a new variable."""
        self.add(depth, f"{variable} = {value}")

    def store(self, depth: int, place: str, value: str) -> None:
        """Write a line that writes a value to a place in memory."""
        self.add(depth, f"{place} = {value}")

    def variable(self, name: str) -> str:
        """Return the name of the variable that holds an entry of a buffer."""
        small = name.lower()
        alone = self.buffers[name].shape == (BATCH,)
        taken = (small in self.buffers and not (alone and small == name)) or small in _TAKEN
        return f"{name}_here" if taken else small

    def elementwise(self, node: Elementwise, group: list[Node], depth: int) -> None:
        for number, store in enumerate(node.stores):
            out = Load(store.buffer, store.axes)
            inside = self.inner_loops(out, depth)
            prefix = "part" if number == 0 else f"part{number}_"
            names, value = named_parts(store.value, prefix)
            for name, part in names:
                self.add(inside, f"{name} = {self.text(part)}")
            self.keep(out, self.text(value), group, inside)

    def text(self, value: Value) -> str:
        return text(value, self.place, lanes=True)

    def product(self, node: Contract, group: list[Node], depth: int) -> None:
        extents = extents_of(self.program, node)
        out = Load(node.out, node.out_axes)
        depth = self.inner_loops(out, depth)
        product = Binary("*", node.left, node.right)
        if extents[node.axis] == BATCH:
            scaled = product if node.alpha == Const(1.0) else Binary("*", node.alpha, product)
            self.add(depth, f"{self.place(out)} = {self.text(scaled)}")
            return
        total = self.variable(node.out)
        start = self.place(node.start) if node.start else "T(0)"
        is_vector = node.start and BATCH in self.buffers[node.start.buffer].shape
        self.add(depth, f"{total} = {start if is_vector else f'lanes({start})'}")
        self.add(depth, f"for {node.axis} in range({extents[node.axis]}):")
        self.add(depth + 1, f"{total} += {self.text(product)}")
        if node.alpha != Const(1.0):
            self.add(depth, f"{total} = {self.text(Binary('*', node.alpha, Argument(total)))}")
        self.keep(out, total, group, depth)

    def reduce(self, node: Reduce, group: list[Node], depth: int) -> None:
        extents = extents_of(self.program, node)
        out = Load(node.out, node.out_axes)
        depth = self.inner_loops(out, depth)
        scaled = node.value
        if node.alpha != Const(1.0):
            scaled = Binary("*", node.alpha, scaled)
        if extents[node.axis] == BATCH:
            if not self.buffers[node.out].shape:
                self.add(depth, f"{node.out} = total({self.text(scaled)}, here)")
            else:
                self.add(depth, f"{self.place(out)} = {self.text(scaled)}")
            return
        extent = int(extents[node.axis])
        total = self.variable(node.out)
        names, value = named_parts(scaled, "part")
        if extent > 1 and not names:
            self.add(depth, f"{total} = {self.text(fixed_at(scaled, node.axis, '0'))}")
            self.add(depth, f"for {node.axis} in range(1, {extent}):")
            self.combine(depth + 1, total, node.op, self.text(value))
        else:
            first = fixed_at(scaled, node.axis, "0")
            self.add(depth, f"{total} = {self.text(first)}")
            if extent > 1:
                self.add(depth, f"for {node.axis} in range(1, {extent}):")
                for name, part in names:
                    self.add(depth + 1, f"{name} = {self.text(part)}")
                self.combine(depth + 1, total, node.op, self.text(value))
        self.keep(out, total, group, depth)

    def combine(self, depth: int, total: str, op: str, value: str) -> None:
        if op == "sum":
            self.add(depth, f"{total} += {value}")
        else:
            self.add(depth, f"{total} = maximum({total}, {value})")


BlockKernel = _Kernel  # what the kernels in C share: groups of nodes, and what stays in variables

_PURPOSES = {
    "forward": "Write the output of a block of samples.",
    "loss": "Return the loss of a block of samples, and write their output.",
    "gradients": "Return the loss of a block of samples; add to its gradients.",
    "vjp": "Pull dP back through a block of samples; add to the gradients.",
    "step": "Add a block of samples to the gradients.",
}
_INTO = "Add the gradients of a block of samples to the rows from `into` on."

# names that the text of a kernel uses for something else
_TAKEN = {
    "memory",
    "block",
    "here",
    "into",
    "entries",
    "gradient",
    "p",
    "t",
    "lanes",
    "rows",
    "numbers",
    "sums",
}
_TAKEN |= {"total", "where", "bits", "maximum", "copysign", "i", "j", "k", "l", "m", "part"}


def fixed_at(value: Value, axis: str, position: str) -> Value:
    """Return a value with an axis fixed, for the first term of a sum."""
    if isinstance(value, Load):
        return Load(value.buffer, tuple(position if a == axis else a for a in value.axes))
    return rebuild(value, tuple(fixed_at(part, axis, position) for part in parts(value)))
