"""What the kernel refuses a student's process; tried in a process of its own, by harmless calls."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, os, socket, sys, threading
from runtime.grading.system_calls import refuse_calls

def outcome(call):
    try:
        call()
    except PermissionError:
        return "refused"
    return "allowed"

def child():
    if not (pid := os.fork()):
        os._exit(0)
    os.waitpid(pid, 0)

calls = {
    "signal 0 to itself": lambda: os.kill(os.getpid(), 0),
    "fork": child,
    "socket": lambda: socket.socket().close(),
}
before = {name: outcome(call) for name, call in calls.items()}
active = refuse_calls()
after = {name: outcome(call) for name, call in calls.items()}
thread = threading.Thread(target=lambda: after.update(thread="allowed"))
thread.start()
thread.join()
print(json.dumps([active, before, after]))
"""


def test_processes_signals_and_sockets_are_refused_and_threads_are_not() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM], capture_output=True, check=True, encoding="utf-8"
    )
    active, before, after = json.loads(done.stdout)
    if not active:
        pytest.skip("this system filters no calls")
    assert set(before.values()) == {"allowed"}
    assert after == {**dict.fromkeys(before, "refused"), "thread": "allowed"}
