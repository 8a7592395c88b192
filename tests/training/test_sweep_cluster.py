"""A sweep by a real Dask cluster on this machine, whose workers are killed meanwhile."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, os, signal, sys
from distributed import LocalCluster
import runtime
from runtime.sweeps.table import csv_text

ALONE = dict(hidden="2,10", eta="0.03,0.1", seeds=250, epochs=100)

if __name__ == "__main__":
    killed, calls = [], []
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        def report(progress):
            calls.append(progress.done)
            workers = [nanny.process for nanny in cluster.workers.values() if nanny.process]
            pids = [worker.pid for worker in workers if worker.pid]
            if len(killed) < 2 and progress.done > 100 * (1 + len(killed)) and pids:
                killed.append(pids[len(killed) % len(pids)])
                os.kill(killed[-1], signal.SIGKILL)
        result = runtime.sweep(
            "circles", scheduler=cluster.scheduler_address, callback=report, **ALONE
        )
    here = runtime.sweep("circles", workers=1, **ALONE)
    same = csv_text(result.table()) == csv_text(here.table())
    print(json.dumps({"killed": len(killed), "same": same, "done": calls[-1], "new": result.new}))
"""


@pytest.mark.slow
def test_killed_workers_of_a_cluster_cost_their_unfinished_runs_only(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {"killed": 2, "same": True, "done": 1000, "new": 1000}


@pytest.mark.slow
def test_a_scheduler_that_is_not_there_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    command = [sys.executable, "-m", "runtime", "sweep", "circles", "--seeds", "2"]
    done = subprocess.run(
        [*command, "--scheduler", "tcp://127.0.0.1:9"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2, done.stderr
    assert "tcp://127.0.0.1:9 cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
