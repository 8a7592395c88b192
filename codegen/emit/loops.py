"""Kernel programmes as Numba functions: one loop nest per node, its formula above it.

The innermost loop runs over samples. In a small network a batch is padded to whole
vectors, so that no sample is left to a scalar remainder; where a product goes through BLAS
the batch is long, and is left as it is.

A training step is shared between threads: what has an entry for each sample is computed by
each thread for samples of its own, what sums over samples for rows of its own, and between
the two they meet. Which nodes need to meet first follows from what they read and write.
"""

from collections.abc import Mapping
from dataclasses import replace

from codegen.emit import bounded
from codegen.emit.optimizer_change import Change
from codegen.emit.rooms import Rooms
from codegen.emit.values import named_parts, text, tuple_text
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
    Negative,
    Node,
    Reduce,
    Store,
    Update,
    Value,
    loads,
    reads,
    writes,
)
from codegen.sharing import Meetings, Split, split_of

SHARED = "step"  # the programme that threads share
LANES = 16
MOST_UNROLLED = 16
INDENT = "    "

TRAINING = ("step", "loss")  # kernels that a training calls again and again


def uses_blas(program: KernelProgram) -> bool:
    """Whether a product of the programme goes through BLAS."""
    return any(isinstance(n, Contract) and n.method in ("blas", "sparse") for n in program.nodes)


def sparse_weights(program: KernelProgram) -> Buffer | None:
    """Return the weights by which sparse inputs are multiplied, if any are."""
    for node in program.nodes:
        if isinstance(node, Contract) and node.method == "sparse":
            touched = [program.buffer(name) for name in (node.out, *reads(node)[:2])]
            return next(buffer for buffer in touched if buffer.role == "parameter")
    return None


def work_buffers(program: KernelProgram) -> tuple[Buffer, ...]:
    """Return the buffers with memory of their own that the kernel needs beside what it is given."""
    written = {name for node in program.nodes for name in writes(node)}
    return tuple(
        b
        for b in program.buffers
        if b.role == "work" and b.owns_memory and b.name in written and b.shape
    )


def kernel_inputs(program: KernelProgram) -> tuple[str, ...]:
    """Return the inputs that a kernel takes beside the parameters: those that it reads."""
    used = {load for node in program.nodes for load in _names(node)}
    return tuple(b.name for b in program.buffers if b.role == "input" and b.name in used)


def kernel_source(program: KernelProgram, change: Change | None = None) -> str:
    """Return the function that runs a programme, and the one that makes its workspace.

    With `change`, it then changes the parameters by the gradients that it has computed.
    """
    return _Kernel(program, change).source()


