"""What a process gives up before it runs code that nobody has read.

Limits on processor time, memory, files and processes hold on every POSIX system. Where the
system allows it the process also moves into namespaces of its own: it then sees no network, no
process but its own, a file system that cannot be written to, and an empty folder in the place
of each that it must not read. Whoever ends the first process of such a namespace ends all of
it, so that nothing outlives its limit.

`enter_namespaces` returns None where all of that is in place, else what is missing.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Sequence

_NEWNS, _NEWUSER, _NEWPID, _NEWNET, _NEWIPC = 0x20000, 0x10000000, 0x20000000, 0x40000000, 0x8000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REC, _MS_PRIVATE = 1, 2, 4, 0x4000, 0x40000
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _ATTR_RDONLY = 442, -100, 0x8000, 1
_PR_SET_PDEATHSIG = 1


def set_limits(*, seconds: int, memory: int, processes: int) -> None:
    """Limit this process and what it starts.

    Parameters
    ----------
    seconds
        Of processor time.
    memory
        Bytes of address space.
    processes
        How many it may have, itself included. Root is not held to it outside of a namespace.
    """
    limits = {
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: 1_000_000,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_NPROC: processes,
    }
    for kind, wanted in limits.items():
        _, hardest = resource.getrlimit(kind)
        value = wanted if hardest == resource.RLIM_INFINITY else min(wanted, hardest)
        resource.setrlimit(kind, (value, value))


def enter_namespaces(hidden: Sequence[str], folder: str) -> str | None:
    """Move into private namespaces; return None if all went well, else what did not.

    Returns in a new process, the first of its process namespace; the old one waits for it and
    ends with its status.

    Parameters
    ----------
    hidden
        Folders that are to be empty.
    folder
        Where a small empty file system is mounted, the one place that can be written to.
    """
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        user, group = os.geteuid(), os.getegid()
        if libc.unshare(_NEWUSER | _NEWNS | _NEWPID | _NEWNET | _NEWIPC):
            return f"unshare: {os.strerror(ctypes.get_errno())}"
    except (OSError, AttributeError) as error:
        return f"unshare: {error}"
    with contextlib.suppress(OSError):
        _write("/proc/self/setgroups", "deny")
    try:
        _write("/proc/self/uid_map", f"0 {user} 1")
        _write("/proc/self/gid_map", f"0 {group} 1")
    except OSError as error:
        return f"user namespace: {error.strerror}"
    _continue_in_child()
    return _mount_all(libc, hidden, folder)


def end_with_parent() -> None:
    """Have the kernel end this process when the one that started it ends."""
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def _continue_in_child() -> None:
    end_with_parent()  # what waits below as well: else a grader that is killed leaves both
    pid = os.fork()
    if pid:
        os.closerange(0, 1024)  # the pipes are the new process's alone
        _, status = os.waitpid(pid, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    os.setsid()  # a signal to "my group" must not reach the process that waits
    end_with_parent()


def _mount_all(libc: ctypes.CDLL, hidden: Sequence[str], folder: str) -> str | None:
    missing: list[str] = []

    def mount(kind: str, target: str, flags: int, options: str | None = None) -> bool:
        data = options.encode() if options else None
        return not libc.mount(b"none", os.fsencode(target), kind.encode(), flags, data)

    if not mount("", "/", _MS_REC | _MS_PRIVATE):
        return "mounts cannot be made private"
    if not mount("proc", "/proc", _MS_NOSUID | _MS_NODEV):
        missing.append("other processes can be seen")
    quiet = _MS_NOSUID | _MS_NODEV
    for place in hidden:
        if not mount("tmpfs", place, quiet | _MS_RDONLY, "size=4k"):
            missing.append(f"{place} can be read")
    attributes = (ctypes.c_uint64 * 4)(_ATTR_RDONLY, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    if libc.syscall(
        ctypes.c_long(_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        b"/",
        ctypes.c_uint(_AT_RECURSIVE),
        ctypes.byref(attributes),
        size,
    ):
        missing.append("files can be written")
    if not mount("tmpfs", folder, quiet, "size=16m"):
        missing.append("no file system of its own")
    return "; ".join(missing) or None


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
