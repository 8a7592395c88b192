"""Where the numbers of a small network lie, whose kernels run over blocks of samples.

Everything lies in one block of memory, in rows of LANES numbers, each at the start of a cache
line (half of the time of a step goes where vectors lie across two)::

    parameters, gradients      one number an entry, parameter after parameter; and so each
                               array of the optimiser's
    sums                       one row an entry of a parameter; with units in lanes, zeros
    work                       one row a unit; each kernel uses it anew, and a tensor takes the
                               place of others that are not needed at the same time
    inputs                     one block after another: rows of X, of Y, and of weights; with
                               units in lanes, X lies sample after sample there
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import final

from codegen.kernel import (
    BATCH,
    Argument,
    Const,
    Contract,
    Elementwise,
    Extent,
    KernelProgram,
    Load,
    Node,
    Reduce,
    Update,
    loads,
)

LANES = 16
MOST_PARAMETERS = 2048
MOST_WITH_UNITS = 8192  # parameters, where units are in lanes
MOST_INPUTS = MOST_UNITS = 256  # there, the units those of all hidden layers


def gains_by_units(sizes: Sequence[int]) -> bool:
    """Whether a network with more than `MOST_PARAMETERS` is to have vectors of units.

    Units in lanes leave none empty and no vector to be summed up for each weight. With 10, 32 and
    100 samples a step of 64-32-32-10 (3,466 parameters) takes loops and calls of BLAS 3.3, 1.5 and
    1.3 times as long, one of 64-64-10 (4,810) 2.5, 1.3 and 1.2. The gain shrinks as networks grow:
    beyond the limits, 64-64-64-10 (8,970) has 2.0, 1.1 and 1.1, 400-16-10 2.0, 1.1 and 1.0, and
    inputs that are mostly zeros are better skipped. The work of a block lies on the stack in C,
    which bounds the units; a layer as large as the output may share a loop with it.

    Parameters
    ----------
    sizes
        The units of all layers, inputs and outputs included.
    """
    inputs, *hidden, outputs = sizes
    return (
        bool(hidden)
        and entries_of(sizes) <= MOST_WITH_UNITS
        and inputs <= MOST_INPUTS
        and sum(hidden) <= MOST_UNITS
        and all(units % LANES == 0 for units in hidden)
        and hidden[-1] != outputs
    )


def entries_of(sizes: Sequence[int]) -> int:
    """Return how many entries the parameters of a network have: its weights and biases."""
    return sum(units * (inputs + 1) for inputs, units in pairwise(sizes))


def holds_units_and_samples(programs: Mapping[str, KernelProgram]) -> bool:
    """Whether kernels can be those of vectors: they hold units and samples, and nothing else.

    A module with a Hessian-vector product cannot: tangents of the parameters have no place yet.
    """
    return "hvp" not in programs and all(
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


def extents_of(program: KernelProgram, node: Contract | Reduce) -> dict[str, Extent]:
    """Return the extent of every axis of a node."""
    used = [node.left, node.right] if isinstance(node, Contract) else list(loads(node.value))
    return program.extents(*used, Load(node.out, node.out_axes))


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
    units_in_lanes
        Whether vectors of hidden layers hold units of one sample (`codegen.emit.unit_lanes`).
    by_columns
        Which weights then lie column after column.
    """

    parameters: Mapping[str, tuple[int, ...]]
    gradients: Mapping[str, str]
    inputs: Mapping[str, int]
    output: int
    work: int
    states: int = 0
    units_in_lanes: bool = False
    by_columns: frozenset[str] = frozenset()

    @property
    def parameter_rows(self) -> int:
        """Rows that the entries of all parameters take."""
        return -(-sum(map(prod, self.parameters.values())) // LANES)

    @property
    def parameter_of(self) -> dict[str, str]:
        """The name of the parameter that each gradient is of."""
        return {gradient: name for name, gradient in self.gradients.items()}

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
        output = sums + (self.zeros if self.units_in_lanes else rows * LANES)
        work = output + self.output
        of_optimizer = [f"KEPT = np.int64({2 * rows})  # the optimiser's arrays, each laid out so"]
        parts = ["what these sum over the samples (a row an", "# entry), the output,"]
        if self.units_in_lanes:
            parts = ["zeros, the output,", "#"]
        return [
            "# Where things lie in the memory of a kernel, in rows of LANES numbers: from row 0 on",
            f"# the parameters, then their gradients, {parts[0]}",
            f"{parts[1]} work, and the inputs of one block after another.",
            *self.columns_text(),
            "# NumPy's integers, since Numba compiles a function anew for a literal one.",
            f"PARAMETER_ROWS, BLOCK = np.int64({rows}), np.int64({block})",
            f"GRADIENT, {self.sums_name}, OUTPUT = "
            f"np.int64({rows}), np.int64({sums}), np.int64({output})",
            f"WORK, INPUTS = np.int64({work}), np.int64({work + self.work})",
            *(of_optimizer if self.states else []),
        ]

    @property
    def zeros(self) -> int:
        """How many rows of zeros a sum of units in lanes may start from: those of a layer."""
        return max(max(shape) for shape in self.parameters.values()) // LANES

    @property
    def sums_name(self) -> str:
        """The name of what lies after the gradients."""
        return "ZEROS" if self.units_in_lanes else "SUMS"

    def columns_text(self) -> list[str]:
        """Return what is to be said of weights that lie in columns."""
        if not self.by_columns:
            return []
        names = " and ".join(name for name in self.parameters if name in self.by_columns)
        return [f"# {names}: column after column, so that vectors hold units of the layer after."]


def rows_of(shape: tuple[int | str, ...]) -> int:
    """Return how many rows a tensor takes."""
    return prod(int(extent) for extent in shape if extent != BATCH)


def units_of(program: KernelProgram, load: Load) -> tuple[str, ...]:
    """Return a load's axes but for that of the samples."""
    shape = program.buffer(load.buffer).shape
    return tuple(a for a, extent in zip(load.axes, shape, strict=True) if extent != BATCH)
