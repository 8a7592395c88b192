"""Fetch a file of known size and SHA-256 from one of several mirrors.

An attempt that was cut short leaves ``NAME.part``, and the next one, at another mirror or on
another day, goes on from there. ``NAME`` itself appears by a rename, after its checksum was
right, so it is whole or not there. Never more than the expected size is written.

pooch was considered and not used: it has no mirrors, and it hands a downloader a temporary
name that is new every time and deleted afterwards, which rules out resuming. All that would
be left of it is the comparison of a checksum. So this is requests, directly.
"""

import contextlib
import errno
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, final
from urllib.parse import urlsplit

from runtime import locks
from runtime.errors import InputError
from runtime.files import path_error, shown

if TYPE_CHECKING:
    import requests

CONNECT_SECONDS = 10.0
STALL_SECONDS = 30.0  # without a single byte
ATTEMPTS = 3  # at one mirror; another one only if the last brought something
_CHUNK = 1 << 16


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file as it must arrive.

    Attributes
    ----------
    name
        File name, appended to a mirror's address.
    size
        Bytes.
    sha256
        Checksum, hexadecimal.
    """

    name: str
    size: int
    sha256: str


def is_intact(path: Path, file: RemoteFile) -> bool:
    """Tell whether `path` can be read and holds exactly `file`."""
    try:
        if path.stat().st_size != file.size:
            return False
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
    except OSError:
        return False


def fetch(
    file: RemoteFile,
    mirrors: Sequence[str],
    folder: Path,
    *,
    way_out: str,
    progress: bool | None = None,
    stall_seconds: float = STALL_SECONDS,
) -> Path:
    """Bring `file` into `folder`, unless it is there, and return its path.

    Several processes may do this at once: one downloads, the others wait for it.

    Parameters
    ----------
    file
        What to fetch.
    mirrors
        Addresses to try in turn, each ending in a slash.
    folder
        Where to; made if it is not there. A file of that name that is not intact is
        replaced, once the right one has arrived.
    way_out
        What else the user can do: the end of every message.
    progress
        True: a bar on standard error. None: a bar if that is a terminal and ``NO_COLOR`` is
        not set, else one line. False: nothing.
    stall_seconds
        How long to wait for the next byte.

    Raises
    ------
    InputError
        If no mirror gave the file, with what each of them did, or if `folder` cannot be
        written to.
    RunError
        If the disk is full. What was there before still is.
    """
    target = folder / file.name
    failures = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _sole_writer(folder, file, progress) as part:
            if is_intact(target, file):
                return target
            for mirror in mirrors:
                try:
                    _Transfer(
                        url=mirror + file.name,
                        file=file,
                        part=part,
                        progress=progress,
                        stall_seconds=stall_seconds,
                    ).run()
                except _MirrorError as error:
                    failures.append(f"  {mirror} {error}")
                else:
                    part.replace(target)
                    return target
    except OSError as error:
        problem = path_error(error, folder, "used for downloads")
        raise type(problem)(f"{problem} {way_out}") from error
    last = f"Check the network and try again; what came is kept. {way_out}"
    raise InputError("\n".join([f"{file.name} could not be downloaded:", *failures, last]))


class _MirrorError(Exception):
    """What a mirror did that was of no use."""


class _CutShortError(_MirrorError):
    """The mirror stopped in the middle; what came may be right."""


class _NoResumeError(_MirrorError):
    """The mirror will not go on from where we are; it may still send the whole file."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Transfer:
    """From one address into one ``.part`` file."""

    url: str
    file: RemoteFile
    part: Path
    progress: bool | None
    stall_seconds: float

    def run(self) -> None:
        """Complete the part, or raise `_MirrorError`."""
        for attempt in range(1, ATTEMPTS + 1):
            start = self._have()
            last = attempt == ATTEMPTS
            if start < self.file.size:
                try:
                    start = self._receive(start)
                except _NoResumeError:
                    self.part.unlink()
                    if last:
                        raise
                    continue
                except _CutShortError:
                    if last or self._have() <= start:
                        raise
                    continue
            if is_intact(self.part, self.file):
                return
            self.part.unlink()
            if start == 0:
                break  # all of it came from here, so another try would bring the same
        raise _MirrorError("sent a file whose SHA-256 is not the expected one")

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _receive(self, start: int) -> int:
        """Append what is missing from byte `start`; return where it really began."""
        import requests
        from urllib3.exceptions import HTTPError

        # no coding on the way: the bytes must be those of the file, which is gzip itself
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        limits = (CONNECT_SECONDS, self.stall_seconds)
        try:
            response = requests.get(self.url, headers=headers, stream=True, timeout=limits)
        except (OSError, HTTPError) as error:  # RequestException is an OSError
            raise _MirrorError(_reason(error)) from error
        with response:
            start = self._check_answer(response, start)
            try:
                self._write(response.raw.stream(_CHUNK, decode_content=False), start)
            except HTTPError as error:
                raise _CutShortError(f"{self._progress()}: {_reason(error)}") from error
        if self._have() < self.file.size:
            raise _CutShortError(f"{self._progress()}: the connection was closed")
        return start

    def _check_answer(self, response: "requests.Response", start: int) -> int:
        """Return the byte that the answer begins with, if it is worth reading."""
        size = self.file.size
        if response.status_code == 206 and start:
            found = re.fullmatch(
                r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "")
            )
            if not found or int(found[1]) != start or found[2] not in ("*", str(size)):
                raise _NoResumeError("sent another part of the file than it was asked for")
            return start
        if response.status_code == 416 and start:
            raise _NoResumeError("HTTP 416: has no such part of the file")
        if response.status_code != 200:
            raise _MirrorError(f"HTTP {response.status_code} {response.reason}".rstrip())
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) != size:
            raise _MirrorError(f"offers {length} bytes, expected {size}")
        return 0

    def _write(self, pieces: Iterator[bytes], start: int) -> None:
        have = start
        try:
            with (
                self.part.open("ab") as out,
                _bar(self.url, self.file, start, self.progress) as advance,
            ):
                out.truncate(start)
                for piece in pieces:
                    have += len(piece)
                    if have > self.file.size:
                        self.part.unlink()
                        raise _MirrorError(f"sends more than the expected {self.file.size} bytes")
                    out.write(piece)
                    advance(len(piece))
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                self.part.unlink(missing_ok=True)  # give back what was taken
            raise

    def _progress(self) -> str:
        return f"cut short after {self._have()} of {self.file.size} bytes"


