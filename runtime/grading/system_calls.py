"""A filter for what a student's process may ask of the kernel.

It may have threads, but start no process; send no signal; look into no other process; lift no
limit of its own; open no socket; and, where it has no file system of its own, change no file.
Namespaces do much of that where they are allowed. Where they are not, this is what keeps a file
from ending its user's processes, outliving its limit, or sending or destroying anything.

Calls are refused with "not permitted". Those whose arguments cannot be seen, and those that are
newer than the list, do not seem to exist: the C library does without them.

References
----------
Linux, ``Documentation/userspace-api/seccomp_filter.rst``.
"""

import ctypes
import os
import platform
import struct
import sys

from runtime.grading.system_call_numbers import CHANGES_FILES, JUDGED, NOT_THERE, REFUSED, numbers

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # the kernel's numbers for them
FIRST_UNKNOWN = 451  # on x86-64 each call has a second number too: all are above this

_SET_NO_NEW_PRIVS = 38  # an argument of `prctl`
_SET_FILTER, _ALL_THREADS = 1, 1  # arguments of the call `seccomp`
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_NOT_PERMITTED, _NO_SUCH_CALL = 1, 38
_LOAD, _EQUAL, _AT_LEAST, _HAS_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in the description of a call

_CLONE_THREAD = 0x10000
_WRITES = 0x400243  # of open's flags: write only, read and write, create, truncate, unnamed file
# what a descriptor may be asked: duplicates and flags, but neither locks nor whom to signal
_DESCRIPTOR_COMMANDS = (0, 1, 2, 3, 4, 1030)
# whether it is a terminal, of which size, how much there is to read; closing it in a programme
_DEVICE_COMMANDS = (0x5401, 0x5413, 0x541B, 0x5450, 0x5451)


def refuse_calls(*, files: bool) -> bool:
    """Have the kernel refuse those calls from now on; return whether it does.

    This holds for all threads of the process, and for whatever they start.

    Parameters
    ----------
    files
        Whether to refuse what changes files as well.
    """
    machine = platform.machine()
    if not sys.platform.startswith("linux") or machine not in ARCHITECTURES:
        return False
    if struct.calcsize("P") != 8:
        return False  # the calls of a 32-bit process have other numbers
    steps = filter_steps(machine, files=files)
    code = ctypes.create_string_buffer(b"".join(steps))
    program = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    )
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            return False
        call = ctypes.c_long(numbers(REFUSED, machine)["seccomp"])
        if libc.syscall(call, ctypes.c_ulong(_SET_FILTER), ctypes.c_ulong(_ALL_THREADS), program):
            return False
    except (OSError, AttributeError):
        return False
    return _is_refused_a_signal()


def _is_refused_a_signal() -> bool:
    """Tell whether the filter works, which an emulated kernel may only claim."""
    try:
        os.kill(os.getpid(), 0)  # signal 0 is none
    except PermissionError:
        return True
    return False


def filter_steps(machine: str, *, files: bool) -> list[bytes]:
    """Return the instructions of the filter for a machine."""
    judged = numbers(JUDGED, machine)
    refused = numbers(REFUSED, machine)
    if files:
        refused |= numbers(CHANGES_FILES, machine)
    steps = [
        _step(_LOAD, 0, 0, _ARCHITECTURE),
        _step(_EQUAL, 1, 0, ARCHITECTURES[machine]),
        _no(),  # the calls of another machine, which this one has as well
        _step(_LOAD, 0, 0, _NUMBER),
        _step(_AT_LEAST, 0, 1, FIRST_UNKNOWN),
        _no(_NO_SUCH_CALL),
    ]
    for number in numbers(NOT_THERE, machine).values():
        steps += [_step(_EQUAL, 0, 1, number), _no(_NO_SUCH_CALL)]
    for number in refused.values():
        steps += [_step(_EQUAL, 0, 1, number), _no()]
    steps += _judge(judged["clone"], [_argument(0), _step(_HAS_BIT, 1, 0, _CLONE_THREAD), _no()])
    for name, commands in (("fcntl", _DESCRIPTOR_COMMANDS), ("ioctl", _DEVICE_COMMANDS)):
        last = len(commands)
        tests = [_step(_EQUAL, last - n, 0, command) for n, command in enumerate(commands)]
        steps += _judge(judged[name], [_argument(1), *tests, _no()])
    # limits may be read; the pointer to new ones must be null, in both of its halves
    null = [_step(_EQUAL, 1, 0, 0), _no()]
    steps += _judge(judged["prlimit64"], [_argument(2), *null, _argument(2, 4), *null])
    for name, place in (("open", 1), ("openat", 2)):
        if files and name in judged:
            test = [_argument(place), _step(_HAS_BIT, 0, 1, _WRITES), _no()]
            steps += _judge(judged[name], test)
    return [*steps, _yes()]


def _judge(number: int, tests: list[bytes]) -> list[bytes]:
    """Return the steps that allow a call if it passes all tests."""
    return [_step(_EQUAL, 0, len(tests) + 1, number), *tests, _yes()]


def _argument(place: int, half: int = 0) -> bytes:
    return _step(_LOAD, 0, 0, _ARGUMENTS + 8 * place + half)


def _yes() -> bytes:
    return _step(_RETURN, 0, 0, _ALLOW)


def _no(error: int = _NOT_PERMITTED) -> bytes:
    return _step(_RETURN, 0, 0, _ERROR | error)


def _step(code: int, then: int, otherwise: int, operand: int) -> bytes:
    """Return an instruction of the kernel's filter language; jumps count from the next one."""
    return struct.pack("HBBI", code, then, otherwise, operand)
