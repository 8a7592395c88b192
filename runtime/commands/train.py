"""``gradwright train``: data in, a folder with the trained network and its pictures out."""

import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from runtime.commands.objective import objective_options, reader
from runtime.commands.optimizer import optimizer_options, optimizer_text
from runtime.errors import InputError, RunError
from runtime.files import shown
from runtime.interruption import Interrupted, StopRequest, signals_kill
from runtime.messages import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from derive.spec import NetworkSpec
    from runtime.data.catalogue import Choice
    from runtime.data.dataset import Dataset
    from runtime.data.options import DataOptions
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
  gradwright train mnist --optimizer adam --eta 0.001 --schedule cosine
  gradwright train circles --optimizer momentum --momentum 0.95 --clip-norm 1
  gradwright train circles --check --dtype float64 --out runs/checked

\b
Ctrl-C ends the run with its epoch and saves it; a second one ends it at once,
with nothing saved. A run that diverges saves nothing. With --overwrite the old
run stays until the new one is complete; a new one that Ctrl-C ends early goes
into the next free folder.
"""


@click.command("train", epilog=EPILOG)
@click.argument("data")
@click.argument("spec", required=False)
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
    help="Whether the first layer of a wide network skips inputs that are 0.",
)
@click.option(
    "--label",
    metavar="NAME",
    help="Column of the labels in a CSV file: its name, or its number from 1 where there is no "
    "header. [the last]",
)
@click.option(
    "--test-fraction",
    type=float,
    metavar="F",
    help="Share of the rows held out where there is no test part, by class. [0.2]",
)
@click.option(
    "--scale",
    type=click.Choice(["none", "standard", "minmax"]),
    default="none",
    show_default=True,
    help="Bring each input to mean 0 and deviation 1, or to 0 ... 1, over the training part.",
)
@click.option(
    "--data-dir",
    help="Folder with the files of mnist or fashion-mnist. [$GRADWRIGHT_DATA, or download]",
)
@click.option("--offline", is_flag=True, help="Never download.")
@click.option(
    "--out",
    metavar="FOLDER",
    help="Folder for the results. [runs/DATA, or runs/DATA-2 and so on if there is one]",
)
@click.option("--overwrite", is_flag=True, help="Replace the run that is in the folder.")
@click.option("--plot/--no-plot", default=True, show_default=True, help="Draw the pictures.")
@click.option("--check", is_flag=True, help="First compare the kernels with PyTorch autograd.")
def command(
    data: str,
    spec: str | None,
    *,
    epochs: int | None,
    batch: int | None,
    loss: str | None,
    define: tuple[str, ...],
    l2: float | None,
    labels: str,
    data_seed: int,
    label: str | None,
    test_fraction: float | None,
    scale: str,
    data_dir: str | None,
    offline: bool,
    out: str | None,
    overwrite: bool,
    plot: bool,
    check: bool,
    **numbers: Any,
) -> int:
    """Train a network on DATA with generated kernels.

    DATA is circles, moons, spirals, blobs, xor, mnist or fashion-mnist; or the path of a CSV
    file, an NPZ archive (X and y, or Xtrain, Ytrain, Xtest and Ytest), a MATLAB file with the
    latter four, or a folder of IDX files. SPEC is the network, such as 2-10-2 or
    784-100:relu-10; the default is the set's own, and one hidden layer of 32 units for a file.
    Labels are classes: integers or texts. Under --loss mse, mae or huber numbers are real
    targets, and RMSE and R squared are printed in place of the accuracy.

    The folder then holds model.safetensors (weights), history.csv, run.json (all that is
    needed to do it again), kernels.py (the generated module), curves.png and, for
    two-dimensional data, decision.png.
    """
    from runtime.data.catalogue import choose
    from runtime.data.options import DataOptions
    from runtime.network_choice import aim_of, choose_network, default_network
    from runtime.run_folder import open_run_folder
    from runtime.run_output import run_files
    from runtime.settings import Settings, whole_number
    from runtime.training import check_kernels, in_dtype, prepare, refuse_options

    # whatever can be refused is refused before a folder is made or data are loaded
    choice = choose(data)
    settings = Settings(
        epochs=choice.epochs if epochs is None else epochs,
        batch=choice.batch if batch is None else batch,
        **numbers,
    )
    whole_number("data_seed", data_seed, 0)
    refuse_options(test_fraction, scale)
    if out == "":
        raise InputError("--out: it is empty. Give the path of a folder.")
    read = reader(loss, define, l2)
    network = choose_network(choice, spec, read)
    if check:
        from runtime.torch_oracle import load_torch

        load_torch()
    with open_run_folder(choice.name, out, overwrite=overwrite) as folder, _told(folder):
        options = DataOptions(
            data_seed=data_seed,
            data_dir=data_dir,
            offline=offline,
            label=label,
            test_fraction=test_fraction,
            scale=scale,
            dtype=settings.dtype,
            aim=aim_of(network, read),
        )
        dataset = choice.load(options)
        network = network or default_network(dataset, read)
        _announce(dataset, network, settings, unused=_unused(choice, dataset, options))
        dataset = in_dtype(dataset, settings)
        with signals_kill(partial(_let_go, folder), _nothing_saved(folder)):
            model = prepare(network, dataset, settings, labels=labels, notice=_compiling)
            if check:
                say("comparing the kernels with PyTorch autograd ...")
                check_kernels(model, settings)
                say("they agree")
        with StopRequest("stopping after this epoch; once more stops it at once") as stop:
            result = _run(folder, model, dataset, settings, stop)
            early = stop.number if result.history.epochs < settings.epochs else None
            # it warns of a cache folder that it cannot write to, which concerns nobody here
            logging.getLogger("matplotlib").setLevel(logging.ERROR)
            files = run_files(result, data_seed=data_seed, plot=plot, stopped_by=early)
            with stop.shielded():
                place = _save(folder, files, early)
                if stop.number is not None:
                    epochs_done = result.history.epochs
                    say(f"stopped after epoch {epochs_done} of {settings.epochs}, and saved")
                say(f"results are in {shown(place)}: {', '.join(sorted(files))}")
    click.echo(result.last_line())
    return 0 if stop.number is None else 128 + stop.number


@contextlib.contextmanager
def _told(folder: "RunFolder") -> "Iterator[None]":
    """Add to whatever ends a run that nothing came of it, and that nothing was lost."""
    try:
        yield
    except RunError as error:
        raise RunError(f"{str(error).removesuffix('.')}{_nothing_saved(folder)}") from error
    except Interrupted as error:
        raise Interrupted(error.number, _nothing_saved(folder)) from error


def _nothing_saved(folder: "RunFolder") -> str:
    kept = f" {shown(folder.path)} still holds the run that was there." if folder.held else ""
    return f". Nothing was saved.{kept}"


def _let_go(folder: "RunFolder") -> None:
    folder.__exit__(None, None, None)  # an empty folder must not stay behind


def _announce(
    dataset: "Dataset", network: "NetworkSpec", settings: "Settings", unused: list[str]
) -> None:
    """Say what is going to be trained on what."""
    from runtime.network_choice import parameter_count

    rows, columns = dataset.X_train.shape
    say(
        f"{dataset.name}: {rows} training and {len(dataset.X_test)} test samples, "
        f"{columns} inputs, {dataset.target_text}"
    )
    say(f"{network}: {parameter_count(network)} parameters, {network.loss}, {settings.dtype}")
    say(
        f"training: {settings.epochs} epochs in batches of {settings.batch}, "
        f"eta {settings.eta:g}, seed {settings.seed}{optimizer_text(settings)}"
    )
    for option in unused:
        say(f"note: {option} has no effect on {dataset.name}")


def _unused(choice: "Choice", dataset: "Dataset", options: "DataOptions") -> list[str]:
    """Return the options that were given and change nothing about this set."""
    split = "test_fraction" in dataset.options
    unused = []
    if options.data_seed and not (choice.is_generated or split):
        unused.append("--data-seed")
    if options.data_dir and not choice.is_downloaded:
        unused.append("--data-dir")
    if options.test_fraction is not None and not split:
        unused.append("--test-fraction")
    if options.label is not None and choice.path is None:
        unused.append("--label")
    return unused


def _compiling() -> None:
    say("compiling the kernels, once for this network; this takes some seconds ...")


def _run(
    folder: "RunFolder",
    model: "Model",
    dataset: "Dataset",
    settings: "Settings",
    stop: StopRequest,
) -> "TrainResult":
    """Train until the last epoch or a signal, showing progress."""
    from runtime.live_progress import LiveProgress
    from runtime.training import run

    def report(progress: "Progress") -> bool:
        live.show(progress)
        return stop.number is not None

    stopping = stop.running_threads(partial(_let_go, folder), _nothing_saved(folder))
    with stopping, LiveProgress(settings.epochs) as live:
        return run(model, dataset, settings, report)


def _save(folder: "RunFolder", files: "Mapping[str, bytes]", early: int | None) -> "Path":
    """Write the files, and return where they are now."""
    from runtime.run_output import open_folder_beside, save_files

    if early is None or not folder.held:
        save_files(folder, files)
        return folder.path
    # --overwrite, and the new run is not complete: both are kept
    try:
        with open_folder_beside(folder.path) as beside:
            save_files(beside, files)
    except InputError as error:  # too late to be a matter of input
        raise RunError(str(error)) from error
    say(f"{shown(folder.path)} still holds the run that was there")
    return beside.path
