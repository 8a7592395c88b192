"""What the launcher of parallel programmes says to a process it starts, in the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, final

from runtime.errors import InputError, RunError

if TYPE_CHECKING:
    from runtime.ranks.communicator import Ranks

# the rank, and how many there are: Open MPI; MPICH, Intel MPI and Slurm's PMI-2; MVAPICH2;
# Slurm's srun with anything else, which is not to be taken for the script that calls it
_VARIABLES = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A process among others.

    Attributes
    ----------
    rank, count
        Its number, from 0, and how many there are: two at least.
    """

    rank: int
    count: int


def find_launch(environment: Mapping[str, str] = os.environ) -> Launch | None:
    """Return what a launcher said; None if there was none, or it started one process alone."""
    for rank, count in _VARIABLES:
        found = environment.get(rank, ""), environment.get(count, "")
        if all(text.isdecimal() for text in found):
            launch = Launch(rank=int(found[0]), count=int(found[1]))
            return launch if launch.count > 1 else None
    return None


def refuse_launch(command: str) -> None:
    """Refuse to do `command` several times over.

    Raises
    ------
    InputError
        If a launcher started several processes; without a text in all but the first.
    """
    launch = find_launch()
    if launch is not None:
        raise _told_by_first(
            launch,
            f"{command}: it was started {launch.count} times over. Only gradwright train, and "
            "gradwright bench --ranks, share their work between processes; leave out mpiexec.",
        )


def join(launch: Launch) -> "Ranks":
    """Return the processes that were started together.

    Raises
    ------
    InputError
        If they cannot talk to each other; without a text in all but the first.
    """
    if find_spec("mpi4py") is None:
        raise _told_by_first(
            launch,
            f"mpiexec: {launch.count} processes were started, and mpi4py, by which they train "
            "together, is not installed. Install it with: pip install 'gradwright[mpi]'",
        )
    from runtime.ranks.communicator import connect

    try:
        return connect(launch)
    except RunError as error:
        raise _told_by_first(launch, str(error)) from error


def _told_by_first(launch: Launch, message: str) -> InputError:
    return InputError(message if launch.rank == 0 else "")
