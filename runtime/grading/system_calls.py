"""A filter for what a student's process may ask of the kernel.

It may have threads, but start no process; send no signal; look into no other process; and open
no socket. Namespaces do much of that where they are allowed. Where they are not, this is what
keeps a file from ending its user's processes, outliving its limit, or sending anything away.
"""

import ctypes
import platform
import struct
import sys

_SET_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_NOT_PERMITTED, _NO_SUCH_CALL = 1, 38
_LOAD, _EQUAL, _AT_LEAST, _HAS_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_OTHER_CALLS = 0x40000000  # on x86-64, the same calls under other numbers begin here
_CLONE_THREAD = 0x10000
_CLONE3 = 435
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in the description of a call

# machine -> the kernel's name of it, its number of clone, and those of kill, tkill,
# rt_sigqueueinfo, pidfd_send_signal, ptrace, process_vm_readv, process_vm_writev, socket, bpf,
# io_uring_setup, and fork and vfork where there are any
_CALLS = {
    "x86_64": (0xC000003E, 56, (62, 200, 129, 424, 101, 310, 311, 41, 321, 425, 57, 58)),
    "aarch64": (0xC00000B7, 220, (129, 130, 138, 424, 117, 270, 271, 198, 280, 425)),
}


def refuse_calls() -> bool:
    """Have the kernel refuse those calls from now on; return whether it does."""
    if not sys.platform.startswith("linux") or platform.machine() not in _CALLS:
        return False
    steps = _filter(*_CALLS[platform.machine()])
    code = ctypes.create_string_buffer(b"".join(steps))
    program = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    )
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return not libc.prctl(_SET_SECCOMP, _FILTER, program, 0, 0)
    except (OSError, AttributeError):
        return False


def _filter(architecture: int, clone: int, refused: tuple[int, ...]) -> list[bytes]:
    """Return the filter's instructions; the last three are allow, refuse, and no such call."""
    count = len(refused)
    return [
        _step(_LOAD, 0, 0, _ARCHITECTURE),
        _step(_EQUAL, 0, count + 7, architecture),  # calls of another machine are refused
        _step(_LOAD, 0, 0, _NUMBER),
        _step(_AT_LEAST, count + 5, 0, _OTHER_CALLS),
        *(_step(_EQUAL, count + 4 - place, 0, number) for place, number in enumerate(refused)),
        _step(_EQUAL, 5, 0, _CLONE3),  # its flags cannot be seen; libraries fall back to clone
        _step(_EQUAL, 0, 2, clone),
        _step(_LOAD, 0, 0, _FIRST_ARGUMENT),
        _step(_HAS_BIT, 0, 1, _CLONE_THREAD),
        _step(_RETURN, 0, 0, _ALLOW),
        _step(_RETURN, 0, 0, _ERROR | _NOT_PERMITTED),
        _step(_RETURN, 0, 0, _ERROR | _NO_SUCH_CALL),
    ]


def _step(code: int, then: int, otherwise: int, operand: int) -> bytes:
    """Return an instruction of the kernel's filter language; jumps count from the next one."""
    return struct.pack("HBBI", code, then, otherwise, operand)
