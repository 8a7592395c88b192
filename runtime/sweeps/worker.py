"""``python -m runtime.sweeps.worker FOLDER``: does the runs whose numbers it is sent.

It reads lines of numbers, and writes the line of each outcome as soon as it is there. An empty
line ends it; so does an error, which it writes before. Where whoever sends the numbers has gone,
it ends at once, in the middle of a run.
"""

import json
import os
import queue
import sys
import threading
from pathlib import Path
from typing import TextIO

from runtime.errors import GradwrightError
from runtime.sweeps.job import Job
from runtime.sweeps.trainer import Trainer


def main() -> None:
    """Work until there are no more numbers."""
    # our lines go to the pipe, and whatever else is printed to standard error
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii", newline="\n") as out:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        try:
            _work(Path(sys.argv[1]), out)
        except GradwrightError as error:
            told = {"kind": type(error).__name__, "message": str(error)}
            out.write(json.dumps({"error": told}) + "\n")


def _work(folder: Path, out: TextIO) -> None:
    trainer = Trainer(job=Job.load(folder))
    portions: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(portions,), daemon=True).start()
    while numbers := portions.get():
        for number in numbers:
            out.write(f"{trainer.train(number).to_line()}\n")
            # a worker that dies costs the run it is at, and none that is done
            out.flush()


def _listen(portions: "queue.SimpleQueue[list[int]]") -> None:
    """Pass numbers on; the end of them ends the process, whatever it is at."""
    for line in sys.stdin:
        portions.put([int(word) for word in line.split()])
        if not line.strip():
            return  # the sweep is done: the process packs up
    os._exit(0)


if __name__ == "__main__":
    main()
