"""Arrays that are elsewhere until a slice is asked for: of Zarr, of Dask, or mapped by NumPy."""

from collections.abc import Iterator, Mapping, Sequence
from math import isnan, prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.blocks.packages import load_package
from runtime.blocks.table import BlockParts, BlockTable, LabelColumn
from runtime.data.npy_header import as_texts, one_line, quoted
from runtime.errors import InputError
from runtime.files import shown

_PARTS = {"x": "y", "xtrain": "ytrain", "xtest": "ytest"}
_MARKS = ("zarr.json", ".zgroup", ".zarray", ".zmetadata")
_CHUNKS = {
    "dask": ("chunks", "X.rechunk({0: rows, 1: -1})"),
    "zarr": ("chunks", "create the array with chunks=(rows, columns)"),
}
# what a damaged store, or a graph over files, makes these packages raise
_FAILURES = (OSError, ValueError, TypeError, KeyError, IndexError, RuntimeError, EOFError)
# a codec is code that a store asks for by name, and "pickle" is among those that there are
_CODECS = {"bytes", "blosc", "bz2", "crc32c", "delta", "gzip", "lz4", "lzma", "sharding_indexed"}
_CODECS |= {"shuffle", "transpose", "zlib", "zstd"}


def is_lazy(array: object) -> bool:
    """Tell whether an array is of Dask, of Zarr, or a file that NumPy has mapped."""
    return isinstance(array, np.memmap) or _package(array) in _CHUNKS


def is_zarr_store(folder: Path) -> bool:
    """Tell whether a folder is a Zarr store."""
    return any((folder / mark).is_file() for mark in _MARKS)


def open_zarr(folder: Path) -> BlockParts:
    """Return what is in a Zarr store: arrays ``X`` and ``y``, or ``X_train`` and others.

    Raises
    ------
    InputError
        If zarr is not installed, the store is damaged, or the arrays are not there.
    """
    name = shown(folder)
    zarr = load_package("zarr", name)
    try:
        group = zarr.open(str(folder), mode="r")
        members = dict(group.arrays()) if hasattr(group, "arrays") else None
    except _FAILURES as error:
        raise InputError(f"{name}: no Zarr store that can be read ({one_line(error)}).") from None
    if members is None:
        raise InputError(
            f"{name}: a single array. Expected a group of arrays X and y, or X_train, y_train, "
            "X_test and y_test."
        )
    found: dict[str, Any] = {}
    for key, array in sorted(members.items()):
        found.setdefault(key.lower().replace("_", ""), array)
    for array in found.values():
        _refuse_codecs(name, array)
    tables = [
        lazy_table(f"{name}: {x}", found[x], found.get(y), f"{name}: {y}")
        for x, y in _PARTS.items()
        if x in found
    ]
    if not tables:
        known = ", ".join(map(repr, sorted(members)[:8])) or "nothing"
        raise InputError(
            f"{name}: no inputs. Expected arrays X and y, or X_train, y_train, X_test and y_test; "
            f"it holds {known}."
        )
    return BlockParts(train=tables[0], test=tables[1] if len(tables) > 1 else None)


def _refuse_codecs(name: str, array: Any) -> None:
    """Raise `InputError` unless every codec of an array is one of a closed list."""
    for codec in _codecs(array.metadata.to_dict()):
        if codec.removeprefix("numcodecs.") not in _CODECS:
            raise InputError(
                f"{name}: {array.basename} is packed with {quoted(codec)}; read are "
                f"{', '.join(sorted(_CODECS))}. Store it with one of these."
            )


