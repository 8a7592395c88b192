"""Read numeric matrices from a MATLAB 5 file, without believing a byte of it.

`scipy.io.loadmat` is the usual reader, and the oracle in the tests. It trusts the sizes in
a file: with a few bytes changed, SciPy 1.17 died of SIGSEGV or SIGBUS within some hundred
tries. A damaged file must end in a message, so the small part of the format that is
needed here is read with every size compared first.

A file is a header of 128 bytes and elements, each with a tag (type, bytes). Matrices are
elements of type 14 or, packed by zlib, 15; they hold elements for class and flags,
dimensions, name and numbers (column-major, often in a smaller type than the class).

References
----------
The MathWorks: MAT-File Format, level 5.
"""

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError

_HEADER = 128
_LIMIT = 1 << 28  # bytes that packed elements may unpack to, all together
_MATRIX, _COMPRESSED = 14, 15
_UINT32, _INT32 = 6, 5
_STORED = {  # element type -> NumPy's name
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4"},
    **{7: "f4", 9: "f8", 12: "i8", 13: "u8"},
}
_NUMERIC = {  # class of a matrix -> NumPy's name
    **{6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2"},
    **{12: "i4", 13: "u4", 14: "i8", 15: "u8"},
}
_OTHER = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 16: "function", 17: "opaque"}
_OPAQUE = 17
_COMPLEX = 0x08


def parse_matlab(content: bytes, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Return the named matrices of a MATLAB 5 file, each in its class's type.

    Parameters
    ----------
    content
        The whole file.
    names
        The variables wanted. Others in the file are not looked into.

    Returns
    -------
    dict
        For each name a two-dimensional array of integers or real floats.

    Raises
    ------
    InputError
        If the file is damaged or in another format, if a variable is missing, or if it is
        no real numeric matrix. The message is one line, without the file's name.
    """
    order = _byte_order(content)
    matrices: dict[str, _Matrix] = {}
    for body in _matrices(content, order):
        matrix = _matrix(body, order)
        if matrix.name in matrices and matrix.name in names:
            raise InputError(f"the variable {matrix.name} is there twice")
        matrices[matrix.name] = matrix
    if missing := [name for name in names if name not in matrices]:
        held = ", ".join(sorted(name for name in matrices if name)) or "nothing"
        raise InputError(
            f"no variable {', '.join(missing)}; expected {', '.join(names)}, found {held}"
        )
    return {name: _numbers(matrices[name], order) for name in names}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Matrix:
    """A variable: what is known of it before its numbers are read."""

    name: str
    kind: int
    is_complex: bool
    shape: tuple[int, ...]
    rest: memoryview


def _byte_order(content: bytes) -> str:
    mark = content[126:128]
    if content.startswith(b"MATLAB 7.3"):
        raise InputError("a MATLAB 7.3 file (HDF5); save it again with save(..., '-v7')")
    if len(content) < _HEADER or mark not in (b"IM", b"MI"):
        raise InputError("not a MATLAB 5 file; save it with save(..., '-v7')")
    return "<" if mark == b"IM" else ">"


def _matrices(content: bytes, order: str) -> Iterator[memoryview]:
    """Yield the body of every matrix, unpacked."""
    budget = _LIMIT
    rest = memoryview(content)[_HEADER:]
    while rest:
        kind, body, rest = _element(rest, order, padded=False)
        if kind == _COMPRESSED:
            unpacked = _unpack(body, budget)
            budget -= len(unpacked)
            kind, body, tail = _element(memoryview(unpacked), order, padded=False)
            if tail:
                raise InputError("damaged: a packed element goes on after its matrix")
        if kind == _MATRIX:
            yield body


def _unpack(body: memoryview, budget: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(body, budget + 1)
    except zlib.error as error:
        raise InputError(f"damaged: a packed element cannot be unpacked ({error})") from None
    if len(unpacked) > budget:
        raise InputError(f"unpacks to more than {_LIMIT} bytes, the most that is read")
    if not unpacker.eof:
        raise InputError("damaged: a packed element breaks off (truncated)")
    return unpacked


def _element(
    data: memoryview, order: str, *, padded: bool = True
) -> tuple[int, memoryview, memoryview]:
    """Split `data` into the first element's type and content, and what follows it."""
    if len(data) < 8:
        raise InputError(f"damaged: {len(data)} bytes where an element begins (truncated)")
    first, size = (int(word) for word in np.frombuffer(data[:8], dtype=f"{order}u4"))
    if first >> 16:  # the small form: size and type share a word, the content the other
        kind, size, start = first & 0xFFFF, first >> 16, 4
        if size > 4:
            raise InputError(f"damaged: a small element of {size} bytes, expected at most 4")
        end = 8
    else:
        kind, start = first, 8
        end = start + (-(-size // 8) * 8 if padded else size)
    if start + size > len(data):
        raise InputError(
            f"damaged: an element of {size} bytes where {len(data) - start} are left (truncated)"
        )
    return kind, data[start : start + size], data[end:]


def _matrix(body: memoryview, order: str) -> _Matrix:
    if not body:
        return _Matrix(name="", kind=0, is_complex=False, shape=(), rest=body)
    kind, flags, rest = _element(body, order)
    if kind != _UINT32 or len(flags) != 8:
        raise InputError("damaged: a matrix without class and flags")
    word = int(np.frombuffer(flags[:4], dtype=f"{order}u4")[0])
    shape: tuple[int, ...] = ()
    if word & 0xFF != _OPAQUE:  # which has no dimensions
        kind, sizes, rest = _element(rest, order)
        if kind != _INT32 or len(sizes) % 4:
            raise InputError("damaged: a matrix without dimensions")
        shape = tuple(int(size) for size in np.frombuffer(sizes, dtype=f"{order}i4"))
    _, name, rest = _element(rest, order)
    return _Matrix(
        name=bytes(name).decode("utf-8", "replace"),
        kind=word & 0xFF,
        is_complex=bool(word >> 8 & _COMPLEX),
        shape=shape,
        rest=rest,
    )


def _numbers(matrix: _Matrix, order: str) -> NDArray[Any]:
    name, shape = matrix.name, matrix.shape
    if matrix.kind not in _NUMERIC:
        found = _OTHER.get(matrix.kind, f"unknown ({matrix.kind})")
        raise InputError(f"{name} is of class {found}, expected a numeric matrix")
    if matrix.is_complex:
        raise InputError(f"{name} is complex, expected real numbers")
    if len(shape) != 2 or min(shape) < 0:
        raise InputError(f"{name} has dimensions {shape}, expected two")
    kind, data, _ = _element(matrix.rest, order)
    if kind not in _STORED:
        raise InputError(f"damaged: {name} is stored as type {kind}, which is none of numbers")
    stored = np.dtype(order + _STORED[kind])
    if len(data) != math.prod(shape) * stored.itemsize:
        raise InputError(
            f"damaged: {name} has dimensions {shape[0]} x {shape[1]} and {len(data)} bytes "
            f"of {stored.itemsize} per number"
        )
    numbers = np.frombuffer(data, dtype=stored).reshape(shape, order="F")
    with np.errstate(invalid="ignore", over="ignore"):
        converted = numbers.astype(_NUMERIC[matrix.kind], order="C")
    if not np.array_equal(converted, numbers, equal_nan=True):
        raise InputError(f"damaged: {name} holds numbers that its class cannot hold")
    return converted
