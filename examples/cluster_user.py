"""What a cluster does: one training by several processes, and a sweep by many workers.

    pip install 'gradwright[mpi,dask]'                # and an MPI library, such as Open MPI
    python examples/cluster_user.py                   # two processes of this machine, two workers
    python examples/cluster_user.py --launcher "srun -n 64" --data mnist --batch 64000
    python examples/cluster_user.py --scheduler tcp://head:8786

The training is done once more by one process, with the same batches: its weights differ by no more
than rounding. The sweep is done once more by processes of this machine: its table is the same,
whoever computes it.
"""

import argparse
import shlex
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np

import runtime
from runtime.model_file import load_model

NEEDED = (
    "Needed are an MPI library and pip install 'gradwright[mpi]'; as root, Open MPI also wants "
    "OMPI_ALLOW_RUN_AS_ROOT=1 and OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1. See also --launcher."
)


def train(launcher: list[str], data: str, batch: int, folder: Path) -> float:
    """Train as on the command line, and return the seconds with all that a start takes."""
    command = ["gradwright", "train", data, "--batch", str(batch), "--no-plot", "--quiet"]
    words = [*launcher, *command, "--overwrite", "--out", str(folder)]
    needed = NEEDED if launcher else "Try it by itself."
    before = time.perf_counter()
    try:
        status = subprocess.run(words, check=False).returncode
    except OSError as error:
        sys.exit(f"{words[0]}: {error.strerror}. {needed}")
    if status != 0:
        called = shlex.join([*launcher, "gradwright", "train"])
        sys.exit(f"{called}: failed with status {status}, as told above. {needed}")
    return time.perf_counter() - before


def difference(one: Path, other: Path) -> float:
    """Return by how much the weights of two runs differ, as a share of the largest."""
    first, second = (load_model(folder / "model.safetensors")[0] for folder in (one, other))
    return max(float(np.abs(first[n] - second[n]).max() / np.abs(first[n]).max()) for n in first)


def main() -> None:
    """Train and sweep, and compare."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--launcher", default="mpiexec -n 2", help="starts the processes")
    options.add_argument("--data", default="circles")
    options.add_argument("--batch", type=int, default=10, help="of all processes together")
    options.add_argument("--scheduler", help="of a Dask cluster; by default one is started here")
    options.add_argument("--seeds", type=int, default=50, help="of each point of the sweep")
    chosen = options.parse_args()

    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # which all machines see
        together, alone = Path(folder, "together"), Path(folder, "alone")
        for name, launcher, place in (
            (chosen.launcher, shlex.split(chosen.launcher), together),
            ("one process", [], alone),
        ):
            print(f"{name}: {train(launcher, chosen.data, chosen.batch, place):.1f} s", flush=True)
        print(f"their weights differ by {difference(together, alone):.1e} of the largest")

    sweep = {"eta": [0.01, 0.03, 0.1], "seeds": chosen.seeds}
    local = runtime.sweep("circles", **sweep)
    with nullcontext(chosen.scheduler) if chosen.scheduler else cluster() as scheduler:
        found = runtime.sweep("circles", **sweep, scheduler=scheduler)
    same = found.table() == local.table()
    print(
        f"{len(found.outcomes)} runs by {scheduler}: the table is {'' if same else 'NOT '}the same"
    )


class cluster:  # noqa: N801  # reads as a function
    """A Dask cluster of two workers, as long as the block lasts."""

    def __enter__(self) -> str:
        from distributed import LocalCluster

        self._cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
        return str(self._cluster.scheduler_address)

    def __exit__(self, *error: object) -> None:
        self._cluster.close()


if __name__ == "__main__":
    main()
