"""A sweep from its request to its result; `sweep` is the whole of it in one call."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from derive.spec import DEFAULT_LOSS
from runtime.data.catalogue import Choice, choose
from runtime.data.dataset import Dataset
from runtime.data.user_file import load_arrays, scaled
from runtime.errors import InputError, InternalError, RunError
from runtime.network_choice import shape_of
from runtime.settings import Settings, whole_number
from runtime.sweeps.job import Job
from runtime.sweeps.outcome import Outcome, curve_epochs
from runtime.sweeps.plan import Plan
from runtime.sweeps.progress import SweepProgress
from runtime.sweeps.request import SweepRequest, read_request
from runtime.sweeps.result import SweepResult
from runtime.sweeps.values import Given, as_text
from runtime.training import in_dtype

Report = Callable[[SweepProgress], object]
Data = Dataset | str | os.PathLike[str] | Sequence[Any] | Mapping[str, Any]


class Workers(AbstractContextManager[Any], Protocol):
    """Whoever does runs: processes of this machine, or a cluster."""

    def outcomes(self, numbers: Sequence[int]) -> Iterator[list[Outcome]]:
        """Do the runs and yield their outcomes, some at a time, as they come."""
        ...

    def stop(self) -> None:
        """Give out no more runs; `outcomes` ends when those given out are done."""
        ...

    def kill(self) -> None:
        """Give up the runs that are under way."""
        ...


def sweep(
    data: Data,
    networks: Given | None = None,
    *,
    hidden: Given | None = None,
    eta: Given = 0.03,
    batch: Given | None = None,
    epochs: Given | None = None,
    optimizer: Given = "sgd",
    schedule: Given | None = None,
    init_scale: Given | None = None,
    momentum: Given | None = None,
    beta1: Given | None = None,
    beta2: Given | None = None,
    eps: Given | None = None,
    weight_decay: Given | None = None,
    clip_norm: Given | None = None,
    seeds: Given = 10,
    loss: str = DEFAULT_LOSS,
    define: Sequence[str] = (),
    l2: float = 0.0,
    labels: str = "one-hot",
    dtype: str = "float32",
    threads: int = 1,
    sparse: str = "auto",
    data_seed: int = 0,
    data_dir: str | None = None,
    offline: bool = False,
    label: str | None = None,
    test_fraction: float | None = None,
    scale: str = "none",
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    callback: Report | None = None,
) -> SweepResult:
    """Train many networks: every combination of the values given, each with every seed.

    Does what ``gradwright sweep`` does, with the same defaults. A run of a sweep has, to the
    last bit, the figures of `runtime.train` with the same settings and ``threads=1``.

    Parameters
    ----------
    data
        As for `runtime.train`.
    networks
        Networks that differ in their hidden layers, such as ``"2-5-2,2-10:relu-2"``.
    hidden
        The hidden layers alone: ``[2, 5, 10]`` or ``"20:relu,32-32"``; inputs and outputs are
        those of the data.
    eta, batch, epochs, optimizer, schedule, init_scale
        A value, several, or a text as on the command line: ``"0.01:0.3:log:8"``.
    momentum, beta1, beta2, eps, weight_decay, clip_norm
        Likewise; each goes to those optimisers alone that read it.
    seeds
        How many, counted from 0; or several, such as ``[3, 7]`` or ``"100:199"``.
    loss, define, l2, labels, dtype, sparse
        As for `runtime.train`; the same for all runs.
    threads
        Of each run. Several runs at once need no more than one each.
    data_seed, data_dir, offline, label, test_fraction, scale
        As for `runtime.train`.
    out
        A folder for the tables and pictures, and for what is needed to go on. None: nothing is
        written, but for compiled kernels in the user's cache.
    resume, overwrite
        What is to become of a sweep that `out` holds: its runs are kept, or replaced.
    workers
        Processes on this machine; None: one for each processor that may be used.
    scheduler
        Address of a Dask scheduler, whose workers do the runs in place of processes.
    callback
        Called with a `SweepProgress` as runs end; a true result stops the sweep.

    Returns
    -------
    SweepResult
        With ``.table()``, ``.summary()``, ``.best``, ``.plot_bands()`` and ``.plot_grid()``.

    Raises
    ------
    InputError
        If something cannot be used.
    RunError
        If workers cannot be had, or die again and again. What was done is kept in `out`.

    Examples
    --------
    >>> import runtime
    >>> result = runtime.sweep("circles", hidden=[2, 10], eta="0.03:0.3:log:2", seeds=3, epochs=50)
    >>> len(result.table()["seed"]), result.described(result.best)
    (12, '2-10-2, eta 0.3')
    """
    from runtime.sweeps.keeping import Keeping

    if isinstance(data, os.PathLike):  # a file, though it were called circles
        data = os.path.join(os.curdir, data)  # noqa: PTH118  (Path would drop the dot)
    if isinstance(data, str):
        choice = choose(data)
    elif isinstance(data, Dataset):
        choice = Choice(name=data.name, shape=shape_of(data))
    else:
        choice = Choice(name="arrays")
    axes = {
        "networks": networks,
        "hidden": hidden,
        "eta": eta,
        "batch": batch,
        "epochs": epochs,
        "optimizer": optimizer,
        "schedule": schedule,
        "init_scale": init_scale,
        "momentum": momentum,
        "beta1": beta1,
        "beta2": beta2,
        "eps": eps,
        "weight_decay": weight_decay,
        "clip_norm": clip_norm,
        "seeds": seeds,
    }
    options: dict[str, Any] = {n: None if v is None else as_text(v) for n, v in axes.items()}
    if not isinstance(seeds, str) and not isinstance(seeds, int | np.integer):
        options["seeds"] += ","  # [7] is a seed, and 7 is how many
    request = read_request(
        choice,
        options
        | {
            "loss": loss,
            "define": tuple(define),
            "l2": l2,
            "labels": labels,
            "dtype": dtype,
            "threads": threads,
            "sparse": sparse,
            "data_seed": data_seed,
            "data_dir": data_dir,
            "offline": offline,
            "label": label,
            "test_fraction": test_fraction,
            "scale": scale,
        },
    )
    if out is None and (resume or overwrite):
        raise InputError("out: resume and overwrite are about a folder. Give it.")
    count = worker_count(workers, scheduler)
    if out is None:
        job = make_job(request, data)
        with make_workers(job, count, scheduler) as staff:
            return carry_out(job, staff, {}, callback)
    with Keeping.open(choice.name, out, resume=resume, overwrite=overwrite) as keeping:
        job = make_job(request, data)
        with make_workers(job, count, scheduler) as staff:
            known = keeping.begin(job.data, request.options)
            result = carry_out(job, staff, known, callback, keeping.append)
        keeping.save(result, request.options, plot=True)
        return result


def make_job(request: SweepRequest, data: Data | None = None) -> Job:
    """Return the work of a sweep, with its data loaded and its runs planned.

    Parameters
    ----------
    request
        What is asked for.
    data
        The data, where they are not those that `request` names.

    Raises
    ------
    InputError
        If the data cannot be had, or do not fit what is asked for.
    """
    options = request.data_options()
    if data is None or isinstance(data, str | os.PathLike):
        loaded = request.choice.load(options)
    elif isinstance(data, Dataset):
        loaded = data.with_one_output() if options.aim.outputs == 1 else data
        loaded = scaled(loaded, options.scale) if options.scale != "none" else loaded
    else:
        arrays = load_arrays(data, options)
        if not isinstance(arrays, Dataset):
            raise InputError("data: they are larger than memory, and a sweep needs them there.")
        loaded = arrays
    loaded = in_dtype(loaded.as_arrays(), Settings(dtype=request.options["dtype"]))
    return Job(plan=request.plan(loaded), data=loaded, labels=request.options["labels"])


def make_workers(job: Job, count: int, scheduler: str | None) -> Workers:
    """Return who does the runs: processes, or the cluster at an address.

    Raises
    ------
    InputError
        If Dask is not installed, or the cluster cannot be reached.
    """
    if scheduler is None:
        from runtime.sweeps.processes import Processes

        return Processes(job=job, count=count)
    from runtime.sweeps.dask_choice import require_dask

    require_dask()
    from runtime.sweeps.cluster import Cluster

    cluster: Workers = Cluster(job=job, address=scheduler)
    return cluster


def worker_count(workers: int | None, scheduler: str | None) -> int:
    """Return how many processes to use; by default one for each processor we may use.

    Raises
    ------
    InputError
        If the number is not one, or a cluster is asked for as well.
    """
    if scheduler is not None:
        if workers is not None:
            raise InputError("--workers and --scheduler exclude each other: a cluster has its own.")
        from runtime.sweeps.dask_choice import require_dask

        require_dask()
    if workers is not None:
        return whole_number("workers", workers, 1)
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable is not None else os.cpu_count() or 1


def carry_out(
    job: Job,
    workers: Workers,
    known: Mapping[str, Outcome],
    report: Report | None = None,
    append: Callable[[Sequence[Outcome]], None] | None = None,
) -> SweepResult:
    """Do the runs of a job that are not known yet.

    Parameters
    ----------
    job
        The work.
    workers
        Who does it.
    known
        Outcomes of an earlier sweep by key: their runs are not done again.
    report
        Called as runs end; a true result ends the sweep with the runs that are under way.
    append
        Called with outcomes as they come, to keep them.

    Raises
    ------
    RunError
        If workers cannot go on. What was appended stays.
    """
    plan = job.plan
    outcomes = _known(plan, known)
    numbers = {key: number for number, key in enumerate(plan.run_keys()) if number not in outcomes}
    diverged = sum(outcome.status == "diverged" for outcome in outcomes.values())
    before, began, stopped = len(outcomes), time.perf_counter(), False

    def tell() -> bool:
        seconds = time.perf_counter() - began
        progress = SweepProgress(
            done=len(outcomes), runs=len(plan), diverged=diverged, seconds=seconds
        )
        return report is not None and bool(report(progress))

    if numbers and not (stopped := tell()):
        for found in workers.outcomes(list(numbers.values())):
            if append is not None:
                append(found)
            for outcome in found:
                outcomes[numbers[outcome.key]] = outcome
                diverged += outcome.status == "diverged"
            if tell():
                stopped = True
                workers.stop()
        if not stopped and len(outcomes) < len(plan):
            raise InternalError(f"{len(plan) - len(outcomes)} runs of the sweep were left out")
    return SweepResult(
        plan=plan,
        outcomes=outcomes,
        data=job.data.name,
        is_regression=job.data.is_regression,
        seconds=time.perf_counter() - began,
        new=len(outcomes) - before,
    )


def _known(plan: Plan, known: Mapping[str, Outcome]) -> dict[int, Outcome]:
    """Return the outcomes that belong to runs of the plan, by number."""
    found = {}
    for number, key in enumerate(plan.run_keys()) if known else ():
        outcome = known.get(key)
        if outcome is None:
            continue
        point, _ = plan.run(number)
        if len(outcome.curve) != len(curve_epochs(point.settings.epochs)):
            raise RunError(f"run {key}: its curve has {len(outcome.curve)} points.")
        found[number] = outcome
    return found
