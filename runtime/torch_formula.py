"""Formulas of the user's own on torch tensors, so that autograd can differentiate them.

The syntax tree is read here once more, without SymPy: an opinion of its own. A branch of
``where`` is computed for the entries that take it alone. ``torch.where`` computes both and
multiplies the slope of the other by 0, which is NaN where that is infinite.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, assert_never, final

from derive.formula_tree import (
    Binary,
    Call,
    Comparison,
    Formula,
    Name,
    Negative,
    Node,
    Number,
)

Torch = Any
Values = Mapping[str, Torch]

_ARITHMETIC: dict[str, Callable[[Torch, Torch], Torch]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
}
_COMPARE: dict[str, Callable[[Torch, Torch], Torch]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
_RENAMED = {"max": "maximum", "min": "minimum"}


def formula_values(
    formula: Formula, values: Values, activations: Mapping[str, Callable[[Torch], Torch]]
) -> Torch:
    """Return a formula's value on tensors.

    Parameters
    ----------
    formula
        As it was read; what it calls of the user's own is computed too.
    values
        A tensor for each variable, all of one shape; ``sum(...)`` adds over the last axis,
        and what it adds up has that axis no more.
    activations
        What the built-in activations compute.
    """
    return _Reader(formula, activations).value(formula.root, values)


@final
@dataclass(frozen=True, slots=True)
class _Reader:
    formula: Formula
    activations: Mapping[str, Callable[[Torch], Torch]]

    def value(self, node: Node, values: Values) -> Torch:
        match node:
            case Number():
                return _any(values).new_tensor(float(node.value))
            case Name(name="pi"):
                return _any(values).new_tensor(math.pi)
            case Name():
                return values[node.name]
            case Negative():
                return -self.value(node.operand, values)
            case Binary():
                return self._chain(node, values)
            case Comparison():
                left, right = (self.value(side, values) for side in (node.left, node.right))
                return _COMPARE[node.operator](left, right)
            case Call():
                return self._call(node, values)
            case _:
                assert_never(node)

    def _chain(self, node: Binary, values: Values) -> Torch:
        links = [node]  # a chain may be hundreds of operators long
        while isinstance(first := links[-1].left, Binary):
            links.append(first)
        total = self.value(links[-1].left, values)
        for link in reversed(links):
            total = _ARITHMETIC[link.operator](total, self.value(link.right, values))
        return total

    def _call(self, node: Call, values: Values) -> Torch:
        torch = import_module("torch")
        if node.function == "where":
            return self._where(node, values)
        if node.function == "sum":
            summand = self.value(node.arguments[0], values)
            return (summand + torch.zeros_like(_any(values))).sum(-1)
        arguments = [self.value(argument, values) for argument in node.arguments]
        own = next((d for d in self.formula.definitions if d.name == node.function), None)
        if own is not None:
            return self.value(own.formula.root, {own.parameter: arguments[0]})
        if node.function in self.activations:
            return self.activations[node.function](arguments[0])
        return getattr(torch, _RENAMED.get(node.function, node.function))(*arguments)

    def _where(self, node: Call, values: Values) -> Torch:
        torch = import_module("torch")
        condition, *branches = node.arguments
        shape = torch.broadcast_shapes(*(value.shape for value in values.values()))
        flat = {name: value.expand(shape).reshape(-1) for name, value in values.items()}
        holds = self.value(condition, values).expand(shape).reshape(-1)
        result = torch.zeros_like(_any(flat))
        for branch, taken in zip(branches, (holds, ~holds), strict=True):
            (places,) = torch.nonzero(taken, as_tuple=True)
            chosen = {name: value[places] for name, value in flat.items()}
            value = self.value(branch, chosen).expand(places.shape)
            result = result.index_put((places,), value)
        return result.reshape(shape)


def _any(values: Values) -> Torch:
    """Return one of the tensors: all have one type and shape."""
    return next(iter(values.values()))
