"""Where a formula as it is written fails in floating point, and what its stable form gives.

Nothing is claimed that was not computed: each statement that `derive.stable` has rewritten
is evaluated in float32 and float64 as it was derived and as it is computed, at inputs from
tiny to large, and mpmath says what is right.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, final

import mpmath
import numpy as np
from numpy.typing import NDArray

from derive.evaluate import evaluate
from derive.gradient import gradient_program
from derive.high_precision import precise_values
from derive.network import loss_program
from derive.printing import statement_text
from derive.program import Program, Statement, Tensor
from derive.rewrite import rewrite_program
from derive.spec import NetworkSpec
from derive.stable import stable_program

Array = NDArray[Any]

DTYPES = ("float32", "float64")
SIZES = (1e-9, 1e-4, 0.5, 8.0, 17.0, 40.0, 100.0, 800.0)
PATTERNS = ((1.0, -1.0, 0.5), (-1.0, 1.0, 1.0), (-1.0, -0.5, -1.0))
MOST_UNITS = 3
DIGITS = 40  # and as many more as exp of the input has, so that exp(z) + 1 - exp(z) is exact
LOST = 1e-3  # relative error from which a value is of no use
SHOWN = 3


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An input at which the formula as it is written fails.

    Attributes
    ----------
    dtype
        In which it was computed.
    reads
        What was put in: names and values.
    naive, stable
        What the formula gives as written, and rewritten.
    exact
        What is right, to 16 digits.
    """

    dtype: str
    reads: str
    naive: float
    stable: float
    exact: float

    @property
    def stable_error(self) -> float:
        """Relative error of the rewritten formula; absolute where the value is 0."""
        return _error(self.stable, self.exact)


