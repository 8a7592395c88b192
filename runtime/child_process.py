"""The environment of a Python process that we start to work for us."""

import os
from pathlib import Path

import runtime

# read by the libraries when they are loaded, so they must be set before the process starts
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def child_environment(threads: int) -> dict[str, str]:
    """Return the environment of ``python -P -m runtime...``, whose libraries get some threads."""
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    home = Path(runtime.__file__).resolve().parents[1]
    if home.name not in ("site-packages", "dist-packages"):
        # run from a checkout: with -P the process would not look into the current folder
        paths = [str(home), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return environment