def _codecs(content: Any) -> Iterator[str]:
    """Give the names of codecs in an array's metadata, inner ones included."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            if key in ("codecs", "index_codecs", "filters", "compressor"):
                for codec in value if isinstance(value, list | tuple) else [value]:
                    if isinstance(codec, Mapping):
                        yield str(codec.get("name", codec.get("id")))
                    elif codec is not None:
                        yield str(getattr(codec, "codec_id", codec))
            yield from _codecs(value)
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _codecs(value)


def lazy_parts(given: Sequence[Any]) -> BlockParts:
    """Return the tables of arrays ``(X, y)`` or ``(X, y, X_test, y_test)``.

    Raises
    ------
    InputError
        If they are no arrays of numbers, or do not belong together.
    """
    tables = [
        lazy_table(x, given[at], given[at + 1], y)
        for at, x, y in ((0, "X", "y"), (2, "X_test", "y_test"))
        if at < len(given)
    ]
    return BlockParts(train=tables[0], test=tables[1] if len(tables) > 1 else None)


def lazy_table(where: str, X: Any, y: Any, labels: str) -> BlockTable:
    """Return the table of an array of inputs and one of labels; the latter may be in memory.

    Raises
    ------
    InputError
        If they are no arrays of numbers, or differ in rows.
    """
    shape = _shape(where, X, "fiub", "real numbers")
    rows, columns = shape[0], prod(shape[1:])

    def place(row: int, column: int) -> str:
        index: tuple[Any, ...] = np.unravel_index(column, shape[1:]) if shape[1:] else ()
        return f"{where}[{', '.join(map(str, (row, *index)))}]"

    return BlockTable(
        where=where,
        rows=rows,
        columns=columns,
        dtype=np.dtype(X.dtype),
        read=lambda first, last: _rows(where, X, first, last).reshape(last - first, -1),
        place=place,
        labels=None if y is None else _label_column(labels, y, rows, where),
        edges=_edges(X, rows),
        blocks=_CHUNKS.get(_package(X), ("rows", "")),
    )


def _label_column(where: str, y: Any, rows: int, inputs: str) -> LabelColumn:
    if not hasattr(y, "shape"):
        y = np.asarray(y)
    shape = _shape(where, y, "fiubUST", "numbers or texts")
    if len(shape) not in (1, 2):
        raise InputError(f"{where}: has shape {shape}, expected (rows,) or (rows, k).")
    if shape[0] != rows:
        raise InputError(
            f"{where}: {shape[0]} labels for the {rows} rows of {inputs}: every sample needs one "
            "label. Check that both belong together."
        )

    def read(first: int, last: int) -> NDArray[Any]:
        found = _rows(where, y, first, last)
        return found if found.dtype.kind in "fiub" else np.array(as_texts(where, found))

    return LabelColumn(where=where, read=read, place=lambda row: f"{where}[{row}]")


def _shape(where: str, array: Any, kinds: str, expected: str) -> tuple[int, ...]:
    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", None)
    if not shape or dtype is None:
        raise InputError(f"{where}: is {type(array).__name__}, expected an array (rows, ...).")
    if any(isnan(size) for size in shape):
        raise InputError(
            f"{where}: the size of its chunks is not known. Call {where}.compute_chunk_sizes() "
            "before."
        )
    if np.dtype(dtype).kind not in kinds:
        raise InputError(f"{where}: holds {dtype}, expected {expected}.")
    return tuple(int(size) for size in shape)


def _rows(where: str, array: Any, first: int, last: int) -> NDArray[Any]:
    """Return rows of an array, in memory; and ours, though it may be a view."""
    try:
        part = array[first:last]
        part = part.compute() if hasattr(part, "compute") else part
        block = np.asarray(part)
    except _FAILURES as error:
        raise InputError(
            f"{where}, rows {first} to {last - 1}: cannot be read ({type(error).__name__}: "
            f"{one_line(error)})."
        ) from None
    if len(block) != last - first:
        raise InputError(f"{where}: {len(block)} rows from {first} to {last - 1}.")
    return np.ascontiguousarray(block)


def _edges(array: Any, rows: int) -> NDArray[np.int64] | None:
    """Return where the chunks begin and end; None if any rows can be read alike."""
    if _package(array) == "dask":
        return np.cumsum([0, *array.chunks[0]], dtype=np.int64)
    if _package(array) == "zarr":
        step = (getattr(array, "shards", None) or array.chunks)[0]
        return np.append(np.arange(0, rows, step), rows).astype(np.int64)
    return None


def _package(array: object) -> str:
    return type(array).__module__.partition(".")[0]
