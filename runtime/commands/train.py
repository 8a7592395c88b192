"""``gradwright train``: data in, a folder with the trained network and its pictures out."""

import logging
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from runtime.commands import completing
from runtime.commands.again import compare_data, from_record, go_on
from runtime.commands.display import Display, display_options
from runtime.commands.given import has_value
from runtime.commands.keeping import Keeping
from runtime.commands.objective import objective_options
from runtime.commands.optimizer import optimizer_options, optimizer_text
from runtime.commands.run_options import data_options, folder_options, memory_option
from runtime.errors import InputError
from runtime.files import shown
from runtime.interruption import StopRequest, signals_kill
from runtime.messages import nothing_said, say
from runtime.ranks.launcher import find_launch, join

if TYPE_CHECKING:
    from collections.abc import Mapping

    from derive.spec import NetworkSpec
    from runtime.blocks.streamed import AnyDataset
    from runtime.checkpoint import Checkpoint
    from runtime.data.catalogue import Choice
    from runtime.ranks.communicator import Ranks
    from runtime.result import Model, TrainResult
    from runtime.run_folder import RunFolder
    from runtime.settings import Settings
    from runtime.training import Progress

EPILOG = """\b
Examples:
  gradwright train circles
  gradwright train circles 2-20:relu-2 --epochs 300 --seed 7
  gradwright train circles 2-20:mish-2 --define 'mish(z) = z*tanh(log(1+exp(z)))'
  gradwright train mnist --data-dir ~/mnist --epochs 5
  gradwright train iris.csv --label species --scale standard
  gradwright train house.csv --label price --loss mse --scale standard
  gradwright train measured.npz 64-100:relu-10 --test-fraction 0.25
  gradwright train big/X.npy 100-64:relu-10 --memory 2GB
  gradwright train big.parquet --label class --scale standard
  gradwright train mnist --optimizer adam --eta 0.001 --schedule cosine
  gradwright train circles --optimizer momentum --momentum 0.95 --clip-norm 1
  gradwright train circles --check --dtype float64 --out runs/checked
  gradwright train mnist --epochs 50 --checkpoint-every 1 --out runs/long
  gradwright train mnist --out runs/long --resume
  gradwright train circles --epochs 5000 --patience 200
  gradwright train --from runs/circles/run.json --out runs/again
  gradwright train circles --animate --log-scale --gradient-norms
  gradwright train circles --json-lines --quiet | tail -n 1
  mpiexec -n 4 gradwright train mnist --batch 4000 --out runs/long

\b
Ctrl-C ends the run with its epoch, saves it and says how to go on; a second one
ends it at once, and the last checkpoint is kept. --resume goes on bit for bit as
if nothing had happened, with the options of the run: only --epochs (the total),
--threads and where the data are may be given anew. A run that diverges
leaves what it was before. With --overwrite the old run stays until the new one is
complete; a new one that Ctrl-C ends early goes into the next free folder.

\b
The processes that mpiexec starts share every batch (--batch is that of all): the
run is that of one process, but for rounding. pip install 'gradwright[mpi]'
"""


@click.command("train", epilog=EPILOG)
@click.argument("data", required=False, shell_complete=completing.data)
@click.argument("spec", required=False, shell_complete=completing.network)
@click.option(
    "--epochs",
    type=int,
    metavar="N",
    help="Passes over the data. [150; mnist 10, other sets their own]",
)
@click.option("--batch", type=int, metavar="N", help="Samples per step. [circles 10, mnist 100]")
@click.option("--eta", type=float, default=0.03, show_default=True, help="Learning rate.")
@optimizer_options
@objective_options
@click.option(
    "--init-scale",
    type=float,
    default=0.3,
    show_default=True,
    help="Standard deviation of the initial weights.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Draws weights and order.")
