"""The bytes of a data file and their checksum, read once and bounded."""

import hashlib
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from runtime.errors import InputError
from runtime.files import path_error, shown

LIMIT = 1 << 30  # bytes, of a file and of what it unpacks to: 22 times the images of MNIST


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
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would block, a device never ends
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise InputError(f"{shown(path)}: it is {kind}. Give the path of a file.")
        with path.open("rb") as stream:
            content = stream.read(min(limit, status.st_size) + 1)
    except FileNotFoundError:
        raise InputError(f"{shown(path)}: there is no such file. Check the path.") from None
    except OSError as error:
        raise path_error(error, path, "read") from error
    if len(content) > limit:
        raise InputError(
            f"{shown(path)}: has {status.st_size} bytes; files of at most {limit} are read."
        )
    return Source(path=path, content=content, sha256=hashlib.sha256(content).hexdigest())
