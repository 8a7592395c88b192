"""What stands before the numbers of an array in NumPy's format: read, and compared, never trusted.

NumPy reads the header itself, a literal that is not evaluated. Nothing here unpickles: an array
of Python objects is refused by its type, before a byte of it is read.
"""

import re
import tokenize
import warnings
from dataclasses import dataclass
from math import prod
from typing import IO, Any, final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from runtime.data.labels import Labels, labels_from_texts
from runtime.errors import InputError

LONGEST_TEXT = 1 << 12  # bytes of a label
_LONGEST_HEADER = 10_000
_KINDS = {"O": "Python objects, which would have to be unpickled", "V": "records of fields"}
_KINDS |= {"c": "complex numbers", "M": "dates", "m": "time spans", "U": "texts", "S": "texts"}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What is said about an array; `start` is the first byte of the numbers."""

    shape: tuple[int, ...]
    by_columns: bool
    dtype: np.dtype[Any]
    start: int

    @property
    def bytes(self) -> int:
        """Size of the numbers."""
        return prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes], where: str, kinds: str, expected: str, way_out: str) -> Header:
    """Return what a stream says about the array that follows.

    Parameters
    ----------
    stream
        At the beginning of the array.
    where
        What messages call it.
    kinds, expected
        Kinds of NumPy's types that will do, and these in words.
    way_out
        What the user may do instead.

    Raises
    ------
    InputError
        If it is no array, or one of another kind.
    """
    try:
        version = npy.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"format {version[0]}.{version[1]}, expected 1.0 or 2.0")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a header that Python 2 wrote
            shape, by_columns, dtype = read(stream, max_header_size=_LONGEST_HEADER)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise _no_array(where, error, way_out) from None
    except tokenize.TokenError as error:
        raise _no_array(where, error, way_out) from None
    header = Header(shape=shape, by_columns=by_columns, dtype=dtype, start=stream.tell())
    if dtype.kind not in kinds:
        found = _KINDS.get(dtype.kind, "something else")
        raise InputError(f"{where}: holds {found} ({quoted(str(dtype))}), expected {expected}.")
    if min(shape, default=1) < 0:
        raise InputError(f"{where}: its header announces the shape {shape}. {way_out}.")
    return header


def text_labels(where: str, values: NDArray[Any]) -> Labels:
    """Return the labels in an array of texts (rows,) or (rows, 1)."""
    texts = [text.strip() for text in as_texts(where, values)]
    return labels_from_texts(texts, where, lambda row: f"{where}[{row}]")


def as_texts(where: str, values: NDArray[Any]) -> list[str]:
    """Return the texts of an array as Python has them; bytes are UTF-8."""
    if values.ndim == 2 and values.shape[1] != 1:
        raise InputError(f"{where}: texts of shape {values.shape}, expected (rows,).")
    try:
        return [str(t.decode() if isinstance(t, bytes) else t) for t in values.ravel().tolist()]
    except UnicodeDecodeError:
        raise InputError(f"{where}: texts that are not UTF-8. Save them as NumPy's str.") from None


def _no_array(where: str, error: BaseException, way_out: str) -> InputError:
    return InputError(f"{where}: no array of NumPy's ({one_line(error)}). {way_out}.")


def one_line(error: BaseException) -> str:
    """Return what an error says, in a line that is not too long."""
    text = re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
    return text if len(text) <= 120 else f"{text[:120]}..."


def quoted(text: str) -> str:
    """Return a stranger's text for a message."""
    return repr(text if len(text) <= 60 else f"{text[:60]}...")
