"""Programmes written out entry by entry on small sizes.

Sizes that happen to be equal hide transpositions, so every size that is a name gets a
number of its own.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod

import sympy
from sympy import Expr, Indexed, Integer, Sum, Symbol

from derive.errors import InternalError
from derive.program import ONE_HOT, MaxOver, Program, Statement, Tensor, scalar

Place = tuple[int, ...]


def small_sizes(program: Program) -> dict[Symbol, int]:
    """Give every size that is a name a number of its own, from 2 up, different from all others."""
    taken = {int(e) for t in program.tensors().values() for e in t.shape if e.is_Integer}
    sizes: dict[Symbol, int] = {}
    for tensor in program.inputs:
        for extent in tensor.shape:
            if extent.is_Symbol and extent not in sizes:
                number = next(n for n in range(2, len(taken) + 3) if n not in taken)
                sizes[extent] = number
                taken.add(number)
    return sizes


class Explicit:
    """A programme with numbers for sizes, read entry by entry.

    Parameters
    ----------
    program
        Any programme.
    sizes
        A number for every size that is a name.
    """

    def __init__(self, program: Program, sizes: Mapping[Symbol, int]) -> None:
        self.program = program
        self.sizes = {name: Integer(number) for name, number in sizes.items()}
        self.tensors = program.tensors()
        self._entries: dict[tuple[str, Place], Expr] = {}
        self._where: dict[Expr, tuple[str, Place]] = {}
        if ONE_HOT in program.assumptions:
            self._assume_one_hot()

    def _assume_one_hot(self) -> None:
        rows, columns = self.shape(self.tensors["Y"])
        for i in range(rows):
            others = [self.entry("Y", (i, k)) for k in range(columns - 1)]
            self._entries["Y", (i, columns - 1)] = 1 - sympy.Add(*others)

    def shape(self, tensor: Tensor) -> Place:
        """Return a tensor's shape in numbers."""
        return tuple(int(extent.xreplace(self.sizes)) for extent in tensor.shape)

    def places(self, tensor: Tensor) -> Iterator[Place]:
        """Yield the indices of every entry."""
        yield from product(*map(range, self.shape(tensor)))

    def entry(self, name: str, place: Place) -> Expr:
        """Return the symbol of one entry, such as ``W1[2, 0]``."""
        key = (name, place)
        if key not in self._entries:
            text = f"{name}[{', '.join(map(str, place))}]" if place else name
            self._entries[key] = scalar(text)
            self._where[self._entries[key]] = key
        return self._entries[key]

    def where(self, symbol: Expr) -> tuple[str, Place] | None:
        """Return the tensor and the place that a symbol stands for."""
        return self._where.get(symbol)

    def body(self, statement: Statement, place: Place) -> Expr:
        """Return a statement's body for one entry, sums written out."""
        return self._written_out(statement.body, dict(zip(statement.indices, place, strict=True)))

    def count(self) -> int:
        """Return the number of entries of all tensors."""
        return sum(prod(self.shape(tensor)) for tensor in self.tensors.values())

    def _written_out(self, expression: Expr, at: Mapping[Symbol, int]) -> Expr:
        if isinstance(expression, Indexed):
            place = tuple(at[e] if e in at else int(e) for e in expression.indices)
            return self.entry(str(expression.base.name), place)
        if isinstance(expression, Sum):
            names = [k for k, _, _ in expression.limits]
            lengths = [last - first + 1 for _, first, last in expression.limits]
            ranges = [range(int(length.xreplace(self.sizes))) for length in lengths]
            inner = [{**at, **dict(zip(names, p, strict=True))} for p in product(*ranges)]
            return sympy.Add(*(self._written_out(expression.function, here) for here in inner))
        if isinstance(expression, MaxOver):
            raise InternalError(
                f"{expression} has no derivative: a programme is proved before its stable form"
            )
        if expression.is_Symbol:
            if expression in self.sizes:
                return self.sizes[expression]
            return self.entry(str(expression.name), ())
        if not expression.args:
            return expression
        return expression.func(*(self._written_out(part, at) for part in expression.args))
