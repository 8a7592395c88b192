"""The text of an emitted module. Here and in `codegen.kept` nothing needs SymPy."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codegen.kernel import KernelProgram
    from codegen.passes import PassReport
    from derive.spec import NetworkSpec


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedSource:
    """The text of an emitted module, and how it came about.

    Attributes
    ----------
    spec
        The network.
    dtype
        ``"float32"`` or ``"float64"``.
    text
        The module, as written to a file.
    header
        The header file that belongs to a module in C; None for the other targets.
    reports
        What each pass did, by kernel; empty for a source that was kept: see
        `codegen.kept.generate_or_recall`.
    programs
        What was emitted for Numba, by kernel, after all passes; empty for the other targets,
        and for a source that was kept.
    """

    spec: "NetworkSpec"
    dtype: str
    text: str
    header: str | None = None
    reports: "Mapping[str, tuple[PassReport, ...]]"
    programs: "Mapping[str, KernelProgram]" = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the module's text."""
        return self.text
