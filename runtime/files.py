"""Files that are whole or not there, and errors that say how to get on.

Everything the project leaves on a disk goes through `write_atomically` or `replacing`: the
new content is written to a temporary file in the same folder, forced to the disk, and
renamed over the old one. Whatever happens before the rename, Ctrl-C included, the old file
is untouched and the temporary one is removed.

Which error an `OSError` becomes: a full disk is a `RunError` whenever it shows. All else is
an `InputError`, since the path was unusable from the start, unless the caller says that
work has begun; then it is a `RunError` too.
"""

import contextlib
import errno
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runtime.errors import InputError, RunError

# errno -> what is wrong, and the way out
_REASONS = {
    errno.ENOSPC: ("the disk is full", "Free some space, or write to another disk"),
    errno.EDQUOT: ("your quota on this disk is used up", "Delete something, or use another disk"),
    errno.EROFS: ("the file system is read-only", "Choose a folder that can be written to"),
    errno.EACCES: ("permission denied", "Change the permissions, or choose another folder"),
    errno.EPERM: ("the operation is not permitted", "Choose another folder"),
    errno.ENOENT: ("its folder does not exist", "Create the folder first, or give another path"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "Give another path"),
    errno.EISDIR: ("it is a folder", "Give the path of a file"),
    errno.EEXIST: ("a file stands where a folder is needed", "Give another path"),
    errno.ENAMETOOLONG: ("the name is too long for this file system", "Give a shorter one"),
    errno.ELOOP: ("its symbolic links go round in a circle", "Give another path"),
}
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
_LONGEST_SUFFIX = 16
_PROBE = bytes(4096)  # one block: an empty file can often be made even on a full disk


def shown(path: str | os.PathLike[str]) -> str:
    """Return `path` for a message: as it is, quoted where it would break the line."""
    text = os.fspath(path)
    return text if text.isprintable() and text else repr(text)


def utf8(text: str) -> bytes:
    r"""Return `text` as UTF-8, whatever paths it names.

    A path whose bytes are no UTF-8 has a lone surrogate for each such byte, which UTF-8 cannot
    hold. It is written as an escape, by which JSON gives the same path back.

    Examples
    --------
    >>> import json
    >>> utf8(json.dumps("caf\udce9.csv", ensure_ascii=False))
    b'"caf\\udce9.csv"'
    >>> json.loads(_) == "caf\udce9.csv"
    True
    """
    return text.encode("utf-8", "backslashreplace")


def path_error(
    error: OSError, path: str | os.PathLike[str], action: str, *, work_began: bool = False
) -> InputError | RunError:
    """Return the project's error for `error`, met while doing `action` to `path`.

    Parameters
    ----------
    error
        What the operating system said.
    path
        The path that the user knows, not that of a temporary file.
    action
        Past participle for "cannot be …": ``written``, ``read``, ``created``.
    work_began
        Whether this is too late to be the user's mistake alone.
    """
    code = error.errno
    known = _REASONS.get(code) if code is not None else None
    reason, way_out = known or (error.strerror or str(error), "Try again, or choose another place")
    message = f"{shown(path)}: cannot be {action}: {reason}. {way_out}."
    return RunError(message) if work_began or code in _DISK_FULL else InputError(message)


def write_atomically(
    path: str | os.PathLike[str], data: bytes | str, *, work_began: bool = False
) -> None:
    """Write `data` to `path`, whole or not at all.

    Parameters
    ----------
    path
        A file, new or old, in a folder that exists. A symbolic link is written through; a
        device or pipe such as ``/dev/stdout`` is written to as it stands. An old file's
        permissions are kept; a new one's follow the umask.
    data
        The content; text is written as `utf8` gives it, its line ends as they are.
    work_began
        As for `path_error`.

    Raises
    ------
    InputError
        If the path cannot be written to.
    RunError
        If the disk is full, or if it cannot be written to although `work_began`.
    """
    content = utf8(data) if isinstance(data, str) else data
    with replacing(path, work_began=work_began) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], *, work_began: bool = False) -> Iterator[Path]:
    """Give the path of a temporary file that takes the place of `path` at the end.

    For whatever wants to write to a path itself. The temporary file exists and is empty; it
    has the suffix of `path`, by which writers tell formats. If the block raises, whatever
    it raises, `path` is left as it was. Parameters and errors as for `write_atomically`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "a.txt") as temporary:
    ...         _ = temporary.write_text("new")
    ...     (Path(folder) / "a.txt").read_text()
    'new'
    """
    temporary: Path | None = None
    try:
        target, mode = _target(path)
        if target is None:
            with _streamed(Path(path)) as temporary:
                yield temporary
            return
        name = f".gradwright-{secrets.token_hex(8)}{_suffix(target)}"
        temporary = target.with_name(name)
        # not tempfile: it makes files of mode 0600, and the umask cannot be read without
        # setting it for the whole process; 0o666 lets the kernel apply it
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        os.close(descriptor)
        if mode is not None:
            temporary.chmod(mode)  # while it is empty
        yield temporary
        if mode is not None:
            temporary.chmod(mode)  # again: a writer may have made the file anew
        _force_to_disk(temporary)
        temporary.replace(target)
        _force_folder_to_disk(target.parent)
    except OSError as error:
        # an error about another file is the block's own affair
        ours = error.filename is None or temporary is None or _is_ours(error, temporary)
        if not ours:
            raise
        raise path_error(error, path, "written", work_began=work_began) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()  # after the rename there is nothing left to unlink


