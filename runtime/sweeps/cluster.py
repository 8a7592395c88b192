"""Workers of a Dask cluster: any that can be reached, started by whatever starts them.

The data go to each worker once, as a plugin, which those that join later get as well. A task is a
portion of runs. Where a worker dies, the scheduler gives its tasks to another one; a portion that
took several workers with it comes back to us, and is given out a few times more.
"""

import contextlib
import queue
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, final

import numpy as np
from distributed import Client
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.scheduler import KilledWorker

from runtime.errors import GradwrightError, InputError, RunError
from runtime.sweeps.job import Job
from runtime.sweeps.outcome import Outcome
from runtime.sweeps.portions import MOMENT, Portions
from runtime.sweeps.processes import MOST_DEATHS
from runtime.sweeps.trainer import Trainer

_CONNECT = 10.0  # seconds to reach the scheduler
_PATIENCE = 60.0  # seconds to wait for a worker, where there is none
_LOOK = 1.0  # seconds between two looks at who is there

_trainers: dict[str, Trainer] = {}  # in a worker, by the name of the sweep


class JobPlugin(WorkerPlugin):  # type: ignore[misc]  # Dask is not typed
    """Brings a sweep's work to a worker."""

    def __init__(self, name: str, job: Job) -> None:
        self.name = name
        self._text, self._arrays = job.text(), job.arrays()
        self._version = metadata.version("gradwright")

    def setup(self, worker: object) -> None:
        """Make what trains, in the worker."""
        del worker
        version = metadata.version("gradwright")
        if version != self._version:
            raise InputError(
                f"--scheduler: a worker has gradwright {version}, and here it is {self._version}. "
                "Install the same one on both."
            )
        # what came over the network cannot be written to, and kernels would copy it each time
        arrays = {
            name: np.require(a, requirements=("C", "A", "W")) for name, a in self._arrays.items()
        }
        _trainers[self.name] = Trainer(job=Job.of(self._text, arrays))

    def teardown(self, worker: object) -> None:
        """Forget the work."""
        del worker
        _trainers.pop(self.name, None)


def train_portion(name: str, numbers: list[int]) -> list[str]:
    """Do runs in a worker, and return the line of each outcome."""
    trainer = _trainers[name]
    return [trainer.train(number).to_line() for number in numbers]


@final
@dataclass(slots=True, kw_only=True)
class Cluster:
    """The workers of a cluster; a context manager that is connected inside.

    Attributes
    ----------
    job
        The sweep's work.
    address
        Of the scheduler.
    """

    job: Job
    address: str
    _name: str = field(default_factory=lambda: f"gradwright-{secrets.token_hex(8)}")
    _client: Any = None
    _stopping: bool = False
    _ended: "queue.SimpleQueue[Any]" = field(default_factory=queue.SimpleQueue)
    _looked: float = 0.0
    _slots: int = 0

    def __enter__(self) -> "Cluster":
        try:
            self._client = Client(self.address, timeout=_CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:  # a TimeoutError is an OSError
            raise InputError(
                f"--scheduler: {self.address} cannot be reached: {_first_line(error)}. Expected "
                "the address that dask scheduler prints, such as tcp://10.0.0.1:8786."
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            client.unregister_worker_plugin(self._name)
        client.close()

    def stop(self) -> None:
        """Give out no more runs; `outcomes` ends when those given out are done."""
        self._stopping = True

    def kill(self) -> None:
        """Give up the runs that are under way: the scheduler drops what nobody waits for."""
        self._stopping = True

    def outcomes(self, numbers: Iterable[int]) -> Iterator[list[Outcome]]:
        """Do the runs and yield their outcomes, some at a time, as they come.

        Raises
        ------
        InputError
            If gradwright is not what it is here on a worker.
        RunError
            If the cluster has no workers, is lost, or workers die again and again.
        """
        portions = Portions(plan=self.job.plan, workers=1)
        portions.add(numbers)
        self._send_job()
        out: dict[Any, tuple[str, list[int]]] = {}
        deaths: Counter[int] = Counter()
        alone = time.monotonic()
        while out or (len(portions) and not self._stopping):
            portions.workers = max(1, self._count_slots())
            if self._slots:
                alone = time.monotonic()
            elif time.monotonic() - alone > _PATIENCE:
                raise RunError(
                    f"{self.address}: the cluster has had no worker for {_PATIENCE:.0f} s."
                )
            while not self._stopping and len(portions) and len(out) < self._depth(portions):
                self._submit(portions, out)
            with contextlib.suppress(queue.Empty):
                future = self._ended.get(timeout=0.2)
                group, given = out.pop(future)
                portions.leave(group)
                found = self._found(future, given, deaths)
                future.release()
                if not found:
                    portions.add(given)
                    continue
                for outcome in found:
                    portions.note(group, outcome.seconds)
                yield found

    def _send_job(self) -> None:
        try:
            self._client.register_plugin(JobPlugin(self._name, self.job), name=self._name)
        except GradwrightError:
            raise
        except (OSError, ImportError, AttributeError, TypeError, RuntimeError) as error:
            raise RunError(
                f"{self.address}: the workers cannot do the runs: {_first_line(error)}. They "
                "need gradwright as it is installed here."
            ) from error

    def _count_slots(self) -> int:
        """Return how many runs the cluster does at the same time."""
        if time.monotonic() - self._looked > _LOOK:
            self._looked = time.monotonic()
            if self._client.status not in ("running", "connecting"):
                raise RunError(f"{self.address}: the connection to the scheduler is lost.")
            with contextlib.suppress(OSError):
                self._slots = sum(self._client.nthreads().values())
        return self._slots

    def _depth(self, portions: Portions) -> int:
        """Return how many portions to have out: short ones wait at the workers for their turn."""
        return self._slots * (2 if portions.longest_run < MOMENT else 1)

    def _submit(self, portions: Portions, out: dict[Any, tuple[str, list[int]]]) -> None:
        group, numbers = portions.take()
        future = self._client.submit(train_portion, self._name, numbers, pure=False)
        out[future] = group, numbers
        future.add_done_callback(self._ended.put)

    def _found(self, future: Any, given: list[int], deaths: Counter[int]) -> list[Outcome]:
        """Return the outcomes of a portion; none if its workers died, and it is to be repeated."""
        if future.status == "finished":
            return [Outcome.from_line(line) for line in future.result()]
        error = future.exception() if future.status == "error" else None
        if isinstance(error, GradwrightError):
            raise error
        if error is not None and not isinstance(error, KilledWorker | KeyError):
            raise RunError(
                f"{self.address}: a worker cannot do its runs: {_first_line(error)}. It needs "
                "gradwright as it is installed here."
            )
        if self._client.status != "running":
            raise RunError(f"{self.address}: the connection to the scheduler is lost.")
        deaths.update(given)  # killed, cancelled by a restart, or a worker without the plugin
        if deaths[given[0]] >= MOST_DEATHS:
            point, seed = self.job.plan.run(given[0])
            raise RunError(
                f"{self.address}: worker after worker died at {point.network} with seed {seed}, "
                "or at a run beside it; for want of memory, perhaps."
            )
        return []


def _first_line(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0].rstrip(".")
    return text or type(error).__name__
