"""Workers that are processes of this machine, each served by a thread of ours.

A worker that dies costs the run that it was at: its other runs go back, and another worker takes
its place. A run at which three workers died is given up, with the sweep.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
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
_BREATH = 0.02  # seconds between two looks at what a worker has written
_PIPE = 1 << 16  # bytes that a pipe holds


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
    _processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    _stopping: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _found: "queue.SimpleQueue[Outcome | GradwrightError]" = field(
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
                if found := self._waiting():
                    yield found
        finally:
            if any(thread.is_alive() for thread in threads):
                self.kill()
            for thread in threads:
                thread.join()

    def _waiting(self) -> list[Outcome]:
        """Return what has come in, after a short wait; none if nothing has."""
        found: list[Outcome] = []
        with contextlib.suppress(queue.Empty):
            item = self._found.get(timeout=0.1)
            while True:
                if isinstance(item, GradwrightError):
                    if not found:
                        raise item
                    self._found.put(item)  # what came before it is to be kept first
                    break
                found.append(item)
                item = self._found.get_nowait()
        return found

    def _serve(
        self, worker: int, portions: Portions, folder: Path, deaths: Counter[int], busy: set[int]
    ) -> None:
        """Give a worker one portion after another, and replace it if it dies."""
        given: deque[int] = deque()  # runs that it was sent and that are not done
        group, low, rest = "", 0, b""
        try:
            while True:
                if len(given) <= low:
                    group, numbers = self._more(worker, group, portions, busy, waits=not given)
                    if not numbers and not given:
                        return
                    # the next portion is sent before the worker has to wait for it; not so where
                    # a single run takes long
                    low = len(numbers) // 2
                    self._send(worker, folder, numbers)
                    given.extend(numbers)
                found = self._receive(worker, given, portions, rest)
                rest = found or b""
                if found is None:
                    self._died(worker, given[0], deaths)
                    with self._changed:
                        portions.add(given)
                    given.clear()
                    low = 0
        except OSError as error:
            reason = error.strerror or str(error)
            self._fail(RunError(f"a worker of the sweep cannot be started: {reason}."))
        except GradwrightError as error:
            self._fail(error)
        finally:
            with self._changed:
                busy.discard(worker)
                self._changed.notify_all()
            self._let_go(worker)

    def _fail(self, error: GradwrightError) -> None:
        self._found.put(error)
        self.stop()

    def _more(
        self, worker: int, group: str, portions: Portions, busy: set[int], *, waits: bool
    ) -> tuple[str, list[int]]:
        """Return the next runs for a worker, and what they need; none if there are none."""
        with self._changed:
            if waits:
                busy.discard(worker)
                self._changed.notify_all()
            while not self._stopping:
                group, numbers = portions.take(group or None)
                if numbers:
                    busy.add(worker)
                    return group, numbers
                if not waits or not busy:
                    break
                # another worker may die and leave runs behind
                self._changed.wait(timeout=0.1)
        return "", []

    def _send(self, worker: int, folder: Path, numbers: Iterable[int]) -> None:
        process = self._processes.get(worker)
        if process is None:
            process = self._processes[worker] = _start(folder)
        assert process.stdin is not None  # both are pipes
        if numbers:
            with contextlib.suppress(BrokenPipeError):  # it has died, as will be seen
                process.stdin.write(" ".join(map(str, numbers)).encode() + b"\n")
                process.stdin.flush()

    def _receive(
        self, worker: int, given: deque[int], portions: Portions, rest: bytes
    ) -> bytes | None:
        """Take the outcomes that a worker has written; None if it has died.

        What it writes stays in the pipe, whatever becomes of it. So it is not read at once:
        to be woken for each run would take more time than the short ones do.

        Returns
        -------
        bytes
            The beginning of a line whose end is not there yet; `rest` is that of the last time.
        """
        stdout = self._processes[worker].stdout
        assert stdout is not None
        content = os.read(stdout.fileno(), _PIPE)
        if not content:
            return None
        *lines, rest = (rest + content).split(b"\n")
        for line in lines:
            outcome = _read(line.decode("ascii"))
            number = given.popleft()
            if outcome.key != self.job.plan.key(number):
                raise InternalError(f"a worker did {outcome.key} in place of run {number}")
            with self._changed:
                portions.note(portions.group(number), outcome.seconds)
            self._found.put(outcome)
        if given:
            time.sleep(_BREATH)
        return rest

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
            process.stdin.write(b"\n")
            process.stdin.flush()
        _close(process)
        process.wait()


def _start(folder: Path) -> "subprocess.Popen[bytes]":
    # a session of its own: Ctrl-C reaches us alone, and we end the workers
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "runtime.sweeps.worker", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=child_environment(threads=1),
        start_new_session=True,
    )


def _close(process: "subprocess.Popen[bytes]") -> None:
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
        return Outcome.from_line(line)
    except InputError as error:
        raise InternalError(f"a worker of the sweep sent what is no outcome: {error}") from None
