"""How large a formula is once the definitions that it calls are written out.

Each formula is small, yet thirty definitions that call the one before twice make a billion
nodes. The size is computed from the definitions, and nothing is written out for it.
"""

from dataclasses import dataclass, replace
from typing import assert_never, final

from derive.formula_tokens import DEEPEST, MOST_NODES
from derive.formula_tree import (
    Binary,
    Call,
    Comparison,
    Formula,
    Name,
    Negative,
    Node,
    Number,
    chain,
)

MOST_WRITTEN_OUT = 4 * MOST_NODES
DEEPEST_WRITTEN_OUT = 2 * DEEPEST

_ALIKE = ({"+", "-"}, {"*", "/"})  # a chain of these is one level


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Size of a formula: nodes that are no variable, occurrences of variables, and levels."""

    nodes: int = 0
    variables: int = 0
    depth: int = 0


def check_written_out(formula: Formula) -> None:
    """Refuse a formula that is too large or deep once its definitions are written out.

    Raises
    ------
    InputError
        If it has more than `MOST_WRITTEN_OUT` nodes or `DEEPEST_WRITTEN_OUT` levels.
    """
    functions: dict[str, Extent] = {}
    for definition in formula.definitions:
        functions[definition.name] = _extent(definition.formula.root, functions)
    extent = _extent(formula.root, functions)
    for size, most, what in (
        (extent.nodes + extent.variables, MOST_WRITTEN_OUT, "numbers, names and operators"),
        (extent.depth, DEEPEST_WRITTEN_OUT, "levels"),
    ):
        if size > most:
            raise formula.source.refused(
                formula.root.at,
                f"with its definitions written out this formula has more than {most:,} {what}. "
                "Make them shorter, or call fewer of them",
            )


def _extent(node: Node, functions: dict[str, Extent]) -> Extent:
    match node:
        case Number():
            return Extent(nodes=1)
        case Name():
            return Extent(variables=1) if node.name != "pi" else Extent(nodes=1)
        case Negative():
            return _joined(_extent(node.operand, functions))
        case Binary():
            first, links = chain(node)
            extent, before = _extent(first, functions), ""
            for link in links:
                right = _extent(link.right, functions)
                deeper = not any({before, link.operator} <= alike for alike in _ALIKE)
                depth = max(extent.depth + deeper, right.depth + 1)
                extent, before = replace(_joined(extent, right), depth=depth), link.operator
            return extent
        case Comparison():
            return _joined(_extent(node.left, functions), _extent(node.right, functions))
        case Call() if node.function in functions:
            function = functions[node.function]
            argument = _extent(node.arguments[0], functions)
            return Extent(
                nodes=function.nodes + function.variables * argument.nodes,
                variables=function.variables * argument.variables,
                depth=function.depth + argument.depth,
            )
        case Call():
            return _joined(*(_extent(argument, functions) for argument in node.arguments))
        case _:
            assert_never(node)


def _joined(*parts: Extent) -> Extent:
    return Extent(
        nodes=1 + sum(part.nodes for part in parts),
        variables=sum(part.variables for part in parts),
        depth=1 + max(part.depth for part in parts),
    )
