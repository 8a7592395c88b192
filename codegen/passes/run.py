"""Run passes one after another, verify each result, and report what each did."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from codegen.kernel import KernelProgram, writes
from codegen.verify import verify

Pass = Callable[[KernelProgram], KernelProgram]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PassReport:
    """What one pass did to one programme, in counts before and after."""

    name: str
    nodes: tuple[int, int]
    buffers: tuple[int, int]
    changed: bool


def run_passes(
    program: KernelProgram, passes: Sequence[Pass]
) -> tuple[KernelProgram, tuple[PassReport, ...]]:
    """Return the programme after every pass, and a report of each.

    Raises
    ------
    InternalError
        If a pass leaves a programme that is not well formed.
    """
    reports = []
    verify(program)
    for step in passes:
        after = verify(step(program))
        reports.append(
            PassReport(
                name=step.__name__,
                nodes=(len(program.nodes), len(after.nodes)),
                buffers=(_used(program), _used(after)),
                changed=after != program,
            )
        )
        program = after
    return program, tuple(reports)


def _used(program: KernelProgram) -> int:
    return len({name for node in program.nodes for name in writes(node)})
