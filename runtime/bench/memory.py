"""How much memory a contender takes beyond what its modules and its compiled code do.

A worker of its own: it trains on some rows first, so that all is imported, compiled or loaded
that will be, and takes that for the start. Then it reads the whole set and trains an epoch: the
most that it held beyond the start is the figure, inputs included. Ours reads what is mostly zeros
as ``gradwright train`` does, into compressed rows; the others take arrays.
"""

import contextlib
import ctypes
import gc
from dataclasses import replace
from pathlib import Path

from runtime.bench.peers import OURS, contender
from runtime.bench.workload import Workload, given_set, start, training_set
from runtime.network_choice import rows_wanted

LEAST = 16 << 20  # bytes of inputs; with fewer it is a matter of what allocators keep
_BATCHES = 4  # that the start is trained on


def input_bytes(work: Workload) -> int:
    """Return the bytes of the training inputs, in the type of the training."""
    return work.samples * work.sizes[0] * (4 if work.dtype == "float32" else 8)


def peak_beyond_imports(name: str, work: Workload, threads: int, *, offline: bool) -> int | None:
    """Return the bytes of a run of one epoch at its peak, or None where the system does not say.

    Parameters
    ----------
    name, work, threads
        As for `contender`. This process must not have trained before.
    offline
        Never download.
    """
    X, Y = training_set(work, offline=offline)
    few = replace(work, samples=min(work.samples, _BATCHES * work.batch))
    rows, targets = X[: few.samples].copy(), Y[: few.samples].copy()
    del X, Y
    contender(name, few, rows, targets, threads).train(start(few), 1)
    taken = rows_wanted(work.network(), work.sparse) if name == OURS else "never"
    _give_back()
    before = _resident("VmRSS")
    if before is None:
        return None
    given, Y = given_set(work, offline=True, sparse=taken)
    _give_back()
    if not _forget_the_peak():  # that of reading, and of what was compiled
        return None
    contender(name, work, given, Y, threads).train(start(work), 1)
    peak = _resident("VmHWM")
    return None if peak is None else max(0, peak - before)


def _give_back() -> None:
    """Return to the system what is free; the GNU allocator keeps up to 32 MiB of an array."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _resident(what: str) -> int | None:
    """Return what Linux says of this process's memory: ``VmRSS`` now, ``VmHWM`` at its peak."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{what}:")]
    return 1024 * int(found[0]) if found else None


def _forget_the_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True
