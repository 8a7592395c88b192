"""Kernel programmes of small networks as Numba functions of vectors, one lane a sample.

A kernel runs over a block of `LANES` samples: a vector holds one entry of a tensor for each
of them, so that a loop over units remains and none over samples. Weights are numbers, which
every lane shares. What sums over the samples is kept as a vector for each entry, and LANES of
these are reduced to one vector of sums, pair by pair: in a small network a sum for each entry
would take as long as all the rest.

Everything lies in one block of memory, in rows of LANES numbers, each at the start of a cache
line (half of the time of a step goes where vectors lie across two)::

    parameters, gradients      one number an entry, parameter after parameter; and so each
                               array of the optimiser's
    sums                       one row an entry of a parameter
    work                       one row a unit; each kernel uses it anew, and a tensor takes the
                               place of others that are not needed at the same time
    inputs                     one block after another: rows of X, of Y, and of weights

Neighbouring nodes that loop over the same units share the loop. What is read in that loop
only is kept in a variable, and has no row.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from math import prod
from typing import final

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
    loads,
    parts,
    reads,
    rebuild,
    writes,
)
from codegen.lifetimes import first_fit, lifetimes

LANES = 16
MOST_PARAMETERS = 2048
INDENT = "    "


def fits(programs: Mapping[str, KernelProgram]) -> bool:
    """Whether the kernels of a network are to be those of vectors, one lane a sample.

    A sum over samples takes a row of memory for each entry of a parameter, and three operations
    a sample block to be reduced; BLAS takes some microseconds a product before it multiplies.
    In float32, a step of 756 entries took 1.1 µs with vectors and 12.8 with loops and BLAS for
    10 samples, 8.0 and 20.6 for 100; one of 3,300 entries 5.0 and 14.8 for 10 samples, and the
    same for 100. So `MOST_PARAMETERS` is on the safe side. Loops are also chosen where a kernel
    holds anything else than units and samples, and for a module with a Hessian-vector product,
    whose tangents of the parameters have no place yet.
    """
    if "hvp" in programs:
        return False
    buffers = {b.name: b for program in programs.values() for b in program.buffers}
    entries = sum(_entries(b.shape) for b in buffers.values() if b.role == "parameter")
    return entries <= MOST_PARAMETERS and all(
        _is_of_units_and_samples(program, node)
        for program in programs.values()
        for node in program.nodes
    )


def _is_of_units_and_samples(program: KernelProgram, node: Node) -> bool:
    match node:
        case Update():
            return node.rate == Argument("eta")
        case Contract() | Reduce():
            if node.beta:
                return False
            over_samples = extents_of(program, node)[node.axis] == BATCH
            has_samples = BATCH in program.buffer(node.out).shape
            return has_samples != over_samples
        case Elementwise():
            shapes = [program.buffer(store.buffer).shape for store in node.stores]
            constant = all(isinstance(store.value, Const) for store in node.stores)
            return constant or all(BATCH in shape for shape in shapes)


def extents_of(program: KernelProgram, node: Contract | Reduce) -> dict[str, int | str]:
    """Return the extent of every axis of a node."""
    used = [node.left, node.right] if isinstance(node, Contract) else list(loads(node.value))
    used.append(Load(node.out, node.out_axes))
    return {
        axis: extent
        for load in used
        for axis, extent in zip(load.axes, program.buffer(load.buffer).shape, strict=True)
    }


def _entries(shape: tuple[int | str, ...]) -> int:
    return prod(int(extent) for extent in shape)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where everything lies, in rows of `LANES` numbers.

    Attributes
    ----------
    parameters
        Shape of each parameter, in order.
    gradients
        Name of each one's gradient.
    inputs
        Number of rows of a block of inputs, by name.
    output, work
        Rows that the output of a kernel takes at most, and its work.
    states
        How many numbers the optimiser keeps for each entry of a parameter.
    """

    parameters: Mapping[str, tuple[int, ...]]
    gradients: Mapping[str, str]
    inputs: Mapping[str, int]
    output: int
    work: int
    states: int = 0

    @property
    def parameter_rows(self) -> int:
        """Rows that the entries of all parameters take."""
        return -(-sum(map(prod, self.parameters.values())) // LANES)

    def first_entries(self) -> dict[str, int]:
        """Return where each parameter starts, in numbers."""
        found, start = {}, 0
        for name, shape in self.parameters.items():
            found[name] = start
            start += prod(shape)
        return found

    def constants(self) -> list[str]:
        """Return the lines that name the places."""
        rows = self.parameter_rows
        block = sum(self.inputs.values())
        sums = (2 + self.states) * rows
        output = sums + rows * LANES
        work = output + self.output
        of_optimizer = [f"KEPT = np.int64({2 * rows})  # the optimiser's arrays, each laid out so"]
        return [
            "# Where things lie in the memory of a kernel, in rows of LANES numbers: from row 0 on",
            "# the parameters, then their gradients, what these sum over the samples (a row an",
            "# entry), the output, work, and the inputs of one block after another.",
            "# NumPy's integers, since Numba compiles a function anew for a literal one.",
            f"PARAMETER_ROWS, BLOCK = np.int64({rows}), np.int64({block})",
            f"GRADIENT, SUMS, OUTPUT = np.int64({rows}), np.int64({sums}), np.int64({output})",
            f"WORK, INPUTS = np.int64({work}), np.int64({work + self.work})",
            *(of_optimizer if self.states else []),
        ]


def layout_of(
    programs: Mapping[str, KernelProgram],
    parameters: Mapping[str, tuple[int, ...]],
    gradients: Mapping[str, str],
    states: int = 0,
) -> Layout:
    """Return where the kernels of a network find and leave what.

    Parameters
    ----------
    programs
        The kernels by name.
    parameters, gradients
        Shape of each parameter, and name of its gradient.
    states
        How many numbers the optimiser keeps for each entry of a parameter.
    """
    shapes = {b.name: b.shape for b in programs["step"].buffers if b.role == "input"}
    inputs = {name: _rows(shapes[name]) for name in ("X", "Y", "w")}
    empty = Layout(parameters=parameters, gradients=gradients, inputs=inputs, output=0, work=0)
    kernels = [_Kernel(program, empty) for program in programs.values()]
    for kernel in kernels:
        kernel.source()
    outputs = [_rows(b.shape) for kernel in kernels for b in kernel.outputs()]
    work = max(kernel.work_rows for kernel in kernels)
    return replace(empty, output=max(outputs), work=work, states=states)


def block_source(program: KernelProgram, layout: Layout) -> str:
    """Return the function that runs a programme on one block of samples."""
    return _Kernel(program, layout).source()


def _rows(shape: tuple[int | str, ...]) -> int:
    return prod(int(extent) for extent in shape if extent != BATCH)


def units_of(program: KernelProgram, load: Load) -> tuple[str, ...]:
    """Return a load's axes but for that of the samples."""
    shape = program.buffer(load.buffer).shape
    return tuple(a for a, extent in zip(load.axes, shape, strict=True) if extent != BATCH)


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

    # what is where

    def outputs(self) -> list[Buffer]:
        named = [self.buffers[name] for name in self.program.outputs]
        return [b for b in named if BATCH in b.shape]

    def source(self) -> str:
        program = self.program
        for group in self.groups():
            self.group(group)
        scalars = [name for name in program.outputs if not self.buffers[name].shape]
        sums = bool(scalars) or any(name in self.gradients for name in self.used)
        head = [
            "@_jit",
            f"def _{program.name}_block(memory, block{', here' if sums else ''}):",
            f'{INDENT}"""{_PURPOSES[program.name]}"""',
            *(f"{INDENT}{line}" for line in self.tensors()),
        ]
        tail = []
        if any(name in self.gradients for name in self.used):
            tail = [
                f"{INDENT}# each sum over the samples, LANES entries at a time",
                f"{INDENT}for p in range(PARAMETER_ROWS):",
                f"{INDENT * 2}gradient[p] += sums(entries, p, here)",
            ]
        if scalars:
            tail.append(f"{INDENT}return {', '.join(scalars)}")
        return "\n".join([*head, *self.lines, *tail]) + "\n"

    def tensors(self) -> Iterator[str]:
        """Yield the lines that name the tensors in memory."""
        layout = self.layout
        first = layout.first_entries()
        inputs, start = {}, 0
        for name, rows in layout.inputs.items():
            inputs[name] = f"block + {start}" if start else "block"
            start += rows
        inputs["dP"] = inputs["Y"]
        rooms = self.rooms()
        owners = [name for name, (room, _) in rooms.items() if name == room]
        sizes = [_rows(self.buffers[name].shape) for name in owners]
        work = dict(zip(owners, accumulate(sizes, initial=0), strict=False))
        self.work_rows = sum(sizes)
        outputs = {b.name for b in self.outputs()}
        parameter_of = {grad: name for name, grad in layout.gradients.items()}
        kinds = ("parameter", "input", "work", "output")
        for name in sorted(self.used, key=lambda name: kinds.index(self.buffers[name].role)):
            buffer = self.buffers[name]
            units = tuple(extent for extent in buffer.shape if extent != BATCH)
            columns = units[-1] if len(units) > 1 else 1
            if buffer.role == "parameter":
                shape = ", ".join(map(str, buffer.shape)) + "," * (len(buffer.shape) == 1)
                yield f"{name} = numbers(memory, {first[name]}, {columns})  # ({shape})"
                continue
            if name in self.gradients:
                place = f"SUMS + {first[parameter_of[name]]}"
            elif name in outputs:
                place = "OUTPUT"
            elif buffer.role == "input":
                place = inputs[name]
            else:
                place = f"WORK + {work[rooms[name][0]]}"
            shape = ", ".join(map(str, (*units, "LANES")))
            why = f", {rooms[name][1]}" if name in rooms and rooms[name][1] else ""
            yield f"{name} = rows(memory, {place}, {columns})  # ({shape}){why}"
        if any(name in self.gradients for name in self.used):
            yield "entries, gradient = rows(memory, SUMS, 1), rows(memory, GRADIENT, 1)"

    def rooms(self) -> dict[str, tuple[str, str]]:
        """Return whose memory each tensor of work lies in, and as a comment why it can.

        Nodes of a group take turns, entry by entry, so that nothing is written over what the
        same group reads.
        """
        outputs = {b.name for b in self.outputs()}
        names = {
            name
            for name in self.used
            if self.buffers[name].role in ("work", "output")
            and name not in self.gradients | outputs
        }
        groups = [(place, node) for place, nodes in enumerate(self.groups()) for node in nodes]
        needed = lifetimes(
            [(place, name) for place, node in groups for name in writes(node) if name in names],
            [(place, name) for place, node in groups for name in reads(node)],
        )
        sizes = {name: _rows(self.buffers[name].shape) for name in needed}
        rooms = first_fit(needed, sizes)
        found, there = {}, dict.fromkeys(rooms.values(), "")
        for name in needed:  # in the order in which they are computed
            room, before = rooms[name], there[rooms[name]]
            why = f"nothing reads {before} any more" if before else f"{room} is computed later"
            found[name] = room, "" if name == room else why
            there[room] = name
        return {name: found[name] for name in self.used if name in found}

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
            for load in _loads(node)
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
                self.add(depth, f"{variable} = {value}")
            self.known[name] = variable
            return
        if any(node in group for node in readers):
            if value != variable:
                self.add(depth, f"{variable} = {value}")
            value = variable
        self.add(depth, f"{self.place(out)} = {value}")
        if value == variable:
            self.known[name] = variable

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

# names that the text of a kernel uses for something else
_TAKEN = {
    "memory",
    "block",
    "here",
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


def _loads(node: Node) -> Iterator[Load]:
    match node:
        case Contract():
            yield from (node.left, node.right)
            if node.start:
                yield node.start
        case Elementwise():
            for store in node.stores:
                yield from loads(store.value)
        case Reduce():
            yield from loads(node.value)
        case Update():
            return


def fixed_at(value: Value, axis: str, position: str) -> Value:
    """Return a value with an axis fixed, for the first term of a sum."""
    if isinstance(value, Load):
        return Load(value.buffer, tuple(position if a == axis else a for a in value.axes))
    return rebuild(value, tuple(fixed_at(part, axis, position) for part in parts(value)))
