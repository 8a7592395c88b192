"""Read inputs and labels from an NPZ archive, straight from the members of the zip file.

`numpy.load` would hold every array whole before a row is converted, and with pickle allowed
it would run what is in them. Here NumPy reads the header of a member and no more; the numbers
follow block by block, and the sizes in header and directory have to agree before.
"""

import contextlib
import re
import zipfile
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from runtime.data.labels import Labels
from runtime.data.npy_header import (
    LONGEST_TEXT,
    Header,
    one_line,
    quoted,
    read_header,
    text_labels,
)
from runtime.data.source import open_source, refuse_unbearable
from runtime.data.table import Parts, Piece, Table, number_labels
from runtime.errors import InputError
from runtime.files import shown

_BLOCK = 1 << 18  # bytes read at once
_MOST_MEMBERS = 10_000
# a large member that unpacks to so many times its size is no measurement
_BOMB, _BOMB_RATIO = 1 << 28, 200
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_PARTS = {"x": "y", "xtrain": "ytrain", "xtest": "ytest"}
_SAVE = "Save it with np.savez(FILE, X=X, y=y)"


@contextlib.contextmanager
def open_npz(path: Path) -> Iterator[Parts]:
    """Give what is in an archive: ``X`` and ``y``, or ``Xtrain``, ``Ytrain``, ``Xtest``, ``Ytest``.

    Names are taken without regard to case and underscores, so ``x_train`` is ``Xtrain``.
    Labels are optional here, since a network that was trained does not need them. The file
    stays open for the inputs, which are read later.

    Raises
    ------
    InputError
        Naming the member that is damaged, missing, or holds something else than numbers.
    """
    name = shown(path)
    with open_source(path) as (stream, digest):
        try:
            with zipfile.ZipFile(stream) as archive:
                members = _members(archive, name)
                yield _parts(archive, members, name, {path.name: digest})
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise InputError(
                f"{name}: damaged or cut short ({one_line(error)}). Copy or save it again."
            ) from None


def _members(archive: zipfile.ZipFile, name: str) -> dict[str, zipfile.ZipInfo]:
    """Return the members that are wanted, by their name in small letters."""
    infos = archive.infolist()
    if len(infos) > _MOST_MEMBERS:
        raise InputError(f"{name}: {len(infos)} members; at most {_MOST_MEMBERS} are looked at.")
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        where = f"{name}: {quoted(info.filename)}"
        if info.filename.startswith("/") or ".." in re.split(r"[/\\]", info.filename):
            raise InputError(
                f"{where}: a member that points out of the archive. Nothing was unpacked; do not "
                "trust this file."
            )
        key = info.filename.removesuffix(".npy").lower().replace("_", "")
        if key not in {*_PARTS, *_PARTS.values()}:
            continue
        if key in found:
            raise InputError(f"{where}: a second member of that name. {_SAVE}.")
        found[key] = info
    return found


def _parts(
    archive: zipfile.ZipFile,
    members: dict[str, zipfile.ZipInfo],
    name: str,
    sources: dict[str, str],
) -> Parts:
    whole = {"x", "y"} & set(members)
    if whole and len(members) > len(whole):
        raise InputError(
            f"{name}: it has X or y beside Xtrain or others. Expected X and y, or Xtrain, "
            "Ytrain, Xtest and Ytest."
        )
    tables = {
        x: _table(archive, members[x], members.get(y), name)
        for x, y in _PARTS.items()
        if x in members
    }
    if "x" in tables:
        return Parts(train=tables["x"], test=None, sources=sources)
    if "xtrain" in tables or "xtest" in tables:
        first, second = tables.get("xtrain"), tables.get("xtest")
        if first is None:
            first, second = second, None
        assert first is not None
        return Parts(train=first, test=second, sources=sources)
    known = ", ".join(quoted(info.filename) for info in archive.infolist()[:8]) or "nothing"
    raise InputError(
        f"{name}: no inputs. Expected arrays X and y, or Xtrain, Ytrain, Xtest and Ytest; it "
        f"holds {known}."
    )


