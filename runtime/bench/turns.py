"""Let the contenders run in turn, each in a process of its own."""

import contextlib
import importlib.util
import math
import os
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from runtime.bench.busy import busy_processes
from runtime.bench.floors import Floors
from runtime.bench.machine import MACHINE
from runtime.bench.memory import LEAST, input_bytes
from runtime.bench.others import PATIENCE, Patience, Waiting, machine_seconds
from runtime.bench.peers import ON_REQUEST, ONE_THREAD, OURS, PEERS, difference, why_not
from runtime.bench.process import Process
from runtime.bench.result import BenchResult
from runtime.bench.workload import Array, Params, Workload, start, workload
from runtime.errors import InputError, RunError
from runtime.run_record import platform_facts

TURN = 0.2  # seconds that a turn lasts at least: short runs are repeated within it
# how far contenders may lie apart after one epoch: far above rounding, far below a mistake
_APART = {"float32": 1e-3, "float64": 1e-9}

Say = Callable[[str], object]


def run_bench(
    target: str,
    *,
    against: Sequence[str] | None = None,
    threads: int = 1,
    repeats: int = 5,
    batch: int | None = None,
    epochs: int | None = None,
    dtype: str = "float32",
    sparse: str = "auto",
    loss: str = "cross-entropy",
    define: Sequence[str] = (),
    l2: float = 0.0,
    labels: str = "one-hot",
    busy: int = 0,
    wait: float = PATIENCE,
    memory: bool = True,
    offline: bool = False,
    say: Say | None = None,
    tell_waiting: Callable[[Waiting | None], object] | None = None,
) -> BenchResult:
    """Time training by our kernels and by others, in turn, on the same work.

    All start from the same parameters and use the same data. First each trains an epoch in
    one given order, and must come to the same parameters. Then they take turns: ours, the
    first peer, the second, ours again, …, so that a drift of the machine meets all alike.
    Before a first epoch and before a turn others are waited for to leave the machine alone; if
    they do not, it is measured all the same, and the result says that it was busy. In the
    turns each shuffles for itself, as it would in earnest. Last in each turn the machine itself
    is measured: the products in BLAS, and multiply-adds at their peak.

    Parameters
    ----------
    target
        ``circles``, ``mnist``, or a network.
    against
        Names of peers; by default all that are installed and can compute the network.
    threads
        Of each contender; with more than one, each runs with one thread as well.
    repeats
        Turns of each contender.
    batch
        Samples per step, if not the target's own number.
    epochs
        Epochs of a run, if not the target's own number: what is prepared once for a run, such
        as compressed inputs, is shared among them.
    dtype, labels
        As for `codegen.generate`.
    sparse
        As for `Settings`; it is about our kernels alone.
    loss, define, l2
        As for `derive.parse_spec`.
    busy
        How many processes keep the contenders' processors busy beside them, in all turns; then
        nobody is waited for.
    wait
        Seconds in all to wait until other programmes leave the machine alone.
    memory
        Whether to measure the memory of training, where inputs are many: each contender starts
        once more for that.
    offline
        Never download MNIST.
    say
        Called with what happens next.
    tell_waiting
        Called once a second with whom it waits for, and with None when that is over.

    Raises
    ------
    InputError
        If the target or a peer is not known, a peer is not installed or cannot compute the
        network, or a number is out of range.
    RunError
        If contenders do not come to the same parameters, or one is killed.
    """
    say = say or _say_nothing
    tell_waiting = tell_waiting or _say_nothing
    if repeats < 1:
        raise InputError(f"repeats: {repeats}. Expected a number from 1.")
    if busy < 0:
        raise InputError(f"busy: {busy}. Expected a number from 0.")
    if not 0 <= wait < math.inf:
        raise InputError(f"wait: {wait}. Expected seconds, 0 or more.")
    processors = _choose_processors(threads)
    if against is not None:
        _check_known(against)
    work = workload(
        target,
        batch=batch,
        epochs=epochs,
        dtype=dtype,
        sparse=sparse,
        loss=loss,
        define=define,
        l2=l2,
        labels=labels,
    )
    peers, left_out = _choose_peers(against, work)
    with contextlib.ExitStack() as stack:
        # of this run's own, so that every first epoch compiles whatever there is to compile
        cache = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        processes: list[Process] = []
        first: dict[str, float] = {}
        disagreement: dict[str, float] = {}
        ours: Params = {}
        patience = Patience(0 if busy else wait, tell_waiting)
        for name, count, label in _entries((OURS, *peers), threads):
            patience.wait()  # several threads may take minutes beside a busy process
            say(f"starting {label}, and its first epoch")
            bound = processors[-count:] if processors else ()
            process = stack.enter_context(
                Process(
                    name,
                    work,
                    threads=count,
                    processors=bound,
                    offline=offline,
                    cache=cache,
                    label=label,
                )
            )
            processes.append(process)
            offline = True  # the first has fetched what was missing
            params, first[label] = _first_epoch(process, work)
            if not ours:
                ours = _finite(params, work)
            elif difference(name, work) is None:
                disagreement[label] = _apart(label, params, ours, work)
        patience.wait()
        say(f"starting {OURS} again, with its kernels in the cache")
        options: dict[str, Any] = {
            "threads": threads, "processors": processors, "offline": True, "cache": cache,
        }  # fmt: skip
        with Process(OURS, work, **options) as again:
            cached = _first_epoch(again, work)[1], again.facts
        peaks = {}
        if memory and input_bytes(work) >= LEAST:
            peaks = _memory((OURS, *peers), work, options, say)
        machines = []
        counts = tuple(dict.fromkeys((threads, 1)))
        for count in counts:
            bound = processors[-count:] if processors else ()
            machine = Process(MACHINE, work, **(options | {"threads": count, "processors": bound}))
            machines.append(stack.enter_context(machine))
        with busy_processes(busy, processors):
            times = _take_turns(processes, machines, repeats, say, patience)
        facts = processes[0].facts
        imports = {process.label: process.facts["import_seconds"] for process in processes}
    return BenchResult(
        work=work,
        threads=threads,
        processors=tuple(facts["processors"]) if processors else (),
        seconds={name: tuple(figures) for name, figures in times.seconds.items()},
        runs={name: tuple(numbers) for name, numbers in times.runs.items()},
        imports=imports,
        first=first,
        generate=(facts["facts"]["generate_seconds"], cached[1]["facts"]["generate_seconds"]),
        cached_first=cached[0],
        memory=peaks,
        bytes_per_step=int(facts["facts"]["bytes_per_step"]),
        floors=tuple(
            Floors.of(work, count, figures)
            for count, figures in zip(counts, times.machine, strict=True)
        ),
        disagreement=disagreement,
        differs={name: reason for name in peers if (reason := difference(name, work)) is not None},
        left_out=left_out,
        others=median(times.others) if times.others and not busy else None,
        busy=busy,
        versions=facts["versions"],
        platform=platform_facts(),
    )


