"""What ``gradwright train`` keeps of a run: checkpoints on the way, its files at the end."""

import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, final

from runtime.errors import InputError, RunError
from runtime.files import shown
from runtime.interruption import Interrupted
from runtime.messages import say

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runtime.blocks.streamed import AnyDataset
    from runtime.checkpoint import Checkpoint, Keeper
    from runtime.data.catalogue import Choice
    from runtime.result import Model, TrainResult
    from runtime.run_folder import RunFolder
    from runtime.settings import Settings
    from runtime.train_request import Request


@final
class Keeping:
    """The folder of a run, and what is in it; a context manager.

    Whatever ends the run is told to the user together with what was kept of it.

    Attributes
    ----------
    folder
        The folder.
    keeper
        Writes the checkpoints, once `begin` was called.
    where
        The path of the checkpoint, as messages have it.
    replaces
        Whether the run is to replace one that is in the folder, which stays until then.
    names
        Names of the files that are kept besides those that `save` writes.
    """

    def __init__(self, folder: "RunFolder", go_on: str) -> None:
        """Keep a run in `folder`; `go_on` is the command that goes on with it."""
        from runtime.checkpoint import NAME, NEW_NAME

        self.folder = folder
        self.keeper: Keeper | None = None
        self.names: tuple[str, ...] = ()
        self._go_on = go_on
        self._found = 0  # epochs of the checkpoint that was there
        # a run that replaces another does not touch what that one left until it is complete
        new = folder.mode == "overwrite" and bool(folder.held)
        nothing = folder.mode == "resume" and NAME not in folder.held
        self.replaces = new or (folder.mode == "resume" and NEW_NAME in folder.held)
        self.replaces = self.replaces or (nothing and bool(folder.held))
        self._name = NEW_NAME if self.replaces else NAME
        self.where = shown(folder.path / self._name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, RunError):
            raise RunError(f"{str(error).removesuffix('.')}{self.text()}") from error
        if isinstance(error, Interrupted):
            raise Interrupted(error.number, self.text()) from error

    def text(self) -> str:
        """Return what was kept, as the end of a message."""
        kept = ". Nothing was saved."
        if self.keeper is not None:
            self.keeper.wait()
        epoch = self._found if self.keeper is None else self.keeper.saved
        if epoch and self.keeper is not None and self.keeper.diverged:
            kept = f". The weights after epoch {epoch} are kept in {self.where}."
        elif epoch:
            kept = f". The checkpoint after epoch {epoch} is kept. Go on with: {self._go_on}"
        if self.replaces and any(name != self._name for name in self.folder.held):
            end = "" if kept.endswith(".") else " ;"
            kept += f"{end} {shown(self.folder.path)} still holds the run that was there."
        return kept

    def find_start(self) -> "Checkpoint | None":
        """Return the checkpoint to go on from, and say so if there is none.

        Raises
        ------
        InputError
            If it is damaged, or the folder holds an imported network.
        """
        from runtime.checkpoint import load_checkpoint

        remove_leftovers(self.folder.path)
        if self._name not in self.folder.held:
            _refuse_imported(self.folder.path / "run.json")
            what = "no checkpoint" if self.folder.held else "no run to go on with"
            say(f"{shown(self.folder.path)}: {what} yet, so it starts from the beginning")
            return None
        start = load_checkpoint(self.folder.path / self._name)
        self._found = start.position.epoch
        return start

    def resumed(
        self,
        start: "Checkpoint",
        choice: "Choice",
        spec: str | None,
        options: "Mapping[str, Any]",
        given: set[str],
    ) -> "Request":
        """Return the run of a checkpoint, with the options that may be given anew.

        Raises
        ------
        InputError
            If the options that are given ask for another run.
        """
        from runtime.train_request import (
            differences,
            make_request,
            merged,
            options_of,
            refuse_other_run,
        )

        chosen = {name: options[name] for name in options if name in given}
        recorded = options_of(start.record, self.where)
        request = make_request(
            choice, spec or start.record.spec, merged({**options, **recorded}, chosen)
        )
        refuse_other_run(request, choice, start.record, given, self.where)
        epoch, epochs = start.position.epoch, request.settings.epochs
        if epoch > epochs:
            raise InputError(
                f"{self.where}: the run is at epoch {epoch} already, and --epochs {epochs} is the "
                "total. Give more, or leave it out."
            )
        threads = start.record.settings.get("threads")
        if request.settings.threads != threads:
            say(f"note: the last digits may differ: the run began with {threads} threads")
        if text := differences(start.record):
            say(f"note: the last digits may differ: {text}")
        say(f"going on after epoch {epoch} of {epochs}")
        return request

    def begin(
        self,
        model: "Model",
        dataset: "AnyDataset",
        settings: "Settings",
        data_seed: int,
        every: int | None,
        start: "Checkpoint | None",
    ) -> None:
        """Prepare to write checkpoints.

        Raises
        ------
        InputError
            If the arrays of the checkpoint to start from are not the network's.
        """
        from dataclasses import replace

        from runtime.checkpoint import Keeper, refuse_misfit, source_checksum
        from runtime.position import threads_used
        from runtime.run_output import record_without_results

        kernels = source_checksum(model.source)
        if start is not None:
            refuse_misfit(start, self.where, model.module)
            if start.kernels != kernels:
                say("note: the last digits may differ: the kernels are generated in another way")
        if start is None:
            threads = threads_used(model.module, settings, dataset.train_rows)
            settings = replace(settings, threads=threads)
        self.keeper = Keeper(
            write=lambda content: self.folder.write(self._name, content),
            record=record_without_results(model, dataset, settings, data_seed),
            kernels=kernels,
            every=every,
            saved=self._found,
        )

    def is_finished(self, result: "TrainResult", start: "Checkpoint") -> bool:
        """Whether the folder holds the run as it is now, with all of its files."""
        from runtime.files import read_text
        from runtime.run_record import RunRecord

        epochs = result.history.epochs
        held = {"run.json", "model.safetensors", "history.csv"} <= set(self.folder.held)
        if self.replaces or epochs != start.position.epoch or not held:
            return False
        try:
            record = RunRecord.from_json(read_text(self.folder.path / "run.json"))
        except InputError:
            return False  # it is written again
        same = record.settings.get("epochs") == result.settings.epochs
        results = record.results
        return same and results.get("epochs") == epochs and "stopped_by" not in results

    def save(self, files: "Mapping[str, bytes]", early: int | None) -> "Path":
        """Write the files of the run, and return where they are now.

        Raises
        ------
        RunError
            If they cannot be written.
        """
        from runtime.checkpoint import NAME
        from runtime.run_output import open_folder_beside, save_files

        self.names = (NAME,)
        if early is None or not self.replaces:
            save_files(self.folder, files)
            return self.folder.path
        # the new run is not complete: both are kept
        checkpoint = self.folder.path / self._name
        try:
            with open_folder_beside(self.folder.path) as beside:
                save_files(beside, {NAME: checkpoint.read_bytes(), **files})
        except InputError as error:  # too late to be a matter of input
            raise RunError(str(error)) from error
        with contextlib.suppress(OSError):
            checkpoint.unlink()
        say(f"{shown(self.folder.path)} still holds the run that was there")
        return beside.path


def remove_leftovers(folder: "Path") -> None:
    """Remove the temporary files of a run that was killed while it wrote; nobody else writes."""
    import shutil

    with contextlib.suppress(OSError):
        for path in folder.glob(".gradwright-*"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def _refuse_imported(path: "Path") -> None:
    """Raise `InputError` if a folder holds an imported network, which a new run would replace."""
    from runtime.files import read_text
    from runtime.run_record import RunRecord

    try:
        record = RunRecord.from_json(read_text(path), shown(path))
    except InputError:  # none, or one that is damaged: a run begins anew in its place
        return
    record.refuse_imported(shown(path))
