"""A user's own data: which format a path is in, and what comes out of it."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.blocks.lazy_arrays import is_lazy
from runtime.blocks.loading import block_format, load_blocks, load_lazy, open_blocks
from runtime.data.circles import VARIABLES, circles_from_mat
from runtime.data.csv_file import read_csv
from runtime.data.dataset import Dataset, Option
from runtime.data.idx_folder import open_idx_folder
from runtime.data.labels import Labels, labels_from_texts
from runtime.data.matlab import parse_matlab
from runtime.data.npz_file import open_npz
from runtime.data.options import UNTRAINED, DataOptions, TrainedColumns
from runtime.data.scaling import fit_scaling
from runtime.data.source import first_bytes, read_source
from runtime.data.sparse_rows import as_array
from runtime.data.table import Parts, Table, array_table, dataset_of, number_labels
from runtime.errors import InputError
from runtime.files import shown

if TYPE_CHECKING:
    from runtime.blocks.streamed import StreamedDataset

_ZIP = b"PK\x03\x04"
_NAMES = ("X", "y", "X_test", "y_test")


def load_file(
    path: Path, name: str, options: DataOptions, tell: Callable[[float], object] | None = None
) -> "Dataset | StreamedDataset":
    """Return the data set in a file or folder of the user's.

    Parameters
    ----------
    path
        A CSV file, an NPZ archive, a MATLAB file, a folder of IDX files; an NPY file or a folder
        of them, Parquet, or a Zarr store: these are read block by block where they are larger
        than memory.
    name
        What the set is called.
    options
        How it is to be read.
    tell
        Called with the share of a large set that has been read.

    Raises
    ------
    InputError
        If it is missing, damaged, or does not suit the options.
    """
    if (kind := block_format(path)) is not None:
        found = open_blocks(path, kind, options.label)
        return load_blocks(name, found, options, _record(path, options), tell)
    if _format(path) == "mat":
        return _load_mat(path, options)
    with open_parts(path, options) as parts:
        return dataset_of(name, parts, options, _record(path, options))


@contextlib.contextmanager
def open_parts(
    path: Path,
    options: DataOptions,
    trained: TrainedColumns = UNTRAINED,
) -> Iterator[Parts]:
    """Give what a file holds, to be read while this is open.

    Parameters
    ----------
    path
        As for `load_file`.
    options
        Only the label's name and the type matter here.
    trained
        What a network was trained on, for a CSV file that it is applied to.

    Raises
    ------
    InputError
        If it is missing or damaged.
    """
    kind = _format(path)
    if kind != "csv" and options.label is not None:
        raise InputError(
            f"label: {options.label} was given, and {shown(path)} is no CSV file: its labels "
            "have a place of their own. Leave out --label."
        )
    if kind == "npz":
        with open_npz(path) as parts:
            yield parts
    elif kind == "idx":
        with open_idx_folder(path) as parts:
            yield parts
    elif kind == "mat":
        yield _mat_parts(path)
    else:
        yield read_csv(path, label=options.label, dtype=options.dtype, trained=trained)


def load_arrays(
    data: object, options: DataOptions, name: str = "arrays", sparse: str = "never"
) -> "Dataset | StreamedDataset":
    """Return the data set in arrays: ``(X, y)``, ``(X, y, X_test, y_test)``, or by such names.

    Parameters
    ----------
    data
        `X` (rows, ...) holds numbers; `y` (rows,) integers, texts or real targets, or (rows,
        k) one-hot rows or k real targets. If X is of Dask, of Zarr or a memmap it is read block
        by block where it is larger than memory; then y may be such an array too. X may also be
        a sparse array or matrix of SciPy's.
    options
        As for `load_file`.
    name
        What the set is called.
    sparse
        What `options` say of ``sparse`` if X is sparse: an array stays one.

    Raises
    ------
    InputError
        If they are not such arrays.
    """
    given: dict[str, Any] = {}
    if isinstance(data, Mapping):
        given = dict(data)
    elif isinstance(data, Sequence) and not isinstance(data, str | bytes) and len(data) in (2, 4):
        given = dict(zip(_NAMES, data, strict=False))
    if set(given) not in ({*_NAMES[:2]}, {*_NAMES}):
        raise InputError(
            "data: expected the name of a set, a path, a Dataset, or arrays: (X, y) or (X, y, "
            "X_test, y_test)."
        )
    if any(is_lazy(given[x]) for x in ("X", "X_test") if x in given):
        return load_lazy([given[name] for name in _NAMES if name in given], options)
    if hasattr(given["X"], "tocsr"):
        options = replace(options, sparse=sparse)
    tables = [
        _given_table(x, given[x], _array_labels(y, given[y]))
        for x, y in (_NAMES[:2], _NAMES[2:])
        if x in given
    ]
    test = tables[1] if len(tables) > 1 else None
    return dataset_of(name, Parts(train=tables[0], test=test, sources={}), options)


def _given_table(name: str, X: Any, labels: Labels) -> Table:
    if not hasattr(X, "tocsr"):
        return array_table(name, _array(name, X), labels)
    if len(X.shape) != 2:
        raise InputError(f"data: {name} has shape {X.shape}, expected (rows, columns).")
    rows = X.tocsr()
    return array_table(name, rows, labels, as_array=lambda part: part.toarray())


def _array(name: str, value: Any) -> np.ndarray[Any, Any]:
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise InputError(f"data: {name} is no array ({error}).") from None
    if array.ndim == 0:
        raise InputError(f"data: {name} is {type(value).__name__}, expected an array (rows, ...).")
    return array


def _array_labels(name: str, value: Any) -> Labels:
    array = _array(name, value)
    if array.dtype.kind in "fiub" and array.ndim <= 2:
        return number_labels(name, array)
    if array.ndim == 1 and all(isinstance(text, str) for text in array.tolist()):
        return labels_from_texts(
            [text.strip() for text in array.tolist()], name, lambda row: f"{name}[{row}]"
        )
    raise InputError(
        f"data: {name} holds {array.dtype} of shape {array.shape}, expected numbers or texts "
        "(rows,), or numbers (rows, k)."
    )


def _format(path: Path) -> str:
    """Return ``idx``, ``mat``, ``npz`` or ``csv``; the content decides, then the ending."""
    if path.is_dir():
        return "idx"
    ending = path.suffix.lower()
    if ending == ".mat":
        return "mat"
    first = first_bytes(path, 16)
    if first.startswith(_ZIP) or ending == ".npz":
        return "npz"
    return "mat" if first.startswith(b"MATLAB 5.0 MAT") else "csv"


def _record(path: Path, options: DataOptions) -> dict[str, str]:
    label = {} if options.label is None else {"label": options.label}
    return {"source": str(path), **label}


def _load_mat(path: Path, options: DataOptions) -> Dataset:
    """Return the set in a MATLAB file: one-hot labels as Circles has, or a single column."""
    if options.label is not None:
        raise InputError(f"label: {shown(path)} is no CSV file. Leave out --label.")
    parts = _mat_parts(path)
    labels = parts.train.labels
    assert labels is not None and labels.numbers is not None  # noqa: PT018
    if labels.numbers.ndim == 1 or options.aim.wants_numbers(labels):
        return dataset_of(path.stem, parts, options, {"source": str(path)})
    data = circles_from_mat(path)
    data = data.astype(options.dtype or data.X_train.dtype)
    if options.aim.outputs == 1:
        data = data.with_one_output()
    return scaled(data, options.scale, source=str(path))


def scaled(data: Dataset, scale: str, **record: str) -> Dataset:
    """Return a set that is in memory with its inputs scaled; nothing is changed in place."""
    options: dict[str, Option] = {**data.options, **record}
    if scale == "none":
        return replace(data, options=options)
    X_train, X_test = (as_array(X).copy() for X in (data.X_train, data.X_test))
    scaling = fit_scaling(X_train, scale)
    assert scaling is not None
    scaling.apply(X_train)
    scaling.apply(X_test)
    options["scale"] = scale
    return replace(
        data,
        X_train=X_train,
        X_test=X_test,
        grid=None,  # it is of the inputs as they were
        scaling=scaling,
        options=options,
    )


def _mat_parts(path: Path) -> Parts:
    source = read_source(path)
    try:
        found = parse_matlab(source.content, VARIABLES)
    except InputError as error:
        raise InputError(f"{shown(path)}: {error}") from None
    tables: list[Table] = []
    for x, y in (VARIABLES[:2], VARIABLES[2:]):
        labels = number_labels(f"{shown(path)}: {y}", found[y])
        tables.append(array_table(f"{shown(path)}: {x}", found[x], labels))
    return Parts(train=tables[0], test=tables[1], sources={path.name: source.sha256})