def _memory(
    names: Sequence[str], work: Workload, options: Mapping[str, Any], say: Say
) -> dict[str, int]:
    """Return the bytes that training holds at its peak, of those of whom the system says it."""
    peaks = {}
    for name in names:
        say(f"measuring the memory of {name}")
        with Process(name, work, memory=True, **options) as process:
            found = process.ask({"do": "memory"})["bytes"]
        if found is not None:
            peaks[name] = found
    return peaks


def _say_nothing(message: object) -> None:
    del message


def _entries(names: Sequence[str], threads: int) -> list[tuple[str, int, str]]:
    """Return name, threads and label of all who run: with several threads each with one, too."""
    entries = []
    for name in names:
        if name in ONE_THREAD:
            entries.append((name, 1, name))
            continue
        entries.append((name, threads, name))
        if threads > 1:
            entries.append((name, 1, f"{name}@1"))
    return entries


@dataclass(slots=True)
class _Times:
    """What was measured so far: by contender, of the machine, and how much others used."""

    seconds: dict[str, list[float]]
    runs: dict[str, list[int]]
    machine: list[list[dict[str, Any]]]
    others: list[float]


def _take_turns(
    processes: Sequence[Process],
    machines: Sequence[Process],
    repeats: int,
    say: Say,
    patience: Patience,
) -> _Times:
    labels = [process.label for process in processes]
    times = _Times(
        {label: [] for label in labels}, {label: [] for label in labels}, [[] for _ in machines], []
    )
    for turn in range(repeats):
        say(f"turn {turn + 1} of {repeats}")
        for process in (*processes, *machines):
            patience.wait()
            used, clock = machine_seconds(), time.perf_counter()
            answer = process.ask({"do": "turn", "seconds": TURN})
            used_after, elapsed = machine_seconds(), time.perf_counter() - clock
            if used is not None and used_after is not None:
                by_others = used_after - used - answer["processor_seconds"]
                times.others.append(max(0.0, by_others / elapsed))
            if process in machines:
                times.machine[machines.index(process)].append(answer)
                continue
            times.seconds[process.label].append(answer["seconds"])
            times.runs[process.label].append(answer["runs"])
    return times


