"""What the first rank tells the others before they train."""

from typing import TYPE_CHECKING

from runtime.errors import InputError

if TYPE_CHECKING:
    from runtime.checkpoint import Checkpoint
    from runtime.ranks.communicator import Plan, Ranks
    from runtime.run_record import RunRecord


def plan_of(
    record: "RunRecord", data_dir: str | None, offline: bool, start: "Checkpoint | None"
) -> "Plan":
    """Return what the other ranks are told of a run."""
    return {
        "record": record.to_json(),
        "data_dir": data_dir,
        "offline": offline,
        "start": None if start is None else start.to_bytes(),
    }


def lead(ranks: "Ranks", plan: "Plan") -> None:
    """Tell the other ranks what to train, and wait until all can.

    Raises
    ------
    InputError
        If one cannot.
    """
    ranks.tell(plan)
    ranks.stage = "turn"
    with ranks.one_of_a_machine_first():
        pass  # it is ready
    for rank, problem in enumerate(ranks.problems()):
        if problem:
            ranks.stage = "end"
            raise InputError(f"process {rank} of {ranks.count}: {problem}")