@final
@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A statement as derived and as computed, and where the former fails."""

    naive: Statement
    stable: tuple[Statement, ...]
    failures: tuple[Failure, ...]
    tried: int

    @property
    def mended(self) -> tuple[Failure, ...]:
        """The failures of the one where the other is right."""
        return tuple(failure for failure in self.failures if failure.stable_error < LOST)

    @cached_property
    def worst(self) -> float:
        """The largest relative error of the rewritten formula where it mends the other."""
        return max((failure.stable_error for failure in self.mended), default=0.0)


def compare_forms(spec: NetworkSpec, *, labels: str = "one-hot") -> tuple[Comparison, ...]:
    """Compare each statement that has a stable form with the formula that it came from.

    Parameters
    ----------
    spec
        The network. Layers wider than 3 units and sizes that are names are tried with 3.
    labels
        As for `derive.rewrite_program`.

    Returns
    -------
    tuple of Comparison
        One for each statement that was rewritten, in order.
    """
    sizes = tuple(min(n, MOST_UNITS) if isinstance(n, int) else MOST_UNITS for n in spec.sizes)
    small = replace(spec, sizes=sizes)
    naive = rewrite_program(gradient_program(loss_program(small)), labels=labels)
    stable = stable_program(naive)
    found = []
    for statement in naive.statements:
        if stable.statement(statement.name).body != statement.body:
            found.append(_compared(statement, naive, stable))
    return tuple(found)


def stability_report(comparisons: tuple[Comparison, ...], spec: NetworkSpec) -> str:
    """Return the comparisons as text, the last line ended."""
    lines = [
        f"Network {spec}, {spec.loss} loss: formulas that would fail as they are written.",
        f"Each was tried at inputs from {SIZES[0]:g} to {SIZES[-1]:g}; exact values by mpmath.",
    ]
    for comparison in comparisons:
        lines += ["", f"  {statement_text(comparison.naive, form='matrix')}", "  is computed as"]
        lines += [f"    {statement_text(s, form='matrix')}" for s in comparison.stable]
        mended, tried = comparison.mended, comparison.tried
        if lost := len(comparison.failures) - len(mended):
            lines.append(f"  both lose their digits at {lost} of {tried} inputs, near 0")
        if not mended:
            lines.append(f"  the first form alone did not fail at any of {tried} inputs")
            continue
        lines.append(
            f"  the first form fails at {len(mended)} of {tried} inputs, where the second is "
            f"right to {comparison.worst:.1e}:"
        )
        shown = _chosen(mended)
        width = max(len(failure.reads) for failure in shown)
        lines += [
            f"    {f.dtype}  {f.reads:<{width}}  {f.naive:<14.7g} {f.stable:<14.7g} "
            f"exact {f.exact:.10g}"
            for f in shown
        ]
    if not comparisons:
        lines += ["", "  none: every formula is computed as it is derived"]
    return "\n".join(lines) + "\n"


def _chosen(failures: tuple[Failure, ...]) -> list[Failure]:
    """Return a few failures that differ: the first of each kind of wrong value."""
    kinds: dict[tuple[str, str], Failure] = {}
    for failure in failures:
        kind = "finite" if np.isfinite(failure.naive) else str(failure.naive)
        kinds.setdefault((kind, failure.dtype), failure)
    return list(kinds.values())[:SHOWN]


def _compared(statement: Statement, naive: Program, stable: Program) -> Comparison:
    given = _given(naive, statement)
    before, after = _part(naive, statement.name, given), _part(stable, statement.name, given)
    failures: list[Failure] = []
    tried = 0
    for dtype in DTYPES:
        for size, values in _inputs(before.inputs):
            digits = DIGITS + int(size)
            rounded = {name: array.astype(dtype) for name, array in values.items()}
            exact = precise_values(before, rounded, batch=1, digits=digits)[statement.name]
            results = [
                evaluate(part, rounded, dtype=dtype)[statement.name] for part in (before, after)
            ]
            for place in np.ndindex(exact.shape):
                if exact[place] is None or abs(exact[place]) > float(np.finfo(dtype).max):
                    continue
                tried += 1
                right = float(mpmath.mpf(exact[place]))
                wrong, sound = (float(result[place]) for result in results)
                if not _error(wrong, right) < LOST and abs(right) > float(np.finfo(dtype).tiny):
                    failures.append(
                        Failure(
                            dtype=dtype,
                            reads=_described(rounded, before),
                            naive=wrong,
                            stable=sound,
                            exact=right,
                        )
                    )
    names = [s.name for s in naive.statements]
    own = tuple(s for s in after.statements if s.name == statement.name or s.name not in names)
    return Comparison(naive=statement, stable=own, failures=tuple(failures), tried=tried)


def _given(program: Program, statement: Statement) -> set[str]:
    """Return what is put in: everything but activations on the way to the statement.

    Affine maps and other cotangents are inputs, so that what fails is this formula.
    """
    gradients = {gradient for _, gradient in program.cotangents}
    affine = {s.name for s in program.statements if s.name.startswith("Z")}
    inputs = {tensor.name for tensor in program.inputs}
    return (gradients | affine | inputs) - {statement.name}


def _part(program: Program, name: str, given: set[str]) -> Program:
    """Return the statements that lead from what is given to one statement."""
    needed, kept = {name}, []
    for statement in reversed(program.statements):
        if statement.name in needed and statement.name not in given:
            kept.append(statement)
            needed |= set(statement.reads())
    tensors = program.tensors()
    inputs = tuple(tensors[n] for n in tensors if n in needed & given)
    return Program(inputs=inputs, parameters=(), statements=tuple(kept[::-1]), outputs=(name,))


def _inputs(tensors: tuple[Tensor, ...]) -> Iterator[tuple[float, dict[str, Array]]]:
    """Yield values for one sample: extreme affine maps, ordinary other values."""
    for size in SIZES:
        for pattern in PATTERNS:
            values = {}
            for tensor in tensors:
                shape = [int(e) if e.is_Integer else 1 for e in tensor.shape]
                if tensor.name.startswith("Z"):
                    row = size * np.resize(pattern, shape[-1])
                elif tensor.name == "Y":
                    row = np.eye(shape[-1])[0]
                else:
                    row = np.ones(shape[-1] if shape else 1)
                values[tensor.name] = np.resize(row, shape)
            yield size, values


def _described(values: dict[str, Array], program: Program) -> str:
    shown = [t.name for t in program.inputs if t.name.startswith("Z") or t.name == "Y"]
    return "  ".join(
        f"{name} = ({', '.join(f'{value:.7g}' for value in values[name].reshape(-1))})"
        for name in shown
    )


def _error(value: float, right: float) -> float:
    """Return the relative error; infinite where a value is not a number."""
    if not np.isfinite(value):
        return float("inf")
    return abs(value - right) / abs(right) if right else abs(value)
