"""Run passes one after another, verify each result, and report what each did."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from codegen.cost import Cost, cost, entries, work_bytes
from codegen.kernel import KernelProgram, writes
from codegen.verify import results, verify, verify_same

Pass = Callable[[KernelProgram], KernelProgram]

COUNTED = 100  # samples of the batch for which costs are counted
MOST_INTERPRETED = 300_000


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PassReport:
    """What one pass did to one programme, in counts before and after.

    Costs, and bytes of the memory that its work takes, are those of COUNTED samples.
    """

    name: str
    nodes: tuple[int, int]
    buffers: tuple[int, int]
    memory: tuple[int, int]
    costs: tuple[Cost, Cost]
    changed: bool


def run_passes(
    program: KernelProgram, passes: Sequence[Pass], *, interpret: bool = True
) -> tuple[KernelProgram, tuple[PassReport, ...]]:
    """Return the programme after every pass, and a report of each.

    Parameters
    ----------
    program, passes
        What is optimised, and by what, in order.
    interpret
        Whether every pass must also leave the results as they are, as `codegen.interpret`
        computes them for some numbers. Programmes with more than MOST_INTERPRETED entries of
        parameters are too slow for it, and are left out.

    Raises
    ------
    InternalError
        If a pass leaves a programme that is not well formed, or one with other results.
    """
    reports = []
    verify(program)
    known = results(program) if interpret and _parameters(program) <= MOST_INTERPRETED else None
    for step in passes:
        after = verify(step(program))
        if known is not None and after != program:
            found = results(after)
            verify_same(known, found, f"{program.name}: {step.__name__}")
            known = found
        reports.append(
            PassReport(
                name=step.__name__,
                nodes=(len(program.nodes), len(after.nodes)),
                buffers=(_used(program), _used(after)),
                memory=(work_bytes(program, COUNTED), work_bytes(after, COUNTED)),
                costs=(cost(program, COUNTED), cost(after, COUNTED)),
                changed=after != program,
            )
        )
        program = after
    return program, tuple(reports)


def _parameters(program: KernelProgram) -> int:
    return sum(entries(b.shape, 1) for b in program.buffers if b.role == "parameter")


def _used(program: KernelProgram) -> int:
    return len({name for node in program.nodes for name in writes(node)})
