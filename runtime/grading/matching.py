"""Whether numbers are those of a formula: up to rounding, a factor, and axes of length 1."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.grading.tree import Evaluation, Node, reads

Array = NDArray[Any]
Statements = Mapping[str, Node]


def run(statements: Statements, evaluation: Evaluation) -> dict[str, Array]:
    """Return the values of a programme's statements; those that cannot be computed are left out."""
    known = evaluation.over({})
    values: dict[str, Array] = {}
    for name, tree in statements.items():
        value = value_of(tree, known)
        if value is None:
            known.values.pop(name, None)
            continue
        known.values[name] = values[name] = value
    return values


def value_of(tree: Node, known: Evaluation) -> Array | None:
    """Return what a formula gives; None if it cannot be computed, or gives nothing."""
    try:
        with np.errstate(all="ignore"):
            value = known(tree)
    except (ValueError, KeyError, IndexError):
        return None
    return value if value.size else None


def ratio(
    given: Array, value: Array, tolerance: float, *, scaled: bool, floor: float = 0.0
) -> float | None:
    """Return by which factor `given` is `value`, axes of length 1 aside; None if by none.

    What is nowhere above `floor` counts as 0: rounding may have left something.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # squares of what is large
        return _ratio(given, value, tolerance, scaled, floor)


def _ratio(
    given: Array, value: Array, tolerance: float, scaled: bool, floor: float
) -> float | None:
    a, b = given.squeeze(), value.squeeze()
    if a.shape != b.shape or (scaled and _is_no_multiple(a.ravel(), b.ravel(), tolerance, floor)):
        return None
    finite = np.isfinite(a)
    if not finite.all():
        if not np.array_equal(finite, np.isfinite(b)) or not finite.any():
            return None
        a, b = a[finite], b[finite]
    if not np.isfinite(b).all():
        return None
    size = float(np.abs(b).max())
    seen = float(np.abs(a).max())
    if size <= floor or seen <= floor:
        return 1.0 if size <= floor and seen <= floor else None
    factor = 1.0
    if scaled:
        factor = float((a * b).sum() / (b * b).sum())
        if abs(factor - 1) <= tolerance * 10:
            factor = 1.0
    off = float(np.abs(a - factor * b).max())
    return factor if off <= tolerance * float(np.abs(a).max()) else None


def could_be(
    given: Array, values: Array, tolerance: float, *, scaled: bool, floor: float = 0.0
) -> NDArray[np.bool_]:
    """Tell of each of many arrays whether `ratio` may find it: whoever it would find is here.

    Parameters
    ----------
    given
        What is sought.
    values
        Arrays along the first axis.
    tolerance, scaled, floor
        As in `ratio`.
    """
    a = given.squeeze()
    if a.shape != tuple(n for n in values.shape[1:] if n != 1):
        return np.zeros(len(values), bool)
    a, b = np.asarray(a.ravel()), values.reshape(len(values), -1)
    if not np.isfinite(a).all():
        return np.ones(len(values), bool)
    possible: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(b), axis=1)
    if scaled:
        length, other = float(a @ a), np.einsum("ki,ki->k", b, b)
        if a.size * floor * floor < length < np.inf:
            left = length - (b @ a) ** 2 / other
            # twice what `_is_no_multiple` allows: sums of another order round otherwise
            near = left <= 2 * a.size * (tolerance * tolerance + 1e-13) * length
            possible &= np.asarray((other > 0) & (near | (other == np.inf)))
        return possible
    seen = float(np.abs(a).max())
    nearest = np.abs(a - b).max(axis=1) <= 2 * tolerance * seen
    nothing = (seen <= floor) & (np.abs(b).max(axis=1) <= floor)
    found: NDArray[np.bool_] = possible & (nearest | nothing)
    return found


def _is_no_multiple(a: Array, b: Array, tolerance: float, floor: float) -> bool:
    """Tell cheaply that `a` is by far no multiple of `b`, as almost no candidate's is.

    What is left of `a` beside `b` has the length ``√(a·a − (a·b)²/b·b)``; were no entry of it above
    ``tolerance max|a|``, that would be at most ``√n tolerance |a|``.
    """
    length, other = float(a @ a), float(b @ b)
    if not (length > a.size * floor * floor and 0 < other < np.inf and length < np.inf):
        return False
    left = length - float(a @ b) ** 2 / other
    return left > a.size * (tolerance * tolerance + 1e-13) * length


def grouped(
    matched: Sequence[tuple[str, float]], tolerance: float
) -> Iterable[tuple[float, list[str]]]:
    """Return the names by the factor that was seen with them."""
    groups: list[tuple[float, list[str]]] = []
    for name, factor in matched:
        for known, names in groups:
            if abs(factor - known) <= max(tolerance * 10, 1e-6) * abs(known):
                names.append(name)
                break
        else:
            groups.append((factor, [name]))
    return groups


def same(a: Array, b: Array, tolerance: float = 1e-9) -> bool:
    """Tell whether arrays agree, relative to the largest entry; by default, up to rounding."""
    if a.shape != b.shape:
        return False
    with np.errstate(all="ignore"):
        off = float(np.abs(a - b).max()) if b.size else 0.0
        if off <= tolerance * (float(np.abs(b).max()) if b.size else 0.0):
            return True
    return off != off and np.array_equal(a, b, equal_nan=True)


def fingerprint(value: Array) -> bytes:
    """Return what is equal for arrays that agree up to rounding, almost always."""
    with np.errstate(all="ignore"):
        size = float(np.abs(value).max()) or 1.0
        return np.round(value / size, 9).tobytes() + bytes(f"{value.shape} {size:.9g}", "ascii")


def computed_from(name: str, statements: Statements) -> set[str]:
    """Return the statements that depend on one, itself included."""
    found = {name}
    for other, tree in statements.items():
        if reads(tree) & found:
            found.add(other)
    return found
