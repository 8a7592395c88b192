"""Where a run from Python goes on: an earlier result, or a folder that holds a checkpoint."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from runtime.blocks.streamed import AnyDataset
from runtime.checkpoint import NAME, Checkpoint, load_checkpoint, refuse_misfit, source_checksum
from runtime.data.dataset import Dataset
from runtime.errors import InputError
from runtime.files import shown
from runtime.result import Model, TrainResult
from runtime.run_output import record_without_results
from runtime.settings import Settings
from runtime.train_request import refuse_other_data

Resume = TrainResult | str | os.PathLike[str]


def checkpoint_of(resume: Resume, data_seed: int) -> Checkpoint:
    """Return the position to go on from, in arrays of its own.

    Parameters
    ----------
    resume
        A result of `runtime.train`; or a run's folder, or the checkpoint in it.
    data_seed
        What a result's data were drawn from; a result does not know, and its data are compared.

    Raises
    ------
    InputError
        If the file is not there or damaged, or nothing was trained.
    """
    if not isinstance(resume, TrainResult):
        path = Path(resume)
        return load_checkpoint(path / NAME if path.is_dir() else path)
    if resume.position is None:
        raise InputError("resume: the result does not say where its run ended. Train it again.")
    settings = replace(resume.settings, threads=resume.threads)
    return Checkpoint(
        position=resume.position.copy(),
        history=resume.history,
        before_best=None if resume.before_best is None else resume.before_best.copy(),
        record=record_without_results(resume.model, resume.data, settings, data_seed),
        kernels=source_checksum(resume.model.source),
    )


def refuse_other_run(
    resume: Resume,
    start: Checkpoint,
    model: Model,
    data: AnyDataset,
    settings: Settings,
    data_seed: int,
) -> None:
    """Raise `InputError` unless the run to go on with is the one that was asked for.

    More epochs may be asked for, unless a schedule was laid out for their number, and another
    number of threads.
    """
    where = "resume" if isinstance(resume, TrainResult) else shown(resume)
    then, now = start.record, record_without_results(model, data, settings, data_seed)

    def refuse(what: str, before: object, asked: object) -> None:
        if before != asked:
            raise InputError(
                f"{where}: the run has {what} {before}, and {asked} was asked for. Go on with the "
                "arguments of that run, or begin another one without resume."
            )

    refuse("the network", then.spec, now.spec)
    refuse("loss", then.loss, now.loss)
    free = {"threads"} if settings.schedule != "constant" else {"threads", "epochs"}
    for name in sorted((then.settings.keys() | now.settings.keys()) - free):
        refuse(name, then.settings.get(name), now.settings.get(name))
    for name in sorted(now.seeds):
        refuse(name, then.seeds.get(name), now.seeds[name])
    both = (resume.data, data) if isinstance(resume, TrainResult) else ()
    if both and all(isinstance(one, Dataset) for one in both):
        for name in ("X_train", "Y_train", "X_test", "Y_test"):
            if not np.array_equal(*(getattr(one, name) for one in both)):
                raise InputError(f"{where}: {name} is not that of the run. Give the same data.")
    else:
        refuse_other_data(data, then, where)
    refuse_misfit(start, where, model.module)
    epoch = start.position.epoch
    if epoch > settings.epochs:
        raise InputError(
            f"{where}: the run is at epoch {epoch} already, and epochs={settings.epochs} is the "
            "total. Give more."
        )
