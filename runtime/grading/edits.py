"""Edit operators: what a line of a student's could have become instead of the right formula.

Each operator takes a formula as a tree and yields changed trees, one change at a time. None
knows a layer, and only `Scope` knows what else a file has at hand: the tensors of the forward
pass, the parameters, gradients that stand before, the derivatives of other activations.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from runtime.grading.edit import Edit, Scope
from runtime.grading.edits_of_functions import called_otherwise, powers_otherwise
from runtime.grading.edits_of_operands import (
    chosen,
    exchanged,
    recomputed,
    replaced_whole,
    sloped_more,
    sloped_otherwise,
)
from runtime.grading.edits_of_shapes import (
    multiplied_otherwise,
    rows_otherwise,
    samples_skipped,
    summed_otherwise,
    turned,
)
from runtime.grading.edits_of_terms import (
    divided_otherwise,
    dropped,
    grouped_otherwise,
    multiplied_more,
)
from runtime.grading.tree import Node

Operator = Callable[[str, Node, Scope], Iterator[Edit]]


# the least that an edit of each costs
OPERATORS: tuple[tuple[float, Operator], ...] = (
    (1.5, dropped),
    (2.0, turned),
    (1.5, summed_otherwise),
    (2.0, grouped_otherwise),
    (2.0, sloped_otherwise),
    (2.0, sloped_more),
    (2.0, multiplied_otherwise),
    (1.5, exchanged),
    (2.0, powers_otherwise),
    (2.0, called_otherwise),
    (1.5, rows_otherwise),
    (2.0, samples_skipped),
    (2.3, recomputed),
    (2.4, chosen),
    (1.0, replaced_whole),
    (2.4, divided_otherwise),
    (2.4, multiplied_more),
)


def edits(statement: str, tree: Node, scope: Scope, *, at_most: float = math.inf) -> Iterator[Edit]:
    """Return every single change of a statement, the simple ones among them first.

    Parameters
    ----------
    statement, tree, scope
        Its name, its formula, and what it could read.
    at_most
        What a change may cost.
    """
    if at_most < scope.at_most:
        scope = replace(scope, at_most=at_most)
    for least, operator in OPERATORS:
        if least <= at_most:
            for edit in operator(statement, tree, scope):
                if edit.cost <= at_most:
                    yield edit
