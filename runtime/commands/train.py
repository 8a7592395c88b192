"""``gradwright train``: data in, a folder with the trained network and its pictures out."""

from contextlib import nullcontext
from typing import Any

import click

from runtime.commands import completing
from runtime.commands.display import Display, display_options
from runtime.commands.objective import objective_options
from runtime.commands.optimizer import optimizer_options
from runtime.commands.run_options import data_options, folder_options, memory_option
from runtime.commands.training_run import train_in_folder
from runtime.messages import nothing_said
from runtime.ranks.launcher import find_launch, join

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
        return train_in_folder(
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
