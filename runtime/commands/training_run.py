"""A run of ``gradwright train``, from the options to a folder with what came of it."""

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from runtime.commands.again import compare_data, from_record, go_on
from runtime.commands.display import Display
from runtime.commands.given import has_value
from runtime.commands.keeping import Keeping
from runtime.commands.telling import announce, tell_compiling, tell_end, unused_options
from runtime.errors import InputError
from runtime.files import shown
from runtime.interruption import StopRequest, signals_kill
from runtime.messages import say

if TYPE_CHECKING:
    from runtime.blocks.streamed import AnyDataset
    from runtime.checkpoint import Checkpoint
    from runtime.ranks.communicator import Ranks
    from runtime.result import Model, TrainResult
    from runtime.run_folder import RunFolder
    from runtime.settings import Settings
    from runtime.training import Progress


def train_in_folder(
    context: click.Context,
    data: str | None,
    spec: str | None,
    display: Display,
    *,
    data_dir: str | None,
    offline: bool,
    out: str | None,
    overwrite: bool,
    resume: bool,
    from_: str | None,
    checkpoint_every: int | None,
    check: bool,
    options: dict[str, Any],
    ranks: "Ranks | None",
) -> int:
    """Train as the command is asked to, and return its exit status.

    Parameters are the command's; `options` are those that decide the result, and `ranks` the
    processes that share it. None: there is one.
    """
    from runtime.data.catalogue import choose
    from runtime.divergence import DivergenceError
    from runtime.live_progress import Reading
    from runtime.network_choice import default_network
    from runtime.position import refuse_sharing
    from runtime.ranks.leading import lead, plan_of
    from runtime.run_folder import open_run_folder
    from runtime.settings import whole_number
    from runtime.train_request import make_request, refuse_other_data
    from runtime.training import check_kernels, in_dtype, prepare

    # whatever can be refused is refused before a folder is made or data are loaded
    given = {name for name in (*options, "spec", "data") if has_value(context, name)}
    if out == "":
        raise InputError("--out: it is empty. Give the path of a folder.")
    if checkpoint_every is not None:
        whole_number("checkpoint_every", checkpoint_every, 1)
    record = None
    if from_ is not None:
        if resume:
            raise InputError(
                "--from and --resume exclude each other: --resume takes the options of the run "
                "in the folder."
            )
        record, data, spec, options = from_record(from_, data, spec, options, given)
    if data is None:
        raise click.UsageError("Missing argument 'DATA'. Give it, or --from RUN.JSON.")
    choice = choose(data)
    request = None if resume else make_request(choice, spec, options)
    if check:
        from runtime.torch_oracle import load_torch

        load_torch()
    run_folder = open_run_folder(choice.name, out, resume=resume, overwrite=overwrite)
    with (
        run_folder as folder,
        Keeping(folder, go_on(data, folder, data_dir, offline, ranks)) as keeping,
    ):
        start = keeping.find_start() if resume else None
        if start is not None:
            request = keeping.resumed(start, choice, spec, options, given)
        elif request is None:
            request = make_request(choice, spec, options)
        settings, options = request.settings, dict(request.options)
        if ranks is not None and "threads" not in given:
            settings = replace(settings, threads=1)  # a processor for each process
        dataset = choice.open(request.data_options(data_dir, offline), Reading(choice.name))
        if ranks is not None:
            refuse_sharing(dataset)
        if start is not None:
            refuse_other_data(dataset, start.record, keeping.where)
        if record is not None:
            compare_data(record, dataset, from_ or "", data_given="data" in given)
        network = request.network or default_network(dataset, request.read)
        unused = unused_options(choice, dataset, options, data_dir)
        announce(dataset, network, settings, unused, ranks)
        dataset = in_dtype(dataset, settings)
        _refuse_target(dataset, settings)
        display.refuse_misfit(dataset)
        with signals_kill(partial(_let_go, folder), keeping.text()):
            model = prepare(
                network,
                dataset,
                settings,
                labels=options["labels"],
                notice=tell_compiling,
                shards=ranks is not None,
            )
            if check:
                say("comparing the kernels with PyTorch autograd ...")
                check_kernels(model, settings)
                say("they agree")
        # with other processes it may not come to that: a launcher ends all when one has ended
        notice = "stopping after this epoch; once more stops it at once" if ranks is None else None
        with StopRequest(notice) as stop:
            data_seed = options["data_seed"]
            keeping.begin(model, dataset, settings, data_seed, checkpoint_every, start)
            if ranks is not None:
                assert keeping.keeper is not None
                lead(ranks, plan_of(keeping.keeper.record, data_dir, offline, start))
            try:
                result = _run(keeping, model, dataset, settings, start, stop, display, ranks)
            except DivergenceError as error:
                if error.result is not None and not keeping.replaces:
                    files = _files(error.result, data_seed, None, display)
                    keeping.save(files, None)
                    say(f"the run before it is in {shown(folder.path)}: {', '.join(sorted(files))}")
                raise
            settled = result.history.epochs == settings.epochs or result.stopped_because
            early = None if settled else stop.number
            if start is not None and keeping.is_finished(result, start):
                say(f"nothing to do: the run is finished, {result.history.epochs} epochs")
                display.tell_result(result, folder.path, keeping.folder.held)
                return 0
            files = _files(result, data_seed, early, display)
            with stop.shielded():
                place = keeping.save(files, early)
                tell_end(result, settings, stop, early)
                names = sorted({*files, *keeping.names})
                say(f"results are in {shown(place)}: {', '.join(names)}")
                if early is not None:
                    say(f"go on with: {go_on(data, place, data_dir, offline, ranks)}")
    display.tell_result(result, place, names)
    return 0 if stop.number is None else 128 + stop.number


def _files(
    result: "TrainResult", data_seed: int, stopped_by: int | None, display: Display
) -> dict[str, bytes]:
    from runtime.run_output import run_files

    # it warns of a cache folder that it cannot write to, which concerns nobody here
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    return run_files(result, data_seed=data_seed, stopped_by=stopped_by, **display.pictures)


def _refuse_target(dataset: "AnyDataset", settings: "Settings") -> None:
    if dataset.is_regression and settings.target_accuracy is not None:
        raise InputError(
            f"--target-accuracy: {dataset.name} has real targets, and no accuracy. Use --patience."
        )


def _let_go(folder: "RunFolder") -> None:
    folder.__exit__(None, None, None)  # an empty folder must not stay behind


def _run(
    keeping: Keeping,
    model: "Model",
    dataset: "AnyDataset",
    settings: "Settings",
    start: "Checkpoint | None",
    stop: StopRequest,
    display: Display,
    ranks: "Ranks | None",
) -> "TrainResult":
    """Train until the last epoch or a signal, showing progress."""
    from runtime.live_progress import LiveProgress
    from runtime.training import run

    def report(progress: "Progress") -> bool:
        live.show(progress)
        if ranks is not None and stop.number is not None:
            ranks.signal = stop.number
        return stop.number is not None

    stopping = stop.running_threads(partial(_let_go, keeping.folder), keeping.text)
    done = 0 if start is None else start.position.epoch
    snapshots = display.snapshots(settings.epochs)
    with stopping, LiveProgress(settings.epochs, done, display.style) as live:
        result = run(
            model,
            dataset,
            settings,
            report,
            keeper=keeping.keeper,
            start=start,
            snapshots=snapshots,
            ranks=ranks,
            within=live.show_within,
        )
        if ranks is not None and ranks.signal:
            stop.number = ranks.signal  # another process received it
        return result
