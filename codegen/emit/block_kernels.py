"""The kernels of a small network, which run over blocks of samples: samples or units in lanes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

from codegen.emit.block_layout import MOST_INPUTS, MOST_WITH_UNITS, Layout, fits, rows_of
from codegen.emit.lanes import BlockKernel
from codegen.emit.unit_lanes import UnitKernel, parameters_by_columns
from codegen.kernel import KernelProgram


def has_vectors(
    programs: Mapping[str, KernelProgram],
    parameters: Mapping[str, tuple[int, ...]],
    gradients: Mapping[str, str],
) -> bool:
    """Whether the kernels of a network are to be those of vectors; parameters as in `layout_of`.

    Units in lanes leave none empty and no vector to be summed up for each weight, so that larger
    networks gain by them. With 10, 32 and 100 samples a step of 64-32-32-10 (3,466 parameters)
    takes loops and calls of BLAS 3.3, 1.5 and 1.3 times as long, one of 64-64-10 (4,810) 2.5, 1.3
    and 1.2, of 64-64-64-10 (8,970) 2.0, 1.1 and 1.1, of 400-16-10 2.0, 1.1 and 1.0; products over
    inputs that are mostly zeros are better left to kernels that skip these.
    """
    if fits(programs):
        return True
    inputs = programs["step"].buffer("X").shape[0]
    is_narrow = isinstance(inputs, int) and inputs <= MOST_INPUTS
    return (
        is_narrow
        and fits(programs, MOST_WITH_UNITS)
        and parameters_by_columns(programs, parameters, gradients) is not None
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
    products
        Names of the functions that it multiplies matrices by, where units are in lanes.
    output, work
        Rows that its largest output takes, and its work.
    """

    source: str
    products: frozenset[str]
    output: int
    work: int


def block_function(program: KernelProgram, layout: Layout) -> BlockFunction:
    """Return the function that runs a programme on one block of samples."""
    kernel = (UnitKernel if layout.units_in_lanes else BlockKernel)(program, layout)
    source = kernel.source()  # what else there is to say of it is known once it is written
    return BlockFunction(
        source=source,
        products=frozenset(kernel.products),
        output=max((rows_of(buffer.shape) for buffer in kernel.outputs()), default=0),
        work=kernel.work_rows,
    )
