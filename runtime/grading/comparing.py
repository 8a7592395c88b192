"""Whether numbers are right, as exactly as their dtype allows."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.grading.values import Given, Other, Value

Array = NDArray[Any]

# how much coarser than float64 a unit in the last place is; what is no float is exact
_UNIT = {"float64": 1.0, "float32": 2.0**29, "float16": 2.0**42, "bfloat16": 2.0**45}
_SLACK = 16.0  # times the rounding error bound: another order of steps may add some
_MATCH = {"float64": 1e-7, "float32": 3e-4, "float16": 2e-2, "bfloat16": 1e-1}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A value beside the one that is expected.

    Attributes
    ----------
    ok
        Whether shape and numbers are right.
    numbers_ok
        Whether the numbers are, axes of length 1 and a missing axis aside.
    imprecise
        Whether they are right only to the digits of float32, though float64 was used.
    relative_error
        ``max|a-b| / max|b|``, None if there is none.
    problem
        What is wrong with it at first sight, in words.
    same_size
        Whether it has the entries of what is expected, axes of length 1 aside.
    """

    ok: bool
    numbers_ok: bool
    imprecise: bool = False
    relative_error: float | None = None
    problem: str = ""
    same_size: bool = True


def coarsest(*dtypes: str) -> str:
    """Return the least exact of some dtypes."""
    return max((d for d in dtypes if d in _UNIT), key=lambda d: _UNIT[d], default="float64")


def match_tolerance(dtype: str) -> float:
    """Return how near, relative to the largest entry, a candidate must come."""
    return _MATCH[dtype]


def compare(
    value: Value, expected: Array, bound: Array, shape: tuple[int, ...], dtype: str
) -> Comparison:
    """Compare what a file gave with what is expected.

    Parameters
    ----------
    value
        What the file gave.
    expected, bound
        The right value, and its rounding error bound in float64.
    shape
        That the value must have; ``()`` is met by any single number.
    dtype
        In which the file computes; the value's own counts if it is coarser.
    """
    if isinstance(value, Other):
        told = "None" if value.type == "NoneType" else f"a {value.type}"
        return Comparison(ok=False, numbers_ok=False, problem=f"is {told}, not an array")
    if not isinstance(value, Given):
        told = "a dictionary" if isinstance(value, dict) else "a list or tuple"
        return Comparison(ok=False, numbers_ok=False, problem=f"is {told}, not an array")
    array = value.array
    right_shape = array.shape == shape or (shape == () and array.size == 1)
    problem = "" if right_shape else f"has the shape {array.shape}, expected {shape}"
    if array.size != expected.size or array.squeeze().shape != expected.squeeze().shape:
        return Comparison(ok=False, numbers_ok=False, problem=problem, same_size=False)
    a, b = array.reshape(-1), expected.reshape(-1)
    allowed = float(np.max(bound, initial=0.0)) * _SLACK
    with np.errstate(all="ignore"):
        off = np.abs(a - b)
        size = float(np.abs(b).max())
        error = float(off.max()) / size if size else float(off.max())
    finite = bool(np.isfinite(a).all())
    if not finite:
        problem = problem or "is not finite"
    used = coarsest(dtype, value.dtype)

    def within(kind: str) -> bool:
        return bool((off <= allowed * _UNIT[kind]).all())

    exact = within(used)
    numbers_ok = exact or within(coarsest(used, "float32"))
    return Comparison(
        ok=numbers_ok and right_shape,
        numbers_ok=numbers_ok,
        imprecise=numbers_ok and not exact,
        relative_error=error if finite else None,
        problem=problem or ("" if numbers_ok else "has wrong numbers"),
    )