def ensure_writable_folder(path: str | os.PathLike[str]) -> None:
    """Prove that the folder `path` can be made and written to; leave nothing behind.

    The proof is a real file in it, one block long: permission bits say nothing to root, a
    read-only mount or a full disk. Folders made for the proof are removed again.

    Raises
    ------
    InputError
        If the folder cannot be made, is not a folder, or cannot be written to.
    RunError
        If the disk is full.
    """
    folder = Path(path)
    made: list[Path] = []
    probe = folder / f".gradwright-{secrets.token_hex(8)}.tmp"
    try:
        make_folders(folder, made)
        with probe.open("xb") as stream:
            stream.write(_PROBE)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise path_error(error, path, "used as a folder for results") from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
        remove_empty_folders(made)


def make_folders(folder: Path, made: list[Path]) -> bool:
    """Make `folder` and the folders above it that are missing, noting each in `made`.

    `made` is an argument, not a result, so that after an error or Ctrl-C the caller still
    knows what to remove. Returns whether `folder` itself was made here: of two processes
    that try at once, one gets True. Raises `OSError`.
    """
    missing = [folder]
    while not (above := missing[-1].parent).exists() and above != missing[-1]:
        missing.append(above)
    created = False
    for level in reversed(missing):
        try:
            level.mkdir()
        except FileExistsError:
            if not level.is_dir():
                raise
            created = False
        else:
            made.append(level)
            created = True
    return created


def remove_empty_folders(made: list[Path]) -> None:
    """Remove what `make_folders` made, innermost first, as far as it is still empty."""
    while made:
        with contextlib.suppress(OSError):
            made.pop().rmdir()


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a file.

    Raises
    ------
    InputError
        If it is not there or cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{shown(path)}: there is no such file. Check the path.") from error
    except IsADirectoryError as error:
        message = f"{shown(path)}: it is a folder. Give the path of a file."
        raise InputError(message) from error
    except OSError as error:
        raise path_error(error, path, "read") from error


def read_text(path: str | os.PathLike[str]) -> str:
    """Return the content of a UTF-8 text file, its line ends as they are.

    Raises
    ------
    InputError
        If it is not there, cannot be read, or is not UTF-8.
    """
    content = read_bytes(path)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        message = f"{shown(path)}: not a text file: byte {error.start} is not UTF-8."
        raise InputError(f"{message} Give the file that gradwright wrote.") from error


def _target(path: str | os.PathLike[str]) -> tuple[Path | None, int | None]:
    """Return the file to replace, links followed, and its permissions if it is there.

    None for the file means: neither file nor folder, so there is nothing to rename over.
    """
    if os.fspath(path).endswith(os.sep):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    path = Path(path)  # "" becomes "."
    try:
        status = path.stat()
    except FileNotFoundError:
        return Path(os.path.realpath(path)), None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        return None, None
    if not os.access(path, os.W_OK):
        # the rename would succeed all the same: whoever protected the file meant it
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return Path(os.path.realpath(path)), stat.S_IMODE(status.st_mode)


def _suffix(target: Path) -> str:
    return target.suffix if len(target.suffix) <= _LONGEST_SUFFIX else ""


def _is_ours(error: OSError, temporary: Path) -> bool:
    return isinstance(error.filename, str | bytes) and os.fsdecode(error.filename) == str(temporary)


@contextlib.contextmanager
def _streamed(device: Path) -> Iterator[Path]:
    """Give a temporary file elsewhere whose content goes to `device` at the end."""
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / f"stream{_suffix(device)}"
        temporary.touch()
        yield temporary
        with device.open("wb") as stream:
            stream.write(temporary.read_bytes())


def _force_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _force_folder_to_disk(folder: Path) -> None:
    # the new file is in place by now; some file systems cannot sync a folder
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
