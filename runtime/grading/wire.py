"""How the grader and the process that runs a student's file speak: frames of JSON and raw bytes.

A frame is::

    b"GWF1" | length of the text, 4 bytes | text: JSON {"body": …, "arrays": [[dtype, shape]…]}
            | the bytes of each array, C order, native byte order

Nothing in a frame is ever evaluated or unpickled, and every length is checked against a limit
before anything is read or allocated, since whoever sends may be hostile.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MAGIC = b"GWF1"
DTYPES = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")
MOST_TEXT = 4_000_000  # bytes of a frame's text
MOST_ARRAYS = 2_000
MOST_BYTES = 64_000_000  # bytes of all arrays of a frame together
MOST_AXES = 8
NOT_RUN = 4  # the process's exit status where it must not run the file


class WireError(Exception):
    """A frame is not what it must be."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A message: a body of plain JSON, and arrays to which it refers by number."""

    body: Any
    arrays: tuple[Array, ...] = ()


def encode(frame: Frame) -> bytes:
    """Return the bytes of a frame."""
    arrays = [np.array(array, order="C", copy=True) for array in frame.arrays]
    shapes = [[array.dtype.name, list(array.shape)] for array in arrays]
    text = json.dumps({"body": frame.body, "arrays": shapes}).encode("ascii")
    pieces = [MAGIC, len(text).to_bytes(4, "little"), text]
    return b"".join([*pieces, *(array.tobytes() for array in arrays)])


def decode(read: Callable[[int], bytes]) -> Frame:
    """Read a frame.

    Parameters
    ----------
    read
        Returns exactly as many bytes as it is asked for, or raises.

    Raises
    ------
    WireError
        If the frame is malformed or larger than the limits above.
    """
    if read(len(MAGIC)) != MAGIC:
        raise WireError("a frame does not begin as one")
    length = int.from_bytes(read(4), "little")
    if length > MOST_TEXT:
        raise WireError(f"a frame's text has {length} bytes")
    try:
        content = json.loads(read(length))
    except (ValueError, RecursionError) as error:
        raise WireError("a frame's text is not JSON") from error
    if not isinstance(content, dict) or not isinstance(content.get("arrays"), list):
        raise WireError("a frame's text is not of the form")
    kinds = [_checked(entry) for entry in content["arrays"]]
    sizes = [np.dtype(dtype).itemsize * _product(shape) for dtype, shape in kinds]
    if len(kinds) > MOST_ARRAYS or sum(sizes) > MOST_BYTES:
        raise WireError("a frame's arrays are too large")
    arrays = tuple(
        np.frombuffer(read(size), dtype=dtype).reshape(shape)
        for (dtype, shape), size in zip(kinds, sizes, strict=True)
    )
    return Frame(body=content.get("body"), arrays=arrays)


def _checked(entry: Any) -> tuple[str, tuple[int, ...]]:
    if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], list)):
        raise WireError("an array is not described")
    dtype, shape = entry
    if dtype not in DTYPES or len(shape) > MOST_AXES:
        raise WireError("an array has a dtype or a number of axes that is not allowed")
    for extent in shape:
        if type(extent) is not int or not 0 <= extent <= MOST_BYTES:
            raise WireError("an array has an impossible shape")
    return dtype, tuple(shape)


def _product(shape: Sequence[int]) -> int:
    product = 1
    for extent in shape:
        product *= extent
    return product
