"""``runs.jsonl``: the outcomes so far, a line each, appended as they come.

The file is never rewritten, so an interruption costs the end of it at most: a line that is not
whole is passed over when the file is read, and its run is done again. A line that the end of the
file cuts short is taken away before anything is appended, or it would spoil the next one.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, final

from runtime.errors import InputError
from runtime.files import path_error, shown
from runtime.sweeps.outcome import Outcome

NAME = "runs.jsonl"


@final
@dataclass(slots=True, kw_only=True)
class Journal:
    """The file of a sweep's outcomes, open for more; a context manager.

    Attributes
    ----------
    path
        The file; it is made if it is not there.
    found
        The outcomes that it held at the beginning, by key; the last of each.
    damaged
        How many lines were passed over.
    """

    path: Path
    found: dict[str, Outcome] = field(default_factory=dict)
    damaged: int = 0
    _file: BinaryIO | None = None

    def __enter__(self) -> Self:
        try:
            self._read()
            self._file = self.path.open("ab")
        except OSError as error:
            raise path_error(error, self.path, "used") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self) -> None:
        if not self.path.exists():
            return
        whole = 0
        with self.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    self.damaged += 1
                    break
                whole += len(line)
                try:
                    outcome = Outcome.from_line(line[:-1].decode("ascii"))
                except (InputError, UnicodeDecodeError):
                    self.damaged += 1
                    continue
                self.found[outcome.key] = outcome
        if self.path.stat().st_size > whole:
            os.truncate(self.path, whole)

    def append(self, outcomes: Iterable[Outcome]) -> None:
        """Add outcomes to the file; they are the system's when this returns.

        Raises
        ------
        RunError
            If they cannot be written.
        """
        assert self._file is not None
        try:
            self._file.write("".join(f"{o.to_line()}\n" for o in outcomes).encode("ascii"))
            self._file.flush()
        except OSError as error:
            raise path_error(error, self.path, "written", work_began=True) from error

    def force_to_disk(self) -> None:
        """Wait until the outcomes would outlive a power cut, too."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def note(self) -> str:
        """Return what there is to say of damage; empty if there was none."""
        if not self.damaged:
            return ""
        lines = "1 line was" if self.damaged == 1 else f"{self.damaged} lines were"
        return f"{shown(self.path)}: {lines} cut short or damaged; what they held is done again"
