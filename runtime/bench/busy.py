"""Other programmes that keep processors busy, for figures beside them."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

# plain arithmetic, as long as the process that began it is there
_LOOP = """
import os, sys
parent, *processors = map(int, sys.argv[1:])
if processors:
    os.sched_setaffinity(0, processors)
while os.getppid() == parent:
    total = 0
    for number in range(100_000):
        total += number * number
"""


@contextmanager
def busy_processes(count: int, processors: Sequence[int]) -> Iterator[None]:
    """Keep so many processes busy on some processors, any of them where none is named."""
    with ExitStack() as stack:
        for _ in range(count):
            numbers = map(str, (os.getpid(), *processors))
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _LOOP, *numbers],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches us alone
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield
