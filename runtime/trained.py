"""A network that was trained before: read from the folder of its run, and applied to data.

The ``kernels.py`` in the folder is never imported. The network is parsed again from the text
in ``run.json``, which is compared with what the weights say of themselves, and its kernels
are generated again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from derive.spec import NetworkSpec, parse_spec
from runtime.data.catalogue import SETS, choose
from runtime.data.dataset import Dataset
from runtime.data.labels import Aim, Labels, targets_of
from runtime.data.options import DataOptions, TrainedColumns
from runtime.data.scaling import Scaling
from runtime.data.split import held_out
from runtime.data.table import Parts, Table, read_inputs
from runtime.data.user_file import open_parts
from runtime.errors import InputError
from runtime.files import path_error, read_text, shown
from runtime.model_file import load_model
from runtime.run_record import RunRecord
from runtime.settings import DTYPES

PARTS = ("train", "test", "all")
Array = NDArray[np.floating[Any]]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A trained network.

    Attributes
    ----------
    record
        What ``run.json`` says.
    network
        The network and its loss.
    params
        Its weights and biases.
    scaling
        How inputs are scaled before they reach it; None if they are not.
    """

    record: RunRecord
    network: NetworkSpec
    params: dict[str, Array]
    scaling: Scaling | None

    @property
    def dtype(self) -> str:
        """Type of weights and inputs."""
        return str(self.record.settings["dtype"])

    @property
    def classes(self) -> tuple[int | str, ...]:
        """The labels in the order of the outputs; none for a regression."""
        return self.record.data.classes

    @property
    def output(self) -> str:
        """Activation of the last layer."""
        return self.network.activations[-1]

    @property
    def aim(self) -> Aim:
        """What it makes of labels."""
        return Aim(
            loss=self.network.loss,
            outputs=int(self.network.sizes[-1]),
            output=self.output,
            classes=self.classes,
        )

    @property
    def columns(self) -> TrainedColumns:
        """What is known of a table that it is applied to."""
        record = self.record.data.options
        names, label = record.get("columns"), record.get("label")
        return TrainedColumns(
            names=names if isinstance(names, tuple) else (),
            label=label if isinstance(label, str) else None,
            inputs=int(self.network.sizes[0]),
        )

    def scale(self, X: Array) -> None:
        """Scale inputs in place, as those of the training were."""
        if self.scaling is not None:
            self.scaling.apply(X)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Inputs for a trained network, scaled, with their targets if they have any.

    Attributes
    ----------
    name
        What they are, for a message.
    X
        Inputs (rows, n).
    Y
        Targets as in training, or None.
    place
        What messages call a sample.
    """

    name: str
    X: Array
    Y: Array | None
    place: Callable[[int], str]


def load_trained(folder: Path) -> Trained:
    """Read the run in a folder.

    Raises
    ------
    InputError
        If there is no run, or one of its two files is damaged, or they are not of one run.
    """
    if not folder.is_dir():
        state = "is not a folder" if folder.exists() else "does not exist"
        raise InputError(f"{shown(folder)}: {state}. Give the folder of a run, as train made it.")
    place = folder / "run.json"
    record = RunRecord.from_json(read_text(place), shown(place))
    network = _network(record, shown(place))
    sizes = [int(size) for size in network.sizes]
    expected: dict[str, tuple[int, ...]] = {}
    for layer in range(1, len(sizes)):
        expected[f"W{layer}"] = (sizes[layer], sizes[layer - 1])
        expected[f"b{layer}"] = (sizes[layer],)
    weights = folder / "model.safetensors"
    params, meta = load_model(weights, expected)
    said = {"spec": record.spec, "loss": record.loss, "classes": list(record.data.classes)}
    for name, value in said.items():
        if meta.get(name) != value:
            raise InputError(
                f"{shown(weights)}: its {name} is not that of run.json. Both must be of one run: "
                "restore them from a copy, or train again."
            )
    dtype = record.settings["dtype"]
    for name, array in params.items():
        if array.dtype != dtype or not np.isfinite(array).all():
            raise InputError(
                f"{shown(weights)}: {name} is not of finite {dtype}. Restore it, or train again."
            )
    scaling = None
    if "scaling" in meta:
        scaling = Scaling.from_json(meta["scaling"], sizes[0], shown(weights))
    kind = None if scaling is None else scaling.kind
    if kind != record.data.options.get("scale"):
        raise InputError(
            f"{shown(weights)}: its scaling is not that of run.json. Both must be of one run."
        )
    return Trained(
        record=record,
        network=network,
        params={name: params[name] for name in expected},
        scaling=scaling,
    )


def _network(record: RunRecord, source: str) -> NetworkSpec:
    settings = record.settings
    kinds = {"dtype": str, "labels": str, "define": list, "l2": float}
    for name, kind in kinds.items():
        if not isinstance(settings.get(name), kind):
            raise InputError(f'{source}: "settings.{name}" is missing or not of its type.')
    if settings["dtype"] not in DTYPES or not all(isinstance(t, str) for t in settings["define"]):
        raise InputError(f'{source}: "settings.dtype" or "settings.define" is not known.')
    if settings["labels"] not in ("one-hot", "any"):
        raise InputError(f'{source}: "settings.labels" is not known. Known: one-hot, any.')
    try:
        network = parse_spec(
            record.spec, loss=record.loss, define=settings["define"], l2=settings["l2"]
        )
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    outputs, classes = network.sizes[-1], len(record.data.classes)
    fits = classes in (0, outputs) or (classes, outputs) == (2, 1)
    if network.is_symbolic or not fits:
        raise InputError(
            f"{source}: {record.spec} has not an output for each of {classes} classes."
        )
    return network


def kernels(network: NetworkSpec, dtype: str, labels: str = "one-hot") -> ModuleType:
    """Return a network's kernels for a type; they are compiled once, and kept.

    Raises
    ------
    InputError, RunError
        If the folder of compiled kernels cannot be used.
    """
    import codegen
    from codegen.cache import cache_folder

    source = codegen.generate_or_recall(network, dtype=dtype, labels=labels)
    try:
        return codegen.compile_module(source)
    except OSError as error:
        raise path_error(error, cache_folder(), "used for compiled kernels") from error


def kernels_of(trained: Trained) -> ModuleType:
    """Return a trained network's kernels, as `kernels` does."""
    return kernels(trained.network, trained.dtype, trained.record.settings["labels"])


def load_samples(
    trained: Trained, data: str, options: DataOptions, *, part: str | None, labels: bool
) -> Samples:
    """Return what a trained network is to be applied to.

    Parameters
    ----------
    trained
        The network: it decides how many inputs there are, and what labels may be.
    data
        The name of a set, or a path.
    options
        Where a named set comes from, and which column holds the labels.
    part
        ``"train"``, ``"test"`` or ``"all"``. None: the test part where the set has one of its
        own, else all rows. Parts of a file that has none are those that the run drew, if it
        is the file that the run was trained on.
    labels
        Whether labels are needed.

    Raises
    ------
    InputError
        If the data are missing, damaged, or do not fit the network.
    """
    if data in SETS:
        return _of_named_set(trained, data, options, part, labels=labels)
    choice = choose(data)
    assert choice.path is not None
    with open_parts(choice.path, options, trained.columns) as parts:
        return _of_parts(trained, parts, part, labels=labels)


def samples_by_block(
    trained: Trained, data: str, options: DataOptions, *, part: str | None, labels: bool
) -> Iterator[Samples]:
    """Give what `load_samples` returns; block by block if the data may be larger than memory.

    Parameters and errors are as there.
    """
    from runtime.blocks.applied import block_samples
    from runtime.blocks.loading import block_format

    path = None if data in SETS else choose(data).path
    kind = None if path is None else block_format(path)
    if path is None or kind is None:
        yield load_samples(trained, data, options, part=part, labels=labels)
    else:
        yield from block_samples(trained, path, kind, options, part=part, labels=labels)


