"""``gradwright sweep``: a grid of settings, each with many seeds; tables and pictures out."""

import logging
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from codegen.optimizers import METHODS, OPTIONS, SCHEDULES
from runtime.commands import completing
from runtime.commands.given import has_value
from runtime.commands.objective import objective_options
from runtime.errors import InputError
from runtime.files import shown
from runtime.interruption import Interrupted, StopRequest
from runtime.messages import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.sweeps.job import Job
    from runtime.sweeps.keeping import Keeping
    from runtime.sweeps.request import SweepRequest
    from runtime.sweeps.result import SweepResult
    from runtime.sweeps.sweeping import Workers

Command = TypeVar("Command", bound=Callable[..., object])

EPILOG = """\b
Examples:
  gradwright sweep circles
  gradwright sweep circles --eta 0.01:0.3:log:8 --hidden 2,5,10 --seeds 100
  gradwright sweep circles --optimizer sgd,adam --eta 0.001:0.3:log:6 --epochs 300
  gradwright sweep moons 2-10-2,2-10:relu-2 --batch 5:80:log:5 --init-scale 0.1,0.3,1
  gradwright sweep iris.csv --label species --scale standard --hidden 8,32,32-32
  gradwright sweep circles --seeds 1000 --out sweeps/seeds
  gradwright sweep --out sweeps/seeds --resume
  gradwright sweep --out sweeps/seeds --resume --seeds 2000
  gradwright sweep mnist --scheduler tcp://10.0.0.1:8786 --eta 0.01:0.3:log:4

\b
Values are written with commas between them: 2,5,10. 0.01:0.3:log:8 are eight numbers
in equal ratios, 0:1:lin:5 five in equal distances, 1:5 the whole numbers 1 to 5.

\b
Ctrl-C ends the sweep with the runs that are under way, saves it and says how to go on;
a second one ends it at once, and loses those. --resume keeps every run that is done and
belongs to the grid, which may be given anew: more seeds or values are added so.
"""


def _values(
    name: str, text: str, complete: "completing.Completer | None" = None
) -> "Callable[[Command], Command]":
    return click.option(f"--{name}", metavar="VALUES", shell_complete=complete, help=text)