class _Kernel:
    """The lines of one kernel while they are written."""

    def __init__(self, program: KernelProgram, change: Change | None = None) -> None:
        self.program = program
        self.change = change
        self.lines: list[str] = []
        self.told: set[str] = set()
        self.buffers = {buffer.name: buffer for buffer in program.buffers}
        self.rooms = Rooms(program)
        self.is_shared = program.name == SHARED
        self.split: Split = "everyone"  # who computes the node that is being written
        self.rows_known: object = None  # the extent of which `first` and `last` are a share

    def source(self) -> str:
        program = self.program
        meetings = Meetings(program)
        for node in program.nodes:
            if self.is_shared and meetings.before(node):
                self.add(1, "_meet(team)")
            self.node(node)
        for line in self.change.lines if self.change is not None else ():
            self.add(1, line)
        if self.is_shared:
            self.add(1, "_meet(team)")
        parameters = [b.name for b in program.buffers if b.role == "parameter"]
        inputs = kernel_inputs(program)
        work = [b.name for b in work_buffers(program)]
        outputs = [name for name in program.outputs if self.buffers[name].shape]
        outputs = [name for name in outputs if self.buffers[name].role == "output"]
        scalars = [name for name in program.outputs if not self.buffers[name].shape]
        arguments = ["params", *inputs, *outputs, "work", *_arguments(program)]
        arguments += self.change.arguments if self.change is not None else ()
        head = [
            "@_kernel",
            f"def _{program.name}({', '.join(arguments)}):",
            f"{INDENT}{tuple_text(parameters)} = params",
        ]
        if work:
            arrays = [*work, *(self.change.work if self.change is not None else ())]
            head.append(f"{INDENT}{tuple_text(arrays)} = work")
        head += [INDENT + line for line in self.change.head] if self.change is not None else []
        batched = [n for n in (*inputs, *outputs, *work) if BATCH in self.buffers[n].shape]
        if (weights := sparse_weights(program)) is not None:
            head[1:2] = [
                f"def _{program.name}({', '.join([*arguments, 'sparse'])}):",
                f"{INDENT}nonzeros, (chosen, following), {self.by_input(weights)}, room = sparse",
            ]
            batched = [n for n in batched if not self.buffers[n].batch_first]  # X may be empty
        if batched:  # a constant result needs no samples
            first = self.buffers[batched[0]]
            axis = 0 if first.batch_first else len(first.shape) - 1
            head.append(f"{INDENT}n = {first.name}.shape[{axis}]")
        if self.is_shared:
            head[1] = head[1].replace("):", ", team):")
            head.append(f"{INDENT}begin, end = _share(n, LANES, team)  # this thread's samples")
            head.append(f"{INDENT}samples = range(np.uint64(begin), np.uint64(end))")
        tail = [f"{INDENT}return {', '.join(scalars)}"] if scalars else []
        return "\n".join([*head, *self.lines, *tail, "", "", *self.workspace()]) + "\n"

    def workspace(self) -> list[str]:
        name = self.program.name
        arrays = []
        for buffer in work_buffers(self.program):
            shape = ", ".join("n" if extent == BATCH else str(extent) for extent in buffer.shape)
            comma = "," if len(buffer.shape) == 1 else ""
            made = f"np.zeros(({shape}{comma}), T)"
            if self.is_shared and buffer.shape == (BATCH,):
                made = "_lines(1, n)[0]"
            elif self.is_shared and buffer.shape[-1] == BATCH:
                made = f"_lines({buffer.shape[0]}, n)"
            arrays.append(f"{INDENT * 2}{made},  # {buffer.name}")
        for array, length in self.change.work.items() if self.change is not None else ():
            arrays.append(f"{INDENT * 2}np.zeros({length}, T),  # {array}")
        others = any(buffer.room for buffer in self.program.buffers)
        return [
            f"def _{name}_work(n):",
            f'{INDENT}"""Return the buffers of `_{name}` for n samples'
            f'{"; others lie in their memory" if others else ""}."""',
            *(
                [f"{INDENT}return (", *arrays, f"{INDENT})"]
                if arrays
                else [f"{INDENT}return (np.zeros(1, T),)"]
            ),
        ]

    def node(self, node: Node) -> None:
        for formula in node.origin:
            if formula not in self.told:  # a statement may take several nodes
                self.told.add(formula)
                self.add(1, f"# {formula}")
        for taken in self.rooms.taken_by(node):
            shape, whole = (self.buffers[name].shape for name in (taken.name, taken.room))
            part = "[0]" if len(shape) == 1 else f"[:{shape[0]}]"
            if len(shape) > len(whole):
                part = ".reshape(1, -1)"  # the samples of one unit are a row
            part = "" if shape == whole else part
            self.add(1, f"{taken.name} = {taken.room}{part}  # {taken.why}")
        self.split = split_of(node, self.buffers) if self.is_shared else "everyone"
        match node:
            case Contract(method="blas"):
                self.blas(node)
            case Contract(method="sparse"):
                self.sparse(node)
            case Contract():
                self.product(node)
            case Elementwise():
                self.elementwise(node)
            case Reduce():
                self.reduce(node)
            case Update():
                self.update(node)

    def add(self, depth: int, line: str) -> None:
        self.lines.append(INDENT * depth + line)

    def loops(self, axes: tuple[str, ...], extents: Mapping[str, Extent], rows: str = "") -> int:
        """Open loops over `axes` and return the depth of their body.

        The first of two axes counts the rows of the array `rows`, if one is named, which is asked
        for them: a small number that LLVM knows has it write out the inner loop so many times.
        """
        depth = 1
        for number, axis in enumerate(axes):
            every = f"range({'n' if extents[axis] == BATCH else extents[axis]})"
            if self.split == "samples" and extents[axis] == BATCH:
                every = "samples"
            elif self.split == "rows" and number == 0:
                every = f"range({self.own_rows(extents[axis], rows)})"
            elif rows and number == 0 and [extents[a] for a in axes[1:]] == [BATCH]:
                every = f"range({rows}.shape[0])"
            self.add(depth, f"for {axis} in {every}:")
            depth += 1
        return depth

    def own_rows(self, extent: object, array: str, axis: int = 0) -> str:
        """Say which rows are this thread's, as many as `array` has, and return their range.

        `_share` would be compiled once more for a number that is written out.
        """
        if self.rows_known != extent:
            self.add(1, f"first, last = _share({array}.shape[{axis}], 1, team)")
            self.rows_known = extent
        return "first, last"

    def place(self, load: Load) -> str:
        """Return how an entry is read or written."""
        if not load.axes:
            return load.buffer
        axes = load.axes[::-1] if self.buffers[load.buffer].batch_first else load.axes
        return f"{load.buffer}[{', '.join(axes)}]"

    def product(self, node: Contract) -> None:
        extents = self.program.extents(Load(node.out, node.out_axes), node.left, node.right)
        out = self.place(Load(node.out, node.out_axes))
        if extents[node.axis] == BATCH:
            depth = self.loops(node.out_axes, extents, node.out)
            total = f"_dot({self.row(node.left)}, {self.row(node.right)})"
            self.accumulate(depth, out, node.alpha, total, node.beta)
            return
        depth = self.loops(node.out_axes, extents)
        if node.start is not None and node.alpha != Const(1.0):
            raise InternalError(f"{node.out}: a scaled product does not start from anything")
        self.add(depth, f"total = {self.place(node.start) if node.start else 'T(0)'}")
        self.add(depth, f"for {node.axis} in range({extents[node.axis]}):")
        self.add(depth + 1, f"total += {self.place(node.left)} * {self.place(node.right)}")
        self.accumulate(depth, out, node.alpha, "total", node.beta)

    def accumulate(self, depth: int, out: str, alpha: Value, total: str, beta: int) -> None:
        """Write ``out = alpha * total (+ out)`` as a person would."""
        match alpha:
            case Const(value=1.0):
                self.add(depth, f"{out} {'+=' if beta else '='} {total}")
            case Negative(value=rate) if beta:
                self.add(depth, f"{out} -= {text(rate, self.place)} * {total}")
            case _:
                sign = "+=" if beta else "="
                self.add(
                    depth, f"{out} {sign} {text(Binary('*', alpha, _Text(total)), self.place)}"
                )

    def row(self, load: Load) -> str:
        """Return the row of a matrix that holds an entry's samples."""
        if self.buffers[load.buffer].batch_first or self.buffers[load.buffer].shape[-1] != BATCH:
            raise InternalError(f"{load.buffer} has no rows over samples")
        fixed = [*load.axes[:-1], *([":n"] if self.is_shared else [])]
        return f"{load.buffer}[{', '.join(fixed)}]" if fixed else load.buffer

    def by_input(self, weights: Buffer) -> str:
        """Return the names of what is kept by input, as `sparse` holds them."""
        kept = self.change.by_input if self.change is not None else ()
        names = ", ".join(f"{name}_by_input" for name in (weights.name, *kept))
        return f"({names})" if kept else names

    def sparse(self, node: Contract) -> None:
        """Write a product over the inputs, or the inputs' part in a step, in both ways."""
        (other,) = (x for x in (node.left, node.right) if self.buffers[x.buffer].role != "input")
        is_gradient = BATCH not in self.buffers[node.out].shape
        if is_gradient:
            rate = text(node.alpha, self.place)
            given = f"{rate}, {other.buffer}, nonzeros, chosen, following"
            call = f"_add_sparse_step_apart({given}, {node.out}_by_input, room)"
        else:
            given = f"{other.buffer}_by_input, nonzeros, chosen, {node.out}"
            if not self.is_shared:  # typed, or the product would be compiled once more
                self.add(1, "begin, end = np.int64(0), n")
            call = f"_add_sparse_product_apart({given}, begin, end, room)"
            self.begin(node)
            node = replace(node, start=None, beta=1)
        if self.split == "rows":
            self.own_rows(self.buffers[node.out].shape[0], node.out)
        if is_gradient and not node.beta:
            self.add(1, "first_input, end_input = _inputs_of(nonzeros, team)  # this thread's")
        self.add(1, "if chosen.size:")
        if is_gradient and not node.beta:  # its sums start from 0
            self.add(2, f"{node.out}_by_input[first_input * ROW : end_input * ROW] = T(0)")
        self.add(2, call)
        self.add(1, "else:")
        before = len(self.lines)
        self.blas(node)
        self.lines[before:] = [INDENT + line for line in self.lines[before:]]

    def begin(self, node: Contract) -> None:
        """Write what a product's sums start from."""
        out = Load(node.out, node.out_axes)
        depth = self.loops(node.out_axes, self.program.extents(out), node.out)
        self.add(depth, f"{self.place(out)} = {self.place(node.start) if node.start else 'T(0)'}")

    def blas(self, node: Contract) -> None:
        """Write ``out = alpha * op(left) op(right) + beta * out`` as one call."""
        out = Load(node.out, node.out_axes)
        beta = f"T({node.beta})"
        if node.start is not None:
            self.begin(node)
            beta = "T(1)"
        left, right = node.left, node.right
        rows, columns = self.stored(out)
        flip = rows not in left.axes
        if flip:
            left, right = right, left
        transpose_left = self.stored(left) != (rows, node.axis)
        transpose_right = self.stored(right) != (node.axis, columns)
        alpha = text(node.alpha, self.place)
        product = "_product" if self.program.name in TRAINING else "_gemm"
        self.add(
            1,
            f"{product}({transpose_left}, {transpose_right}, {alpha}, "
            f"{self.part(left, rows)}, {self.part(right, rows)}, {beta}, {self.part(out, rows)})",
        )

    def part(self, load: Load, rows: str) -> str:
        """Return what of a matrix takes part in this thread's share of a product."""
        if not self.is_shared:
            return load.buffer
        slices = []
        shape = self.buffers[load.buffer].shape
        for number, (axis, extent) in enumerate(zip(load.axes, shape, strict=True)):
            if extent == BATCH:
                is_exact = self.buffers[load.buffer].batch_first
                all_samples = ":" if is_exact else ":n"  # rows are longer, see `_lines`
                slices.append("begin:end" if self.split == "samples" else all_samples)
            elif self.split == "rows" and axis == rows:
                slices.append(self.own_rows(extent, load.buffer, number).replace(", ", ":"))
            else:
                slices.append(":")
        if self.buffers[load.buffer].batch_first:
            slices.reverse()
        while slices and slices[-1] == ":":
            slices.pop()
        return f"{load.buffer}[{', '.join(slices)}]" if slices else load.buffer

    def stored(self, load: Load) -> tuple[str, str]:
        """Return the axes of a matrix as it lies in memory: rows, columns."""
        first, second = load.axes
        return (second, first) if self.buffers[load.buffer].batch_first else (first, second)

    def elementwise(self, node: Elementwise) -> None:
        extents = self.program.extents(*(Load(store.buffer, store.axes) for store in node.stores))
        near = bounded.near(node)
        stored = [s for s in node.stores if self.buffers[s.buffer].role != "register"]
        rows = next((s.buffer for s in stored if s.axes == node.axes), "")
        if near == node or not node.axes:
            self.stores(node, self.loops(node.axes, extents, rows))
            return
        self.add(1, "beyond = False")
        self.stores(near, self.loops(node.axes, extents, rows))
        self.add(1, "if beyond:  # seldom: not by vectors")
        before = len(self.lines)
        self.stores(node, self.loops(node.axes, extents, rows))
        self.lines[before:] = [INDENT + line for line in self.lines[before:]]

    def stores(self, node: Elementwise, depth: int) -> None:
        known: dict[Load, str] = {}

        def place(load: Load) -> str:
            return known.get(load, self.place(load))

        later = [load for store in node.stores for load in loads(store.value)]
        for number, store in enumerate(node.stores):
            prefix = "part" if number == 0 else f"part{number}_"
            names, value = named_parts(store.value, prefix)
            for name, part in names:
                self.add(depth, f"{name} = {text(part, place)}")
            tests = [bounded.tests(part, place, self.program.dtype) for _, part in names]
            tests.append(bounded.tests(value, place, self.program.dtype))
            target = Load(store.buffer, store.axes)
            if target in later and store.axes:
                # kept in a register for the stores that follow
                self.add(depth, f"{store.buffer.lower()}_here = {text(value, place)}")
                known[target] = f"{store.buffer.lower()}_here"
                if self.buffers[store.buffer].role != "register":
                    self.add(depth, f"{self.place(target)} = {known[target]}")
            else:
                self.add(depth, f"{self.place(target)} = {text(value, place)}")
            for line in dict.fromkeys(line for lines in tests for line in lines):
                self.add(depth, line)

    def reduce(self, node: Reduce) -> None:
        extents = self.program.extents(Load(node.out, node.out_axes), *loads(node.value))
        out = self.place(Load(node.out, node.out_axes))
        if extents[node.axis] == BATCH:
            if node.op != "sum" or not isinstance(node.value, Load):
                raise InternalError(f"{node.out}: only plain sums run over a batch")
            depth = self.loops(node.out_axes, extents, node.out)
            self.accumulate(depth, out, node.alpha, f"_total({self.row(node.value)})", node.beta)
            return
        if node.beta or node.alpha != Const(1.0):
            raise InternalError(f"{node.out}: a sum over units is not accumulated")
        extent = extents[node.axis]
        assert isinstance(extent, int)
        if (rows := self.rows_of_product(node)) is not None:
            depth = self.loops(node.out_axes, extents)
            self.add(depth, f"{out} = _dot({', '.join(rows)})")
            return
        first = text(_at(node.value, node.axis, "0"), self.place)
        next_value = text(node.value, self.place)
        if extent <= MOST_UNROLLED:
            depth = self.loops(node.out_axes, extents)
            self.add(depth, f"total = {first}")
            self.add(depth, f"for {node.axis} in range(1, {extent}):")
            self.combine(depth + 1, "total", node.op, next_value)
            self.add(depth, f"{out} = total")
        else:  # row by row, so that the inner loop still runs over samples
            depth = self.loops(node.out_axes, extents)
            self.add(depth, f"{out} = {first}")
            self.add(1, f"for {node.axis} in range(1, {extent}):")
            before = len(self.lines)
            depth = self.loops(node.out_axes, extents)
            self.combine(depth, out, node.op, next_value)
            self.lines[before:] = [INDENT + line for line in self.lines[before:]]

    def rows_of_product(self, node: Reduce) -> tuple[str, str] | None:
        """Return the two rows whose product a node sums entry by entry, where they lie so."""
        match node:
            case Reduce(op="sum", value=Binary(op="*", left=Load() as one, right=Load() as other)):
                pair = (one, other)
            case _:
                return None
        for load in pair:
            shape = self.buffers[load.buffer].shape
            if BATCH in shape or load.axes[-1:] != (node.axis,):
                return None
        first, second = (
            f"{load.buffer}[{', '.join(load.axes[:-1])}]" if load.axes[:-1] else load.buffer
            for load in pair
        )
        return first, second

    def combine(self, depth: int, total: str, op: str, value: str) -> None:
        if op == "sum":
            self.add(depth, f"{total} += {value}")
        else:
            self.add(depth, f"{total} = max({total}, {value})")

    def update(self, node: Update) -> None:
        shape = self.buffers[node.parameter].shape
        axes = tuple("jkm"[: len(shape)])
        depth = self.loops(axes, dict(zip(axes, shape, strict=True)), node.parameter)
        place = ", ".join(axes)
        rate = text(node.rate, self.place)
        self.add(depth, f"{node.parameter}[{place}] -= {rate} * {node.gradient}[{place}]")


def _Text(source: str) -> Value:  # stands for a node
    from codegen.kernel import Argument

    return Argument(source)


def _at(value: Value, axis: str, position: str) -> Value:
    """Return a value with an axis fixed, for the first term of a sum."""
    from codegen.kernel import parts, rebuild

    if isinstance(value, Load):
        return Load(value.buffer, tuple(position if a == axis else a for a in value.axes))
    return rebuild(value, tuple(_at(part, axis, position) for part in parts(value)))


def _names(node: Node) -> tuple[str, ...]:
    from codegen.kernel import reads

    return reads(node)


def _arguments(program: KernelProgram) -> list[str]:
    rates = [n.alpha for n in program.nodes if isinstance(n, Contract | Reduce)]
    rates += [n.rate for n in program.nodes if isinstance(n, Update)]
    return ["eta"] if any("eta" in repr(rate) for rate in rates) else []


__all__ = ["LANES", "Store", "kernel_source", "uses_blas", "work_buffers"]
