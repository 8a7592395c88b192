"""Where the command begins: a signal ends it quietly while all else is loaded.

That takes a tenth of a second, in which Python answers Ctrl-C with a traceback of its own. So this
module imports next to nothing; `runtime.cli.main` puts handlers of its own in place of this one.
"""

import contextlib
import os
import signal
import sys
from types import FrameType
from typing import NoReturn


def main() -> None:
    """Run the command line, and exit with its status: 0, 1, 2, 70, 130 or 143."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    from runtime.cli import main as command_line

    command_line()


def _end(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    told = "interrupted" if number == signal.SIGINT else "terminated"
    if sys.stderr is not None:  # else the number 2 may be another file
        with contextlib.suppress(OSError):
            os.write(2, f"gradwright: {told}\n".encode())
    os._exit(128 + number)  # an exception would be told by whatever is just being imported