@click.command("sweep", epilog=EPILOG)
@click.argument("data", required=False, shell_complete=completing.data)
@click.argument("networks", required=False, shell_complete=completing.network)
@_values("hidden", "Hidden layers, such as 2,5,10 or 20:relu,32-32.", completing.network)
@_values("eta", "Learning rates. [0.03]")
@_values("batch", "Samples per step. [circles 10, mnist 100]")
@_values("epochs", "Passes over the data. [150; mnist 10, other sets their own]")
@_values("optimizer", f"{', '.join(METHODS)}. [sgd]", completing.several_of(*METHODS))
@_values(
    "schedule",
    f"Courses of the learning rate: {', '.join(SCHEDULES)}. [constant]",
    completing.several_of(*SCHEDULES),
)
@_values("init-scale", "Standard deviations of the initial weights. [0.3]")
@_values("momentum", OPTIONS["momentum"].meaning)
@_values("beta1", OPTIONS["beta1"].meaning)
@_values("beta2", OPTIONS["beta2"].meaning)
@_values("eps", OPTIONS["eps"].meaning)
@_values("weight-decay", OPTIONS["weight_decay"].meaning)
@_values("clip-norm", OPTIONS["clip_norm"].meaning)
@_values("seeds", "How many seeds, from 0 on; or which: 3,7 or 100:199. [10]")
@objective_options
@click.option("--data-seed", type=int, help="As for train. [0]")
@click.option(
    "--dtype", type=click.Choice(["float32", "float64"]), help="Type of all numbers. [float32]"
)
@click.option("--threads", type=int, metavar="N", help="Threads of each run. [1]")
@click.option(
    "--sparse", type=click.Choice(["auto", "always", "never"]), help="As for train. [auto]"
)
@click.option("--label", metavar="NAME", help="As for train.")
@click.option("--test-fraction", type=float, metavar="F", help="As for train. [0.2]")
@click.option(
    "--scale", type=click.Choice(["none", "standard", "minmax"]), help="As for train. [none]"
)
@click.option(
    "--data-dir",
    shell_complete=completing.folders,
    help="Folder with the files of mnist or fashion-mnist.",
)
@click.option("--offline", is_flag=True, help="Never download.")
@click.option(
    "--out",
    metavar="FOLDER",
    shell_complete=completing.folders,
    help="Folder for the results. [sweeps/DATA, or sweeps/DATA-2 and so on if there is one]",
)
@click.option("--overwrite", is_flag=True, help="Replace the sweep that is in the folder.")
@click.option("--resume", is_flag=True, help="Go on with the sweep in the folder.")
@click.option(
    "--from",
    "from_",
    metavar="SWEEP.JSON",
    shell_complete=completing.files,
    help="Do the sweep of a record again, but for the options that are given.",
)
@click.option(
    "--workers",
    type=int,
    metavar="N",
    help="Processes on this machine. [one for each processor that may be used]",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Have the workers of a Dask cluster do the runs: tcp://HOST:PORT. Needs gradwright "
    "there, and the extra dask here.",
)
@click.option("--plot/--no-plot", default=True, show_default=True, help="Draw the pictures.")
@click.option("-q", "--quiet", is_flag=True, help="Print the last line alone, and what went wrong.")
@click.pass_context
def command(
    context: click.Context,
    /,
    data: str | None,
    networks: str | None,
    *,
    data_dir: str | None,
    offline: bool,
    out: str | None,
    overwrite: bool,
    resume: bool,
    from_: str | None,
    workers: int | None,
    scheduler: str | None,
    plot: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Train a network on DATA many times: a grid of settings, each with many seeds.

    DATA is what train takes: the name of a set, or the path of a file. NETWORKS are whole
    networks that differ in their hidden layers; --hidden gives these alone. A run of a sweep
    has the figures of gradwright train with the same options and --threads 1, bit for bit,
    whatever the number of workers.

    The folder then holds table.csv (a row for each run), summary.csv (quartiles over the
    seeds), table.parquet where pyarrow is installed, bands.png (over the epochs), grid.png
    (over the grid), sweep.json (all that is needed to do it again) and runs.jsonl (to go on
    from).
    """
    from runtime.data.catalogue import choose
    from runtime.sweeps.keeping import Keeping
    from runtime.sweeps.request import read_request
    from runtime.sweeps.sweeping import make_job, make_workers, worker_count

    if out == "":
        raise InputError("--out: it is empty. Give the path of a folder.")
    if from_ is not None and resume:
        raise InputError("--from and --resume exclude each other: --resume has its own record.")
    given = {
        name: value
        for name, value in {"networks": networks, **options}.items()
        if has_value(context, name)
    }
    count = worker_count(workers, scheduler)
    recorded, data = _recorded(from_, data, out, resume=resume)
    if data is None:
        raise click.UsageError("Missing argument 'DATA'. Give it, or --out FOLDER --resume.")
    choice = choose(data)
    if "hidden" in given or "networks" in given:
        recorded = {n: v for n, v in recorded.items() if n not in ("hidden", "networks")}
    where = {"data_dir": data_dir, "offline": offline}
    if not resume:  # whatever can be refused is refused before a folder is made
        read_request(choice, recorded | given | where)
    keeping = Keeping.open(choice.name, out, resume=resume, overwrite=overwrite)
    with keeping:
        if keeping.record is not None:
            recorded = _without(keeping.record.options, given)
        request = read_request(choice, recorded | given | where)
        with StopRequest("ending the runs that are under way; once more loses them") as stop:
            job = make_job(request)
            note = _go_on(keeping, data_dir, offline, scheduler)
            with make_workers(job, count, scheduler) as staff:
                known = keeping.begin(job.data, request.options)
                if not quiet:
                    _announce(job, request, known, keeping, count, scheduler)
                try:
                    result = _work(job, staff, known, keeping, stop, note, quiet=quiet)
                except Interrupted as error:
                    raise Interrupted(error.number, note) from error
            # it warns of a cache folder that it cannot write to, which concerns nobody here
            logging.getLogger("matplotlib").setLevel(logging.ERROR)
            with stop.shielded():
                names = keeping.save(result, request.options, plot=plot)
                _tell(result, keeping, names, note, quiet=quiet)
    click.echo(result.last_line())
    return 0 if stop.number is None or result.is_whole else 128 + stop.number


def _recorded(
    from_: str | None, data: str | None, out: str | None, *, resume: bool
) -> tuple[dict[str, Any], str | None]:
    """Return the options of a record that is to be done again, and what DATA is."""
    from pathlib import Path

    from runtime.files import read_text
    from runtime.sweeps.record import NAME, SweepRecord

    place = from_
    if resume and data is None and out is not None and (Path(out) / NAME).is_file():
        place = str(Path(out) / NAME)
    if place is None:
        return {}, data
    record = SweepRecord.from_json(read_text(place), shown(place))
    if data is None and not record.argument:
        raise InputError(f"{shown(place)}: it was made from arrays. Give the data.")
    return dict(record.options) if from_ is not None else {}, data or record.argument


def _without(recorded: "Mapping[str, Any]", given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a record, without networks if others are given."""
    other = "hidden" in given or "networks" in given
    return {n: v for n, v in recorded.items() if not (other and n in ("hidden", "networks"))}


def _work(
    job: "Job",
    staff: "Workers",
    known: Any,
    keeping: "Keeping",
    stop: StopRequest,
    note: str,
    *,
    quiet: bool,
) -> "SweepResult":
    """Do the runs, showing progress, until the last one or a signal."""
    from runtime.sweeps.progress import LiveSweep
    from runtime.sweeps.sweeping import carry_out

    with LiveSweep(quiet=quiet) as live:

        def report(progress: Any) -> bool:
            live.show(progress)
            return stop.number is not None

        def abandon() -> None:
            staff.kill()
            keeping.folder.__exit__(None, None, None)

        with stop.running_threads(abandon, lambda: note):
            return carry_out(job, staff, known, report, keeping.append)


def _go_on(keeping: "Keeping", data_dir: str | None, offline: bool, scheduler: str | None) -> str:
    """Return the end of a message: how to go on."""
    words = ["gradwright", "sweep", "--out", str(keeping.folder.path), "--resume"]
    words += [] if data_dir is None else ["--data-dir", data_dir]
    words += ["--offline"] if offline else []
    words += [] if scheduler is None else ["--scheduler", scheduler]
    return f". Runs that are done are kept. Go on with: {shlex.join(words)}"


def _counted(axis: str, count: int) -> str:
    if axis in ("network", "optimizer", "schedule"):
        return f"{count} {axis}s"
    return f"{count} values of {axis.replace('_', ' ')}"


def _announce(
    job: "Job",
    request: "SweepRequest",
    known: Any,
    keeping: "Keeping",
    count: int,
    scheduler: str | None,
) -> None:
    """Say what is going to be done."""
    from runtime.train_request import differences

    plan = job.plan
    grid = " × ".join(_counted(name, len(v)) for name, v in plan.axes.items()) or "1 point"
    say(f"{job.data.name}: {len(plan)} runs: {grid} × {len(plan.seeds)} seeds")
    who = f"the cluster at {scheduler}" if scheduler else f"{count} processes"
    done = sum(key in known for key in plan.run_keys()) if known else 0
    kept = f"{done} runs are done, {len(plan) - done} are left; " if keeping.record else ""
    say(f"{kept}by {who}; results go to {shown(keeping.folder.path)}")
    if keeping.folder.mode == "resume" and keeping.record is None:
        say(f"{shown(keeping.folder.path)}: no sweep to go on with yet, so it starts anew")
    if keeping.note:
        say(f"note: {keeping.note}")
    if keeping.record is not None and done and (text := differences(keeping.record)):
        say(f"note: the last digits of new runs may differ: {text}")
    if request.options["threads"] > 1:
        say(f"note: {request.options['threads']} threads for each run, in every process")


def _tell(
    result: "SweepResult", keeping: "Keeping", names: list[str], note: str, *, quiet: bool
) -> None:
    from runtime.sweeps.table import NO_PARQUET

    left = len(result.plan) - len(result.outcomes)
    if left:
        say(f"stopped with {left} of {len(result.plan)} runs left{note}")
    if quiet:
        return
    if "table.parquet" not in names:
        say(NO_PARQUET)
    say(f"results are in {shown(keeping.folder.path)}: {', '.join(sorted(names))}")
