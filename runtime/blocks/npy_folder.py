"""Arrays in NPY files, read block by block: never mapped into memory, never unpickled.

A file that is cut short while it is mapped kills the process (SIGBUS), and pages of a mapped
file count as the process's memory. What is read lies in the system's page cache all the same.
"""

import os
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.blocks.table import BlockParts, BlockTable, LabelColumn
from runtime.data.npy_header import LONGEST_TEXT, Header, as_texts, read_header
from runtime.errors import InputError
from runtime.files import path_error, shown

_PARTS = {"x": "y", "xtrain": "ytrain", "xtest": "ytest"}
_SAVE = "Save it with np.save(FILE, X), X being an array of numbers"
_MOST_FILES = 10_000
_EXPECTED = (
    "Expected X.npy and y.npy, or X_train.npy, y_train.npy, X_test.npy and y_test.npy, in one "
    "folder"
)


def is_npy_folder(folder: Path) -> bool:
    """Tell whether a folder holds inputs in an NPY file, by the names in it."""
    return bool({"x", "xtrain", "xtest"} & set(_files(folder)))


def open_npy_folder(folder: Path) -> BlockParts:
    """Return what is in a folder: ``X.npy`` and ``y.npy``, or ``X_train.npy`` and others.

    Names are taken without regard to case and underscores, as those in an NPZ archive.

    Raises
    ------
    InputError
        Naming the file that is missing, damaged, or holds something else than numbers.
    """
    files = _files(folder)
    whole = {"x", "y"} & set(files)
    if whole and len(files) > len(whole):
        raise InputError(f"{shown(folder)}: X or y beside X_train or others. {_EXPECTED}.")
    tables = [open_npy(files[x], files.get(y)) for x, y in _PARTS.items() if x in files]
    return BlockParts(train=tables[0], test=tables[1] if len(tables) > 1 else None)


def open_npy_file(path: Path, label: str | None = None) -> BlockParts:
    """Return the inputs in a file, with the labels in `label` or beside it.

    Parameters
    ----------
    path
        The inputs.
    label
        Path of the labels. None: ``y.npy`` for ``X.npy``, and so on, in the same folder.

    Raises
    ------
    InputError
        If a file is missing, damaged, or holds something else than numbers.
    """
    labels = None
    if label is not None:
        labels = Path(label)
        if not labels.exists() and not labels.is_absolute():
            labels = path.parent / label
    elif (name := _key(path)) in _PARTS:
        labels = _files(path.parent).get(_PARTS[name])
    return BlockParts(train=open_npy(path, labels))


def open_npy(path: Path, labels: Path | None) -> BlockTable:
    """Return the table of a file of inputs and one of labels.

    Raises
    ------
    InputError
        As for `open_npy_folder`.
    """
    where = shown(path)
    header, read, read_into = _opened(path, "fiub", "real numbers")
    if not header.shape:
        raise InputError(f"{where}: a single number, expected (rows, columns).")
    rows, columns, shape = header.shape[0], prod(header.shape[1:]), header.shape[1:]

    def place(row: int, column: int) -> str:
        index: tuple[Any, ...] = np.unravel_index(column, shape) if shape else ()
        return f"{where}[{', '.join(map(str, (row, *index)))}]"

    return BlockTable(
        where=where,
        rows=rows,
        columns=columns,
        dtype=header.dtype,
        read=lambda first, last: read(first, last).reshape(last - first, -1),
        read_into=read_into,
        place=place,
        labels=None if labels is None else _label_column(labels, rows, where),
    )


def _label_column(path: Path, rows: int, inputs: str) -> LabelColumn:
    where = shown(path)
    header, read, _ = _opened(path, "fiubUS", "numbers or texts")
    shape = header.shape
    if len(shape) not in (1, 2) or 0 in shape:
        raise InputError(f"{where}: has shape {shape}, expected (rows,) or (rows, k).")
    if shape[0] != rows:
        raise InputError(
            f"{where}: {shape[0]} labels for the {rows} rows of {inputs}: every sample needs one "
            "label. Check that both belong together."
        )
    is_text = header.dtype.kind in "US"
    if is_text and header.dtype.itemsize > LONGEST_TEXT:
        raise InputError(f"{where}: labels of up to {header.dtype.itemsize} bytes, too long.")

    def labels(first: int, last: int) -> NDArray[Any]:
        found = read(first, last)
        return np.array(as_texts(where, found)) if is_text else found

    return LabelColumn(where=where, read=labels, place=lambda row: f"{where}[{row}]")


def _opened(
    path: Path, kinds: str, expected: str
) -> tuple[Header, Callable[[int, int], NDArray[Any]], Callable[[int, NDArray[Any]], None]]:
    """Return what a file says of itself, and how to read its rows, also into an array."""
    where = shown(path)
    try:
        with path.open("rb") as stream:
            then = os.fstat(stream.fileno())
            header = read_header(stream, where, kinds, expected, _SAVE)
    except FileNotFoundError:
        raise InputError(f"{where}: there is no such file. Check the path.") from None
    except OSError as error:
        raise path_error(error, path, "read") from error
    if header.by_columns and prod(header.shape) != max(header.shape, default=1):
        raise InputError(
            f"{where}: its numbers stand column by column (Fortran order), so that no block of "
            "rows can be read. Save it with np.save(FILE, np.ascontiguousarray(X))."
        )
    found = then.st_size - header.start
    if found != header.bytes:
        wrong = "is cut short" if found < header.bytes else "goes on after its array"
        raise InputError(
            f"{where}: its header announces {header.shape} of {header.dtype}, {header.bytes} "
            f"bytes, and the file has {found}: it {wrong}. Copy or save it again."
        )
    row_bytes = header.dtype.itemsize * prod(header.shape[1:])
    native = header.dtype.newbyteorder("=")

    def read(first: int, last: int) -> NDArray[Any]:
        block = np.empty((last - first, *header.shape[1:]), header.dtype)
        read_into(first, block)
        return block.astype(native, copy=False)

    def read_into(first: int, block: NDArray[Any]) -> None:
        # as bytes: NumPy lends no memory of texts to others
        view = block.reshape(-1).view(np.uint8).data
        try:
            with path.open("rb", buffering=0) as stream:
                now = os.fstat(stream.fileno())
                stream.seek(header.start + first * row_bytes)
                done = 0
                while done < len(view) and (count := stream.readinto(view[done:])):
                    done += count
        except OSError as error:
            raise path_error(error, path, "read", work_began=True) from error
        changed = (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns)
        if changed or done < len(view):
            raise InputError(f"{where}: it was changed while it was read. Start again.")

    return header, read, read_into


def _files(folder: Path) -> dict[str, Path]:
    """Return the NPY files with a name that means something, by that name."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise path_error(error, folder, "read") from error
    found: dict[str, Path] = {}
    for path in paths[:_MOST_FILES]:
        if path.suffix.lower() == ".npy" and (key := _key(path)) in {*_PARTS, *_PARTS.values()}:
            if key in found:
                raise InputError(
                    f"{shown(folder)}: {found[key].name} and {path.name} have one meaning. "
                    f"{_EXPECTED}."
                )
            found[key] = path
    return found


def _key(path: Path) -> str:
    return path.stem.lower().replace("_", "")