def _reason(error: Exception) -> str:
    """Say in a few words what went wrong, from the innermost error that knows."""
    import requests
    from urllib3.exceptions import ReadTimeoutError

    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT_SECONDS:g} s"
    if isinstance(error, requests.ReadTimeout | ReadTimeoutError):
        return "no answer in time"
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__cause__ or inner.__context__
    return " ".join(str(error).split())


@contextlib.contextmanager
def _sole_writer(folder: Path, file: RemoteFile, progress: bool | None) -> Iterator[Path]:
    """Give the ``.part`` file to write to, while nobody else does."""
    with (folder / ".lock").open("ab") as lock:
        if _locked(lock, progress, folder):
            yield folder / f"{file.name}.part"
            return
    # no locks here, as on some network file systems: a part of our own, not resumed later
    descriptor, name = tempfile.mkstemp(prefix=f"{file.name}.", suffix=".part", dir=folder)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _locked(file: BinaryIO, progress: bool | None, folder: Path) -> bool:
    """Lock the open file, waiting if need be; False if that cannot be done here."""
    try:
        if not locks.lock(file.fileno(), wait=False):
            if progress is not False:
                print(f"waiting for another download into {shown(folder)}", file=sys.stderr)
            locks.lock(file.fileno(), wait=True)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _bar(
    url: str, file: RemoteFile, start: int, progress: bool | None
) -> Iterator[Callable[[int], object]]:
    """Show progress on standard error; give the function that is told of new bytes."""
    live = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    if progress is None and not live:
        rest = f"{(file.size - start) / 1e6:.1f} MB"
        print(f"downloading {file.name}, {rest}, from {urlsplit(url).netloc}", file=sys.stderr)
    from tqdm import tqdm

    with tqdm(
        total=file.size,
        initial=start,
        desc=file.name,
        unit="B",
        unit_scale=True,
        leave=False,
        file=sys.stderr,
        disable=not (live if progress is None else progress),
    ) as bar:
        yield bar.update
