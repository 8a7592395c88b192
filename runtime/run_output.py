"""The files of a run: what is in them, and how they get into the folder all at once."""

import contextlib
import secrets
import shutil
import signal
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from runtime.blocks.streamed import AnyDataset
from runtime.checkpoint import NAME, NEW_NAME
from runtime.errors import RunError
from runtime.files import path_error, shown, utf8, write_atomically
from runtime.model_file import model_bytes
from runtime.result import Model, TrainResult
from runtime.run_folder import RunFolder, held_files, open_run_folder
from runtime.run_record import DataRecord, RunRecord, platform_facts, versions
from runtime.settings import Settings


def run_files(
    result: TrainResult,
    *,
    data_seed: int,
    plot: bool,
    stopped_by: int | None,
    plot_format: str = "png",
    log_scale: bool = False,
) -> dict[str, bytes]:
    """Return the content of every file of a run, by name.

    Parameters
    ----------
    result
        What was trained.
    data_seed
        What a generated set was drawn from.
    plot
        Whether to draw the pictures.
    stopped_by
        The signal that ended the run before its last epoch, if one did.
    plot_format, log_scale
        As for `runtime.run_pictures.run_pictures`.
    """
    files = {
        "model.safetensors": model_bytes(result.model.params, _metadata(result, data_seed)),
        "history.csv": result.history.to_csv().encode(),
        "kernels.py": result.model.source.encode(),
    }
    if plot:
        from runtime.run_pictures import run_pictures

        files |= run_pictures(result, form=plot_format, log=log_scale)
    # last, and so it is written last: where it is, the run is whole
    files["run.json"] = utf8(_record(result, data_seed, stopped_by).to_json())
    return files


def save_files(folder: RunFolder, files: Mapping[str, bytes]) -> None:
    """Put all files into the folder, or none; a run that was there gives way as a whole.

    The files are written beside their places first, so that a full disk is met while the
    old ones are still there; then each is renamed, which takes no space. Files of an old
    run that the new one does not have are removed: an old picture beside a new network
    would lie. The checkpoint stays; that of a run that replaces another takes its name.

    Raises
    ------
    RunError
        If they cannot be written. Then nothing in the folder has changed.
    """
    staging = folder.path / f".gradwright-{secrets.token_hex(8)}"
    try:
        try:
            staging.mkdir()
        except OSError as error:
            raise path_error(error, folder.path, "written to", work_began=True) from error
        for name, content in files.items():
            try:
                write_atomically(staging / name, content, work_began=True)
            except RunError as error:
                raise _about(error, staging, folder.path) from error
        for name in files:
            target = folder.path / name
            try:
                (staging / name).replace(target)
            except OSError as error:
                raise path_error(error, target, "written", work_began=True) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    for name in set(folder.held) - set(files) - {NAME, NEW_NAME}:
        with contextlib.suppress(FileNotFoundError):
            (folder.path / name).unlink()
    if (folder.path / NEW_NAME).exists():  # until now the sign that this was not done
        (folder.path / NEW_NAME).replace(folder.path / NAME)


def open_folder_beside(path: Path) -> RunFolder:
    """Open the first of ``PATH-2``, ``PATH-3``, … that holds no run.

    Raises
    ------
    InputError, RunError
        If it cannot be used.
    """
    path = path.absolute() if path.name else path.resolve()
    candidates = (path.with_name(f"{path.name}-{number}") for number in count(2))
    return open_run_folder(path.name, next(c for c in candidates if not held_files(c)))


def _about(error: RunError, staging: Path, folder: Path) -> RunError:
    """Return the same error in terms of the folder that the user knows."""
    return RunError(str(error).replace(shown(staging), shown(folder)))


def _settings(model: Model, settings: Settings) -> dict[str, Any]:
    network = model.network
    return {
        **settings.as_json(),
        "labels": model.labels,
        "define": [str(definition) for definition in network.definitions],
        "l2": network.l2,
    }


def _metadata(result: TrainResult, data_seed: int) -> dict[str, Any]:
    """Return what ``model.safetensors`` says about itself: no times, no paths."""
    settings = _settings(result.model, result.settings)
    del settings["threads"]  # a matter of the machine, like the versions in run.json
    scaling = result.data.scaling
    return {
        "spec": result.model.spec,
        "loss": result.model.loss,
        "classes": list(result.data.classes),
        "epochs": result.history.epochs,
        **({} if result.best is None else {"best_epoch": result.best}),
        "settings": settings,
        "data_seed": data_seed,
        **({} if scaling is None else {"scaling": scaling.to_json()}),
    }


def _record(result: TrainResult, data_seed: int, stopped_by: int | None) -> RunRecord:
    history, at = result.history, result.epoch - 1
    figures: dict[str, float | int | str | None] = {
        "epochs": history.epochs,
        "test_accuracy": float(history.test_accuracy[at]),
        "test_loss": float(history.test_loss[at]),
        "train_accuracy": float(history.train_accuracy[at]),
        "train_loss": float(history.train_loss[at]),
        "seconds": float(history.seconds[-1]),
    }
    if (regression := result.regression()) is not None:
        figures |= {name: float(values[at]) for name, values in regression.items()}
    if result.best is not None:
        figures["best_epoch"] = result.best
    if result.stopped_because:
        figures["stopped_because"] = result.stopped_because
    if stopped_by is not None:
        figures["stopped_by"] = signal.Signals(stopped_by).name
    settings = replace(result.settings, threads=result.threads)
    record = record_without_results(result.model, result.data, settings, data_seed)
    return replace(record, results=figures)


def record_without_results(
    model: Model, data: AnyDataset, settings: Settings, data_seed: int
) -> RunRecord:
    """Return what ``run.json`` says of a run that has not ended yet."""
    chosen = _settings(model, settings)
    del chosen["seed"]
    return RunRecord(
        spec=model.spec,
        loss=model.loss,
        settings=chosen,
        seeds={"seed": settings.seed, "data_seed": data_seed},
        data=DataRecord(
            name=data.name, sha256=data.sources, classes=data.classes, options=data.options
        ),
        results={},
        versions=versions(),
        platform=platform_facts(),
    )
