"""``gradwright bench``: our kernels and other people's tools, in turn, on the same work."""

import atexit
import contextlib
from typing import TYPE_CHECKING, Any

import click

from runtime.commands.completing import files, several_of, target
from runtime.commands.given import is_given
from runtime.commands.objective import objective_options
from runtime.errors import InputError
from runtime.ranks.launcher import find_launch, join, refuse_launch

if TYPE_CHECKING:
    from runtime.bench.result import BenchResult

# as in runtime.bench.peers, which loads NumPy
PEERS = ("torch", "torch-compile", "torch-tutorial", "jax", "jax-step", "sklearn", "numpy", "c")

EPILOG = """\b
Examples:
  gradwright bench circles
  gradwright bench mnist --against torch --repeats 9
  gradwright bench mnist --sparse never
  gradwright bench circles --against torch,torch-tutorial,c
  gradwright bench mnist --against torch,jax,sklearn,numpy --threads 2
  gradwright bench mnist --against c --threads 2 --busy 1
  gradwright bench circles --plot circles.svg
  gradwright bench 784-256-256-10 --batch 128
  gradwright bench 784-256-256-10 --batch 128 --products
  mpiexec -n 2 gradwright bench mnist --ranks
  gradwright bench 8-64:relu-1 --loss mse --against torch --format json

\b
Peers: torch (eager, at its best), torch-compile (needs a C++ compiler) and
torch-tutorial (modules, DataLoader and torch.optim, as tutorials have it); jax
(all of training in one scan) and jax-step (a jitted step for each batch);
sklearn (MLPClassifier; for two classes it trains a single logistic output, so
that its parameters are not compared then); numpy (by hand); c (what generate
--target c writes, one thread). pip install 'gradwright[torch,bench]' brings
them all.

\b
Every contender has a process of its own, bound to the same processors, and they
take turns, so that only the ratios count: the peer's time over ours, turn by
turn. Run it on a machine that is otherwise idle: other programmes are waited
for, a minute in all (--wait), and if they go on, the table says so. The first
epoch is shown apart: it has all that is derived, traced or compiled in it.
Below the table stands what the machine allows: the matrix products in BLAS, and
multiply-adds at their measured peak. With several threads everybody runs with
one, too, as NAME@1.
Where inputs have 16 MiB or more, as MNIST's, memory is measured as well, but
with --no-memory: at the peak of an epoch, beyond what modules and compiled code
take. Ours reads images without their zeros, as train does; the others are given
arrays.
"""


