"""Which change of the right formulas gives a student's numbers: a search over programmes.

Every statement of the right programme is changed by every edit operator; a changed programme is
evaluated on the inputs of the first trial, and kept if what it gives is what the file gave, up
to a factor. What is kept must then give the file's numbers on every other trial, whose inputs
are fresh and whose sizes differ. Of what remains, the simplest is told; what is as simple and
of another kind is told beside it, and then none of them as certain.

An error in a statement spoils all that is computed from it. So explanations are taken
greedily by what they explain for their cost, each is put into the programme, and the search
goes on from there for what is still unexplained: a second mistake further down is found as one
edit of the programme that holds the first. Pairs of edits are tried last.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, compress
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.grading.edit import Edit, Scope
from runtime.grading.edits import edits
from runtime.grading.matching import (
    computed_from,
    fingerprint,
    grouped,
    ratio,
    run,
    same,
    value_of,
)
from runtime.grading.puzzle import Explanation, Puzzle, Statements
from runtime.grading.scale import find_scale
from runtime.grading.sieve import Sieve
from runtime.grading.tree import Node

Array = NDArray[Any]

_ONLY_HERE = 1.0  # cost of a change that other results, computed from the same, do not show
_CLOSE = 0.45  # explanations this near in cost are equally simple
_PAIR_COST = 2.7  # edits that are tried in pairs
_OWN_PAIR_COST = 2.0  # those of the same statement
_MOST_STACKS = 800  # second edits that are tried with all first ones at once


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """A programme in which the mistakes found so far are made."""

    statements: Statements
    made: tuple[Explanation, ...] = ()


def explain(puzzle: Puzzle) -> tuple[list[Explanation], list[str]]:
    """Return explanations, and the wrong results that none explains."""
    remaining = list(puzzle.wrong)
    found: list[Explanation] = []
    bases = [_Base(statements=puzzle.statements)]
    stalled = False
    while remaining and not stalled:
        candidates: list[Explanation] = []
        for base in bases:
            candidates += _Searching(puzzle, base).singles(remaining, found)
        if not candidates and puzzle.scaled:
            candidates += _Searching(puzzle, bases[0]).terms(remaining, found)
        if not candidates and puzzle.pairs:
            for base in bases:
                candidates += _Searching(puzzle, base).pairs(remaining, found)
        best = _best(candidates)
        if best is None:
            stalled = True
            continue
        found.append(best)
        bases.append(_Base(statements=best.statements, made=(*best.after, best)))
        remaining = [name for name in remaining if name not in best.explains]
    return found, remaining


def _cheap(simple: Sequence[Edit], dearest: float) -> int:
    """Return how many of edits in the order of their costs cost at most so much."""
    return bisect_right(simple, dearest + 1e-9, key=lambda edit: edit.cost)


def _best(candidates: Sequence[Explanation]) -> Explanation | None:
    if not candidates:
        return None
    ranked = sorted(
        enumerate(candidates),
        key=lambda pair: (
            pair[1].cost / len(pair[1].explains),
            len(pair[1].also_changes),
            pair[0],
        ),
    )
    _, best = ranked[0]
    rivals = [
        other
        for _, other in ranked[1:]
        if other.cost <= best.cost + _CLOSE and set(other.explains) == set(best.explains)
    ]
    return replace(best, rivals=tuple(rivals))


class _Searching:
    """A search for single edits, or pairs, of one programme."""

    def __init__(self, puzzle: Puzzle, base: _Base) -> None:
        self.puzzle = puzzle
        self.base = base
        self.names = list(base.statements)
        self.first = puzzle.trials[0]
        self.scopes: dict[str, Scope] = {}
        self.values = [run(base.statements, trial.evaluation) for trial in puzzle.trials]
        self.below = {name: computed_from(name, base.statements) for name in self.names}
        self.known = self.first.evaluation.over(self.values[0])
        self.sieve = Sieve(
            statements=base.statements,
            below=self.below,
            known=self.known,
            results=self.first.results,
            floors={name: self._floor(0, name) for name in self.first.results},
            tolerance=puzzle.tolerance,
            scaled=puzzle.scaled,
        )

    def singles(
        self, remaining: Sequence[str], found: Sequence[Explanation]
    ) -> Iterator[Explanation]:
        """Return single edits that explain some of the remaining results."""
        for name in self.names:
            if not self.below[name] & set(remaining):
                continue
            changes = list(self._edits(name, self.base.statements[name]))
            trees = [edit.tree for edit in changes]
            for edit in compress(changes, self.sieve.singles(name, trees, remaining)):
                yield from self._tried((edit,), {name: edit.tree}, remaining, found)

    def _edits(self, name: str, tree: Node) -> Iterator[Edit]:
        yield Edit(statement=name, tree=tree, kind="scale", what="", look="", cost=0.0)
        yield from edits(name, tree, self._scope(name))

    def _scope(self, name: str) -> Scope:
        if name not in self.scopes:
            self.scopes[name] = self.puzzle.scopes(name, self.known)
        return self.scopes[name]

    def pairs(
        self, remaining: Sequence[str], found: Sequence[Explanation]
    ) -> Iterator[Explanation]:
        """Return pairs of edits that explain some of the remaining results."""
        simple: dict[str, list[Edit]] = {}
        for name in self.names:
            if self.below[name] & set(remaining):
                every = self._edits(name, self.base.statements[name])
                kept = [e for e in every if e.kind != "scale" and e.cost <= _PAIR_COST]
                simple[name] = self._distinct(kept)
        passed: list[tuple[float, int, Edit, Edit]] = []
        for first, second in (*self._apart(simple, remaining), *self._within(simple, remaining)):
            passed.append((first.cost + second.cost, len(passed), first, second))
        for _, _, first, second in sorted(passed):
            trees = {first.statement: first.tree, second.statement: second.tree}
            yield from self._tried((first, second), trees, remaining, found)

    def _apart(
        self, simple: Mapping[str, Sequence[Edit]], remaining: Sequence[str]
    ) -> Iterator[tuple[Edit, Edit]]:
        """Return pairs of edits of two statements that pass the sieve."""
        blocks = [
            (name, other)
            for name, other in combinations(simple, 2)
            if self.below[other] & self.below[name] & set(remaining)
        ]
        dearest = _PAIR_COST
        while sum(_cheap(simple[other], dearest) for _, other in blocks) > _MOST_STACKS:
            dearest -= 0.1
        for name, other in blocks:
            firsts = simple[name][: _cheap(simple[name], dearest)]
            seconds = simple[other][: _cheap(simple[other], dearest)]
            trees = [edit.tree for edit in firsts]
            others = [edit.tree for edit in seconds]
            mask = self.sieve.pairs(name, trees, other, others, remaining)
            for row, column in np.argwhere(mask):
                yield firsts[row], seconds[column]

    def _within(
        self, simple: Mapping[str, Sequence[Edit]], remaining: Sequence[str]
    ) -> Iterator[tuple[Edit, Edit]]:
        """Return pairs of edits of one statement that pass it; the second holds the first."""
        for name, firsts in simple.items():
            meant = [
                (first, second)
                for first in firsts[: _cheap(firsts, _OWN_PAIR_COST)]
                for second in edits(name, first.tree, self._scope(name), at_most=_OWN_PAIR_COST)
            ]
            trees = [second.tree for _, second in meant]
            yield from compress(meant, self.sieve.singles(name, trees, remaining))

    def terms(
        self, remaining: Sequence[str], found: Sequence[Explanation]
    ) -> Iterator[Explanation]:
        """Return terms too many, such as ``0.01 W`` of weight decay: what is left fits a tensor."""
        for name in remaining:
            given, right = self.first.results.get(name), self.values[0].get(name)
            if given is None or right is None or given.shape != right.shape or given.size < 2:
                continue
            for other, value in self.first.evaluation.values.items():
                tolerance = self.puzzle.tolerance * 30  # the difference has lost digits
                factor = None
                if value.shape == right.shape and other != name:
                    factor = ratio(given - right, value, tolerance, scaled=True)
                if factor is None:
                    continue
                number = float(f"{abs(factor):.3g}")
                added = Node("mul", (Node("number", number=number), Node("name", name=other)))
                tree = self.base.statements[name]
                signed = Node("neg", (added,)) if factor < 0 else added
                edit = Edit(
                    statement=name,
                    tree=Node("plus", (tree, signed)),
                    kind="extra-term",
                    what=f"there is one term too many: {'−' if factor < 0 else ''}"
                    f"{f'{number:g} ' if number != 1 else ''}{other}",
                    look="look at the terms that are added",
                    cost=2.5,
                )
                yield from self._tried((edit,), {name: edit.tree}, remaining, found)

    def _distinct(self, kept: Sequence[Edit]) -> list[Edit]:
        """Return edits that give different values at the first trial, the cheapest first."""
        seen: set[bytes] = set()
        found: list[Edit] = []
        for edit in sorted(kept, key=lambda edit: edit.cost):
            value = value_of(edit.tree, self.known)
            if value is None:
                continue
            print_ = fingerprint(value)
            if print_ not in seen:
                seen.add(print_)
                found.append(edit)
        return found

    def _tried(
        self,
        changes: tuple[Edit, ...],
        trees: Mapping[str, Node],
        remaining: Sequence[str],
        found: Sequence[Explanation],
    ) -> Iterator[Explanation]:
        """Return what explains some result on the first trial and then on all others."""
        values = self._changed(0, trees)
        if values is None:
            return
        matched: list[tuple[str, float]] = []
        for name in remaining:
            if name not in values:
                continue
            factor = self._factor(0, name, values[name])
            if factor is not None:
                matched.append((name, factor))
        for factor, names in grouped(matched, self.puzzle.tolerance):
            if changes[0].kind == "scale" and abs(factor - 1) <= 1e-6:
                continue
            explanation = self._confirmed(changes, trees, names, values, found)
            if explanation is not None:
                yield explanation

    def _changed(self, trial: int, trees: Mapping[str, Node]) -> dict[str, Array] | None:
        """Return what changes at a trial when some statements are changed; None if impossible."""
        before = self.values[trial]
        known = self.puzzle.trials[trial].evaluation.over(before)
        changed: dict[str, Array] = {}
        touched = set(trees)
        for name in trees:
            touched |= self.below[name]
        for name in self.names:
            if name not in touched:
                continue
            tree = trees.get(name, self.base.statements[name])
            value = value_of(tree, known)
            if value is None:
                if name in trees:
                    return None
                known.values.pop(name, None)  # what reads it cannot be computed either
                continue
            # what differs by less than what a result may differ by cannot be told from it
            near = max(1e-9, 3 * self.puzzle.tolerance) if name in trees else 1e-9
            is_same = name in before and same(value, before[name], near)
            if is_same and name in trees and tree != self.base.statements[name]:
                return None  # this edit changes nothing
            known.values[name] = value
            changed[name] = value
        return changed

    def _factor(self, trial: int, name: str, value: Array) -> float | None:
        given = self.puzzle.trials[trial].results.get(name)
        if given is None:
            return None
        floor, tolerance = self._floor(trial, name), self.puzzle.tolerance
        return ratio(given, value, tolerance, scaled=self.puzzle.scaled, floor=floor)

    def _floor(self, trial: int, name: str) -> float:
        """Return the size below which a result is nothing but rounding."""
        right = self.values[trial].get(name)
        return 0.0 if right is None else float(np.abs(right).max()) * self.puzzle.tolerance * 0.1

    def _confirmed(
        self,
        changes: tuple[Edit, ...],
        trees: Mapping[str, Node],
        names: Sequence[str],
        values: Mapping[str, Array],
        found: Sequence[Explanation],
    ) -> Explanation | None:
        """Return the explanation if it holds on every trial."""
        factors: dict[str, list[tuple[Mapping[str, int], float]]] = {n: [] for n in names}
        for number, trial in enumerate(self.puzzle.trials):
            present = [name for name in factors if name in trial.results]
            if not present:
                continue
            new = values if number == 0 else self._changed(number, trees)
            for name in present:
                factor = None
                if new is not None and name in new:
                    factor = self._factor(number, name, new[name])
                if factor is None:
                    del factors[name]
                else:
                    factors[name].append((trial.evaluation.sizes, factor))
        scales = {
            name: find_scale(seen, max(self.puzzle.tolerance * 10, 1e-6))
            for name, seen in factors.items()
            if seen
        }
        held = [name for name, scale in scales.items() if scale is not None]
        if not held:
            return None
        scale = scales[held[0]]
        assert scale is not None
        held = [name for name in held if scales[name] == scale]
        if changes[0].kind == "scale" and scale.is_one:
            return None
        explained = {name for earlier in found for name in earlier.explains}
        others = [n for n in (*self.puzzle.right, *explained) if n in values and n not in held]
        scaled = not scale.is_one
        also = tuple(n for n in others if scaled or not self._same_at_first(n, values[n]))
        structural = changes[0].kind != "scale"
        if structural and not scale.is_nice and not any(edit.free for edit in changes):
            return None  # a formula times 0.3712 is no formula that anybody writes
        cost = sum(edit.cost for edit in changes) + scale.cost + (_ONLY_HERE if also else 0.0)
        cost += 0.3 if structural and scaled else 0.0
        if len(changes) > 1:
            cost += 1.0
        # the factor belongs to the first statement that changes
        statements = {**self.base.statements, **trees}
        place = changes[0].statement
        statements[place] = scale.of(statements[place])
        return Explanation(
            changes=changes,
            scale=scale,
            explains=tuple(held),
            also_changes=also,
            cost=cost,
            after=self.base.made,
            statements=statements,
            before=self.base.statements,
        )

    def _same_at_first(self, name: str, value: Array) -> bool:
        before = self.values[0].get(name)
        return before is not None and same(value, before)
