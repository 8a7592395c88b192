"""The kernels of a small network, which run over blocks of samples: samples or units in lanes."""

from collections.abc import Mapping
from dataclasses import replace

from codegen.emit.block_layout import Layout, rows_of
from codegen.emit.lanes import BlockKernel
from codegen.emit.unit_lanes import UnitKernel, parameters_by_columns
from codegen.kernel import KernelProgram


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
    kernels = [_kernel(program, empty) for program in programs.values()]
    for kernel in kernels:
        kernel.source()
    outputs = [rows_of(b.shape) for kernel in kernels for b in kernel.outputs()]
    return replace(empty, output=max(outputs), work=max(kernel.work_rows for kernel in kernels))


def block_source(program: KernelProgram, layout: Layout) -> str:
    """Return the function that runs a programme on one block of samples."""
    return _kernel(program, layout).source()


def product_functions(programs: Mapping[str, KernelProgram], layout: Layout) -> tuple[str, ...]:
    """Return the names of the functions that multiply where units are in lanes."""
    called: set[str] = set()
    for program in programs.values():
        kernel = _kernel(program, layout)
        kernel.source()
        called |= kernel.products
    return tuple(sorted(called))


def _kernel(program: KernelProgram, layout: Layout) -> BlockKernel:
    return (UnitKernel if layout.units_in_lanes else BlockKernel)(program, layout)
