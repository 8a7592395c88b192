"""Edit operators: what a line of a student's could have become instead of the right formula.

Each operator takes a formula as a tree and yields changed trees, one change at a time. None
knows a layer, and only `Scope` knows what else a file has at hand: the tensors of the forward
pass, the parameters, gradients that stand before, the derivatives of other activations.
"""

from collections.abc import Callable, Iterator

from runtime.grading.edit import Edit, Scope
from runtime.grading.edits_of_functions import called_otherwise, powers_otherwise
from runtime.grading.edits_of_operands import (
    exchanged,
    replaced_whole,
    sloped_otherwise,
)
from runtime.grading.edits_of_shapes import (
    multiplied_otherwise,
    rows_otherwise,
    summed_otherwise,
    turned,
)
from runtime.grading.edits_of_terms import (
    divided_otherwise,
    dropped,
    grouped_otherwise,
    multiplied_more,
)
from runtime.grading.tree import (
    Node,
)

Operator = Callable[[str, Node, Scope], Iterator[Edit]]


OPERATORS: tuple[Operator, ...] = (
    dropped,
    turned,
    summed_otherwise,
    grouped_otherwise,
    sloped_otherwise,
    multiplied_otherwise,
    exchanged,
    powers_otherwise,
    called_otherwise,
    rows_otherwise,
    replaced_whole,
    divided_otherwise,
    multiplied_more,
)


def edits(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Return every single change of a statement, the simple ones among them first."""
    for operator in OPERATORS:
        yield from operator(statement, tree, scope)
