"""What the kernel refuses a student's process; tried in a process of its own, by harmless calls.

Every call is one that does nothing even where it is allowed: signal 0, limits set to what they
are, a change of a file that does not exist. So nothing is lost where the filter fails.
"""

import json
import struct
import subprocess
import sys

import pytest

from runtime.grading import system_call_numbers as tables
from runtime.grading.system_calls import ARCHITECTURES, FIRST_UNKNOWN, filter_steps

PROGRAM = """
import ctypes, errno, fcntl, json, os, platform, resource, socket, sys, threading
from runtime.grading import system_call_numbers as tables
from runtime.grading.system_calls import refuse_calls

libc = ctypes.CDLL(None, use_errno=True)
machine = platform.machine()
every = tables.numbers(tables.REFUSED, machine) | tables.numbers(tables.CHANGES_FILES, machine)
every |= tables.numbers(tables.NOT_THERE, machine) | tables.numbers(tables.JUDGED, machine)
me, nowhere = os.getpid(), "/nowhere/at/all"

def outcome(call):
    try:
        result = call()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "allowed" if result != -1 else errno.errorcode[ctypes.get_errno()]

def raw(name, *arguments):
    return libc.syscall(ctypes.c_long(every[name]), *map(ctypes.c_long, arguments))

def child():
    if not (pid := os.fork()):
        os._exit(0)
    os.waitpid(pid, 0)

def in_thread(call):
    found = []
    thread = threading.Thread(target=lambda: found.append(outcome(call)))
    thread.start()
    thread.join()
    return found[0]

# an older thread: the filter is for all
asked, done, early = threading.Event(), threading.Event(), []
def wait():
    asked.wait()
    early.append(outcome(lambda: os.kill(me, 0)))
    done.set()
threading.Thread(target=wait, daemon=True).start()

limit = (ctypes.c_ulong * 2)(*resource.getrlimit(resource.RLIMIT_CORE))
null = os.open(os.devnull, os.O_RDONLY)
refused = {
    "kill": lambda: os.kill(me, 0),
    "tkill": lambda: raw("tkill", threading.get_native_id(), 0),
    "tgkill": lambda: raw("tgkill", me, threading.get_native_id(), 0),
    "signals by descriptor": lambda: fcntl.fcntl(null, 10, 0),  # F_SETSIG, to the usual one
    "fork": child,
    "exec": lambda: os.execv(nowhere, ["x"]),
    "another group": lambda: os.setpgid(me, os.getpgid(me)),
    "prctl": lambda: libc.prctl(1, 0, 0, 0, 0),
    "limits": lambda: libc.setrlimit(resource.RLIMIT_CORE, limit),
    "namespaces": lambda: raw("unshare", 0),
    "socket": lambda: socket.socket().close(),
    "shared memory": lambda: raw("shmget", 0, 0, 0),
    "a terminal's input": lambda: fcntl.ioctl(null, 0x5412, b"x"),
}
files = {
    "write": lambda: os.open(nowhere, os.O_WRONLY),
    "create": lambda: os.open(nowhere, os.O_CREAT, 0o600),
    "truncate": lambda: os.open(nowhere, os.O_TRUNC),
    "unlink": lambda: os.unlink(nowhere),
    "rename": lambda: os.rename(nowhere, nowhere),
    "mkdir": lambda: os.mkdir(nowhere),
    "chmod": lambda: os.chmod(nowhere, 0o600),
    "link": lambda: os.link(nowhere, nowhere),
}
allowed = {
    "read": lambda: os.close(os.open(os.devnull, os.O_RDONLY)),
    "list": lambda: os.listdir("/"),
    "duplicate": lambda: os.close(os.dup(null)),
    "read limits": lambda: resource.getrlimit(resource.RLIMIT_CORE) and None,
    "thread": lambda: in_thread(lambda: None) and None,
    "a process's limits": lambda: raw("prlimit64", 0, 4, 0, 0),
}
before = {name: outcome(call) for name, call in {**refused, **files}.items() if name != "exec"}
active = refuse_calls(files="files" in sys.argv)
report = {
    "active": active,
    "before": before,
    "refused": {name: outcome(call) for name, call in refused.items()},
    "in a thread": {name: in_thread(call) for name, call in refused.items()},
    "files": {name: outcome(call) for name, call in files.items()},
    "allowed": {name: outcome(call) for name, call in allowed.items()},
    "not there": {name: outcome(lambda: raw(name, 0, 0, 0, 0, 0))
                  for name in tables.numbers(tables.NOT_THERE, machine)},
    "x32 kill": outcome(lambda: libc.syscall(ctypes.c_long(0x40000000 + every["kill"]), me, 0)),
}
asked.set()
done.wait()
report["older thread"] = early[0]
print(json.dumps(report))
"""


