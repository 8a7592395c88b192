"""What every rank but the first does: it trains as it is told, and says nothing.

It gets the record of the run, as ``run.json`` will have it, with which it loads the data and
generates the kernels as for ``--from``; that its data are the first rank's, their checksums show.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

import click

from runtime.errors import GradwrightError, RunError
from runtime.interruption import Interrupted, StopRequest
from runtime.ranks.communicator import Dismissed, Plan, Ranks, UnlikeError

if TYPE_CHECKING:
    from runtime.checkpoint import Checkpoint
    from runtime.data.dataset import Dataset
    from runtime.result import Model
    from runtime.settings import Settings


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """What a run needs: see `runtime.running.run`."""

    model: "Model"
    dataset: "Dataset"
    settings: "Settings"
    start: "Checkpoint | None"


def follow(ranks: Ranks) -> int:
    """Do what the first rank says until it ends, and return the exit status.

    That is 0 whatever becomes of the run: the status of the launcher is then the first rank's.
    """
    try:
        plan = ranks.hear()
        if plan is not None:
            _train(ranks, plan)
            ranks.hear()
    except Interrupted as signalled:  # who sent it, sent it to all, and the first rank tells
        os._exit(signalled.exit_status)
    except BaseException as error:  # noqa: BLE001  # the others wait for sums that will not come
        what = str(error)
        if not isinstance(error, GradwrightError):
            what = f"{type(error).__name__}: {what}"
        click.echo(f"gradwright: process {ranks.number} of {ranks.count}: {what}", err=True)
        ranks.abort(getattr(error, "exit_status", 1))
    return 0


def _train(ranks: Ranks, plan: Plan) -> None:
    from runtime.divergence import DivergenceError
    from runtime.training import Progress, run

    prepared, problem = None, ""
    with ranks.one_of_a_machine_first():
        try:
            prepared = _prepare(plan)
        except GradwrightError as error:
            problem = str(error)
        except MemoryError:
            problem = "there is not enough memory"
    if any(ranks.problems(problem)) or prepared is None:
        return  # the first rank tells
    with StopRequest(None) as stop:

        def report(progress: Progress) -> bool:
            del progress
            ranks.signal = stop.number or ranks.signal
            return ranks.signal > 0

        try:
            run(
                prepared.model,
                prepared.dataset,
                prepared.settings,
                report,
                start=prepared.start,
                ranks=ranks,
            )
        except (Dismissed, DivergenceError, UnlikeError):
            return  # so does the first rank, and tells


def _prepare(plan: Plan) -> _Prepared:
    """Load and generate what the plan is about.

    Raises
    ------
    InputError, RunError
        If that cannot be done here.
    """
    from runtime.data.catalogue import choose
    from runtime.run_record import RunRecord
    from runtime.train_request import data_of, make_request, options_of, refuse_other_data
    from runtime.training import in_dtype, prepare

    record = RunRecord.from_json(plan["record"])
    options = options_of(record, "the run")
    choice = choose(data_of(record))
    request = make_request(choice, record.spec, options)
    if request.network is None:
        raise RunError(f"the network {record.spec} is not known here")
    settings = request.settings
    dataset = choice.load(request.data_options(plan["data_dir"], plan["offline"]))
    refuse_other_data(dataset, record, "the first process")
    dataset = in_dtype(dataset, settings)
    model = prepare(request.network, dataset, settings, labels=options["labels"], shards=True)
    return _Prepared(
        model=model, dataset=dataset, settings=settings, start=_checkpoint(plan["start"])
    )


def _checkpoint(content: bytes | None) -> "Checkpoint | None":
    from runtime.checkpoint import load_checkpoint

    if content is None:
        return None
    with tempfile.TemporaryDirectory(prefix="gradwright-") as folder:
        path = Path(folder, "checkpoint.safetensors")
        path.write_bytes(content)
        return load_checkpoint(path)
