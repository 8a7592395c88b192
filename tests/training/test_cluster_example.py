"""``examples/cluster_user.py`` where the processes cannot be started."""

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import PATIENCE, environment

EXAMPLE = Path(__file__).parents[2] / "examples" / "cluster_user.py"


@pytest.mark.parametrize(
    ("launcher", "told"),
    [
        (f"{sys.executable} -c 'import sys; sys.exit(3)'", "failed with status 3, as told above"),
        ("no-such-launcher -n 2", "no-such-launcher: No such file or directory"),
    ],
    ids=["fails", "is not there"],
)
def test_a_launcher_that_fails_is_told_in_a_line(launcher: str, told: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", str(EXAMPLE), "--launcher", launcher],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert told in done.stderr
    assert "pip install 'gradwright[mpi]'" in done.stderr
