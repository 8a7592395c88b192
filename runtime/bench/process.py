"""A contender's process, seen from outside."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from codegen.cache import ENVIRONMENT as CACHE
from runtime import errors
from runtime.bench.machine import MACHINE
from runtime.bench.workload import Workload
from runtime.child_process import child_environment
from runtime.errors import InternalError, RunError


class Process:
    """The worker of one contender; leaving the context ends it.

    Attributes
    ----------
    contender
        Its name.
    label
        What it is called in the result: its name, with ``@1`` if it has one thread where
        others have several.
    facts
        What it said when it was ready, as `runtime.bench.worker` writes it.
    """

    def __init__(
        self,
        contender: str,
        work: Workload,
        *,
        threads: int,
        processors: Sequence[int],
        offline: bool,
        cache: Path,
        label: str = "",
        memory: bool = False,
    ) -> None:
        self.contender = contender
        self.label = label or contender
        # a session of its own: Ctrl-C reaches us alone, and we end the worker
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "runtime.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=_environment(1 if contender == MACHINE else threads, cache / self.label),
            start_new_session=True,
        )
        settings = {
            "contender": contender,
            "work": work.to_json(),
            "threads": threads,
            "processors": list(processors),
            "offline": offline,
            "memory": memory,  # it is asked for the memory of a run, and for nothing else
        }
        try:
            self.facts = self.ask(settings)
        except BaseException:
            self.end()
            raise

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return the answer.

        Raises
        ------
        GradwrightError
            As the worker says.
        RunError, InternalError
            If it was killed, or ended by a mistake of ours.
        """
        assert self._process.stdin is not None  # both are pipes
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise self._ended()
        answer: dict[str, Any] = json.loads(line)
        if error := answer.get("error"):
            kind: type[Exception] = getattr(errors, error["kind"])
            raise kind(error["message"])
        return answer

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue  # what it had not read yet is lost, with it

    def _ended(self) -> RunError | InternalError:
        status = self._process.wait()
        if status < 0:
            return RunError(
                f"{self.label}: its process was ended by signal {-status}; for want of "
                "memory, perhaps. Bench a smaller network, or fewer peers at once (--against)."
            )
        return InternalError(
            f"the process of {self.label} ended with status {status}; it wrote why above"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()


def _environment(threads: int, cache: Path) -> dict[str, str]:
    """Return the environment of a worker, whose compilers keep their results in `cache`."""
    environment = child_environment(threads)
    environment[CACHE] = str(cache / "kernels")
    environment["TORCHINDUCTOR_CACHE_DIR"] = str(cache / "inductor")
    environment["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # no processes that we could not end
    return environment
