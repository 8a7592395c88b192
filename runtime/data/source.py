"""Data files: opened once, regular, bounded, and with a checksum of what was read."""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import final

from runtime import machine
from runtime.errors import InputError
from runtime.files import path_error, shown

LIMIT = 1 << 30  # bytes, of a file and of what it unpacks to: 22 times the images of MNIST
MOST_COLUMNS = 100_000  # inputs of a sample


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file as it was when it was read: what was hashed is what gets parsed."""

    path: Path
    content: bytes = field(repr=False)
    sha256: str


def read_source(path: Path, limit: int = LIMIT) -> Source:
    """Return the content of a regular file of at most `limit` bytes.

    Raises
    ------
    InputError
        If it is not there, is no regular file, is too large, or cannot be read.
    """
    with _opened(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        content = stream.read(min(limit, size) + 1)
    if len(content) > limit:
        refuse_size(path, max(size, len(content)), limit)
    return Source(path=path, content=content, sha256=hashlib.sha256(content).hexdigest())


def refuse_size(path: Path, size: int, limit: int = LIMIT) -> None:
    """Raise `InputError` if a file of so many bytes is too large."""
    if size > limit:
        raise InputError(f"{shown(path)}: has {size} bytes; files of at most {limit} are read.")


def first_bytes(path: Path, size: int) -> bytes:
    """Return the beginning of a regular file, by which formats are told apart.

    Raises
    ------
    InputError
        As `read_source` does.
    """
    with _opened(path) as stream:
        return stream.read(size)


@contextlib.contextmanager
def open_source(path: Path) -> Iterator[tuple[BufferedReader, str]]:
    """Give a regular file of any size, and its SHA-256, to be read piece by piece.

    Raises
    ------
    InputError
        As `read_source` does, and at the end if the file changed meanwhile: then what was
        read is not what was hashed.
    """
    with _opened(path) as stream:
        before = os.fstat(stream.fileno())
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        stream.seek(0)
        yield stream, digest
        after = os.fstat(stream.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise InputError(f"{shown(path)}: it was changed while it was read. Try again.")


def refuse_extent(rows: int, columns: int, where: str) -> None:
    """Refuse a table without rows or inputs, or with more inputs than are read.

    Raises
    ------
    InputError
        Naming what is missing, or how many inputs there are.
    """
    if rows < 1 or columns < 1:
        missing = "rows" if rows < 1 else "inputs"
        raise InputError(f"{where}: there are no {missing}. Expected at least one.")
    if columns > MOST_COLUMNS:
        raise InputError(
            f"{where}: {columns} columns; at most {MOST_COLUMNS} are read. Has the table been "
            "transposed? Expected a row for each sample."
        )


def refuse_unbearable(size: int, where: str) -> None:
    """Refuse what would take more than three quarters of the machine's memory.

    The system would kill the process, not refuse it.

    Raises
    ------
    InputError
        If `size` bytes are too many.
    """
    memory = machine.memory()
    if 4 * size > 3 * memory:
        raise InputError(
            f"{where}: {size / 1e9:,.1f} GB of inputs, and the machine has {memory / 1e9:,.1f} "
            "GB of memory. Give fewer rows, or use --dtype float32."
        )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # a pipe would block, a device never ends
            kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            raise InputError(f"{shown(path)}: it is {kind}. Give the path of a file.")
        with path.open("rb") as stream:
            yield stream
    except FileNotFoundError:
        raise InputError(f"{shown(path)}: there is no such file. Check the path.") from None
    except OSError as error:
        raise path_error(error, path, "read") from error
