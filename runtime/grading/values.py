"""What came back from a student's function, as plain values that can do nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.grading.session import ChildError

Array = NDArray[Any]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An array, as the file gave it back.

    Attributes
    ----------
    array
        Its numbers in float64.
    kind
        ``numpy`` or ``torch``.
    dtype
        In which it was.
    tracked, leaf, slope
        Of a tensor: whether autograd follows it, whether it was made by the user, its ``.grad``.
    """

    array: Array
    kind: str
    dtype: str
    tracked: bool = False
    leaf: bool = True
    slope: "Value | None" = None


@final
@dataclass(frozen=True, slots=True)
class Other:
    """Something without numbers, by the name of its type; ``None`` is ``NoneType``."""

    type: str


Value = Given | Other | dict[str, Any] | list[Any]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What a call raised, or how it ended its process.

    Attributes
    ----------
    error
        The exception's type, or "" where there was none.
    message
        Its first line, or what happened.
    line
        In the file, or None.
    """

    error: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        """Write it as it follows a function's name: ``raises ValueError: …``."""
        if not self.error:
            return self.message
        return f"raises {self.error}: {self.message}" if self.message else f"raises {self.error}"


def read_value(description: Any, arrays: Sequence[Array]) -> Value:
    """Return the value of a description, which may be anything at all.

    Raises
    ------
    ChildError
        If it is not one.
    """
    try:
        return _read(description, arrays, 0)
    except (KeyError, TypeError, IndexError, ValueError, RecursionError) as error:
        raise ChildError("sent what is no value") from error


def _read(what: Any, arrays: Sequence[Array], depth: int) -> Value:
    if depth > 8 or not isinstance(what, Mapping):
        raise ValueError
    match what["is"]:
        case "none":
            return Other("NoneType")
        case "dict":
            return {str(key): _read(entry, arrays, depth + 1) for key, entry in what["items"]}
        case "list":
            return [_read(entry, arrays, depth + 1) for entry in what["items"]]
        case "array":
            number = what["array"]
            if type(number) is not int or number < 0:
                raise ValueError
            array = arrays[number]
            slope = what.get("slope")
            with np.errstate(all="ignore"):
                wide = array.astype(np.float64)
            return Given(
                array=wide,
                kind=str(what.get("kind")),
                dtype=str(what.get("dtype", array.dtype.name)),
                tracked=bool(what.get("tracked")),
                leaf=bool(what.get("leaf", True)),
                slope=None if slope is None else _read(slope, arrays, depth + 1),
            )
        case _:
            return Other(str(what.get("type"))[:300])


def read_failure(what: Any) -> Failure:
    """Return what a call raised, as the child told it."""
    if not isinstance(what, Mapping):
        return Failure(error="", message="ended its process")
    line = what.get("line")
    return Failure(
        error=_clean(what.get("error")),
        message=_clean(what.get("message")),
        line=line if type(line) is int else None,
    )


def _clean(text: object) -> str:
    """Return text from the file's process without what could steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(text or ""))[:300].strip()
