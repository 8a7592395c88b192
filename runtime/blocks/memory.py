"""How much memory data may take, and how it is shared out where they are larger."""

import math
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from runtime import machine
from runtime.errors import InputError

_UNITS = {"": 1, "B": 1}
_UNITS |= {f"{p}B": 1000 ** (n + 1) for n, p in enumerate("KMGT")}
_UNITS |= {f"{p}IB": 1024 ** (n + 1) for n, p in enumerate("KMGT")}
_UNITS |= {p: 1000 ** (n + 1) for n, p in enumerate("KMGT")}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([A-Za-z]{0,3})")
LEAST = 1 << 20  # bytes
_UNKNOWN = 4 << 30  # bytes that are taken to be free where the system does not say
# a block is read at once: large enough for a disk, small enough that many fit into a buffer
SMALLEST_BLOCK, LARGEST_BLOCK = 1 << 16, 1 << 20
BLOCKS = 128  # in a buffer, at least, where rows can be read in blocks of any size
READERS = 2  # threads that read
_FEWEST = 4  # … and where they cannot
_PER_ROW = 32  # bytes that the kernels keep for a row: its place in the order, and that at rest


def memory_size(given: int | str) -> int:
    """Return a size in bytes: ``"2GB"``, ``"512 MiB"``, ``"1.5G"``, or a number.

    Raises
    ------
    InputError
        If it is no size, or less than a megabyte.

    Examples
    --------
    >>> memory_size("1.5GB"), memory_size("2MiB")
    (1500000000, 2097152)
    """
    found = _SIZE.fullmatch(str(given).strip())
    unit = None if found is None else _UNITS.get(found[2].upper())
    if found is None or unit is None or isinstance(given, bool):
        raise InputError(
            f"memory: {str(given)[:40]!r}. Expected a size such as 500MB, 2GB or 4GiB."
        )
    size = int(float(found[1]) * unit)
    if size < LEAST:
        raise InputError(f"memory: {given} is less than 1 MiB. Give more, such as 500MB.")
    return size


def usual_memory() -> int:
    """Return what data may take unless the user says: about half of what is free.

    It is a power of two, so that it is seldom another from run to run.
    """
    return int(1 << max(LEAST.bit_length() - 1, (free_memory() // 2).bit_length() - 1))


def free_memory() -> int:
    """Return how many bytes this process could still take, as far as the system says."""
    whole = machine.memory()
    found = [int(whole / 2) if math.isfinite(whole) else _UNKNOWN]
    if (free := _number_in("/proc/meminfo", r"MemAvailable:\s+(\d+) kB")) is not None:
        found = [1024 * free]
    if sys.platform == "linux":
        group = "/sys/fs/cgroup"
        limit, used = (
            _number_in(f"{group}/memory.{name}", r"(\d+)") for name in ("max", "current")
        )
        if limit is not None:
            # what files left in the page cache counts as used, and gives way
            cache = _number_in(f"{group}/memory.stat", r"(?m)^file (\d+)") or 0
            found.append(limit - max(0, (used or 0) - cache))
        import resource

        page = os.sysconf("SC_PAGE_SIZE")
        # of the sizes there, in pages, the first is all of it and the sixth data and stack
        for kind, field in ((resource.RLIMIT_AS, 0), (resource.RLIMIT_DATA, 5)):
            soft = resource.getrlimit(kind)[0]
            if soft != resource.RLIM_INFINITY:
                held = _number_in("/proc/self/statm", rf"(?:\d+ ){{{field}}}(\d+)") or 0
                found.append(soft - page * held)
    return max(0, min(found))


def _number_in(path: str, pattern: str) -> int | None:
    try:
        found = re.search(pattern, Path(path).read_text("ascii"))
    except (OSError, UnicodeDecodeError):
        return None
    return None if found is None else int(found[1])


def size_text(size: float) -> str:
    """Return a size for a message.

    Examples
    --------
    >>> size_text(2_500_000), size_text(4 << 30)
    ('2.5 MB', '4.3 GB')
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:,.0f} bytes" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    raise AssertionError("every size has a unit")


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """How a set that is larger than memory goes through it.

    Attributes
    ----------
    memory
        What data may take, in bytes.
    buffer
        Training rows that a buffer holds; there are two.
    edges
        Where blocks begin and end, in rows of the table.
    """

    memory: int
    buffer: int
    edges: NDArray[np.int64]


def make_plan(
    *,
    memory: int,
    where: str,
    rows: int,
    row_bytes: int,
    stored_bytes: int,
    natural: NDArray[np.int64] | None,
    largest: int,
    blocks: tuple[str, str],
) -> Plan:
    """Share memory out.

    Parameters
    ----------
    memory
        What data may take, in bytes.
    where
        What messages call the data.
    rows
        Of the table.
    row_bytes, stored_bytes
        Bytes of a row with its targets as it is trained with, and of one as it is stored.
    natural, largest, blocks
        As `BlockTable.edges`, `BlockTable.largest` and `BlockTable.blocks`.

    Raises
    ------
    InputError
        If there is too little.
    """
    most_bytes = min(LARGEST_BLOCK, memory // 32)
    block_bytes = READERS * most_bytes
    if largest > 1:
        block_bytes = max(block_bytes, largest * stored_bytes)
    # a bit for each row, and a block as it comes in, on its way to a type, and to its place
    rest = memory - rows // 8 - 3 * block_bytes
    buffer = rest // (2 * row_bytes + _PER_ROW)
    if largest > 1 and buffer < _FEWEST * largest:
        least = rows // 8 + 3 * block_bytes + _FEWEST * largest * (2 * row_bytes + _PER_ROW)
        what, smaller = blocks
        raise InputError(
            f"{where}: {what} of up to {largest} rows, and at least {_FEWEST} must fit into the "
            f"{size_text(memory)} that data may take. Give --memory {-(-least // 1_000_000)}MB, "
            f"or {smaller}."
        )
    if natural is not None:
        return Plan(memory=memory, buffer=int(buffer), edges=natural)
    if buffer < BLOCKS:
        least = rows // 8 + 3 * block_bytes + BLOCKS * (2 * row_bytes + _PER_ROW)
        raise InputError(
            f"{where}: {size_text(memory)} is too little memory for it. Give --memory "
            f"{-(-least // 1_000_000)}MB or more."
        )
    least, most = (max(1, size // stored_bytes) for size in (SMALLEST_BLOCK, most_bytes))
    block = int(min(max(buffer // (2 * BLOCKS), least), most, buffer // BLOCKS))
    edges = np.append(np.arange(0, rows, block), rows).astype(np.int64)
    return Plan(memory=memory, buffer=int(buffer), edges=edges)
