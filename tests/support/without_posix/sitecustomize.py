"""Python as on Windows, as far as this project leans on it: put this folder on PYTHONPATH.

The modules that POSIX alone has cannot be imported; its functions are hidden from our own modules,
but not from others, which ask ``sys.platform`` whether they are there. ``msvcrt`` locks bytes of
files as Windows does: never waiting, with EACCES where another descriptor holds them.
"""

import errno
import fcntl
import os
import signal
import subprocess  # noqa: F401  # while there is no msvcrt, by which it would tell Windows
import sys
from types import ModuleType
from typing import Any

_OURS = ("derive", "codegen", "runtime", "gradwright")
_HIDDEN = {
    "os": "fork setsid getuid geteuid getgid getegid getpgid killpg uname fchmod fchown nice "
    "sched_getaffinity sched_setaffinity getloadavg O_DIRECTORY O_NOFOLLOW mkfifo chown sysconf",
    "signal": "SIGHUP SIGKILL SIGALRM SIGXCPU SIGUSR1 SIGUSR2 SIGQUIT SIGCHLD pthread_sigmask",
}
_flock, _how = fcntl.flock, fcntl.LOCK_EX | fcntl.LOCK_NB


class _Module(ModuleType):
    def __getattribute__(self, name: str) -> Any:
        asking = sys._getframe(1).f_globals.get("__name__", "")
        if (
            asking.split(".")[0].split("_")[0] in _OURS
            and name in _HIDDEN[super().__getattribute__("__name__")].split()
        ):
            raise AttributeError(f"there is no {name} on this system")
        return super().__getattribute__(name)


def _locking(descriptor: int, mode: int, count: int) -> None:
    assert (mode, count) == (2, 1)
    try:
        _flock(descriptor, _how)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "Permission denied") from None


_msvcrt: Any = ModuleType("msvcrt")
_msvcrt.locking, _msvcrt.LK_NBLCK = _locking, 2
sys.modules["msvcrt"] = _msvcrt
for _name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[_name] = None  # type: ignore[assignment]
for _module in (os, signal):
    _module.__class__ = _Module
