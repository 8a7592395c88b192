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

import gzip
import io
import math
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from runtime.data.source import LIMIT, Source
from runtime.errors import InputError
from runtime.files import shown

_UBYTE = 8
_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20
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
    try:
        return _parse(_unpacked(source.content), dimensions)
    except _DamagedError as error:
        found = str(error)
    except EOFError:
        found = f"its compressed data break off after {len(source.content)} bytes (truncated)"
    except (gzip.BadGzipFile, zlib.error) as error:
        found = f"its compressed data are damaged ({error})"
    raise InputError(f"{shown(source.path)}: {found}. {way_out}")


class _DamagedError(Exception):
    """What is wrong with the content, without the file's name."""


def _unpacked(content: bytes) -> io.BufferedIOBase:
    if content.startswith(_GZIP):
        return gzip.GzipFile(fileobj=io.BytesIO(content))
    if content.startswith(b"\0\0"):
        return io.BytesIO(content)
    if not content:
        raise _DamagedError("the file is empty")
    page = ", which looks like a web page" if content.lstrip()[:1] == b"<" else ""
    raise _DamagedError(
        f"it begins with the bytes {content[:4].hex(' ')}{page}: neither gzip (1f 8b) nor "
        "IDX (00 00)"
    )


def _parse(stream: io.BufferedIOBase, dimensions: int) -> NDArray[np.uint8]:
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
    sizes = " x ".join(map(str, shape))
    if size == 0:
        raise _DamagedError(f"its header announces {sizes} elements: there is nothing in it")
    if size > LIMIT:
        raise _DamagedError(
            f"its header announces {sizes} = {size} bytes; at most {LIMIT} are read"
        )
    data = _read_at_most(stream, size + 1)  # one more than there should be
    if len(data) < size:
        raise _DamagedError(
            f"its header announces {sizes} = {size} bytes and {len(data)} are there (truncated)"
        )
    if len(data) > size:
        raise _DamagedError(f"it goes on after the {sizes} = {size} bytes of its header")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


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
