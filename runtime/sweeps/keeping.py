"""The folder of a sweep: its record, its journal, and at the end tables and pictures.

The journal grows as runs end. All other files are written at the end, each whole or not at all;
``sweep.json`` also at the beginning, so that there is something to go on from.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from runtime.data.dataset import Dataset
from runtime.errors import InputError
from runtime.files import read_text, shown
from runtime.run_folder import Kind, RunFolder, open_run_folder
from runtime.sweeps import journal
from runtime.sweeps.journal import Journal
from runtime.sweeps.outcome import Outcome
from runtime.sweeps.record import NAME as RECORD
from runtime.sweeps.record import SweepRecord
from runtime.sweeps.result import SweepResult
from runtime.sweeps.table import csv_text, parquet_bytes

_SYNC = 2.0  # seconds between two times that the journal is forced to the disk
SWEEP = Kind(
    what="sweep",
    files=(
        RECORD,
        journal.NAME,
        "table.csv",
        "table.parquet",
        "summary.csv",
        "bands.png",
        "grid.png",
    ),
    parent=Path("sweeps"),
)


@final
@dataclass(slots=True, kw_only=True)
class Keeping:
    """Keeps a sweep in its folder; a context manager.

    Attributes
    ----------
    folder
        Held for this sweep alone.
    record
        What the folder said of the sweep it held; None where it held none.
    """

    folder: RunFolder
    record: SweepRecord | None = None
    _journal: Journal | None = None
    _data: Dataset | None = None
    _synced: float = field(default_factory=time.monotonic)

    @classmethod
    def open(
        cls,
        name: str,
        out: str | os.PathLike[str] | None,
        *,
        resume: bool = False,
        overwrite: bool = False,
    ) -> Self:
        """Take the folder for a sweep, ``sweeps/NAME`` unless `out` says otherwise.

        Raises
        ------
        InputError, RunError
            As `runtime.run_folder.open_run_folder` does, and if the folder holds a record that
            cannot be read.
        """
        folder = open_run_folder(name, out, resume=resume, overwrite=overwrite, kind=SWEEP)
        keeping = cls(folder=folder)
        if resume and RECORD in folder.held:
            try:
                place = folder.path / RECORD
                keeping.record = SweepRecord.from_json(read_text(place), shown(place))
            except InputError:
                folder.__exit__(None, None, None)
                raise
        return keeping

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._journal is not None:
            self._journal.__exit__(kind, error, traceback)
        self.folder.__exit__(kind, error, traceback)

    def begin(self, data: Dataset, options: Mapping[str, Any]) -> dict[str, Outcome]:
        """Write the record, and return the outcomes of runs that are done, by key.

        Raises
        ------
        InputError
            If the data are not those of the sweep that is to go on.
        """
        then = None if self.record is None else self.record.sha256
        if then is not None and dict(then) != dict(data.sources):
            raise InputError(
                f"{shown(self.folder.path / RECORD)}: the data are not those of the sweep "
                "(SHA-256). Restore them, or start another sweep with --overwrite or --out."
            )
        self._data = data
        if self.folder.mode == "overwrite":
            self.remove()
        self._journal = Journal(path=self.folder.path / journal.NAME).__enter__()
        self._write_record(options, {})
        return self._journal.found

    def remove(self) -> None:
        """Remove the files of the sweep that the folder holds; it is to be replaced."""
        for name in self.folder.held:
            (self.folder.path / name).unlink(missing_ok=True)

    @property
    def note(self) -> str:
        """What there is to say of a journal that was damaged; mostly nothing."""
        return "" if self._journal is None else self._journal.note()

    def append(self, outcomes: Sequence[Outcome]) -> None:
        """Keep outcomes as they come."""
        assert self._journal is not None
        self._journal.append(outcomes)
        if time.monotonic() - self._synced > _SYNC:
            self._journal.force_to_disk()
            self._synced = time.monotonic()

    def save(self, result: SweepResult, options: Mapping[str, Any], *, plot: bool) -> list[str]:
        """Write tables, pictures and the record of a sweep; return the names of its files.

        Raises
        ------
        RunError
            If they cannot be written. The journal is whole then.
        """
        assert self._journal is not None
        self._journal.force_to_disk()
        files = contents(result, plot=plot)
        for name, content in files.items():
            self.folder.write(name, content)
        self._write_record(options, _results(result))
        for name in set(SWEEP.files) - {*files, RECORD, journal.NAME}:
            (self.folder.path / name).unlink(missing_ok=True)  # an old picture would lie
        return [name for name in SWEEP.files if name in {*files, RECORD, journal.NAME}]

    def _write_record(self, options: Mapping[str, Any], results: Mapping[str, Any]) -> None:
        data = self._data
        assert data is not None
        source = data.options.get("source")
        record = SweepRecord.of_now(
            data.name, source if isinstance(source, str) else "", data.sources, options, results
        )
        self.folder.write(RECORD, record.to_json())


def contents(result: SweepResult, *, plot: bool) -> dict[str, bytes]:
    """Return the content of each table and picture, by the name of its file."""
    table = result.table()
    files = {
        "table.csv": csv_text(table).encode(),
        "summary.csv": csv_text(result.summary()).encode(),
    }
    if (parquet := parquet_bytes(table)) is not None:
        files["table.parquet"] = parquet
    if plot and result.best is not None:
        files["bands.png"] = result.plot_bands().png
        if result.plan.axes:
            files["grid.png"] = result.plot_grid().png
    return files


def _results(result: SweepResult) -> dict[str, Any]:
    """Return what the record says of a result."""
    found: dict[str, Any] = {
        "runs": len(result.plan),
        "done": len(result.outcomes),
        "diverged": result.diverged,
    }
    if (best := result.best) is not None:
        found["best"] = dict(result.plan.points[best].values)
        found[f"best_median_{result.measure}"] = float(result.quartiles()[1, best])
    return found
