"""What all lines of a kernel with loops over samples have in common: loops, rows and sums."""

from collections.abc import Mapping

from codegen.emit.optimizer_change import Change
from codegen.emit.rooms import Rooms
from codegen.emit.values import text
from codegen.errors import InternalError
from codegen.kernel import (
    BATCH,
    Argument,
    Binary,
    Const,
    Extent,
    KernelProgram,
    Load,
    Negative,
    Value,
)
from codegen.sharing import Split

SHARED = "step"  # the programme that threads share
TRAINING = ("step", "loss")  # kernels that a training calls again and again
LANES = 16
INDENT = "    "


class LoopLines:
    """The lines of one kernel while they are written, by `codegen.emit.loops`."""

    def __init__(
        self,
        program: KernelProgram,
        change: Change | None = None,
        *,
        name: str | None = None,
        multiply: str | None = None,
    ) -> None:
        self.program = program
        self.change = change
        self.name = name or program.name
        is_training = program.name in TRAINING
        self.multiply = multiply or ("_product" if is_training else "_gemm")
        self.lines: list[str] = []
        self.told: set[str] = set()
        self.buffers = {buffer.name: buffer for buffer in program.buffers}
        self.rooms = Rooms(program)
        self.is_shared = program.name == SHARED
        self.split: Split = "everyone"  # who computes the node that is being written
        self.rows_known: object = None  # the extent of which `first` and `last` are a share

    def add(self, depth: int, line: str) -> None:
        """Write a line."""
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

    def row(self, load: Load) -> str:
        """Return the row of a matrix that holds an entry's samples."""
        if self.buffers[load.buffer].batch_first or self.buffers[load.buffer].shape[-1] != BATCH:
            raise InternalError(f"{load.buffer} has no rows over samples")
        fixed = [*load.axes[:-1], *([":n"] if self.is_shared else [])]
        return f"{load.buffer}[{', '.join(fixed)}]" if fixed else load.buffer

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
                    depth, f"{out} {sign} {text(Binary('*', alpha, Argument(total)), self.place)}"
                )

    def combine(self, depth: int, total: str, op: str, value: str) -> None:
        """Write how a sum, or the largest so far, takes one more entry in."""
        if op == "sum":
            self.add(depth, f"{total} += {value}")
        else:
            self.add(depth, f"{total} = _larger({total}, {value})")
