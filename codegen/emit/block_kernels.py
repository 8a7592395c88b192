"""The kernels of a small network, which run over blocks of samples: samples or units in lanes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

from codegen.emit.block_layout import (
    MOST_PARAMETERS,
    Layout,
    entries_of,
    gains_by_units,
    holds_units_and_samples,
    rows_of,
)
from codegen.emit.lanes import BlockKernel
from codegen.emit.unit_lanes import UnitKernel, parameters_by_columns
from codegen.kernel import KernelProgram


def has_vectors(
    programs: Mapping[str, KernelProgram],
    parameters: Mapping[str, tuple[int, ...]],
    gradients: Mapping[str, str],
) -> bool:
    """Whether the kernels of a network are to be those of vectors; parameters as in `layout_of`.

    A sum over samples takes a row of memory for each entry of a parameter, and three operations
    a sample block to be reduced; BLAS takes some microseconds a product before it multiplies.
    In float32, with samples in lanes, a step of 756 entries took 1.1 µs with vectors and 12.8
    with loops and BLAS for 10 samples, 8.0 and 20.6 for 100; one of 3,300 entries 5.0 and 14.8
    for 10 samples, and the same for 100. So `MOST_PARAMETERS` is on the safe side.
    """
    if not holds_units_and_samples(programs):
        return False
    weights = [shape for shape in parameters.values() if len(shape) == 2]
    sizes = [weights[0][1], *(units for units, _ in weights)]
    return entries_of(sizes) <= MOST_PARAMETERS or (
        gains_by_units(sizes) and parameters_by_columns(programs, parameters, gradients) is not None
    )


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
    columns = parameters_by_columns(programs, parameters, gradients)
    empty = Layout(
        parameters=parameters,
        gradients=gradients,
        inputs={name: rows_of(shapes[name]) for name in ("X", "Y", "w")},
        output=0,
        work=0,
        states=states,
        units_in_lanes=columns is not None,
        by_columns=columns or frozenset(),
    )
    functions = [block_function(program, empty) for program in programs.values()]
    output, work = max(f.output for f in functions), max(f.work for f in functions)
    return replace(empty, output=output, work=work)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BlockFunction:
    """The function that runs a programme on one block of samples.

    Attributes
    ----------
    source
        Its text.
    output, work
        Rows that its largest output takes, and its work.
    """

    source: str
    output: int
    work: int


def block_function(program: KernelProgram, layout: Layout) -> BlockFunction:
    """Return the function that runs a programme on one block of samples."""
    kernel = (UnitKernel if layout.units_in_lanes else BlockKernel)(program, layout)
    source = kernel.source()  # what else there is to say of it is known once it is written
    return BlockFunction(
        source=source,
        output=max((rows_of(buffer.shape) for buffer in kernel.outputs()), default=0),
        work=kernel.work_rows,
    )
