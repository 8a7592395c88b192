"""Real mounts for tests: a disk that fills up, a folder that cannot be written to.

Permission bits say nothing to root, and a simulated error tests the simulation. Mounting
needs root on Linux. Elsewhere such a test is skipped; on Linux under ``CI=true``, where the
mount must work, it fails instead.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest


@contextlib.contextmanager
def full_disk(path: Path, size: str = "64k") -> Iterator[Path]:
    """Mount an empty disk of `size` on the folder `path`; unmount it at the end."""
    path.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size}", "gradwright-test", str(path))
    with _mounted(path):
        yield path


@contextlib.contextmanager
def read_only(path: Path) -> Iterator[Path]:
    """Make the folder `path`, with what is in it, read-only; undo it at the end."""
    path.mkdir(parents=True, exist_ok=True)
    _run("mount", "--bind", str(path), str(path))
    with _mounted(path):
        _run("mount", "-o", "remount,bind,ro", str(path))
        yield path


def fill(path: Path) -> None:
    """Write a file of zeros until the disk of `path` has not a byte left."""
    with (path / "ballast").open("wb", buffering=0) as out, contextlib.suppress(OSError):
        while True:
            out.write(bytes(4096))


@contextlib.contextmanager
def _mounted(path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        # lazily if something still holds a file open: a mount must not outlive its test
        if subprocess.run(["umount", str(path)], capture_output=True, check=False).returncode:
            subprocess.run(["umount", "-l", str(path)], capture_output=True, check=True)


def _run(*command: str) -> None:
    if not shutil.which(command[0]):
        _unavailable(f"there is no {command[0]} here")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        _unavailable(f"{' '.join(command)}: {done.stderr.strip()}")


def _unavailable(reason: str) -> NoReturn:
    message = f"needs a mount, which takes root on Linux: {reason}"
    if os.environ.get("CI") == "true" and sys.platform == "linux":
        pytest.fail(message)
    pytest.skip(message)