def _of_named_set(
    trained: Trained, name: str, options: DataOptions, part: str | None, *, labels: bool
) -> Samples:
    refuse_misfit(trained, name, (SETS[name].shape or (0, 0))[0])
    data: Dataset = SETS[name].load(options)
    if labels and data.classes != trained.classes:
        raise InputError(
            f"{name}: its classes are {_listed(data.classes)}, and the network was trained on "
            f"{_listed(trained.classes)}. Give data of the same classes."
        )
    data = data.with_one_output() if trained.network.sizes[-1] == 1 else data
    chosen = {"train": ("train",), "all": ("train", "test")}.get(part or "test", ("test",))
    X = np.concatenate([getattr(data, f"X_{p}") for p in chosen]).astype(trained.dtype)
    Y = np.concatenate([getattr(data, f"Y_{p}") for p in chosen]).astype(trained.dtype)
    trained.scale(X)
    return Samples(
        name=f"{name}, {' and '.join(chosen)}",
        X=X,
        Y=Y if labels else None,
        place=f"sample {{}} of {name} (counted from 0)".format,
    )


def _of_parts(trained: Trained, parts: Parts, part: str | None, *, labels: bool) -> Samples:
    tables = [parts.train]
    rows: NDArray[np.bool_] | None = None
    if parts.test is not None:
        wanted = {"train": [parts.train], "all": [parts.train, parts.test]}
        tables = wanted.get(part or "test", [parts.test])
    elif part in ("train", "test"):
        rows = _drawn_rows(trained, parts, part)
    X = [_inputs(trained, table) for table in tables]
    Y = [_targets(trained, table) for table in tables] if labels else []
    inputs = X[0] if len(X) == 1 else np.concatenate(X)
    targets = np.concatenate(Y) if Y else None
    if rows is not None:
        inputs, targets = inputs[rows], None if targets is None else targets[rows]
    trained.scale(inputs)
    if not np.isfinite(inputs).all():
        raise InputError(
            f"{tables[0].where}: scaled inputs are beyond the range of {trained.dtype}."
        )
    return Samples(
        name=" and ".join(table.where for table in tables) + (f", {part} part" if part else ""),
        X=inputs,
        Y=targets,
        place=f"sample {{}} of {tables[0].where} (counted from 0)".format,
    )


def _drawn_rows(trained: Trained, parts: Parts, part: str) -> NDArray[np.bool_]:
    """Return the rows of a part that the run drew, if these are the same data."""
    record, table = trained.record.data, parts.train
    fraction = record.options.get("test_fraction")
    if not isinstance(fraction, float) or record.sha256 != parts.sources or table.labels is None:
        raise InputError(
            f"{table.where}: it has no {part} part, and it is not the file that the run was "
            "trained on. Leave out --part."
        )
    codes = targets_of(table.labels, trained.aim).codes
    seed = trained.record.seeds.get("data_seed", 0)
    chosen = held_out(table.rows, codes, fraction, seed, table.where)
    return chosen if part == "test" else ~chosen


def _inputs(trained: Trained, table: Table) -> Array:
    refuse_misfit(trained, table.where, table.columns)
    return read_inputs(table, np.dtype(trained.dtype))


def _targets(trained: Trained, table: Table) -> Array:
    labels: Labels | None = table.labels
    if labels is None:
        raise InputError(
            f"{table.where}: there are no labels to compare with. Use gradwright predict, or give "
            "data with labels."
        )
    outputs = int(trained.network.sizes[-1])
    targets = targets_of(labels, trained.aim)
    Y = targets.matrix(None, trained.dtype, one_output=outputs == 1)
    if Y.shape[1] != outputs:
        raise InputError(
            f"{labels.where}: {Y.shape[1]} targets, and the network has {outputs} outputs."
        )
    return Y


def refuse_misfit(trained: Trained, where: str, columns: int) -> None:
    """Raise `InputError` unless a network has as many inputs as data have columns."""
    inputs = trained.network.sizes[0]
    if columns != inputs:
        raise InputError(
            f"{where}: {columns} inputs, and the network has {inputs}. Give data with the columns "
            "of the training."
        )


def _listed(classes: tuple[int | str, ...]) -> str:
    return ", ".join(map(str, classes[:12])) or "real targets"
