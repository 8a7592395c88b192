"""Training by several processes of a real MPI: as one would, whatever becomes of them."""

from collections.abc import Callable
from pathlib import Path

import failing_rank
import numpy as np
import pytest
from command_line import Outcome
from mpi import run_ranks

import runtime
from runtime.checkpoint import load_checkpoint
from runtime.history import History
from runtime.model_file import load_model

Tool = Callable[..., str]
CIRCLES = ["train", "circles", "--no-plot", "--out", "run"]


def failing(how: str, command: list[str]) -> list[str]:
    """Return the words for a rank that fails in its 50th sum: in epoch 3 of batches of 10."""
    return ["python", failing_rank.__file__, how, "50", *command]


@pytest.mark.long
def test_what_two_leave_when_one_fails_four_go_on_with(tool: Tool, tmp_path: Path) -> None:
    # 11 of 200 samples: shards of five and six, and of one or none in the last batch of four
    command = [*CIRCLES, "--batch", "11", "--checkpoint-every", "1", "--epochs", "4"]
    two = (1, ["gradwright", *command]), (1, failing("raises", command))
    ended = run_ranks(tool, *two, folder=tmp_path)
    assert ended.status == 1, ended
    assert "2 processes, each with about 5.5 samples" in ended.err
    assert told(ended) == ["gradwright: process 1 of 2: OSError: the network is down"]
    four = run_ranks(tool, (4, ["gradwright", *CIRCLES, "--resume"]), folder=tmp_path)
    assert four.status == 0, four.err
    assert "processes were 2 and are 4" in four.err
    assert four.err.count("results are in") == four.out.count("test accuracy") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    params, _ = load_model(tmp_path / "run" / "model.safetensors")
    alone = runtime.train("circles", epochs=4, batch=11)
    for name, value in alone.model.params.items():
        np.testing.assert_allclose(params[name], value, rtol=1e-4, atol=1e-6)
    history = History.from_csv((tmp_path / "run" / "history.csv").read_text())
    np.testing.assert_allclose(history.figures, alone.history.figures, rtol=1e-4)


def told(ended: Outcome) -> list[str]:
    """Return our own messages; a launcher has some, too."""
    assert "Traceback" not in ended.err
    return [line for line in ended.err.splitlines() if line.startswith("gradwright:")]


# how one of two ranks fails -> status of the launcher, what is said, epochs kept
FAILURES = {
    "killed": (None, None, 1),
    "not a number": (1, "training diverged: the loss is nan after epoch 3", 2),
    "differs": (1, "no longer have the same weights", 1),
    "cannot write": (1, "checkpoint.safetensors: the disk is full. The checkpoint after", 1),
    "terminated": (143, " of 1000, and saved", 3),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", FAILURES)
def test_a_rank_that_fails_ends_the_run(how: str, tool: Tool, tmp_path: Path) -> None:
    status, message, kept = FAILURES[how]
    command = [*CIRCLES, "--epochs", "1000", "--checkpoint-every", "1"]
    ranks = [(1, ["gradwright", *command]), (1, failing(how, command))]
    if how == "cannot write":  # which only the first does
        ranks.reverse()
    ended = run_ranks(tool, *ranks, folder=tmp_path)
    assert ended.status == status if status is not None else ended.status not in (0, 2)
    assert len(told(ended)) == (0 if how in ("killed", "terminated") else 1)
    assert message is None or message in ended.err
    assert load_checkpoint(tmp_path / "run" / "checkpoint.safetensors").position.epoch >= kept


@pytest.mark.slow
def test_what_only_one_rank_cannot_do_is_told_once(tool: Tool, tmp_path: Path) -> None:
    rows = [f"{x},{x % 3},{x % 2}" for x in range(40)]
    (tmp_path / "here.csv").write_text("\n".join(rows))
    (tmp_path / "elsewhere").mkdir()
    command = ["train", "here.csv", "2-10-2", "--no-plot", "--out", "run"]
    other = f"import os; from runtime.cli import main; os.chdir('elsewhere'); main({command})"
    ended = run_ranks(
        tool, (1, ["gradwright", *command]), (1, ["python", "-c", other]), folder=tmp_path
    )
    assert ended.status == 2
    (message,) = told(ended)
    assert message.startswith("gradwright: process 1 of 2: here.csv")
    assert not (tmp_path / "run").exists()