def _choose_processors(threads: int) -> tuple[int, ...]:
    """Return the processors to bind to: the last, since the first serves interrupts."""
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    count = os.cpu_count() or 1 if usable is None else len(usable)
    if not 1 <= threads <= count:
        raise InputError(
            f"threads: {threads}. Expected a number from 1 to {count}, the processors that "
            "this process may use."
        )
    return () if usable is None else tuple(usable[-threads:])


def _check_known(against: Sequence[str]) -> None:
    known = ", ".join(sorted(PEERS))
    if not against:
        raise InputError(f"against: no peer is named. Known: {known}.")
    for name in against:
        if name not in PEERS:
            raise InputError(f'against: "{name}" is not known. Known: {known}.')
        module, title, extra = PEERS[name]
        if importlib.util.find_spec(module) is None:
            raise InputError(
                f"against: {title} is not installed. Install it with "
                f"pip install 'gradwright[{extra}]', or leave {name} out."
            )


def _choose_peers(
    against: Sequence[str] | None, work: Workload
) -> tuple[list[str], dict[str, str]]:
    """Return who takes part, and of those not asked for why they do not."""
    peers: list[str] = []
    left_out: dict[str, str] = {}
    by_default = [name for name in PEERS if name not in ON_REQUEST]
    for name in dict.fromkeys(by_default if against is None else against):
        reason = why_not(name, work)
        if against is not None and reason:
            raise InputError(f"against {name}: {reason}. Leave {name} out.")
        if importlib.util.find_spec(PEERS[name][0]) is None:
            reason = f"not installed; pip install 'gradwright[{PEERS[name][2]}]'"
        if reason:
            left_out[name] = reason
        else:
            peers.append(name)
    return peers, left_out


def _first_epoch(process: Process, work: Workload) -> tuple[Params, float]:
    """Return the parameters after an epoch in the common order, and the seconds it took."""
    answer = process.ask({"do": "agree"})
    params = {
        name: np.frombuffer(b64decode(answer["params"][name]), work.dtype).reshape(value.shape)
        for name, value in start(work).items()
    }
    return params, answer["first_seconds"]


def _finite(ours: Params, work: Workload) -> Params:
    """Return our parameters, or refuse to time such a run."""
    if all(np.isfinite(value).all() for value in ours.values()):
        return ours
    raise RunError(
        f"{work.spec}: after one epoch its parameters are not finite. Times of such a run "
        "mean nothing. Choose activations and a loss that can learn."
    )


def _apart(label: str, theirs: Params, ours: Params, work: Workload) -> float:
    """Return how far a peer's parameters lie from ours, or refuse to compare times."""
    apart = max(_relative(theirs[name], ours[name]) for name in ours)
    if apart <= _APART[work.dtype]:
        return apart
    raise RunError(
        f"{label} and gradwright differ by {apart:.1e} after one epoch from the same start in "
        f"the same order; expected at most {_APART[work.dtype]:.0e}. Times of different work "
        f"mean nothing. Either one is wrong, which gradwright check {work.spec} --loss "
        f"{work.loss} tells, or rounding decides how this network goes on, as where log meets "
        "a probability near 0."
    )


def _relative(a: Array, b: Array) -> float:
    """Return max|a - b| / max|b|, absolute where b is all 0."""
    return float(np.abs(a - b).max() / (np.abs(b).max() or 1))
