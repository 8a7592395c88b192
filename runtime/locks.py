"""Locks between processes: a folder or a file that one of them has to itself.

The system lets go of a lock when the process ends, however it ends. POSIX systems lock an open
file or folder (``flock``); Windows opens no folder, and locks a byte of a file in it, which is
deleted with its last descriptor.
"""

import errno
import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    _windows: Any = import_module("msvcrt")
else:
    _windows = None

OPENS_FOLDERS = _windows is None

_NAME = ".gradwright-lock"
_PAUSE = 0.05  # seconds between two looks at a lock that Windows cannot wait for


def open_folder(folder: Path) -> int:
    """Return a descriptor by which a folder is locked; raises `OSError` if it is not there."""
    if _windows is None:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_TEMPORARY", 0)
    return os.open(folder / _NAME, flags, 0o600)


def is_still_there(folder: Path, descriptor: int) -> bool:
    """Return whether the folder is the one that `open_folder` opened."""
    try:
        status = (folder if _windows is None else folder / _NAME).stat()
        return os.path.samestat(status, os.fstat(descriptor))
    except FileNotFoundError:
        return False


def lock(descriptor: int, *, wait: bool) -> bool:
    """Lock what is open; return False if another process has it and `wait` is not set.

    Raises
    ------
    OSError
        If the file system has no locks, as some network file systems.
    """
    if _windows is None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
    while True:
        try:
            _windows.locking(descriptor, _windows.LK_NBLCK, 1)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EDEADLK):
                raise
        else:
            return True
        if not wait:
            return False
        time.sleep(_PAUSE)
