"""The folder of a run: which one, whether it may be used, and that no other run uses it.

Without ``--out`` a run takes ``runs/NAME``, or ``runs/NAME-2``, ``runs/NAME-3``, … if there
are runs already. Two runs that start at once get different folders: a folder is taken by
making it (of two who try, one succeeds) and held by a lock that the system lets go when the
process ends, however it ends.
"""

import contextlib
import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, final

from runtime.errors import InputError
from runtime.files import (
    ensure_writable_folder,
    make_folders,
    path_error,
    remove_empty_folders,
    shown,
    write_atomically,
)
from runtime.locks import OPENS_FOLDERS, is_still_there, lock, open_folder

PICTURES = (
    "curves",
    "decision",
    "regression",
    "confusion",
    "mistakes",
    "first_layer",
    "gradient_norms",
)
FORMATS = ("png", "svg")
# what a run leaves behind; a folder with any of them holds a run, or a part of one
RUN_FILES = (
    "run.json",
    "model.safetensors",
    "checkpoint.safetensors",
    "checkpoint-new.safetensors",
    "history.csv",
    "kernels.py",
    *(f"{name}.{form}" for name in PICTURES for form in FORMATS),
    "decision.gif",
)
DEFAULT_PARENT = Path("runs")
_TRIES = 100  # to make a folder that others keep removing
Mode = Literal["new", "resume", "overwrite"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What kind of work has its results in a folder.

    Attributes
    ----------
    what
        What messages call it.
    files
        What it leaves behind.
    parent
        The folder in which a folder is made where the user names none.
    """

    what: str
    files: tuple[str, ...]
    parent: Path


RUN = Kind(what="run", files=RUN_FILES, parent=DEFAULT_PARENT)


@final
@dataclass(slots=True, kw_only=True)
class RunFolder:
    """A folder that this run holds for itself; made by `open_run_folder`.

    A context manager: at the end it lets go of the folder, and removes it, with the folders
    above it, as far as they were made here and are still empty. So a run that fails before
    it has written anything leaves nothing behind.

    Attributes
    ----------
    path
        The folder; the user should be told.
    mode
        What is to become of a run that the folder holds.
    held
        Names of the files of a run that were there at the beginning, in the order of
        `RUN_FILES`.
    kind
        What kind of work it is for.
    """

    path: Path
    mode: Mode
    held: tuple[str, ...]
    kind: Kind = RUN
    _made: list[Path] = field(default_factory=list)
    _written: set[str] = field(default_factory=set)
    _lock: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # remove first: whoever waits for the lock must not find a folder about to go
        remove_empty_folders(list(self._made))
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if not OPENS_FOLDERS:  # only now is the lock's file gone from it
            remove_empty_folders(self._made)

    def write(self, name: str, data: bytes | str) -> Path:
        """Write one file of the run, whole or not at all; an old one stays until then.

        Raises
        ------
        RunError
            If it cannot be written: the folder was seen to be writable before.
        """
        write_atomically(self.path / name, data, work_began=True)
        self._written.add(name)
        return self.path / name

    def finish(self) -> None:
        """Declare the run complete: with ``--overwrite``, remove what is left of the old one.

        Files of the old run that the new one has replaced are gone by then; this concerns
        those it does not write, such as an old ``decision.png`` beside a new network with
        784 inputs. Only names in `RUN_FILES` are ever removed.
        """
        if self.mode == "overwrite":
            for name in self.held:
                if name not in self._written:
                    with contextlib.suppress(FileNotFoundError):
                        (self.path / name).unlink()


def open_run_folder(
    name: str,
    out: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    kind: Kind = RUN,
) -> RunFolder:
    """Choose, make, test and lock the folder of a run, before any work begins.

    Parameters
    ----------
    name
        Name of the data; the folder is ``runs/NAME`` unless `out` says otherwise.
    out
        The user's own choice. Where it holds a run, `resume` or `overwrite` must say what
        is to become of it.
    resume
        Go on with the run in the folder; without `out`, with the latest ``runs/NAME-K``.
        Where there is none this is the same as a new run, and `RunFolder.held` is empty.
    overwrite
        Replace the run in the folder, file by file as new ones are complete; without
        `out`, the one in ``runs/NAME``.
    kind
        What kind of work it is for: a run, unless this says otherwise.

    Raises
    ------
    InputError
        If the folder cannot be used: a file stands there, it is read-only, it holds a run
        and nothing says what to do with it, or another process is writing to it.
    RunError
        If the disk is full.
    """
    if resume and overwrite:
        raise InputError("--resume and --overwrite exclude each other. Give one of them.")
    mode: Mode = "resume" if resume else "overwrite" if overwrite else "new"
    if out is not None:
        return _open(Path(out), mode, kind)
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise InputError(f"{name!r} cannot be the name of a folder. Give one with --out.")
    first = kind.parent / name
    if mode == "new":
        return _open_numbered(first, kind)
    return _open(_latest(first, kind) if resume else first, mode, kind)


def held_files(folder: Path, kind: Kind = RUN) -> tuple[str, ...]:
    """Return which files of its kind are in `folder`, in their order."""
    # lexists: a dangling link is the user's too
    return tuple(name for name in kind.files if os.path.lexists(folder / name))


def _open(path: Path, mode: Mode, kind: Kind) -> RunFolder:
    """Take the folder `path` and no other."""
    with contextlib.ExitStack() as on_refusal:
        folder = _take(path, mode, kind)
        if folder is None:
            raise InputError(
                f"{shown(path)}: another {kind.what} is writing to this folder. Wait for it to "
                "end, or give another folder with --out."
            )
        on_refusal.enter_context(folder)
        if folder.held and mode == "new":
            raise InputError(
                f"{shown(path)}: holds a {kind.what} already ({folder.held[0]}). Go on with it by "
                "--resume, replace it by --overwrite, or give another folder with --out."
            )
        on_refusal.pop_all()
        return folder


def _open_numbered(first: Path, kind: Kind) -> RunFolder:
    """Take `first`, or the first of ``first-2``, ``first-3``, … that holds no run."""
    number = 0
    while True:
        number += 1
        path = first if number == 1 else first.with_name(f"{first.name}-{number}")
        with contextlib.ExitStack() as on_refusal:
            if (folder := _take(path, "new", kind)) is None:
                continue
            on_refusal.enter_context(folder)
            if not folder.held:
                on_refusal.pop_all()
                return folder


def _latest(first: Path, kind: Kind) -> Path:
    """Return the one of ``first``, ``first-2``, … with the highest number that holds a run."""
    numbers = [1]
    with contextlib.suppress(OSError):  # no folder yet: begin with `first`
        for entry in first.parent.iterdir():
            stem, _, digits = entry.name.rpartition("-")
            counts = digits.isascii() and digits.isdigit() and not digits.startswith("0")
            if stem == first.name and counts and int(digits) > 1 and held_files(entry, kind):
                numbers.append(int(digits))
    latest = max(numbers)
    return first if latest == 1 else first.with_name(f"{first.name}-{latest}")


def _take(path: Path, mode: Mode, kind: Kind) -> RunFolder | None:
    """Make and lock `path`; None if another process has it. Raises as `open_run_folder`."""
    folder = RunFolder(path=path, mode=mode, held=(), kind=kind)
    try:
        with contextlib.ExitStack() as on_refusal:
            on_refusal.enter_context(folder)
            if not _make_and_lock(folder):
                return None
            ensure_writable_folder(path)
            folder.held = held_files(path, kind)
            on_refusal.pop_all()
            return folder
    except OSError as error:
        raise path_error(error, path, "used as a folder for results") from error


def _make_and_lock(folder: RunFolder) -> bool:
    """Make the folder if it is not there, and lock it; return whether it could be locked."""
    for patience in reversed(range(_TRIES)):
        try:
            make_folders(folder.path, folder._made)
            folder._lock = open_folder(folder.path)
        except (FileExistsError, FileNotFoundError):
            if not patience:
                raise
            continue  # another run that ends removes what it made, between our two looks at it
        try:
            if not lock(folder._lock, wait=False):
                # another process has moved in, even if this one made it; it is not ours to remove,
                # so between two runs that start at once and both fail, it can be left empty
                folder._made.clear()
                return False
        except OSError as error:
            # some network file systems lock no folder; there, making it is all there is
            if error.errno not in (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL):
                raise
        if is_still_there(folder.path, folder._lock):
            return True
        os.close(folder._lock)  # removed between the two
        folder._lock = None
    return False
