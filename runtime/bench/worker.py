"""The process of one contender: ``python -P -m runtime.bench.worker``.

It reads requests from standard input and answers on standard output, one JSON object a
line, and ends when its input does:

    {"contender", "work", "threads", "processors", "offline", "memory"}
        ->  {"versions", "processors", "import_seconds", "facts"}
    {"do": "memory"}           ->  {"bytes"}
    {"do": "agree"}            ->  {"params": {name: base64}, "first_seconds"}
    {"do": "turn", "seconds"}  ->  {"seconds", "runs", "processor_seconds"}

With ``memory`` true, it has not read its data when it answers, and is asked for that alone.
Its first epoch, ``first_seconds`` from when its modules are imported, has everything that is
derived, traced or compiled in it. The machine answers a turn with the figures of
`runtime.bench.machine.Machine.measure`, and to nothing else. Or the answer is
``{"error": {"kind", "message"}}``. What others print goes to standard error.

An answer comes only after this process has become idle: the threads of OpenBLAS and OpenMP
spin for a while after their last work, and would take the processor from whoever comes next.
"""

import contextlib
import json
import os
import sys
import time
from importlib import import_module
from typing import IO, Any

_IDLE = 0.02  # share of a processor
_WINDOW = 0.02  # seconds
_PATIENCE = 2.0  # seconds


def main() -> None:
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    settings = json.loads(sys.stdin.readline())
    if settings["processors"] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, settings["processors"])
    from runtime.errors import GradwrightError

    try:
        _serve(settings, answers)
    except GradwrightError as error:
        _answer(answers, {"error": {"kind": type(error).__name__, "message": str(error)}})
    except MemoryError as error:
        message = f"not enough memory: {error}. Bench a smaller network."
        _answer(answers, {"error": {"kind": "RunError", "message": message}})


def _serve(settings: dict[str, Any], answers: IO[str]) -> None:
    from runtime.bench.machine import MACHINE
    from runtime.bench.peers import IMPORTS, contender
    from runtime.bench.workload import Workload, one_order, start, training_set

    work = Workload.from_json(settings["work"])
    name, threads = settings["contender"], settings["threads"]
    if settings["memory"]:
        from runtime.bench.memory import peak_beyond_imports

        _answer(answers, {})
        for _ in sys.stdin:
            found = peak_beyond_imports(name, work, threads, offline=settings["offline"])
            _answer(answers, {"bytes": found})
        return
    X, Y = training_set(work, offline=settings["offline"])
    if name == MACHINE:
        _measure(work, X, threads, answers)
        return
    before = time.perf_counter()
    for module in IMPORTS.get(name, ()):
        import_module(module)
    imported = time.perf_counter()
    runner = contender(name, work, X, Y, threads)
    built_seconds = time.perf_counter() - imported

    def run() -> float:
        """Return the seconds that a whole run takes from the start."""
        params = start(work)
        before = time.perf_counter()
        runner.train(params, work.epochs)
        return time.perf_counter() - before

    facts = {
        "versions": _versions(),
        "processors": _processors(),
        "import_seconds": imported - before,
        "facts": getattr(runner, "facts", {}),
    }
    _answer(answers, facts)
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "agree":
            params, order = start(work), one_order(work)
            before = time.perf_counter()
            runner.train(params, 1, order)
            first_seconds = built_seconds + time.perf_counter() - before
            run()  # warm: nothing is compiled, allocated or read for the first time later
            answer: dict[str, Any] = {
                "params": {k: _packed(v) for k, v in params.items()},
                "first_seconds": first_seconds,
            }
        else:
            before = time.process_time()
            times = [run()]
            while sum(times) < request["seconds"]:
                times.append(run())
            answer = {
                "seconds": sum(times) / len(times),
                "runs": len(times),
                "processor_seconds": time.process_time() - before,
            }
        _become_idle()
        _answer(answers, answer)


def _measure(work: Any, X: Any, threads: int, answers: IO[str]) -> None:
    """Answer with what the machine can do, turn by turn."""
    from runtime.bench.machine import Machine

    machine = Machine(work, X, threads)
    _answer(answers, {"versions": {}, "processors": _processors()})
    for _ in sys.stdin:
        before = time.process_time()
        figures = machine.measure()
        figures["processor_seconds"] = time.process_time() - before
        _become_idle()
        _answer(answers, figures)


def _versions() -> dict[str, str]:
    """Return the versions of what a figure can depend on, peers included."""
    from importlib import metadata

    from runtime.run_record import versions

    found = versions()
    for name in ("jax", "jaxlib", "scikit-learn"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _answer(answers: IO[str], content: dict[str, Any]) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


def _become_idle() -> None:
    """Return when this process uses no processor any more, or patience ends."""
    deadline = time.perf_counter() + _PATIENCE
    while time.perf_counter() < deadline:
        before = time.process_time()
        time.sleep(_WINDOW)
        if time.process_time() - before < _IDLE * _WINDOW:
            return


def _processors() -> list[int]:
    """Return the processors that this process may use; empty where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _packed(array: Any) -> str:
    from base64 import b64encode

    return b64encode(array.tobytes()).decode()


if __name__ == "__main__":
    main()
