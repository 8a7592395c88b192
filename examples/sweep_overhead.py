"""What a sweep adds to each run, beyond the training itself: by a process, and by Dask.

One worker does short runs of Circles. From the first outcome on, the time that passes is compared
with the time that the runs say they took; what is left over is the sweep's own, data from and to
the worker included. Dask is measured if it is installed.

    python examples/sweep_overhead.py [RUNS]
"""

import sys
import time
from importlib.util import find_spec

import runtime


def overhead(runs: int, scheduler: str | None = None) -> tuple[float, float]:
    """Return milliseconds beyond training, and of training, for each run."""
    first: list[tuple[float, int]] = []

    def report(progress: runtime.SweepProgress) -> None:
        if progress.done and not first:
            first.append((time.perf_counter(), progress.done))

    one = {} if scheduler else {"workers": 1}
    result = runtime.sweep(
        "circles", seeds=runs, epochs=150, scheduler=scheduler, callback=report, **one
    )
    began, done = first[0]
    passed = time.perf_counter() - began
    trained = sorted(outcome.seconds for outcome in result.outcomes.values())
    mean = sum(trained) / runs
    return 1e3 * (passed / (runs - done) - mean), 1e3 * mean


def main() -> None:
    """Print a line for each kind of worker."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    runtime.sweep("circles", seeds=1, workers=1)  # compiles
    beyond, training = overhead(runs)
    print(f"a process    {beyond:.3f} ms a run beyond {training:.2f} ms of training")
    if find_spec("distributed") is None:
        print("Dask is not installed: pip install 'gradwright[dask]'")
        return
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        beyond, training = overhead(runs, cluster.scheduler_address)
        print(f"a Dask worker {beyond:.3f} ms a run beyond {training:.2f} ms of training")


if __name__ == "__main__":
    main()
