"""Run the command line as a user would: in this process where that is enough, else for real.

All runs share the folder of compiled kernels that ``conftest.py`` makes, with an empty home
in it, so that each network is compiled once.
"""

import contextlib
import io
import os
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
from matplotlib import get_cachedir

from runtime.cli import main

PATIENCE = 120.0  # seconds until a test gives up on a process
_NOT_INHERITED = ("GRADWRIGHT_DATA", "NO_COLOR", "PYTHONIOENCODING", "XDG_CACHE_HOME")


def environment(**changes: str | None) -> dict[str, str]:
    """Return the environment of a run; None takes a variable away."""
    variables: dict[str, str | None] = {
        name: value for name, value in os.environ.items() if name not in _NOT_INHERITED
    }
    variables["HOME"] = str(Path(os.environ["GRADWRIGHT_CACHE"]) / "home")
    variables.setdefault("MPLCONFIGDIR", get_cachedir())  # else each home lists all fonts anew
    variables["COLUMNS"] = "100"
    return {name: value for name, value in (variables | changes).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command did."""

    status: int
    out: str
    err: str

    def assert_refused(self, status: int, *parts: str) -> None:
        """Check the status, that nothing was printed, and that the message says its part."""
        assert (self.status, self.out) == (status, ""), self
        assert "Traceback" not in self.err
        for part in parts:
            assert part in self.err, self.err


def run_here(*arguments: str, **changes: str | None) -> Outcome:
    """Run a command in this process, with the environment changed."""
    out, err = io.StringIO(), io.StringIO()
    before, during = dict(os.environ), environment(**changes)
    try:
        os.environ.clear()
        os.environ.update(during)
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as end,
        ):
            main(arguments)
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert isinstance(end.value.code, int)
    return Outcome(status=end.value.code, out=out.getvalue(), err=err.getvalue())


def script() -> str:
    """Return the path of the installed command."""
    return str(Path(sysconfig.get_path("scripts")) / "gradwright")


def run(*arguments: str, cwd: Path, prefix: tuple[str, ...] = (), **changes: str | None) -> Outcome:
    """Run the installed command in a process of its own; `prefix` goes before it."""
    done = subprocess.run(
        [*prefix, script(), *arguments],
        cwd=cwd,
        env=environment(**changes),
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=PATIENCE,
        check=False,
    )
    return Outcome(status=done.returncode, out=done.stdout, err=done.stderr)


@dataclass(kw_only=True)
class Running:
    """A command that runs beside the test."""

    process: subprocess.Popen[str]
    err: str = ""

    def wait_for(self, text: str) -> None:
        """Read standard error until a line holds `text`."""
        stream = self.process.stderr
        assert stream is not None
        while text not in (line := stream.readline()):
            self.err += line
            assert line, f"ended without {text!r}:\n{self.err}"
        self.err += line

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def finish(self) -> Outcome:
        """Wait for the end."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return Outcome(status=self.process.returncode, out=out, err=self.err + err)


@contextlib.contextmanager
def running(*arguments: str, cwd: Path, **changes: str | None) -> Iterator[Running]:
    """Start the installed command; it is killed at the end if it has not ended by then."""
    with subprocess.Popen(
        [script(), *arguments],
        cwd=cwd,
        env=environment(**changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Running(process=process)
        finally:
            process.kill()


def content_of(folder: Path) -> dict[str, bytes | None]:
    """Return everything below a folder by its path; None stands for a folder."""
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def read_all(stream: IO[bytes]) -> str:
    """Return what is left in a stream; a terminal that was closed reads as its end."""
    pieces = []
    with contextlib.suppress(OSError):
        while piece := os.read(stream.fileno(), 65536):
            pieces.append(piece)
    return b"".join(pieces).decode("utf-8", "replace")
