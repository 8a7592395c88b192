"""What the machine has, on systems that tell it in different ways."""

import math
import os


def memory() -> float:
    """Return the bytes of memory; infinite where the system does not say, as under Windows.

    That kills no process for want of memory, but refuses it what it asks for (`MemoryError`).
    """
    if not hasattr(os, "sysconf"):
        return math.inf
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
