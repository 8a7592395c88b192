"""Started by mpiexec or another launcher: what is told, and by whom."""

import pytest
from command_line import run_here

from runtime.ranks import launcher
from runtime.ranks.launcher import Launch, find_launch

OPEN_MPI = {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4"}
MPICH = {"PMI_RANK": "0", "PMI_SIZE": "3"}


def test_launchers_are_known_by_what_they_set() -> None:
    assert find_launch(OPEN_MPI) == Launch(rank=1, count=4)
    assert find_launch(MPICH) == Launch(rank=0, count=3)
    step = {"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "8"}
    assert find_launch(step) == Launch(rank=2, count=8)
    script = {"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}  # of sbatch, once
    for alone in (script, {"PMI_RANK": "0", "PMI_SIZE": "1"}, {"PMI_RANK": "x", "PMI_SIZE": ""}):
        assert find_launch(alone) is None


def test_without_mpi4py_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "find_spec", lambda name: None)
    for arguments in (["train", "circles"], ["bench", "circles", "--ranks"]):
        first = run_here(*arguments, **MPICH)
        first.assert_refused(2, "3 processes were started", "pip install 'gradwright[mpi]'")
        assert first.err.count("\n") == 1
        other = run_here(*arguments, **OPEN_MPI)
        assert (other.status, other.out, other.err) == (2, "", "")


@pytest.mark.parametrize("arguments", [["sweep", "circles"], ["bench", "circles"]])
def test_what_is_not_shared_is_not_done_several_times(arguments: list[str]) -> None:
    run_here(*arguments, **MPICH).assert_refused(2, "started 3 times over", "leave out mpiexec")
    assert run_here(*arguments, **OPEN_MPI).err == ""


def test_bench_needs_several_processes() -> None:
    run_here("bench", "circles", "--ranks").assert_refused(2, "mpiexec -n 2 gradwright bench")
