"""A class at once: every file of a folder, in parallel, with a table."""

import csv
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from runtime.errors import InputError, RunError
from runtime.files import shown
from runtime.grading.report import first_mistake, short
from runtime.grading.verdict import Verdict

Graded = tuple[str, Verdict | str]

COLUMNS = (
    "file",
    "ok",
    "init_params",
    "forward",
    "loss_accuracy",
    "backward",
    "sgd",
    "wrong_gradients",
    "mistake",
    "line",
    "message",
    "warnings",
)


def files_of(folder: Path) -> list[Path]:
    """Return the files of a folder that can be graded, by name.

    Raises
    ------
    InputError
        If there are none.
    """
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix in (".py", ".ipynb") and path.is_file() and not path.name.startswith(".")
    )
    if not found:
        raise InputError(f"{shown(folder)}: holds no .py file and no notebook.")
    return found


def grade_folder(
    files: Sequence[Path],
    *,
    timeout: float,
    workers: int | None = None,
    each: Callable[[str], None] | None = None,
) -> list[Graded]:
    """Grade files in parallel; the result is in their order.

    Parameters
    ----------
    files
        The files.
    timeout
        Seconds for all runs of one file together.
    workers
        Processes; as many as there are processors by default.
    each
        Is told the name of each file when it is done.
    """
    count = workers or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
    count = max(1, min(count, len(files)))
    one = partial(_graded, timeout=timeout)
    results: list[Graded] = []
    # spawned, and kept: SymPy and the network's formulas are loaded once in each
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        for name, verdict in pool.map(one, files):
            results.append((name, verdict))
            if each is not None:
                each(name)
    return results


def _graded(path: Path, *, timeout: float) -> Graded:
    from runtime.grading.grader import grade

    try:
        return path.name, grade(path, timeout=timeout)
    except (InputError, RunError) as error:
        return path.name, str(error)


def class_csv(verdicts: Sequence[Graded], hints: int = 2) -> str:
    """Return the table as CSV; `COLUMNS` names its columns."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for name, verdict in verdicts:
        table.writerow([_harmless(cell) for cell in _row(shown(name), verdict, hints)])
    return out.getvalue()


def _row(name: str, verdict: Verdict | str, hints: int) -> list[str]:
    if isinstance(verdict, str):
        return [name, "no", "", "", "", "", "", "", "cannot be graded", "", verdict, ""]
    statuses = [
        verdict.functions[f].status if f in verdict.functions else ""
        for f in ("init_params", "forward", "loss_accuracy", "backward", "sgd")
    ]
    bad = [key for key, j in verdict.gradients.items() if j.status != "right"]
    kind = line = ""
    message = "" if verdict.ok else short(verdict, 0)
    if hints >= 2 and (first := first_mistake(verdict)) is not None:
        kind, message = first.kind, first.message
        line = "" if first.line is None else str(first.line)
    notes = " ".join(verdict.warnings)
    ok = "yes" if verdict.ok else "no"
    return [name, ok, *statuses, " ".join(bad), kind, line, message, notes]


def _harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t") else cell
