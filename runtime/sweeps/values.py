"""What an option of a sweep holds: values, and ranges of them.

    values = part { "," part }
    part   = value | low ":" high ":" ( "log" | "lin" ) ":" count | low ":" high

``0.01:0.3:log:8`` are eight numbers in equal ratios, both ends among them; ``lin`` takes equal
distances. Inner numbers are rounded to four digits, so that what a table says can be typed
again. ``low:high`` are the whole numbers from one end to the other.
"""

import math
import re
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

import numpy as np

from runtime.errors import InputError

MOST = 10_000  # values of one option
_DIGITS = 4  # of numbers inside a range
_LONGEST = 40  # characters of a wrong text that are shown

# as people write them; `float` itself would also take "1_0", "nan" and "infinity"
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?(e[+-]?[0-9]+)?|\.[0-9]+(e[+-]?[0-9]+)?", re.IGNORECASE)
_WHOLE = re.compile(r"[0-9]+")
_Value = TypeVar("_Value", int, float, str)

Given = str | float | Sequence[str | float]
"""Values as a user gives them: a text as on the command line, a number, or several."""


def as_text(given: Given) -> str:
    """Return values as they would stand on the command line.

    Examples
    --------
    >>> as_text([0.01, 0.03]), as_text(5), as_text("2,5,10")
    ('0.01,0.03', '5', '2,5,10')
    """
    if isinstance(given, str):
        return given
    items = given if isinstance(given, Sequence | np.ndarray) else [given]
    plain = [item.item() if isinstance(item, np.generic) else item for item in items]
    return ",".join(item if isinstance(item, str) else repr(item) for item in plain)


def numbers(name: str, text: str) -> tuple[float, ...]:
    """Return the numbers of an option.

    Raises
    ------
    InputError
        If the text cannot be read, or has a value twice.

    Examples
    --------
    >>> numbers("eta", "0.01:0.3:log:4,1")
    (0.01, 0.03107, 0.09655, 0.3, 1.0)
    """

    def read(part: str) -> list[float]:
        if ":" not in part:
            return [_number(name, part)]
        low, high, count, course = _range(name, part, _number)
        inner = course(low, high, count)[1:-1].tolist()
        return [low, *(float(f"{value:.{_DIGITS}g}") for value in inner), high]

    return _values(name, text, read)


def whole_numbers(name: str, text: str) -> tuple[int, ...]:
    """Return the whole numbers of an option; those inside a range are rounded.

    Raises
    ------
    InputError
        If the text cannot be read, or has a value twice.

    Examples
    --------
    >>> whole_numbers("batch", "2:64:log:6"), whole_numbers("seeds", "3:6")
    ((2, 4, 8, 16, 32, 64), (3, 4, 5, 6))
    """

    def read(part: str) -> list[int]:
        if ":" not in part:
            return [_whole(name, part)]
        if part.count(":") == 1:
            ends = [_whole(name, end) for end in part.split(":")]
            _refuse_order(name, part, *ends)
            _refuse_many(name, part, ends[1] - ends[0] + 1)
            return list(range(ends[0], ends[1] + 1))
        low, high, count, course = _range(name, part, _whole)
        return [round(value) for value in course(low, high, count).tolist()]

    return _values(name, text, read)


def words(name: str, text: str, known: Collection[str] | None = None) -> tuple[str, ...]:
    """Return the words of an option.

    Raises
    ------
    InputError
        If one is empty, not among those `known`, or there twice.
    """

    def read(part: str) -> list[str]:
        if known is not None and part not in known:
            raise InputError(
                f"{name}: {_shown(part)} is not known. Known: {', '.join(known)}, with commas "
                "between several."
            )
        return [part]

    return _values(name, text, read)


def seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of a sweep: a single number N stands for 0 … N − 1.

    Raises
    ------
    InputError
        As `whole_numbers` does, and if there are none.

    Examples
    --------
    >>> seeds("3"), seeds("7,"), seeds("10:12")
    ((0, 1, 2), (7,), (10, 11, 12))
    """
    text = text.strip()
    if not _WHOLE.fullmatch(text):
        return whole_numbers("seeds", text.removesuffix(","))
    count = _whole("seeds", text)
    if count == 0:
        raise InputError("seeds: 0. Expected how many, from 1; a single seed N is written N:N.")
    _refuse_many("seeds", text, count, most=100 * MOST)
    return tuple(range(count))


def _values(name: str, text: str, read: Callable[[str], list[_Value]]) -> tuple[_Value, ...]:
    found: list[_Value] = []
    for part in text.split(","):
        if not part.strip():
            raise InputError(
                f"{name}: {_shown(text)} has an empty value. Write values with commas between "
                "them, such as 2,5,10."
            )
        found += read(part.strip())
    _refuse_many(name, text, len(found), most=100 * MOST)
    seen: set[_Value] = set()
    for value in found:
        if value in seen:
            raise InputError(f"{name}: {_shown(text)} gives {value} twice. Give each value once.")
        seen.add(value)
    return tuple(found)


_Number = TypeVar("_Number", int, float)


def _range(
    name: str, part: str, read: Callable[[str, str], _Number]
) -> tuple[_Number, _Number, int, Callable[..., "np.ndarray[tuple[int], np.dtype[np.float64]]"]]:
    """Return the ends of a range, how many numbers it has, and what spaces them."""
    pieces = part.split(":")
    if len(pieces) != 4 or pieces[2] not in ("log", "lin"):
        raise InputError(
            f"{name}: {_shown(part)} is no range. Write LOW:HIGH:log:COUNT or LOW:HIGH:lin:COUNT, "
            "such as 0.01:0.3:log:8."
        )
    low, high = read(name, pieces[0]), read(name, pieces[1])
    _refuse_order(name, part, low, high)
    if pieces[2] == "log" and low == 0:
        raise InputError(f"{name}: {_shown(part)} begins at 0, which has no logarithm. Use lin.")
    count = _whole(name, pieces[3])
    if count < 2:
        raise InputError(f"{name}: {_shown(part)} has {count} values. A range has 2 at least.")
    _refuse_many(name, part, count)
    return low, high, count, np.geomspace if pieces[2] == "log" else np.linspace


def _number(name: str, text: str) -> float:
    text = text.strip()
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise InputError(
            f"{name}: {_shown(text)} is not a number. Expected numbers such as 0.03, with commas "
            "between them, or a range such as 0.01:0.3:log:8."
        )
    return value


def _whole(name: str, text: str) -> int:
    text = text.strip()
    if not _WHOLE.fullmatch(text) or len(text) > 18:
        raise InputError(
            f"{name}: {_shown(text)} is not a whole number. Expected numbers such as 10, with "
            "commas between them, or a range such as 1:5 or 2:64:log:6."
        )
    return int(text)


def _refuse_order(name: str, part: str, low: float, high: float) -> None:
    if not low < high and not (low == high and part.count(":") == 1):
        raise InputError(f"{name}: {_shown(part)} does not rise. Write the lower end first.")


def _refuse_many(name: str, text: str, count: int, most: int = MOST) -> None:
    if count > most:
        raise InputError(
            f"{name}: {_shown(text)} are {count:,} values. At most {most:,} are taken."
        )


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")
