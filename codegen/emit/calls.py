"""Products that are calls: of BLAS or our own, and over the inputs that are not 0."""

from dataclasses import replace

from codegen.emit.loop_lines import INDENT, LoopLines
from codegen.emit.values import text
from codegen.kernel import BATCH, Buffer, Contract, Load


class CallLines(LoopLines):
    """The lines of products by calls; those by loops are `codegen.emit.loops`'."""

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
        self.add(
            1,
            f"{self.multiply}({transpose_left}, {transpose_right}, {alpha}, "
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

    def begin(self, node: Contract) -> None:
        """Write what a product's sums start from."""
        out = Load(node.out, node.out_axes)
        depth = self.loops(node.out_axes, self.program.extents(out), node.out)
        self.add(depth, f"{self.place(out)} = {self.place(node.start) if node.start else 'T(0)'}")

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

    def by_input(self, weights: Buffer) -> str:
        """Return the names of what is kept by input, as `sparse` holds them."""
        kept = self.change.by_input if self.change is not None else ()
        names = ", ".join(f"{name}_by_input" for name in (weights.name, *kept))
        return f"({names})" if kept else names