@pytest.mark.parametrize("files", [True, False])
def test_processes_signals_sockets_and_files_are_refused_and_threads_are_not(files: bool) -> None:
    command = [sys.executable, "-P", "-c", PROGRAM, *(["files"] if files else [])]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    if not report["active"]:
        pytest.skip("this system filters no calls")
    assert "allowed" in report["before"].values()
    for where in ("refused", "in a thread"):
        assert set(report[where].values()) == {"EPERM"}, report[where]
    assert report["older thread"] == "EPERM"
    assert set(report["files"].values()) == ({"EPERM"} if files else {"ENOENT"}), report["files"]
    assert set(report["allowed"].values()) == {"allowed"}, report["allowed"]
    assert set(report["not there"].values()) == {"ENOSYS"}, report["not there"]
    assert report["x32 kill"] == "ENOSYS"


class Kernel:
    """Runs the filter's instructions as the kernel does, for a machine that we may not have."""

    def __init__(self, machine: str, *, files: bool) -> None:
        self.steps = [struct.unpack("HBBI", step) for step in filter_steps(machine, files=files)]
        self.architecture = ARCHITECTURES[machine]

    def answer(self, number: int, *arguments: int, architecture: int | None = None) -> str:
        words = (*arguments, *(0,) * (6 - len(arguments)))
        call = struct.pack("<iIQ6Q", number, architecture or self.architecture, 0, *words)
        place, value = 0, 0
        while True:
            code, then, otherwise, operand = self.steps[place]
            place += 1
            if code == 0x20:
                value = int.from_bytes(call[operand : operand + 4], "little")
            elif code == 0x06:
                return {0x7FFF0000: "allowed", 0x50001: "refused", 0x50026: "not there"}[operand]
            else:
                test = {
                    0x15: value == operand,
                    0x35: value >= operand,
                    0x45: bool(value & operand),
                }
                place += then if test[code] else otherwise


@pytest.mark.parametrize("machine", sorted(ARCHITECTURES))
@pytest.mark.parametrize("files", [True, False])
def test_every_call_of_the_tables_is_answered_as_they_say(machine: str, files: bool) -> None:
    kernel = Kernel(machine, files=files)
    known: dict[int, str] = {}
    for table, answer in (
        (tables.REFUSED, "refused"),
        (tables.CHANGES_FILES, "refused" if files else "allowed"),
        (tables.NOT_THERE, "not there"),
    ):
        for name, number in tables.numbers(table, machine).items():
            assert number not in known, name
            known[number] = answer
    judged = tables.numbers(tables.JUDGED, machine)
    assert not set(judged.values()) & set(known)
    for number in range(FIRST_UNKNOWN):
        if number not in judged.values():
            assert kernel.answer(number) == known.get(number, "allowed"), number
    for number in (FIRST_UNKNOWN, 600, 0x40000000, 0x40000000 + 62, 2**31 - 1):
        assert kernel.answer(number) == "not there"
    assert kernel.answer(0, architecture=0x40000003) == "refused"  # 32-bit x86

    wanted = "refused" if files else "allowed"
    assert kernel.answer(judged["clone"], 0x3D0F00) == "allowed"  # as pthread_create calls it
    assert kernel.answer(judged["clone"], 0x1200011) == "refused"  # as fork does
    for flags in (0o1, 0o2, 0o3, 0o100, 0o1000, 0o20200000):
        assert kernel.answer(judged["openat"], 0, 0, flags) == wanted
        if "open" in judged:
            assert kernel.answer(judged["open"], 0, flags) == wanted
    assert kernel.answer(judged["openat"], 0, 0, 0o2000000) == "allowed"  # closed on exec
    for command, answer in ((1, "allowed"), (1030, "allowed"), (8, "refused"), (10, "refused")):
        assert kernel.answer(judged["fcntl"], 0, command) == answer
    for command, answer in ((0x5401, "allowed"), (0x5412, "refused"), (0x8901, "refused")):
        assert kernel.answer(judged["ioctl"], 0, command) == answer
    for pointer in (1, 1 << 32, 1 << 63):
        assert kernel.answer(judged["prlimit64"], 0, 0, pointer) == "refused"
    assert kernel.answer(judged["prlimit64"], 0, 0, 0, 1) == "allowed"