def _header(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str, kinds: str, expected: str
) -> Header:
    """Read and compare what is said about a member, before its numbers are read."""
    if info.flag_bits & 0x1:
        raise InputError(f"{where}: it is encrypted. {_SAVE}.")
    if info.compress_type not in _METHODS:
        raise InputError(f"{where}: packed by method {info.compress_type}. {_SAVE}.")
    with archive.open(info) as stream:
        header = read_header(stream, where, kinds, expected, _SAVE)
    if header.bytes != info.file_size - header.start:
        raise InputError(
            f"{where}: its header announces {header.shape} of {header.dtype}, {header.bytes} "
            f"bytes, and the archive {info.file_size - header.start}. Copy or save it again."
        )
    if info.file_size > _BOMB and info.file_size > _BOMB_RATIO * max(1, info.compress_size):
        raise InputError(
            f"{where}: {info.compress_size} bytes that unpack to {info.file_size}, as a "
            "decompression bomb. If it is meant, save it unpacked, with np.savez."
        )
    return header


def _table(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, labels: zipfile.ZipInfo | None, name: str
) -> Table:
    where = f"{name}: {info.filename.removesuffix('.npy')}"
    header = _header(archive, info, where, "fiub", "real numbers")
    if not header.shape:
        raise InputError(f"{where}: a single number, expected (rows, columns).")
    rows, columns = header.shape[0], prod(header.shape[1:])
    shape = header.shape[1:]

    def place(row: int, column: int) -> str:
        index: tuple[Any, ...] = np.unravel_index(column, shape) if shape else ()
        return f"{where}[{', '.join(map(str, (row, *index)))}]"

    def pieces() -> Iterator[Piece]:
        with archive.open(info) as stream:
            _exactly(stream, header.start, where)
            yield from _pieces(stream, header, where)
            if stream.read(1):  # and the checksum was compared on the way
                raise InputError(f"{where}: it goes on after its array. Save it again.")

    return Table(
        where=where,
        rows=rows,
        columns=columns,
        pieces=pieces,
        place=place,
        labels=None if labels is None else _labels(archive, labels, name),
    )


def _pieces(stream: IO[bytes], header: Header, where: str) -> Iterator[Piece]:
    rows, columns = header.shape[0], prod(header.shape[1:])
    dtype = header.dtype
    if not header.by_columns or columns == 1:
        step = max(1, _BLOCK // (columns * dtype.itemsize))
        for first in range(0, rows, step):
            count = min(step, rows - first)
            data = _exactly(stream, count * columns * dtype.itemsize, where)
            block = np.frombuffer(data, dtype).reshape(count, columns)
            yield slice(first, first + count), slice(None), block
        return
    # column-major: where each stored column belongs, for more than two dimensions too
    order = np.arange(columns).reshape(header.shape[1:]).ravel(order="F")
    step = max(1, _BLOCK // (rows * dtype.itemsize))
    for first in range(0, columns, step):
        count = min(step, columns - first)
        data = _exactly(stream, count * rows * dtype.itemsize, where)
        block = np.frombuffer(data, dtype).reshape(count, rows).T
        yield slice(0, rows), order[first : first + count], block


def _exactly(stream: IO[bytes], size: int, where: str) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    filled = 0
    while filled < size:
        piece = stream.read(min(size - filled, _BLOCK))
        if not piece:
            raise InputError(
                f"{where}: it ends {size - filled} bytes early (truncated). Copy or save it again."
            )
        view[filled : filled + len(piece)] = piece
        filled += len(piece)
    return data


def _labels(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> Labels:
    where = f"{name}: {info.filename.removesuffix('.npy')}"
    header = _header(archive, info, where, "fiubUS", "numbers or texts")
    if len(header.shape) not in (1, 2) or 0 in header.shape:
        raise InputError(f"{where}: has shape {header.shape}, expected (rows,) or (rows, k).")
    if header.dtype.kind in "US" and header.dtype.itemsize > LONGEST_TEXT:
        raise InputError(f"{where}: labels of up to {header.dtype.itemsize} bytes, too long.")
    refuse_unbearable(header.bytes, where)
    with archive.open(info) as stream:
        _exactly(stream, header.start, where)
        data = _exactly(stream, header.bytes, where)
        stream.read(1)  # at its end the checksum is compared
    values = np.frombuffer(data, header.dtype) if data else np.zeros(len(data), header.dtype)
    values = values.reshape(header.shape, order="F" if header.by_columns else "C")
    if header.dtype.kind in "fiub":
        return number_labels(where, values.astype(header.dtype.newbyteorder("="), copy=False))
    return text_labels(where, values)
