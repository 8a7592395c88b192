"""Read IDX files: arrays of bytes, as MNIST comes in.

An IDX file is a header of 32-bit big-endian integers and the elements, row-major: magic
number (two zero bytes, the element type, the number of dimensions), the size of each
dimension, then the data. Type 8, unsigned bytes, is the only one read here. The file may be
inside gzip; its first bytes decide, not its name, since browsers unpack on the way and keep
the ``.gz``.

Nothing in a file is believed before it was compared: memory follows what is there, up to
what the header says, never the header alone.

References
----------
Y. LeCun, C. Cortes, C. J. C. Burges: The MNIST database of handwritten digits.
"""

import contextlib
import gzip
import io
import math
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from runtime.data.source import LIMIT, Source, open_source, refuse_size
from runtime.errors import InputError
from runtime.files import shown

_UBYTE = 8
_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20
_BEGINNING = 1 << 12
_PIECE = 1 << 18  # bytes of samples that are given together
_MOST_PACKED = 1032  # bytes that one in gzip can stand for: runs of 258 in two bits
_CONTENTS = {1: "labels", 3: "images"}


def parse_idx(source: Source, *, dimensions: int, way_out: str) -> NDArray[np.uint8]:
    """Return the array in an IDX file, with the header's shape.

    Parameters
    ----------
    source
        The file, plain or inside gzip.
    dimensions
        How many dimensions the array must have: 1 for labels, 3 for images.
    way_out
        What the user can do about a damaged file: the last sentence of every message.

    Raises
    ------
    InputError
        If the file is damaged, truncated, too long, or something else. One line that says
        what was found and what was expected.
    """
    with _told(source.path, len(source.content), way_out):
        return _parse(_unpacked(io.BytesIO(source.content)), dimensions)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IdxFile:
    """An open IDX file, of which a few samples at a time are in memory.

    Attributes
    ----------
    path
        Where it is.
    shape
        What its header says: samples, and the size of one.
    sha256
        Of the whole file, as it lies there.
    stream, way_out
        The file, and the last sentence of every message about it.
    """

    path: Path
    shape: tuple[int, ...]
    sha256: str
    stream: BufferedReader = field(repr=False)
    way_out: str = field(repr=False)

    def pieces(self) -> Iterator[NDArray[np.uint8]]:
        """Give all samples in their order, some at a time, from the first one on at each call.

        Raises
        ------
        InputError
            If the file is damaged, truncated or too long: as soon as that shows.
        """
        length = math.prod(self.shape[1:])
        step = max(1, _PIECE // length)
        unpacked: io.BufferedIOBase | None = None
        for first in range(0, self.shape[0], step):
            count = min(step, self.shape[0] - first)
            with self._told():
                if unpacked is None:
                    self.stream.seek(0)
                    unpacked = _unpacked(self.stream)
                    _header(unpacked, len(self.shape))
                data = _read_at_most(unpacked, count * length)
                if len(data) < count * length:
                    raise _DamagedError(_truncated(self.shape, first * length + len(data)))
                if first + count == self.shape[0] and unpacked.read(1):
                    raise _DamagedError(_too_long(self.shape))
            yield np.frombuffer(data, np.uint8).reshape(count, *self.shape[1:])

    def _told(self) -> contextlib.AbstractContextManager[None]:
        return _told(self.path, os.fstat(self.stream.fileno()).st_size, self.way_out)


@contextlib.contextmanager
def open_idx(path: Path, *, dimensions: int, way_out: str) -> Iterator[IdxFile]:
    """Give an IDX file that is read piece by piece; parameters as for `parse_idx`.

    Raises
    ------
    InputError
        If it cannot be read, its header is damaged or announces more than can be there, or it
        changes while it is read.
    """
    with open_source(path) as (stream, sha256):
        size = os.fstat(stream.fileno()).st_size
        refuse_size(path, size)
        with _told(path, size, way_out):
            unpacked = _unpacked(stream)
            shape = _header(unpacked, dimensions)
            most, there = size - 4 - 4 * dimensions, ""
            if isinstance(unpacked, gzip.GzipFile):
                most, there = _MOST_PACKED * size, "at most "
            if math.prod(shape) > most:  # before room is set apart for what it announces
                raise _DamagedError(_truncated(shape, f"{there}{most}"))
        yield IdxFile(path=path, shape=shape, sha256=sha256, stream=stream, way_out=way_out)


@contextlib.contextmanager
def _told(path: Path, size: int, way_out: str) -> Iterator[None]:
    """Say of a file of `size` bytes what is wrong with it, and what can be done about it."""
    try:
        yield
        return
    except _DamagedError as error:
        found = str(error)
    except EOFError:
        found = f"its compressed data break off after {size} bytes (truncated)"
    except (gzip.BadGzipFile, zlib.error) as error:
        found = f"its compressed data are damaged ({error})"
    raise InputError(f"{shown(path)}: {found}. {way_out}")


class _DamagedError(Exception):
    """What is wrong with the content, without the file's name."""


def _unpacked(stream: io.BufferedIOBase) -> io.BufferedIOBase:
    """Return what is in a file, from its beginning on."""
    first = stream.read(_BEGINNING)
    stream.seek(0)
    if first.startswith(_GZIP):
        return gzip.GzipFile(fileobj=stream)
    if first.startswith(b"\0\0"):
        return stream
    if not first:
        raise _DamagedError("the file is empty")
    page = ", which looks like a web page" if first.lstrip()[:1] == b"<" else ""
    raise _DamagedError(
        f"it begins with the bytes {first[:4].hex(' ')}{page}: neither gzip (1f 8b) nor IDX (00 00)"
    )


def _header(stream: io.BufferedIOBase, dimensions: int) -> tuple[int, ...]:
    """Read the header, and return the shape that it announces."""
    expected = _UBYTE << 8 | dimensions
    header = stream.read(4 + 4 * dimensions)
    if len(header) >= 4:
        (magic,) = struct.unpack(">I", header[:4])
        if magic != expected:
            raise _DamagedError(_wrong_magic(magic, expected, dimensions))
    if len(header) < 4 + 4 * dimensions:
        raise _DamagedError(
            f"it ends after {len(header)} bytes, inside the header of {4 + 4 * dimensions}"
        )
    shape = struct.unpack(f">{dimensions}I", header[4:])
    size = math.prod(shape)  # Python integers: no overflow
    sizes = _sizes(shape)
    if size == 0:
        raise _DamagedError(f"its header announces {sizes} elements: there is nothing in it")
    if size > LIMIT:
        raise _DamagedError(
            f"its header announces {sizes} = {size} bytes; at most {LIMIT} are read"
        )
    return shape


def _parse(stream: io.BufferedIOBase, dimensions: int) -> NDArray[np.uint8]:
    shape = _header(stream, dimensions)
    size = math.prod(shape)
    data = _read_at_most(stream, size + 1)  # one more than there should be
    if len(data) < size:
        raise _DamagedError(_truncated(shape, len(data)))
    if len(data) > size:
        raise _DamagedError(_too_long(shape))
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _truncated(shape: tuple[int, ...], found: int | str) -> str:
    announced = f"its header announces {_sizes(shape)} = {math.prod(shape)} bytes"
    return f"{announced} and {found} are there (truncated)"


def _too_long(shape: tuple[int, ...]) -> str:
    return f"it goes on after the {_sizes(shape)} = {math.prod(shape)} bytes of its header"


def _wrong_magic(magic: int, expected: int, dimensions: int) -> str:
    wanted = f"expected {expected} ({_CONTENTS.get(dimensions, f'{dimensions} dimensions')})"
    if magic >> 8 == _UBYTE and (contents := _CONTENTS.get(magic & 0xFF)):
        return f"its magic number is {magic} ({contents}), {wanted}: are two files exchanged?"
    if magic >> 16 == 0 and magic >> 8 != _UBYTE:
        return (
            f"its magic number is {magic}: elements of type {magic >> 8}, {wanted} of type "
            f"{_UBYTE}, unsigned bytes"
        )
    return f"its magic number is {magic}, {wanted}"


def _read_at_most(stream: io.BufferedIOBase, size: int) -> bytearray:
    """Read up to `size` bytes in pieces, so that memory follows what there is."""
    data = bytearray()
    while len(data) < size and (piece := stream.read(min(_CHUNK, size - len(data)))):
        data += piece
    return data
