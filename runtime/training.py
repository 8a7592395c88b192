"""Train a network with its generated kernels. No mathematics here: all of it is codegen's."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from derive.spec import DEFAULT_LOSS, NetworkSpec, parse_spec
from runtime.blocks.memory import memory_size
from runtime.blocks.streamed import AnyDataset, StreamedDataset
from runtime.data.catalogue import Choice, choose
from runtime.data.dataset import Dataset
from runtime.data.options import DataOptions
from runtime.data.scaling import SCALES
from runtime.data.split import checked_fraction
from runtime.data.user_file import load_arrays, scaled
from runtime.errors import InputError, RunError
from runtime.files import path_error
from runtime.network_choice import (
    aim_of,
    choose_network,
    default_network,
    refuse_misfit,
    rows_wanted,
    shape_of,
    too_large,
)
from runtime.result import Model, TrainResult
from runtime.running import Progress, Report, run
from runtime.settings import Settings
from runtime.snapshots import Snapshots

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from runtime.going_on import Resume
    from runtime.live_progress import LiveProgress

AnySet = TypeVar("AnySet", Dataset, AnyDataset)

__all__ = ["Progress", "Report", "check_kernels", "in_dtype", "prepare", "run", "train"]


def train(
    data: AnyDataset | str | os.PathLike[str] | Sequence[Any] | Mapping[str, Any],
    spec: str | None = None,
    *,
    loss: str = DEFAULT_LOSS,
    define: Sequence[str] = (),
    l2: float = 0.0,
    labels: str = "one-hot",
    epochs: int | None = None,
    batch: int | None = None,
    eta: float = 0.03,
    init_scale: float = 0.3,
    seed: int = 0,
    data_seed: int = 0,
    dtype: str = "float32",
    threads: int | None = None,
    sparse: str = "auto",
    optimizer: str = "sgd",
    schedule: str = "constant",
    momentum: float | None = None,
    beta1: float | None = None,
    beta2: float | None = None,
    eps: float | None = None,
    weight_decay: float | None = None,
    clip_norm: float | None = None,
    patience: int | None = None,
    target_accuracy: float | None = None,
    data_dir: str | None = None,
    offline: bool = False,
    label: str | None = None,
    test_fraction: float | None = None,
    scale: str = "none",
    memory: int | str | None = None,
    check: bool = False,
    callback: Report | None = None,
    watch: Callable[[TrainResult], object] | None = None,
    progress: bool | None = None,
    animate: bool = False,
    gradient_norms: bool = False,
    resume: "Resume | None" = None,
) -> TrainResult:
    """Generate the kernels of a network, and train it with them.

    Does what ``gradwright train`` does, with the same defaults, and writes no files but the
    compiled kernels in the user's cache. Ctrl-C raises KeyboardInterrupt after the epoch.

    Parameters
    ----------
    data
        The name of a set, such as ``"circles"`` or ``"mnist"``; the path of a file; a
        `Dataset`; or arrays, ``(X, y)`` or ``(X, y, X_test, y_test)``, also of Dask, of Zarr or
        mapped by NumPy; X may be sparse, as of SciPy. With the loss
        ``"mse"``, ``"mae"`` or ``"huber"`` labels that are numbers are real targets.
    spec
        The network, such as ``"2-10:relu-2"``: its first size is the number of inputs, its
        last that of classes. Without it ``2-10-2`` for circles, ``784-100-10`` for MNIST,
        ``n-32-classes`` for other data.
    loss, define, l2
        What is minimised, as for `derive.parse_spec`.
    labels
        ``"one-hot"``: the derivation may use that a row of labels sums to 1; ``"any"``: not.
    epochs, batch
        Passes over the training set, and samples per step: 10 and 100 for MNIST, 150 and 10
        for other data.
    eta, init_scale, seed, dtype, threads, sparse
        As for `Settings`.
    optimizer, schedule, momentum, beta1, beta2, eps, weight_decay, clip_norm
        As for `Settings`: what a step does with the gradients, and its numbers.
    patience, target_accuracy
        As for `Settings`: when to stop before the last epoch.
    data_seed
        Draws the points of a generated set, and the rows that are held out for test.
    data_dir
        Folder with the files of MNIST or Fashion-MNIST.
    offline
        Never use the network.
    label, test_fraction, scale
        As for `runtime.data.options.DataOptions`.
    memory
        What data in NPY, Parquet, Zarr or Dask may take, such as ``"2GB"``; what is larger is read
        block by block, shuffled some blocks at a time. By default half of what is free.
    check
        First compare the kernels with PyTorch autograd, and refuse to train if they differ.
    callback
        Called with a `Progress` at most 20 times a second; a true result stops after the
        epoch.
    watch
        Called with the `TrainResult` so far, while the weights stand still: before training,
        after at most 20 epochs on the way, evenly spread, and at the end; for example a
        `runtime.notebook.LiveDecision`. A true result ends the run. It changes no bit of the
        result.
    progress
        Whether to show a live bar: True, on a terminal or in a notebook; False: never; None:
        in a notebook.
    animate, gradient_norms
        Whether to keep what ``.animation()`` and ``.plot_gradient_norms()`` draw; neither
        changes a bit of the result.
    resume
        Go on, bit for bit, with the run of a result, or of a folder of ``gradwright train``: the
        same call, with more `epochs` (the total; without it those of the run).

    Returns
    -------
    TrainResult
        With ``.model``, ``.history`` and ``.plot()``.

    Raises
    ------
    InputError
        If something cannot be used: the network does not fit the data, a setting is out of
        range, a file is missing or damaged.
    RunError
        If the check fails, or training diverges.

    Examples
    --------
    >>> import runtime
    >>> result = runtime.train("circles", "2-10-2", epochs=300)
    >>> result.history.epochs
    300
    >>> bool(result.history.test_accuracy[-1] > 0.85)
    True
    >>> result.model.predict(result.data.X_test).shape
    (200, 2)

    A callback sees the figures, and a true result ends the run:

    >>> good = lambda now: now.test_accuracy > 0.5
    >>> early = runtime.train("circles", epochs=100_000, callback=good)
    >>> early.history.epochs < 100_000
    True

    What was trained can be trained on:

    >>> more = runtime.train("circles", "2-10-2", epochs=400, resume=result)
    >>> more.history.epochs
    400
    """
    refuse_options(test_fraction, scale)
    if isinstance(data, os.PathLike):  # a file, though it were called circles
        data = os.path.join(os.curdir, data)  # noqa: PTH118  (Path would drop the dot)
    if isinstance(data, str):
        choice = choose(data)
    elif isinstance(data, Dataset | StreamedDataset):
        choice = Choice(name=data.name, shape=shape_of(data))
    else:
        choice = Choice(name="arrays")
    start = None
    if resume is not None:
        from runtime.going_on import checkpoint_of, refuse_other_run

        start = checkpoint_of(resume, data_seed)
        epochs = start.record.settings.get("epochs") if epochs is None else epochs
        threads = start.record.settings.get("threads") if threads is None else threads
        held = start.record.data.options.get("memory")
        memory = held if memory is None and isinstance(held, int) else memory
    settings = Settings(
        epochs=choice.epochs if epochs is None else epochs,
        batch=choice.batch if batch is None else batch,
        eta=eta,
        init_scale=init_scale,
        seed=seed,
        dtype=dtype,
        threads=threads,
        sparse=sparse,
        optimizer=optimizer,
        schedule=schedule,
        momentum=momentum,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        patience=patience,
        target_accuracy=target_accuracy,
    )
    read = partial(parse_spec, loss=loss, define=define, l2=l2)
    network = choose_network(choice, spec, read)
    options = DataOptions(
        data_seed=data_seed,
        data_dir=data_dir,
        offline=offline,
        label=label,
        test_fraction=test_fraction,
        scale=scale,
        memory=None if memory is None else memory_size(memory),
        dtype=settings.dtype,
        aim=aim_of(network, read),
    )
    if isinstance(data, str):
        data = choice.open(options)
    elif isinstance(data, StreamedDataset):
        refuse_other_reading(data, options)
    elif isinstance(data, Dataset):
        data = data.with_one_output() if options.aim.outputs == 1 else data
        data = scaled(data, scale) if scale != "none" else data
    else:
        data = load_arrays(data, options, sparse=rows_wanted(network, settings.sparse))
    network = network or default_network(data, read)
    data = in_dtype(data, settings)
    model = prepare(network, data, settings, labels=labels)
    if check:
        check_kernels(model, settings)
    if start is not None and resume is not None:
        refuse_other_run(resume, start, model, data, settings, data_seed)
    snapshots = Snapshots(
        epochs=settings.epochs,
        animate=animate,
        gradient_norms=gradient_norms,
        scores=True,
        watch=watch,
    )
    done = 0 if start is None else start.position.epoch
    with _shown(settings.epochs, done, progress) as live:

        def report(now: Progress) -> bool:
            if live is not None:
                live.show(now)
            return callback is not None and bool(callback(now))

        wanted = report if live is not None or callback is not None else None
        return run(model, data, settings, wanted, start=start, snapshots=snapshots)


def _shown(
    epochs: int, done: int, progress: bool | None
) -> "AbstractContextManager[LiveProgress | None]":
    from runtime.live_progress import LiveProgress, is_notebook

    in_cell = is_notebook()
    if not (in_cell if progress is None else progress):
        return nullcontext()
    return LiveProgress(epochs, done, style="notebook" if in_cell else None)


def refuse_other_reading(data: StreamedDataset, options: DataOptions) -> None:
    """Raise `InputError` if a set was opened in another way than it is asked for now."""
    for name in ("scale", "test_fraction", "memory"):
        asked, found = getattr(options, name), data.options.get(name)
        if asked not in (None, "none", found):
            raise InputError(f"{name}: {data.name} was opened with {found}, not {asked}.")
    if data.dtype != options.dtype:
        raise InputError(f"dtype: {data.name} was opened in {data.dtype}, not {options.dtype}.")


def refuse_options(test_fraction: float | None, scale: str) -> None:
    """Raise `InputError` for a share or a scaling that cannot be, before data are loaded."""
    checked_fraction(test_fraction)
    if scale not in SCALES:
        raise InputError(f"scale: {scale} is not known. Known: {', '.join(SCALES)}.")


def in_dtype(data: AnySet, settings: Settings) -> AnySet:
    """Return the set in the type of the settings, itself if it is in that type already.

    Raises
    ------
    InputError
        If a value is too large for the type.
    """
    if not isinstance(data, Dataset):  # it is read into the type
        return data
    arrays = (data.X_train, data.Y_train, data.X_test, data.Y_test)
    same = all(array.dtype == settings.dtype for array in arrays)
    return data if same else data.astype(settings.dtype)


def prepare(
    network: NetworkSpec,
    data: AnyDataset,
    settings: Settings,
    *,
    labels: str = "one-hot",
    notice: Callable[[], object] | None = None,
    shards: bool = False,
) -> Model:
    """Return the network with compiled kernels and its initial parameters.

    Parameters
    ----------
    network, data, settings
        What is to be trained, on what, and how.
    labels
        As for `train`; targets that are no one-hot rows are derived for as ``"any"``.
    notice
        Called before the kernels are compiled, unless they are in the cache.
    shards
        Whether several processes train together, each on a shard of every batch.

    Raises
    ------
    InputError
        If the network does not fit the data, or there is not enough memory for it.
    RunError
        If the disk that the cache is on is full.
    """
    import codegen
    from codegen.cache import cache_folder

    shape = shape_of(data)
    what = "real targets" if data.is_regression else "classes"
    refuse_misfit(network, data.name, shape, what)
    if isinstance(data, StreamedDataset):
        data.refuse_batch(settings.batch)
    one_sample = np.zeros((1, shape[0]), settings.dtype), np.eye(1, shape[1], dtype=settings.dtype)
    if data.is_regression or shape[1] == 1:
        labels = "any"  # a row of such targets does not sum to 1
    code = settings.training_code
    if shards:
        code |= {"optimizer": settings.optimizer, "shards": True}
    source = codegen.generate_or_recall(network, dtype=settings.dtype, labels=labels, **code)
    try:
        module = codegen.compile_module(source)
        with np.errstate(over="ignore"):
            params = module.init_params(settings.seed, settings.init_scale)
        if notice is not None and not _is_compiled(module):
            notice()
        # no epochs: compiles, or loads from the cache, so that the first epoch's time is its own
        numbers = settings.training_numbers
        module.train(params, *one_sample, epochs=0, batch=1, eta=settings.eta, **numbers)
        codegen.keep_compiled(module)
    except OSError as error:
        problem = path_error(error, cache_folder(), "used for compiled kernels")
        way_out = "GRADWRIGHT_CACHE can name another folder."
        raise type(problem)(f"{problem} {way_out}") from error
    except MemoryError:
        raise too_large(network) from None
    if not all(np.isfinite(value).all() for value in params.values()):
        raise InputError(
            f"init_scale: {settings.init_scale:g} gives weights beyond the range of "
            f"{settings.dtype}. Use a smaller one, such as 0.3."
        )
    return Model(network=network, labels=labels, params=params, module=module, source=source.text)


def check_kernels(model: Model, settings: Settings) -> None:
    """Raise `RunError` unless the kernels in use agree with PyTorch autograd."""
    from runtime.torch_check import check

    report = check(
        model.network,
        kernels=model.module,
        labels=model.labels,
        dtype=settings.dtype,
        seed=settings.seed % 2**63,  # as far as PyTorch goes
    )
    if not report.ok:
        raise RunError(
            "the generated kernels differ from PyTorch autograd, so nothing was trained:\n"
            + report.to_text()
        )


def _is_compiled(module: ModuleType) -> bool:
    """Tell whether the compiled training loop is in the cache: an index of Numba's."""
    if module.__file__ is None:
        return False
    path = Path(module.__file__)
    return any(path.parent.rglob(f"{path.stem}._train-*.nbi"))
