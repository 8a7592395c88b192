"""A rank that fails in one of its sums, or writes: python failing_rank.py HOW WHICH COMMAND."""

import os
import signal
import sys

import numpy as np

from runtime.cli import main
from runtime.errors import RunError
from runtime.ranks.communicator import Ranks
from runtime.run_folder import RunFolder


def fail_in(how: str, which: int) -> None:
    """Let the sum of a number fail in this rank."""
    real, sums = Ranks.add_up, [0]

    def add_up(self: Ranks, array: np.ndarray) -> None:
        sums[0] += 1
        if sums[0] == which:
            if how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if how == "raises":
                raise OSError("the network is down")
            if how == "terminated":
                os.kill(os.getpid(), signal.SIGTERM)
            if how == "not a number":
                array[:] = np.nan
        real(self, array)
        if sums[0] == which and how == "differs":
            array[0] += 1

    Ranks.add_up = add_up
    write = RunFolder.write

    def write_until(self: RunFolder, name: str, content: bytes) -> None:
        if how == "cannot write" and sums[0] >= which:
            raise RunError(f"{name}: the disk is full")
        write(self, name, content)

    RunFolder.write = write_until


if __name__ == "__main__":
    fail_in(sys.argv[1], int(sys.argv[2]))
    main(sys.argv[3:])
