"""The kernels on disk: one folder for each module, and a manifest that vouches for it.

Numba stores compiled functions beside the source, as a pickle and machine code, and trusts
what it finds there: flipped bytes crash the process or give wrong results. So each folder
holds ``manifest.json`` with the SHA-256 of every file, taken of the bytes as they were
written: what is damaged later, even under a running process, is not vouched for. Before a
module is imported, files that differ or are not listed are deleted, and Numba compiles
again. The folder must belong
to the user and be closed to others; where that cannot be had, or the disk is nearly full, a
private temporary one serves for the length of the process.

Generated sources are kept in a folder beside it, under the same conditions. Each is one file,
whose first line is the SHA-256 of its name and its text.
"""

import atexit
import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import final

import platformdirs

MANIFEST = "manifest.json"
ENVIRONMENT = "GRADWRIGHT_CACHE"

_NO_FILE = "no file"  # in the place of a hash
_ROOM = 32 * 2**20  # bytes; Numba fails if the disk fills up while it writes
# what we, Numba and Python write before they rename it; another process may be at it
_UNFINISHED = re.compile(r"\.tmp(\.\w+)?$|\.pyc\.\d+$")
_PATIENCE = 60.0  # seconds after which nobody is any more


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """One cached module: its name, what network it is of, and its size in bytes."""

    name: str
    title: str
    size: int


def cache_folder() -> Path:
    """Return where kernels are kept: ``$GRADWRIGHT_CACHE``, or the user's cache folder."""
    chosen = os.environ.get(ENVIRONMENT)
    base = Path(chosen) if chosen else Path(platformdirs.user_cache_dir("gradwright"))
    return base / "kernels"


def digest(text: str) -> str:
    """Return the name of a module's folder: a hash of its text and of what compiles it."""
    made_with = [platform.machine(), _processor(), sys.version]
    made_with += [metadata.version(name) for name in ("numba", "llvmlite", "numpy")]
    return hashlib.sha256("\0".join([text, *made_with]).encode()).hexdigest()[:24]


_TRIES = 5  # to have a file beside other processes
_in_use: set[Path] = set()
# by a file's real path: the hash of what this process found vouched for, or wrote
_known: dict[str, str] = {}


def prepare(text: str) -> Path:
    """Return the path of a file that holds `text`, with only vouched files beside it."""
    folder = _private(cache_folder()) / digest(text)
    for _ in range(_TRIES):
        try:
            return _prepared(folder, text)
        except FileNotFoundError:  # another process has discarded what is not sealed yet
            continue
        except OSError:
            break
    # a full or vanished cache must not stop the work
    folder = _temporary() / digest(text)
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"gradwright_{folder.name}.py"
    path.write_bytes(text.encode())
    return path


def _prepared(folder: Path, text: str) -> Path:
    if folder.is_symlink():
        folder.unlink()
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"gradwright_{folder.name}.py"
    # what this process has compiled meanwhile is not sealed yet
    if folder in _in_use and path.is_file():
        return path
    discard_unvouched(folder)
    _recall(folder)
    if not path.is_file() or path.read_text("utf-8") != text:
        _write(path, text)
    note_written(path, text.encode())
    # Python and older Numba compare dates; the name says what it holds, so one date serves
    os.utime(path, (0, 0))
    _in_use.add(folder)
    return path


def discard_unvouched(folder: Path) -> list[Path]:
    """Delete every file of a folder that its manifest does not vouch for; return them."""
    vouched = _read_manifest(folder / MANIFEST)
    discarded = []
    for path in _files(folder):
        if vouched.get(path.relative_to(folder).as_posix()) != _hash(path):
            path.unlink(missing_ok=True)
            discarded.append(path)
    return discarded


def note_written(path: Path, content: bytes) -> None:
    """Remember what this process has written to a file of the cache, so that it is sealed."""
    _known[os.path.realpath(path)] = hashlib.sha256(content).hexdigest()


def seal(folder: Path) -> None:
    """Write down the hash of every file that holds what this process, or another, wrote.

    Another process's word is its own manifest. A file that differs from both was damaged
    since it was written.
    """
    try:
        vouched = _read_manifest(folder / MANIFEST)
        hashes = {}
        for path in _files(folder):
            name, found = path.relative_to(folder).as_posix(), _hash(path)
            if (
                found in (_known.get(os.path.realpath(path)), vouched.get(name))
                and found != _NO_FILE
            ):
                hashes[name] = found
        _write(folder / MANIFEST, json.dumps(hashes, indent=1, sort_keys=True) + "\n")
    except OSError:
        return  # unsealed files are compiled again; nothing else is lost


