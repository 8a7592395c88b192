"""Kernel programmes as Numba functions: one loop nest per node, its formula above it.

The innermost loop runs over samples. In a small network a batch is padded to whole
vectors, so that no sample is left to a scalar remainder; where a product goes through BLAS
the batch is long, and is left as it is.

A training step is shared between threads: what has an entry for each sample is computed by
each thread for samples of its own, what sums over samples for rows of its own, and between
the two they meet. Which nodes need to meet first follows from what they read and write.
"""

from typing import final

from codegen.emit import bounded
from codegen.emit.calls import CallLines
from codegen.emit.kernel_parts import kernel_inputs, kernel_numbers, sparse_weights, work_buffers
from codegen.emit.lanes import fixed_at
from codegen.emit.loop_lines import INDENT
from codegen.emit.optimizer_change import Change
from codegen.emit.values import named_parts, text, tuple_text
from codegen.errors import InternalError
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
    Update,
    loads,
)
from codegen.sharing import Meetings, split_of

MOST_UNROLLED = 16  # terms of a sum that is one loop for each sample


def kernel_source(
    program: KernelProgram,
    change: Change | None = None,
    *,
    name: str | None = None,
    multiply: str | None = None,
) -> str:
    """Return the function that runs a programme, and the one that makes its workspace.

    Parameters
    ----------
    program
        What it computes.
    change
        How it then changes the parameters by the gradients that it has computed.
    name
        What they are called, ``_name`` and ``_name_work``, if not as the programme is.
    multiply
        The function that multiplies matrices, if not the one for a kernel of that programme.
    """
    return _Kernel(program, change, name=name, multiply=multiply).source()


def kernel_arguments(program: KernelProgram) -> list[str]:
    """Return what the function that runs a programme is given, in order."""
    return _Kernel(program).arguments()


@final
class _Kernel(CallLines):
    """The lines of one kernel while they are written."""

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
        work = [b.name for b in work_buffers(program)]
        scalars = [name for name in program.outputs if not self.buffers[name].shape]
        head = ["@_kernel", f"def _{self.name}({', '.join(self.arguments())}):"]
        if (weights := sparse_weights(program)) is not None:
            head.append(
                f"{INDENT}nonzeros, (chosen, following), {self.by_input(weights)}, room = sparse"
            )
        head.append(f"{INDENT}{tuple_text(parameters)} = params")
        if work:
            arrays = [*work, *(self.change.work if self.change is not None else ())]
            head.append(f"{INDENT}{tuple_text(arrays)} = work")
        head += [INDENT + line for line in self.change.head] if self.change is not None else []
        batched = [*kernel_inputs(program), *self.outputs(), *work]
        batched = [n for n in batched if BATCH in self.buffers[n].shape]
        if weights is not None:
            batched = [n for n in batched if not self.buffers[n].batch_first]  # X may be empty
        if batched:  # a constant result needs no samples
            first = self.buffers[batched[0]]
            axis = 0 if first.batch_first else len(first.shape) - 1
            head.append(f"{INDENT}n = {first.name}.shape[{axis}]")
        if self.is_shared:
            head.append(f"{INDENT}begin, end = _share(n, LANES, team)  # this thread's samples")
            head.append(f"{INDENT}samples = range(np.uint64(begin), np.uint64(end))")
        tail = [f"{INDENT}return {', '.join(scalars)}"] if scalars else []
        return "\n".join([*head, *self.lines, *tail, "", "", *self.workspace()]) + "\n"

    def outputs(self) -> list[str]:
        """Return the arrays that the kernel is given to write its results to."""
        arrays = [name for name in self.program.outputs if self.buffers[name].shape]
        return [name for name in arrays if self.buffers[name].role == "output"]

    def arguments(self) -> list[str]:
        """Return what the kernel is given."""
        program = self.program
        return [
            "params",
            *kernel_inputs(program),
            *self.outputs(),
            "work",
            *kernel_numbers(program),
            *(self.change.arguments if self.change is not None else ()),
            *(["sparse"] if sparse_weights(program) is not None else []),
            *(["team"] if self.is_shared else []),
        ]

    def workspace(self) -> list[str]:
        name = self.name
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
        first = text(fixed_at(node.value, node.axis, "0"), self.place)
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

    def update(self, node: Update) -> None:
        shape = self.buffers[node.parameter].shape
        axes = tuple("jkm"[: len(shape)])
        depth = self.loops(axes, dict(zip(axes, shape, strict=True)), node.parameter)
        place = ", ".join(axes)
        rate = text(node.rate, self.place)
        self.add(depth, f"{node.parameter}[{place}] -= {rate} * {node.gradient}[{place}]")
