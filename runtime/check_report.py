"""What a check found: arrays compared entry by entry within their bounds, and how it prints."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_SAYS_LITTLE = 0.1  # a tolerance above this is told of


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One array against its oracle.

    Attributes
    ----------
    name
        ``loss``, ``P`` or that of a parameter whose gradient this is.
    shape
        The shape that was expected.
    relative_error
        ``max|a - b| / max|b|`` for a result a and its oracle b; absolute where b is all 0.
    tolerance
        The largest bound in the same measure. What counts is `ok`, which compares every
        entry with its own bound.
    ok
        ``all(|a - b| <= bound)``, so that NaN is not.
    note
        Where it is worst and by how much, if it is not ok.
    """

    name: str
    shape: tuple[int, ...]
    relative_error: float
    tolerance: float
    ok: bool
    note: str = ""


def compare(name: str, result: object, oracle: Array, bound: Array) -> Comparison:
    """Compare a result with an oracle, entry by entry.

    Parameters
    ----------
    name
        What it is called in the report.
    result
        What is to be judged: an array or number, or whatever was given in its place.
    oracle
        What it should be.
    bound
        How far each entry may be off; shaped as `oracle`.
    """
    array = np.asarray(result)
    problem = ""
    if array.dtype.kind not in "fiu":
        problem = f"holds {array.dtype.name} values, expected real numbers"
    elif array.shape != oracle.shape:
        problem = f"has shape {array.shape}, expected {oracle.shape}"
    scale = float(np.abs(oracle).max(initial=0.0)) or 1.0
    with np.errstate(all="ignore"):
        tolerance = float(np.max(bound, initial=0.0)) / scale
        if problem:
            return Comparison(
                name=name,
                shape=oracle.shape,
                relative_error=np.nan,
                tolerance=tolerance,
                ok=False,
                note=f"{name} {problem}",
            )
        off = np.abs(array.astype(np.float64) - oracle)
        within = off <= bound
        error = float(np.max(off, initial=0.0)) / scale
    ok = bool(np.all(within))
    note = "" if ok else _worst(name, array, oracle, bound, within)
    return Comparison(
        name=name,
        shape=oracle.shape,
        relative_error=error,
        tolerance=tolerance,
        ok=ok,
        note=note,
    )


def _worst(name: str, array: Array, oracle: Array, bound: Array, within: Array) -> str:
    """Say where the result is furthest outside of its bound."""
    with np.errstate(all="ignore"):
        excess = np.abs(array - oracle) - bound
    excess = np.where(within, -np.inf, np.where(np.isnan(excess), np.inf, excess))
    place = tuple(int(k) for k in np.unravel_index(int(np.argmax(excess)), array.shape))
    where = f"{name}[{', '.join(map(str, place))}]" if place else name
    wrong = f"{np.count_nonzero(~within)} of {array.size} entries are off; " if place else ""
    return (
        f"{wrong}{where} is {float(array[place]):.9g}, expected {float(oracle[place]):.9g} "
        f"within {float(bound[place]):.1e}"
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """Kernels against PyTorch autograd.

    Attributes
    ----------
    spec, loss_name, dtype, batch
        What was checked: network, loss, type of the kernels, number of samples.
    loss, output, gradients
        The loss, the output P, and the gradient of each parameter.
    problems
        What is not finite at extreme inputs, in words.
    versions
        Of what took part.
    """

    spec: str
    loss_name: str
    dtype: str
    batch: int
    loss: Comparison
    output: Comparison
    gradients: tuple[Comparison, ...]
    problems: tuple[str, ...]
    versions: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Whether everything is within its bound, and finite at extreme inputs."""
        return all(one.ok for one in self._compared()) and not self.problems

    @property
    def failures(self) -> tuple[str, ...]:
        """What is wrong, in words; empty if all is right."""
        return (*(one.note for one in self._compared() if not one.ok), *self.problems)

    @property
    def notes(self) -> tuple[str, ...]:
        """Where the bound is so wide that being within it says little; empty as a rule."""
        wide = [one.name for one in self._compared() if not one.tolerance < _SAYS_LITTLE]
        if not wide:
            return ()
        return (
            f"the tolerance of {', '.join(wide)} is too wide to show every mistake: check in "
            "float64, or a network with fewer layers",
        )

    def _compared(self) -> tuple[Comparison, ...]:
        return (self.loss, self.output, *self.gradients)

    def to_json(self) -> dict[str, Any]:
        """Return the report in dicts, strings, numbers and None, which stands for not finite."""
        return {
            "spec": self.spec,
            "dtype": self.dtype,
            "loss": {"relative_error": _finite(self.loss.relative_error)},
            "gradients": {
                one.name: {
                    "relative_error": _finite(one.relative_error),
                    "tolerance": _finite(one.tolerance),
                    "ok": one.ok,
                }
                for one in self.gradients
            },
            "ok": self.ok,
            "versions": dict(self.versions),
        }

    def to_text(self) -> str:
        """Return the report as a table for a terminal, ending in a verdict."""
        rows = [("", "shape", "relative error", "tolerance", "")]
        for one in self._compared():
            shape = "scalar" if not one.shape else " × ".join(map(str, one.shape))
            label = f"d{one.name}" if one in self.gradients else one.name
            verdict = "ok" if one.ok else "WRONG"
            rows.append(
                (label, shape, _figure(one.relative_error), _figure(one.tolerance), verdict)
            )
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        samples = "sample" if self.batch == 1 else "samples"
        lines = [
            f"{self.spec}, {self.loss_name}, {self.dtype}: kernels against PyTorch autograd, "
            f"{self.batch} {samples}"
        ]
        for name, shape, error, tolerance, verdict in rows:
            cells = (
                name.ljust(widths[0]),
                shape.ljust(widths[1]),
                error.rjust(widths[2]),
                tolerance.rjust(widths[3]),
                verdict,
            )
            lines.append("  " + "  ".join(cells).rstrip())
        lines.append(f"  extreme inputs: {'finite' if not self.problems else 'NOT FINITE'}")
        lines += [f"  {failure}" for failure in self.failures]
        lines += [f"  note: {note}" for note in self.notes]
        lines.append("right: all within the rounding error bound" if self.ok else "WRONG")
        return "\n".join(lines)

    def __str__(self) -> str:
        """Return the report as a table."""
        return self.to_text()

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.to_text())}</pre>"


def _finite(number: float) -> float | None:
    return number if np.isfinite(number) else None


def _figure(number: float) -> str:
    return f"{number:.1e}" if number else "0"
