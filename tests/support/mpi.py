"""Start the command line by ``mpiexec``, on any machine, and even as root."""

import os
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

from command_line import Outcome, environment
from needed import need

PATIENCE = 120  # seconds until a run is taken to hang
# Open MPI: as root, more processes than there are processors, and beside other work
_ANYWHERE = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}


def run_ranks(tool: Callable[..., str], *groups: tuple[int, list[str]], folder: Path) -> Outcome:
    """Run commands as ranks of one launch: (how many, words), in order; `tool` finds mpiexec."""
    need("mpi4py")
    scripts = Path(sysconfig.get_path("scripts"))
    words: list[str] = [tool("mpiexec")]
    for number, (count, command) in enumerate(groups):
        words += [":"] if number else []
        words += ["-n", str(count), str(scripts / command[0]), *command[1:]]
    done = subprocess.run(
        words,
        cwd=folder,
        env={**environment(), **_ANYWHERE, "OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Outcome(status=done.returncode, out=done.stdout, err=done.stderr)
