"""Let the contenders run in turn, each in a process of its own."""

import contextlib
import importlib.util
import os
import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from runtime.bench.peers import ON_REQUEST, OURS, PEERS, why_not
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
    dtype: str = "float32",
    sparse: str = "auto",
    loss: str = "cross-entropy",
    define: Sequence[str] = (),
    l2: float = 0.0,
    labels: str = "one-hot",
    offline: bool = False,
    say: Say | None = None,
) -> BenchResult:
    """Time training by our kernels and by others, in turn, on the same work.

    All start from the same parameters and use the same data. First each trains an epoch in
    one given order, and must come to the same parameters. Then they take turns: ours, the
    first peer, the second, ours again, …, so that a drift of the machine meets all alike.
    In the turns each shuffles for itself, as it would in earnest.

    Parameters
    ----------
    target
        ``circles``, ``mnist``, or a network.
    against
        Names of peers; by default all that are installed and can compute the network.
    threads
        Of each contender.
    repeats
        Turns of each contender.
    batch
        Samples per step, if not the target's own number.
    dtype, labels
        As for `codegen.generate`.
    sparse
        As for `Settings`; it is about our kernels alone.
    loss, define, l2
        As for `derive.parse_spec`.
    offline
        Never download MNIST.
    say
        Called with what happens next.

    Raises
    ------
    InputError
        If the target or a peer is not known, a peer is not installed or cannot compute the
        network, or a number is out of range.
    RunError
        If contenders do not come to the same parameters, or one is killed.
    """
    say = say or _say_nothing
    if repeats < 1:
        raise InputError(f"repeats: {repeats}. Expected a number from 1.")
    processors = _choose_processors(threads)
    if against is not None:
        _check_known(against)
    work = workload(
        target,
        batch=batch,
        dtype=dtype,
        sparse=sparse,
        loss=loss,
        define=define,
        l2=l2,
        labels=labels,
    )
    peers, left_out = _choose_peers(against, work)
    with contextlib.ExitStack() as stack:
        processes = []
        for name in (OURS, *peers):
            say(f"starting {name}")
            process = Process(name, work, threads=threads, processors=processors, offline=offline)
            processes.append(stack.enter_context(process))
            offline = True  # the first has fetched what was missing
        say("comparing results after an epoch in the same order")
        disagreement = _disagreement(processes, work)
        times = _take_turns(processes, repeats, say)
        facts = processes[0].facts
    return BenchResult(
        work=work,
        threads=threads,
        processors=tuple(facts["processors"]) if processors else (),
        seconds={name: tuple(figures) for name, figures in times.seconds.items()},
        runs={name: tuple(numbers) for name, numbers in times.runs.items()},
        disagreement=disagreement,
        left_out=left_out,
        others=median(times.others) if times.others else None,
        versions=facts["versions"],
        platform=platform_facts(),
    )


def _say_nothing(message: str) -> None:
    del message


@dataclass(slots=True)
class _Times:
    """What was measured so far: by contender, and how much others used in each turn."""

    seconds: dict[str, list[float]]
    runs: dict[str, list[int]]
    others: list[float]


def _take_turns(processes: Sequence[Process], repeats: int, say: Say) -> _Times:
    names = [process.contender for process in processes]
    times = _Times({name: [] for name in names}, {name: [] for name in names}, [])
    for turn in range(repeats):
        say(f"turn {turn + 1} of {repeats}")
        for process in processes:
            used, clock = _machine_seconds(), time.perf_counter()
            answer = process.ask({"do": "turn", "seconds": TURN})
            used_after, elapsed = _machine_seconds(), time.perf_counter() - clock
            times.seconds[process.contender].append(answer["seconds"])
            times.runs[process.contender].append(answer["runs"])
            if used is not None and used_after is not None:
                by_others = used_after - used - answer["processor_seconds"]
                times.others.append(max(0.0, by_others / elapsed))
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


def _disagreement(processes: Sequence[Process], work: Workload) -> dict[str, float]:
    """Return how far each peer's parameters lie from ours, or refuse to compare times."""
    shapes = {name: value.shape for name, value in start(work).items()}

    def trained(process: Process) -> Params:
        packed = process.ask({"do": "agree"})["params"]
        return {
            name: np.frombuffer(b64decode(packed[name]), work.dtype).reshape(shape)
            for name, shape in shapes.items()
        }

    ours = trained(processes[0])
    if not all(np.isfinite(value).all() for value in ours.values()):
        raise RunError(
            f"{work.spec}: after one epoch its parameters are not finite. Times of such a run "
            "mean nothing. Choose activations and a loss that can learn."
        )
    found: dict[str, float] = {}
    for process in processes[1:]:
        theirs = trained(process)
        apart = max(_relative(theirs[name], ours[name]) for name in shapes)
        if not apart <= _APART[work.dtype]:
            raise RunError(
                f"{process.contender} and gradwright differ by {apart:.1e} after one epoch from "
                f"the same start in the same order; expected at most {_APART[work.dtype]:.0e}. "
                "Times of different work mean nothing. Either one is wrong, which "
                f"gradwright check {work.spec} --loss {work.loss} tells, or rounding decides how "
                "this network goes on, as where log meets a probability near 0."
            )
        found[process.contender] = apart
    return found


def _relative(a: Array, b: Array) -> float:
    """Return max|a - b| / max|b|, absolute where b is all 0."""
    return float(np.abs(a - b).max() / (np.abs(b).max() or 1))


def _machine_seconds() -> float | None:
    """Return the processor time used by all programmes so far, on the processors we may use."""
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    except OSError:  # only Linux has it
        return None
    ours = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    ticks = 0
    for line in lines:
        name, *fields = line.split()
        if name in ours:
            user, nice, system, idle, waiting, interrupt, soft, *_ = map(int, fields)
            del idle, waiting
            ticks += user + nice + system + interrupt + soft
    return ticks / os.sysconf("SC_CLK_TCK")
