"""Workers that are processes of this machine, each served by a thread of ours.

A worker that dies costs the run that it was at: its other runs go back, and another worker takes
its place. A run at which three workers died is given up, with the sweep.
"""

import contextlib
import json
import queue
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from runtime import errors
from runtime.child_process import child_environment
from runtime.errors import GradwrightError, InputError, InternalError, RunError
from runtime.files import path_error
from runtime.sweeps.job import Job
from runtime.sweeps.outcome import Outcome
from runtime.sweeps.portions import Portions

MOST_DEATHS = 3  # of workers at the same run


@final
@dataclass(slots=True, kw_only=True)
class Processes:
    """Workers on this machine; a context manager that ends them, whatever they are doing.

    Attributes
    ----------
    job
        The sweep's work.
    count
        How many workers.
    """

    job: Job
    count: int
    _processes: dict[int, subprocess.Popen[str]] = field(default_factory=dict)
    _stopping: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _found: "queue.SimpleQueue[list[Outcome] | GradwrightError]" = field(
        default_factory=queue.SimpleQueue
    )

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def stop(self) -> None:
        """Give out no more runs; `outcomes` ends when those given out are done."""
        self._stopping = True  # no lock: a signal's handler may call this

    def kill(self) -> None:
        """End all workers at once."""
        self._stopping = True
        for process in list(self._processes.values()):
            with contextlib.suppress(OSError):
                process.kill()

    def outcomes(self, numbers: Iterable[int]) -> Iterator[list[Outcome]]:
        """Do the runs and yield their outcomes, some at a time, as they come.

        Raises
        ------
        GradwrightError
            As a worker says; and if workers die again and again.
        """
        portions = Portions(plan=self.job.plan, workers=self.count)
        portions.add(numbers)
        try:
            with tempfile.TemporaryDirectory(prefix="gradwright-") as folder:
                self.job.save(Path(folder))
                yield from self._served(portions, Path(folder))
        except OSError as error:
            raise path_error(error, tempfile.gettempdir(), "written", work_began=True) from error

    def _served(self, portions: Portions, folder: Path) -> Iterator[list[Outcome]]:
        deaths: Counter[int] = Counter()
        busy: set[int] = set()
        threads = [
            threading.Thread(target=self._serve, args=(w, portions, folder, deaths, busy))
            for w in range(min(self.count, len(portions)))
        ]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads) or not self._found.empty():
                with contextlib.suppress(queue.Empty):
                    found = self._found.get(timeout=0.1)
                    if isinstance(found, GradwrightError):
                        raise found
                    yield found
        finally:
            if any(thread.is_alive() for thread in threads):
                self.kill()
            for thread in threads:
                thread.join()

    def _serve(
        self, worker: int, portions: Portions, folder: Path, deaths: Counter[int], busy: set[int]
    ) -> None:
        """Give a worker one portion after another, and replace it if it dies."""
        group: str | None = None
        try:
            while True:
                with self._changed:
                    busy.discard(worker)
                    self._changed.notify_all()
                    group, numbers = portions.take(group)
                    while not numbers:
                        if self._stopping or not busy:
                            return
                        # another worker may die and leave runs behind
                        self._changed.wait(timeout=0.1)
                        group, numbers = portions.take()
                    if self._stopping:
                        return
                    busy.add(worker)
                left = self._ask(worker, folder, numbers, portions, group)
                if left:
                    self._died(worker, left[0], deaths)
                    with self._changed:
                        portions.add(left)
        except GradwrightError as error:
            self._found.put(error)
            self.stop()
        finally:
            with self._changed:
                busy.discard(worker)
                self._changed.notify_all()
            self._let_go(worker)

    def _ask(
        self, worker: int, folder: Path, numbers: list[int], portions: Portions, group: str
    ) -> list[int]:
        """Have a worker do runs; return those that it did not do, since it died."""
        process = self._processes.get(worker)
        if process is None:
            process = self._processes[worker] = _start(folder)
        assert process.stdin is not None  # both are pipes
        assert process.stdout is not None
        left = list(numbers)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(" ".join(map(str, numbers)) + "\n")
            process.stdin.flush()
        found = []
        for line in process.stdout:
            if line == "\n":
                break
            found.append(_read(line))
            left.pop(0)
            with self._changed:
                portions.note(group, found[-1].seconds)
            if len(found) >= 20 or found[-1].seconds > 0.05:
                self._found.put(found)
                found = []
        if found:
            self._found.put(found)
        return left

    def _died(self, worker: int, number: int, deaths: Counter[int]) -> None:
        """Note that a worker died at a run; raise if too many did, or if it was told to."""
        process = self._processes.pop(worker)
        status = process.wait()
        _close(process)
        if self._stopping:
            return
        if status > 0:
            raise InternalError(f"a worker of the sweep ended with status {status}; see above")
        deaths[number] += 1
        if deaths[number] >= MOST_DEATHS:
            point, seed = self.job.plan.run(number)
            raise RunError(
                f"{point.network} with seed {seed}: {deaths[number]} processes that did this run "
                f"were ended by signal {-status}; for want of memory, perhaps. Use fewer workers "
                "(--workers)."
            )

    def _let_go(self, worker: int) -> None:
        """End a worker that has nothing to do; it keeps what it compiled."""
        process = self._processes.pop(worker, None)
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write("\n")
            process.stdin.flush()
        _close(process)
        process.wait()


def _start(folder: Path) -> "subprocess.Popen[str]":
    # a session of its own: Ctrl-C reaches us alone, and we end the workers
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "runtime.sweeps.worker", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="ascii",
        env=child_environment(threads=1),
        start_new_session=True,
    )


def _close(process: "subprocess.Popen[str]") -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def _read(line: str) -> Outcome:
    """Return the outcome in a worker's line, or raise the error in it."""
    if line.startswith('{"error"'):
        error = json.loads(line)["error"]
        kind: type[GradwrightError] = getattr(errors, error["kind"])
        raise kind(error["message"])
    try:
        return Outcome.from_line(line.rstrip("\n"))
    except InputError as error:
        raise InternalError(f"a worker of the sweep sent what is no outcome: {error}") from None