@click.command("bench", epilog=EPILOG)
@click.argument("target", metavar="circles|mnist|SPEC", shell_complete=target)
@click.option(
    "--against",
    metavar="PEER,…",
    shell_complete=several_of(*PEERS),
    help=f"{', '.join(PEERS)}. [all that are installed and "
    "can compute the network; torch-tutorial and c only on request]",
)
@click.option("--threads", type=int, default=1, show_default=True, help="Of each contender.")
@click.option(
    "--busy",
    metavar="K",
    type=int,
    default=0,
    show_default=True,
    help="Processes that keep the contenders' processors busy beside them.",
)
@click.option(
    "--wait",
    metavar="SECONDS",
    type=float,
    default=60,
    show_default=True,
    help="How long in all to wait until other programmes leave the machine alone.",
)
@click.option("--repeats", type=int, default=5, show_default=True, help="Turns of each.")
@click.option("--batch", type=int, help="Samples per step. [circles 10, mnist and SPEC 100]")
@click.option(
    "--epochs",
    type=int,
    help="Of a run; what is done once for a run is shared among them. [circles 150, mnist and "
    "SPEC 10]",
)
@click.option(
    "--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True
)
@click.option(
    "--sparse",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Whether our kernels skip inputs that are 0, as in gradwright train.",
)
@objective_options
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json holds every single figure.",
)
@click.option(
    "--ranks",
    is_flag=True,
    help="Started by mpiexec: time training shared by its processes, against one of them, and "
    "model it for up to 1,000. --batch counts the samples of each.",
)
@click.option(
    "--products",
    is_flag=True,
    help="Time each matrix product of a step by every way there is, against the model by which "
    "one is chosen.",
)
@click.option(
    "--memory/--no-memory",
    default=True,
    show_default=True,
    help="Measure the memory of training too, where inputs have 16 MiB or more: each contender "
    "starts once more for that.",
)
@click.option(
    "--plot",
    metavar="FILE",
    shell_complete=files,
    help="Draw the times as bars, too, into FILE.png or FILE.svg.",
)
def command(
    target: str,
    *,
    against: str | None,
    threads: int,
    busy: int,
    wait: float,
    repeats: int,
    batch: int | None,
    epochs: int | None,
    dtype: str,
    sparse: str,
    loss: str | None,
    define: tuple[str, ...],
    l2: float | None,
    labels: str,
    format_: str,
    ranks: bool,
    products: bool,
    memory: bool,
    plot: str | None,
) -> None:
    """Time training by generated kernels against other tools.

    The work is that of circles (2-10-2, batch 10, 150 epochs) or mnist (784-100-10, batch
    100, ten epochs), or of a network SPEC on 2,000 samples of synthetic data. Shuffles are
    included, evaluation is not.
    """
    if products and not ranks:
        _refuse_beside(
            "--products", "against", "busy", "wait", "sparse", "epochs", "memory", "plot"
        )
    if ranks:
        _bench_ranks(
            target,
            format_,
            repeats,
            batch,
            dtype=dtype,
            sparse=sparse,
            loss=loss,
            define=define,
            l2=l2,
            labels=labels,
        )
        return
    refuse_launch("gradwright bench without --ranks")
    from derive.spec import DEFAULT_LOSS

    loss = DEFAULT_LOSS if loss is None else loss
    if products:
        from runtime.bench.product_table import product_table
        from runtime.bench.workload import workload

        options: dict[str, Any] = {"define": define, "l2": l2 or 0.0, "labels": labels}
        work = workload(target, batch=batch, dtype=dtype, loss=loss, **options)
        table = product_table(work, threads=threads, repeats=repeats)
        click.echo(table.to_json() if format_ == "json" else f"{table}\n", nl=False)
        return
    from runtime.bench.live_waiting import LiveWaiting
    from runtime.bench.plot import bench_picture, check_kind
    from runtime.bench.turns import run_bench
    from runtime.files import replacing
    from runtime.messages import is_live, say

    if busy:
        _refuse_beside("--busy", "wait")
    with contextlib.ExitStack() as stack:
        picture = None
        if plot is not None:
            check_kind(plot)
            picture = stack.enter_context(replacing(plot))  # before anything is timed
        result = run_bench(
            target,
            against=None if against is None else [name.strip() for name in against.split(",")],
            threads=threads,
            busy=busy,
            wait=wait,
            memory=memory,
            repeats=repeats,
            batch=batch,
            epochs=epochs,
            dtype=dtype,
            sparse=sparse,
            loss=loss,
            define=define,
            l2=l2 or 0.0,
            labels=labels,
            say=say if is_live() else None,
            tell_waiting=stack.enter_context(LiveWaiting()).tell,
        )
        _print(result, format_)
        if picture is not None:
            picture.write_bytes(bench_picture(result, picture.suffix.lower()))


def _refuse_beside(way: str, *names: str) -> None:
    """Raise InputError if an option is given that what is asked for would leave aside."""
    for name in names:
        if is_given(click.get_current_context(), name):
            raise InputError(f"--{name} says nothing to {way}. Leave one of the two out.")


def _print(result: "BenchResult", format_: str) -> None:
    """Print the figures; what is to be known of them goes to standard error."""
    for name, reason in result.left_out.items():
        click.echo(f"{name} is left out: {reason}", err=True)
    click.echo(result.to_json() if format_ == "json" else f"{result}\n", nl=False)
    if result.disturbed and format_ == "json":
        click.echo(result.disturbance, err=True)  # the table says it, too


def _bench_ranks(
    target: str,
    format_: str,
    repeats: int,
    batch: int | None,
    *,
    loss: str | None,
    l2: float | None,
    **options: Any,
) -> None:
    """Measure in all processes, and print in the first."""
    from derive.spec import DEFAULT_LOSS
    from runtime.bench.workload import workload
    from runtime.ranks.measuring import BATCHES, measure

    launch = find_launch()
    if launch is None:
        raise InputError("--ranks: there is one process. Use: mpiexec -n 2 gradwright bench ...")
    ranks = join(launch)
    try:
        _refuse_beside(
            "--ranks", "products", "against", "threads", "busy", "wait", "epochs", "memory", "plot"
        )
        work = workload(target, loss=loss or DEFAULT_LOSS, l2=l2 or 0.0, **options)
        found = measure(ranks, work, BATCHES if batch is None else (batch,), repeats)
    except InputError as error:  # the same in all
        raise InputError(str(error) if ranks.is_first else "") from error
    except BaseException as error:
        atexit.register(ranks.abort, getattr(error, "exit_status", 1))  # the others wait
        raise
    if ranks.is_first:
        click.echo(found.to_json() if format_ == "json" else str(found))