@click.option(
    "--data-seed",
    type=int,
    default=0,
    show_default=True,
    help="Draws the points of a generated set, and the rows held out for test.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float64"]),
    default="float32",
    show_default=True,
    help="Type of weights, data and kernels.",
)
@click.option(
    "--threads",
    type=int,
    metavar="N",
    help="Threads that share each step of a wide network. [what affinity and quota allow, and "
    "one where a step is too small]",
)
@click.option(
    "--sparse",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Whether the first layer of a wide network skips inputs that are 0; what is mostly 0 is "
    "then read without them, and takes less memory.",
)
@data_options
@memory_option
@folder_options
@click.option(
    "--patience",
    type=int,
    metavar="N",
    help="Stop after N epochs without a lower test loss, and keep the weights with the lowest.",
)
@click.option(
    "--target-accuracy",
    type=float,
    metavar="F",
    help="Stop once the test accuracy is F: 0.95 is 95 %.",
)
@display_options
@click.option("--check", is_flag=True, help="First compare the kernels with PyTorch autograd.")
@click.pass_context
def command(
    context: click.Context,
    /,
    data: str | None,
    spec: str | None,
    *,
    data_dir: str | None,
    offline: bool,
    out: str | None,
    overwrite: bool,
    resume: bool,
    from_: str | None,
    checkpoint_every: int | None,
    check: bool,
    plot: bool,
    plot_format: str,
    log_scale: bool,
    animate: bool,
    gradient_norms: bool,
    quiet: bool,
    json_lines: bool,
    **options: Any,
) -> int:
    """Train a network on DATA with generated kernels.

    DATA is circles, moons, spirals, blobs, xor, mnist or fashion-mnist; or the path of a CSV
    file, an NPZ archive (X and y, or Xtrain, Ytrain, Xtest and Ytest), a MATLAB file with the
    latter four, or a folder of IDX files. A folder of NPY files with such names, X.npy with y.npy
    beside it, Parquet files or a Zarr store may be larger than memory.

    SPEC is the network, such as 2-10-2 or 784-100:relu-10; the default is the set's own, and one
    hidden layer of 32 units for a file. Labels are classes: integers or texts. Under --loss mse,
    mae or huber numbers are real targets, and RMSE and R squared are printed in place of the
    accuracy.

    The folder then holds model.safetensors (weights), history.csv, run.json (all that is
    needed to do it again), checkpoint.safetensors (to go on from), kernels.py (the generated
    module), curves.png and, for two-dimensional inputs, decision.png; for three classes and
    more confusion.png, for images of 28 x 28 mistakes.png and first_layer.png, and for real
    targets regression.png.
    """
    display = Display(
        plot=plot,
        plot_format=plot_format,
        log_scale=log_scale,
        animate=animate,
        gradient_norms=gradient_norms,
        quiet=quiet,
        json_lines=json_lines,
    )
    launch = find_launch()
    ranks = None if launch is None else join(launch)
    if ranks is not None and not ranks.is_first:
        from runtime.ranks.following import follow

        with nothing_said():
            return follow(ranks)
    with nothing_said(quiet=quiet), nullcontext() if ranks is None else ranks:
        return _train(
            context,
            data,
            spec,
            display,
            data_dir=data_dir,
            offline=offline,
            out=out,
            overwrite=overwrite,
            resume=resume,
            from_=from_,
            checkpoint_every=checkpoint_every,
            check=check,
            options=options,
            ranks=ranks,
        )


def _train(
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
        unused = _unused(choice, dataset, options, data_dir)
        _announce(dataset, network, settings, unused, ranks)
        dataset = in_dtype(dataset, settings)
        _refuse_target(dataset, settings)
        display.refuse_misfit(dataset)
        with signals_kill(partial(_let_go, folder), keeping.text()):
            model = prepare(
                network,
                dataset,
                settings,
                labels=options["labels"],
                notice=_compiling,
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
                _tell(result, settings, stop, early)
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


def _tell(
    result: "TrainResult", settings: "Settings", stop: StopRequest, early: int | None
) -> None:
    """Say why the run ended where it did."""
    epochs = result.history.epochs
    if result.stopped_because:
        say(f"stopped after epoch {epochs} of {settings.epochs}: {result.stopped_because}")
    elif stop.number is not None:
        say(f"stopped after epoch {epochs} of {settings.epochs}, and saved")
    if result.best is not None and early is None:
        say(f"the weights are those after epoch {result.best}, with the lowest test loss")


def _refuse_target(dataset: "AnyDataset", settings: "Settings") -> None:
    if dataset.is_regression and settings.target_accuracy is not None:
        raise InputError(
            f"--target-accuracy: {dataset.name} has real targets, and no accuracy. Use --patience."
        )


def _let_go(folder: "RunFolder") -> None:
    folder.__exit__(None, None, None)  # an empty folder must not stay behind


def _announce(
    dataset: "AnyDataset",
    network: "NetworkSpec",
    settings: "Settings",
    unused: list[str],
    ranks: "Ranks | None",
) -> None:
    """Say what is going to be trained on what."""
    from runtime.network_choice import parameter_count

    say(
        f"{dataset.name}: {dataset.train_rows} training and {dataset.test_rows} test samples, "
        f"{dataset.input_text}, {dataset.target_text}"
    )
    if "memory" in dataset.options:
        from runtime.blocks.loading import memory_text

        say(f"{dataset.name}: {memory_text(dataset)}")
    say(f"{network}: {parameter_count(network)} parameters, {network.loss}, {settings.dtype}")
    say(
        f"training: {settings.epochs} epochs in batches of {settings.batch}, "
        f"eta {settings.eta:g}, seed {settings.seed}{optimizer_text(settings)}"
    )
    if ranks is not None:
        share = settings.batch / ranks.count
        say(f"{ranks.count} processes, each with about {share:.4g} samples of every batch")
    for option in unused:
        say(f"note: {option} has no effect on {dataset.name}")


def _unused(
    choice: "Choice", dataset: "AnyDataset", options: "Mapping[str, Any]", data_dir: str | None
) -> list[str]:
    """Return the options that were given and change nothing about this set."""
    split = "test_fraction" in dataset.options
    unused = []
    if options["data_seed"] and not (choice.is_generated or split):
        unused.append("--data-seed")
    if data_dir and not choice.is_downloaded:
        unused.append("--data-dir")
    if options["test_fraction"] is not None and not split:
        unused.append("--test-fraction")
    if options["label"] is not None and choice.path is None:
        unused.append("--label")
    if options["memory"] is not None and "memory" not in dataset.options:
        unused.append("--memory")
    return unused


def _compiling() -> None:
    say("compiling the kernels, once for this network; this takes some seconds ...")


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
