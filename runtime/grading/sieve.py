"""Which of many changed programmes could give a file's numbers at one trial, many at once.

Changed formulas of one statement, where they give arrays of one shape, are stacked along a
first axis, and what is computed from them is computed for all of them together. What does not
come near any result in question is dropped; whatever a search would keep comes through.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.grading.matching import could_be, value_of
from runtime.grading.tree import Evaluation, Node

Array = NDArray[Any]
Mask = NDArray[np.bool_]


@final
class Sieve:
    """One programme at one trial, and the results that are to be explained.

    Parameters
    ----------
    statements
        The programme.
    below
        By the name of a statement, those that depend on it, itself included.
    known
        Its values at the trial.
    results
        What the file gave.
    floors
        By name, below which size a result is nothing but rounding.
    tolerance, scaled
        As in `runtime.grading.matching.ratio`.
    """

    def __init__(
        self,
        *,
        statements: Mapping[str, Node],
        below: Mapping[str, set[str]],
        known: Evaluation,
        results: Mapping[str, Array],
        floors: Mapping[str, float],
        tolerance: float,
        scaled: bool,
    ) -> None:
        self.statements = statements
        self.below = below
        self.known = known
        self.results = results
        self.floors = floors
        self.tolerance = tolerance
        self.scaled = scaled

    def singles(self, name: str, trees: Sequence[Node], wanted: Iterable[str]) -> Mask:
        """Tell of each formula of a statement whether it could explain a wanted result."""
        passed = np.zeros(len(trees), bool)
        for places, values in self._stacks(trees):
            passed[places] = self._near(name, values, self.known, wanted)
        return passed

    def pairs(
        self,
        name: str,
        trees: Sequence[Node],
        other: str,
        others: Sequence[Node],
        wanted: Iterable[str],
    ) -> Mask:
        """Tell the same of every pair of formulas of two statements, the later one second."""
        passed = np.zeros((len(trees), len(others)), bool)
        for places, values in self._stacks(trees):
            many = self._carried(name, values, self.known)
            for column, tree in enumerate(others):
                value = value_of(tree, many)
                if value is None:
                    continue
                if value.ndim == 2:  # it reads nothing that the first one changes
                    value = np.broadcast_to(value, (len(places), *value.shape))
                passed[places, column] = self._near(other, value, many, wanted)
        return passed

    def _stacks(self, trees: Sequence[Node]) -> Iterator[tuple[list[int], Array]]:
        """Return the values of formulas by shape, with their places; what has none is left out."""
        groups: dict[tuple[int, ...], tuple[list[int], list[Array]]] = {}
        for place, tree in enumerate(trees):
            value = value_of(tree, self.known)
            if value is not None:
                places, values = groups.setdefault(value.shape, ([], []))
                places.append(place)
                values.append(value)
        for places, values in groups.values():
            yield places, np.stack(values)

    def _carried(self, name: str, values: Array, known: Evaluation) -> Evaluation:
        """Return an evaluation in which a statement has many values, and what is below follows."""
        many = known.over({name: values})
        for other, tree in self.statements.items():
            if other == name or other not in self.below[name]:
                continue
            value = value_of(tree, many)
            if value is None:
                many.values.pop(other, None)
            else:
                many.values[other] = value
        return many

    def _near(self, name: str, values: Array, known: Evaluation, wanted: Iterable[str]) -> Mask:
        passed = np.zeros(len(values), bool)
        many = self._carried(name, values, known)
        with np.errstate(all="ignore"):
            for result in wanted:
                found = many.values.get(result)
                if result in self.below[name] and found is not None and result in self.results:
                    passed |= could_be(
                        self.results[result],
                        found,
                        self.tolerance,
                        scaled=self.scaled,
                        floor=self.floors.get(result, 0.0),
                    )
        return passed
