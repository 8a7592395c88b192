"""What a student's own variables say about an explanation, and the line it belongs to.

An explanation says that one statement came out as something else. If a variable of the
student's holds just that, the explanation is supported, and the line that assigns the variable
is the line of the mistake. If a variable holds the right value of that statement, it speaks
against it. Variables come from the file's process, so they decide between explanations that
fit the results equally well, and never whether something is right.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.grading.search import Explanation, Puzzle, ratio, run
from runtime.grading.source import Function, aliases, assignments
from runtime.grading.values import Given, Value

Array = NDArray[Any]

SUPPORTED, SILENT, CONTRADICTED = 0, 1, 2


class Evidence:
    """The variables of a function at the first trial of a puzzle."""

    def __init__(
        self,
        puzzle: Puzzle,
        function: Function | None,
        seen: Mapping[str, Value],
        keys: Mapping[str, str],
    ) -> None:
        self.puzzle = puzzle
        self.keys = keys
        self.lines: dict[str, list[int]] = {}
        self.lines_of_keys: dict[str, list[int]] = {}
        self.aliases = aliases(function) if function is not None else {}
        if function is not None:
            for name, line in assignments(function):
                self.lines.setdefault(name, []).append(line)
        self.seen = {
            name: value.array
            for name, value in seen.items()
            if isinstance(value, Given) and name in self.lines and value.array.size > 1
        }
        for name, value in seen.items():  # what is kept under keys, such as grads["Wh"]
            if isinstance(value, dict) and name not in ("params", "outputs"):
                for key, entry in value.items():
                    if isinstance(entry, Given) and f'"{key}"' in self.lines:
                        self.seen.setdefault(f'"{key}"', entry.array)
        evaluation = puzzle.trials[0].evaluation
        self.right = run(puzzle.statements, evaluation)

    def of(self, explanation: Explanation) -> int:
        """Return what the variables say of an explanation."""
        worst = SUPPORTED
        evaluation = self.puzzle.trials[0].evaluation
        values = run(explanation.statements, evaluation)
        for edit in explanation.changes:
            name = edit.statement
            if name in values and any(True for _ in self._holding(values[name])):
                continue
            if name in self.right and any(True for _ in self._holding(self.right[name])):
                return CONTRADICTED
            worst = SILENT
        return worst

    def line(self, explanation: Explanation) -> int | None:
        """Return the line where the changed statement, or else the result, is assigned."""
        values = run(explanation.statements, self.puzzle.trials[0].evaluation)
        name = explanation.statement
        if name in values and name not in self.keys:
            lines = [self.lines[v][-1] for v in self._holding(values[name]) if v in self.lines]
            if lines:
                return min(lines)
        if name in self.keys:
            return self.line_of_key(self.keys[name])
        for result in explanation.explains:
            if found := self.line_of_key(self.keys.get(result, "")):
                return found
        return None

    def line_of_key(self, key: str) -> int | None:
        """Return the last line on which a key is assigned."""
        lines = self.lines.get(f'"{key}"')
        if lines and (variable := self.aliases.get(f'"{key}"')) in self.lines:
            lines = self.lines[variable]
        if not lines:  # all keys in one loop: params[k] = …
            lines = [at for name in ("params", "grads") for at in self.lines.get(name, ())][-1:]
        return lines[-1] if lines else None

    def _holding(self, value: Array) -> Iterator[str]:
        """Return the variables that hold a value, transposed or not."""
        for name, array in self.seen.items():
            for side in (array, array.T):
                if ratio(side, value, self.puzzle.tolerance, scaled=False) is not None:
                    yield name
                    break


def choose(
    explanation: Explanation, evidence: Evidence
) -> tuple[Explanation, tuple[Explanation, ...], bool]:
    """Return the explanation to tell, others that are as good, and whether it is certain."""
    candidates = (explanation, *explanation.rivals)
    ranked = sorted(range(len(candidates)), key=lambda n: (evidence.of(candidates[n]), n))
    best = candidates[ranked[0]]
    level = evidence.of(best)
    others: list[Explanation] = []
    told = {_said(best)}
    for number in ranked[1:]:
        other = candidates[number]
        if evidence.of(other) == level and _said(other) not in told and _kind(other) != _kind(best):
            told.add(_said(other))
            others.append(other)
    return best, tuple(others[:3]), not others


def _kind(explanation: Explanation) -> tuple[object, ...]:
    return (*sorted(edit.kind for edit in explanation.changes), explanation.scale)


def _said(explanation: Explanation) -> tuple[object, ...]:
    return (*(edit.what for edit in explanation.changes), explanation.scale)


def facts(given: Array, expected: Array, names: str = "") -> str:
    """Return what can be said of wrong numbers that nothing explains.

    Parameters
    ----------
    given, expected
        The file's value and the right one.
    names
        What the two axes are, for rows and columns.
    """
    del names
    if given.squeeze().shape != expected.squeeze().shape:
        return f"its shape is {given.shape}, and {expected.shape} is expected"
    a, b = given.reshape(-1), expected.reshape(-1)
    if not np.isfinite(a).all():
        return f"{int((~np.isfinite(a)).sum())} of its {a.size} entries are not finite"
    size = float(np.abs(b).max()) or 1.0
    right = np.abs(a - b) <= 1e-5 * size
    said: list[str] = []
    if right.any():
        said.append(f"{int(right.sum())} of {a.size} entries are right")
        table = right.reshape(expected.shape)
        rows = [str(n) for n in range(table.shape[0]) if table[n].all()]
        columns = [str(n) for n in range(table.shape[1]) if table[:, n].all()]
        if rows and len(rows) < table.shape[0] and table.shape[1] > 1:
            said.append(f"row{'s' * (len(rows) > 1)} {', '.join(rows)} wholly")
        if columns and len(columns) < table.shape[1] and table.shape[0] > 1:
            said.append(f"column{'s' * (len(columns) > 1)} {', '.join(columns)} wholly")
    signs = float((np.sign(a) == np.sign(b)).mean())
    said.append(f"{signs:.0%} of the signs agree")
    with np.errstate(all="ignore"):
        ratios = np.abs(a / b)[np.abs(b) > 1e-9 * size]
    if ratios.size:
        said.append(
            f"its entries are {ratios.min():.3g} to {ratios.max():.3g} times the right ones in size"
        )
    if a.std() > 0 and b.std() > 0 and a.size > 2:
        said.append(f"the correlation with the right ones is {np.corrcoef(a, b)[0, 1]:.2f}")
    return ", ".join(said)
