"""What a student's own lines say about an explanation, and the line it belongs to.

An explanation says that one statement came out as something else. If a line of the student's
set a variable to just that, the explanation is supported, and that is the line of the mistake.
If a line set a variable to the right value of the statement, it speaks against it. What the
lines set comes from the file's process, so it decides between explanations that fit the
results equally well, and never whether something is right.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.grading.matching import ratio, run
from runtime.grading.puzzle import Explanation, Puzzle
from runtime.grading.source import Function, assignments, variables_by_key
from runtime.grading.tree import Evaluation, Node, reads

Array = NDArray[Any]
Lines = Sequence[tuple[int, str, Array]]

SUPPORTED, SILENT, CONTRADICTED = 0, 1, 2


class Evidence:
    """What the lines of a function set at the first trial of a puzzle.

    Parameters
    ----------
    puzzle
        Its first trial is the one at which the lines were noted.
    function
        The function, as it is written.
    lines
        Line, name and numbers of what was set, in order.
    keys
        The key of each result, by the name of its statement.
    """

    def __init__(
        self, puzzle: Puzzle, function: Function | None, lines: Lines, keys: Mapping[str, str]
    ) -> None:
        self.puzzle = puzzle
        self.keys = keys
        self.function = function
        self.written = list(assignments(function)) if function is not None else []
        self.variables = variables_by_key(function) if function is not None else {}
        self.starts = _starts(function)
        self.lines = [(self.starts.get(line, line), name, value) for line, name, value in lines]
        self.right = run(puzzle.statements, puzzle.trials[0].evaluation)

    def of(self, explanation: Explanation) -> int:
        """Return what the lines say of an explanation."""
        worst = SUPPORTED
        values = run(explanation.statements, self.puzzle.trials[0].evaluation)
        if explanation.also_changes:  # what it changes is right elsewhere in the file
            return SUPPORTED
        for edit in explanation.changes:
            name = edit.statement
            if name in values and any(True for _ in self._setting(values[name])):
                continue
            if name in self.right and any(True for _ in self._setting(self.right[name])):
                return CONTRADICTED
            worst = SILENT
        return worst

    def line(self, explanation: Explanation) -> int | None:
        """Return the line that sets what was changed, or else the result."""
        evaluation = self.puzzle.trials[0].evaluation
        values = run(explanation.statements, evaluation)
        name = explanation.statement
        known = evaluation.over(values)
        new = explanation.statements[name]
        key = self.keys.get(name, "")
        for part in _changed_parts(explanation.before[name], new):
            value = _value(part, known)
            if value is None or value.size < 2:
                continue
            if (line := self._line_of_value(value, key, is_whole=part is new)) is not None:
                return line
        if explanation.scale.number < 0 and name in self.right:
            for line, factor in self._multiples(self.right[name]):
                if factor < 0:
                    return line
        whole = values.get(name)  # up to a factor: the mean may be taken later
        if whole is not None and whole.size >= 4 and not self._is_multiple(whole, name):
            for line, _ in self._setting(whole, scaled=True):
                return line
        # it may be a part of what stands on a later line
        for later, tree in explanation.statements.items():
            if later in self.keys or later == name or later not in values:
                continue
            if not reads(tree) & set(values) or self._is_ordinary(values[later]):
                continue
            for line, _ in self._setting(values[later]):
                return line
        results = [name] if name in self.keys else list(explanation.explains)
        for result in results:
            if (found := self.line_of_key(self.keys.get(result, ""))) is not None:
                return found
        return self.any_line()

    def _line_of_value(self, value: Array, key: str, *, is_whole: bool) -> int | None:
        """Return the line that sets something to a value that is part of a mistake."""
        noted = list(self._setting(value))
        lines = [line for line, _ in noted]
        if key and is_whole:  # what becomes the result, not what the result is made of
            # dWh and grads["Wh"] are of the key Wh, Wh1 is not
            lines = [line for line, name in noted if re.search(rf"{re.escape(key)}(?!\w)", name)]
            return lines[0] if lines else None
        if self._is_ordinary(value):  # set once where it is right, and once more in error
            several = len(set(lines)) > 1
            return lines[-1] if lines and (several or (is_whole and not key)) else None
        return lines[0] if lines else None

    def line_of_key(self, key: str) -> int | None:
        """Return the last line on which a key is set, or the variable that is put under it."""
        if not key:
            return None
        lines = [line for name, line in self.written if name == self.variables.get(key)]
        if lines:
            return lines[-1]
        noted = [line for line, name, _ in self.lines if name.endswith(f'["{key}"]')]
        if noted:
            return noted[-1]
        written = [line for name, line in self.written if name == f'"{key}"']
        return written[-1] if written else None

    def any_line(self) -> int | None:
        """Return the line that changes whatever is returned, if the function has just one kind."""
        for name in ("params", "grads"):
            lines = [line for called, line in self.written if called == name]
            if lines:
                return lines[-1]
        return (
            step_line(self.function) if "eta" in self.puzzle.trials[0].evaluation.values else None
        )

    def _is_ordinary(self, value: Array) -> bool:
        """Whether a value is also a right one of the programme, so that its line says nothing."""
        evaluation = self.puzzle.trials[0].evaluation
        known = [*evaluation.values.values(), *self.right.values()]
        tolerance = self.puzzle.tolerance
        return any(
            ratio(side, value, tolerance, scaled=False) is not None
            for right in known
            for side in (right, right.T)
        )

    def _multiples(self, value: Array) -> Iterator[tuple[int, float]]:
        """Return lines that set something to a multiple of a value, and which."""
        for line, _, array in self.lines:
            for side in (array, array.T):
                factor = ratio(side, value, self.puzzle.tolerance, scaled=True)
                if factor is not None and value.size >= 4:
                    yield line, factor
                    break

    def _is_multiple(self, value: Array, name: str) -> bool:
        """Whether a value is a multiple of the right one of a statement."""
        right = self.right.get(name)
        tolerance = self.puzzle.tolerance
        return right is None or ratio(value, right, tolerance, scaled=True) is not None

    def _setting(self, value: Array, *, scaled: bool = False) -> Iterator[tuple[int, str]]:
        """Return lines that set something to a value, transposed or not, and what they set."""
        for line, name, array in self.lines:
            for side in (array, array.T):
                if ratio(side, value, self.puzzle.tolerance, scaled=scaled) is not None:
                    yield line, name
                    break


def _value(tree: Node, known: Evaluation) -> Array | None:
    try:
        with np.errstate(all="ignore"):
            return known(tree)
    except (ValueError, KeyError, IndexError):
        return None


def _changed_parts(old: Node, new: Node, *, inner: bool = False) -> Iterator[Node]:
    """Return the smallest part of a formula that was changed, then what it stands in."""
    if (
        old.op == new.op
        and len(old.args) == len(new.args)
        and (old.name, old.number) == (new.name, new.number)
    ):
        differing = [
            n for n, pair in enumerate(zip(old.args, new.args, strict=True)) if pair[0] != pair[1]
        ]
        if len(differing) == 1:
            place = differing[0]
            yield from _changed_parts(old.args[place], new.args[place], inner=True)
    if new.op != "name" or not inner:
        yield new


def _starts(function: Function | None) -> dict[int, int]:
    """Return for each line of a function the first line of its statement."""
    starts: dict[int, int] = {}
    if function is None:
        return starts
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Expr | ast.Return):
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                starts[line] = node.lineno
    return starts


def step_line(function: Function | None) -> int | None:
    """Return the line of a step: the first that changes something in place, or else assigns."""
    if function is None:
        return None
    found: list[int] = []
    for node in ast.walk(function):
        match node:
            case ast.AugAssign():
                found.append(node.lineno)
            case ast.Call(func=ast.Attribute(attr=name)) if name.endswith("_") and name != "zero_":
                found.append(node.lineno)
            case ast.Assign(value=ast.BinOp() | ast.Dict() | ast.DictComp() | ast.Call()):
                found.append(node.lineno)
            case ast.Return(value=ast.DictComp() | ast.Dict() | ast.Call()):
                found.append(node.lineno)
            case _:
                pass
    return min(found, default=None)


def choose(
    explanation: Explanation, evidence: Evidence
) -> tuple[Explanation, tuple[Explanation, ...], bool]:
    """Return the explanation to tell, others that are as good, and whether it is certain."""
    candidates = (explanation, *explanation.rivals)
    levels = [evidence.of(candidate) for candidate in candidates]
    ranked = sorted(range(len(candidates)), key=lambda n: (levels[n], n))
    best = candidates[ranked[0]]
    others: list[Explanation] = []
    told = {_said(best)}
    for number in ranked[1:]:
        other = candidates[number]
        if levels[number] != levels[ranked[0]] or _said(other) in told:
            continue
        told.add(_said(other))
        if not _means_the_same(best, other):
            others.append(other)
    return best, tuple(others[:2]), not others


def _said(explanation: Explanation) -> tuple[object, ...]:
    return (*(edit.what for edit in explanation.changes), explanation.scale)


def _means_the_same(one: Explanation, other: Explanation) -> bool:
    """Whether two explanations name the same kind of mistake; they give the same numbers."""
    kinds = [tuple(sorted({e.kind for e in x.changes})) for x in (one, other)]
    return kinds[0] == kinds[1] and one.scale == other.scale


def facts(given: Array, expected: Array) -> str:
    """Return what can be said of wrong numbers that nothing explains.

    Parameters
    ----------
    given, expected
        The file's value and the right one.
    """
    if given.squeeze().shape != expected.squeeze().shape:
        return f"its shape is {given.shape}, and {expected.shape} is expected"
    a, b = given.reshape(-1), expected.reshape(-1)
    if not np.isfinite(a).all():
        return f"{int((~np.isfinite(a)).sum())} of its {a.size} entries are not finite"
    if a.size > 1 and np.ptp(a) == 0:
        return f"all its entries are {a[0]:g}"
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
