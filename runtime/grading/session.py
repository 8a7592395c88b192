"""A conversation with the process that runs a student's file, from the grader's side."""

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, final

import runtime
from runtime.errors import InternalError
from runtime.grading.wire import NOT_RUN, Array, Frame, WireError, decode, encode

_MEMORY = 6 << 30  # bytes of address space: PyTorch alone reserves about 3 GiB
_START = 60.0  # seconds until a process must be ready; PyTorch can take long on a busy disk
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class ChildError(Exception):
    """The process ended, hung, or sent what it must not; what is said follows the function's name.

    Attributes
    ----------
    late
        Whether its time was up.
    """

    def __init__(self, what: str, *, late: bool = False) -> None:
        super().__init__(what)
        self.late = late


@final
class Session:
    """One process; leaving the context ends it and all that it started.

    It begins at once; `wait` returns when the file is loaded.

    Parameters
    ----------
    seconds
        For all that the file does, from when its libraries are loaded on.
    hidden
        Folders that it does not see.
    source, statements
        The file's text, and which of its statements are run.
    libraries
        What the file imports and takes long to load; this is not the file's time.
    strict
        Whether to run nothing of the file where the kernel does not refuse it any calls.

    Attributes
    ----------
    warning
        What of the protection this system does not give, or None.
    """

    def __init__(
        self,
        *,
        seconds: float,
        hidden: Sequence[str],
        source: str,
        statements: Sequence[int],
        libraries: Sequence[str] = (),
        strict: bool = False,
    ) -> None:
        self.seconds = seconds
        self.strict = strict
        self.deadline = time.monotonic() + _START
        self.warning: str | None = None
        self.folder = tempfile.mkdtemp(prefix="gradwright-grade-")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "runtime.grading.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(self.folder),
            cwd=self.folder,
            bufsize=0,
            start_new_session=True,
        )
        self._selector = selectors.DefaultSelector()
        assert self._process.stdout is not None
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        terms = {
            "strict": strict,
            "hidden": list(hidden),
            "folder": self.folder,
            "seconds": int(seconds) + 2,
            "memory": _MEMORY,
            "libraries": list(libraries),
        }
        load = {"do": "load", "source": source, "statements": list(statements)}
        self._first = encode(Frame(body=terms)) + encode(Frame(body=load))
        # as much as the pipe takes now: the process starts while we load what we need ourselves
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        try:
            sent = os.write(self._process.stdin.fileno(), self._first)
        except (BlockingIOError, BrokenPipeError):
            sent = 0
        self._first = self._first[sent:]

    def wait(self) -> Frame:
        """Return what loading the file gave, when that is done.

        Raises
        ------
        ChildError
            As `ask`.
        """
        self._send(self._first, self.deadline)
        ready = self._answer(self.deadline)
        self.warning = protection_warning(ready.body.get("missing"), ready.body.get("refused"))
        self.deadline = time.monotonic() + self.seconds
        return self._answer(self.deadline)

    def ask(
        self, body: Mapping[str, Any], arrays: Sequence[Array] = (), *, within: float | None = None
    ) -> Frame:
        """Send a request and return the answer.

        Parameters
        ----------
        body, arrays
            The request.
        within
            Seconds for this request alone; the session's deadline holds in any case.

        Raises
        ------
        ChildError
            If there is none in time, or the process ended, or answered what it must not.
        """
        limit = self.deadline
        if within is not None:
            limit = min(limit, time.monotonic() + within)
        self._send(encode(Frame(body=dict(body), arrays=tuple(arrays))), limit)
        return self._answer(limit)

    def _answer(self, limit: float) -> Frame:
        def read(count: int) -> bytes:
            return self._read(count, limit)

        try:
            answer = decode(read)
        except WireError as error:
            raise ChildError(f"ended its process ({error})") from None
        if not isinstance(answer.body, dict):
            raise ChildError("ended its process (an answer is not of the form)")
        return answer

    def end(self) -> None:
        """End the process and whatever else is in its process group or namespace."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.end()

    def _send(self, data: bytes, limit: float) -> None:
        """Write a request; a process that does not read cannot hold us beyond the limit."""
        assert self._process.stdin is not None
        descriptor = self._process.stdin.fileno()
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                if time.monotonic() > limit:
                    raise ChildError("did not end in time", late=True) from None
                time.sleep(0.001)
            except BrokenPipeError:
                raise self._ended() from None

    def _read(self, count: int, limit: float) -> bytes:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        pieces = []
        while count:
            left = limit - time.monotonic()
            if left <= 0 or not self._selector.select(left):
                raise ChildError("did not end in time", late=True)
            piece = os.read(descriptor, min(count, 1 << 20))
            if not piece:
                raise self._ended()
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def _ended(self) -> ChildError:
        try:
            status = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return ChildError("closed the pipe to the grader")
        if status in (-signal.SIGXCPU, -signal.SIGKILL, 128 + signal.SIGKILL):
            return ChildError("was ended by a limit on time or memory", late=True)
        if status == NOT_RUN:
            return ChildError("was not run: this system refuses a process no calls")
        return ChildError("ended the process that runs it")


def protection_warning(missing: object, refused: object) -> str | None:
    """Return what to warn of, if the file's process lacks namespaces or the filter of calls."""
    if missing is None and refused:
        return None
    lacks = f"no namespaces ({missing})"
    if refused:
        return (
            f"This system gives the file's process {lacks}: it can start no process, send "
            "nothing and change no file, but read what you can read."
        )
    if missing is None:
        return (
            "This system does not filter what the file's process asks of the kernel: namespaces "
            "and limits hold, but they are all that does."
        )
    return (
        f"This system gives the file's process {lacks} and does not filter what it asks of the "
        "kernel: it can do whatever you can, such as delete your files and end your "
        "processes. Grade only files that you trust, or grade in a virtual machine."
    )


def hidden_folders(file: Path) -> tuple[str, ...]:
    """Return the folders that a student's file must not read: this project's, and its own."""
    home = Path(runtime.__file__).resolve().parents[1]
    folders = [home / name for name in ("derive", "codegen", "runtime")]
    if not all(folder.is_dir() for folder in folders):
        raise InternalError(f"{home} does not hold the three packages")
    kept = [Path(p).resolve() for p in (sys.prefix, sys.base_prefix, tempfile.gettempdir())]
    kept += [home, *(Path(p).resolve() for p in sys.path if p)]
    for own in (file.resolve().parent, Path.cwd()):
        if not any(place == own or own in place.parents for place in kept):
            folders.append(own)
    return tuple(dict.fromkeys(str(folder) for folder in folders))


def _environment(folder: str) -> dict[str, str]:
    """Return what the process is told of the grader's environment: next to nothing."""
    variables = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    variables |= dict.fromkeys(_THREADS, "1")
    variables |= {"HOME": folder, "TMPDIR": folder, "PYTHONDONTWRITEBYTECODE": "1"}
    variables |= {"PYTHONHASHSEED": "0", "MPLBACKEND": "agg"}
    home = Path(runtime.__file__).resolve().parents[1]
    if home.name not in ("site-packages", "dist-packages"):
        variables["PYTHONPATH"] = str(home)
    return variables