def seal_at_exit(folder: Path) -> None:
    """Seal a folder when the process ends, for what is compiled until then."""
    atexit.register(seal, folder)


def kept_text(name: str) -> str | None:
    """Return a text that `keep_text` kept under `name`; None if there is none that is vouched for.

    The bytes that are returned are those that were hashed. What is damaged, was kept under
    another name, or is no file of the folder's own (a link), is deleted.
    """
    path = _private(_texts()) / name
    try:
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        hashed, _, text = content.partition(b"\n")
        if hashed == _text_hash(name, text):
            return text.decode()
        path.unlink(missing_ok=True)
    except OSError:
        pass  # it is generated anew
    return None


def keep_text(name: str, text: str) -> None:
    """Keep a text with a hash of it and its name; where that cannot be done, it is not kept."""
    vouched = _text_hash(name, text.encode()).decode()
    with contextlib.suppress(OSError):
        _write(_private(_texts()) / name, f"{vouched}\n{text}")


def _text_hash(name: str, text: bytes) -> bytes:
    return hashlib.sha256(f"{name}\0".encode() + text).hexdigest().encode()


def _texts() -> Path:
    return cache_folder().with_name("sources")


def entries() -> tuple[CacheEntry, ...]:
    """Return the cached modules, by name."""
    found = []
    folder = cache_folder()
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        source = path / f"gradwright_{path.name}.py"
        if source.is_file():
            size = sum(file.stat().st_size for file in _files(path))
            found.append(CacheEntry(name=path.name, title=_title(source), size=size))
    return tuple(found)


def clear() -> int:
    """Delete every cached module; return how many there were."""
    number = len(entries())
    for folder in (cache_folder(), _texts()):
        shutil.rmtree(folder, ignore_errors=True)
    return number


def _title(source: Path) -> str:
    with source.open(encoding="utf-8", errors="replace") as file:
        return file.readline().strip().strip('"').rstrip(".")[:200]


def _private(folder: Path) -> Path:
    """Return `folder` if it is the user's own and closed to others, else a temporary one."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode):
            return _temporary()
        if hasattr(os, "getuid"):  # Windows has lists in the place of modes, and makes them up
            if status.st_uid != os.getuid():
                return _temporary()
            mode = stat.S_IMODE(status.st_mode)
            if mode & 0o077:
                folder.chmod(0o700)
            if mode & 0o022:  # anybody may have written what is in it, manifests too
                _empty(folder)
        if not os.access(folder, os.W_OK) or shutil.disk_usage(folder).free < _ROOM:
            return _temporary()
    except OSError:
        return _temporary()
    return folder


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


_temporary_folder: list[Path] = []


def _temporary() -> Path:
    """Return a folder of this process alone, deleted when it ends."""
    if not _temporary_folder:
        folder = Path(tempfile.mkdtemp(prefix="gradwright-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _temporary_folder.append(folder)
    return _temporary_folder[0]


def _files(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder but its manifest; links are files that never match."""
    for path in sorted(folder.rglob("*")):
        if path == folder / MANIFEST or (path.is_dir() and not path.is_symlink()):
            continue
        if not _is_being_written(path):
            yield path


def _recall(folder: Path) -> None:
    """Forget what was known of a folder's files, and believe its manifest."""
    real = os.path.realpath(folder)
    for path in list(_known):  # another thread may note something meanwhile
        if path.startswith(real + os.sep):
            _known.pop(path, None)
    for name, value in _read_manifest(folder / MANIFEST).items():
        _known[str(Path(real) / name)] = value


def _is_being_written(path: Path) -> bool:
    if not _UNFINISHED.search(path.name):
        return False
    try:
        return time.time() - path.lstat().st_mtime < _PATIENCE
    except FileNotFoundError:
        return True  # renamed meanwhile


def _hash(path: Path) -> str:
    try:
        if path.is_symlink() or not path.is_file():
            return _NO_FILE
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:  # another process was faster
        return _NO_FILE


def _read_manifest(path: Path) -> dict[str, str]:
    try:
        listed = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(listed, dict):
        return {}
    return {name: value for name, value in listed.items() if value != _NO_FILE}


def _write(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        # line ends as they are: the bytes are hashed
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _processor() -> str:
    """Return what the compiled code depends on: the processor's name and features."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return f"{llvm.get_host_cpu_name()} {features.flatten()}"
