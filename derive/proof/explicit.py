"""Programmes written out entry by entry on small sizes.

Sizes that happen to be equal hide transpositions, so sizes that are names get numbers that
differ.
"""

from collections.abc import Iterator, Mapping
from itertools import count, product
from math import prod

import sympy
from sympy import Expr, Indexed, Integer, Sum, Symbol
from sympy.concrete.expr_with_limits import ExprWithLimits

from derive.program import ONE_HOT, MaxOver, Program, Statement, Tensor, scalar
from derive.proof.reach import OutOfReachError
from derive.shifts import is_shifted, shift

Place = tuple[int, ...]

MOST_DIFFERENT = 6


def small_sizes(program: Program) -> dict[Symbol, int]:
    """Give the sizes that are names numbers from 2 up: results first, inputs last.

    What a brute-force derivative costs grows with the layers that come after, so those are small.
    Up to `MOST_DIFFERENT` names all get different numbers. Beyond it, two that meet in a
    statement do, so that numbers do not grow with depth.
    """
    tensors = program.tensors()
    written = [statement.target for statement in reversed(program.forward)]
    names = dict.fromkeys(
        extent for tensor in (*written, *program.inputs) for extent in tensor.shape
    )
    fixed = {int(extent) for extent in names if extent.is_Integer}
    sizes: dict[Symbol, int] = {}
    meetings = [
        {e for name in (s.name, *s.reads()) for e in tensors[name].shape if e.is_Symbol}
        for s in program.statements
    ]
    few = sum(bool(extent.is_Symbol) for extent in names) <= MOST_DIFFERENT
    for extent in (extent for extent in names if extent.is_Symbol):
        met = set(names) if few else {e for group in meetings if extent in group for e in group}
        taken = fixed | {sizes[other] for other in met if other in sizes}
        sizes[extent] = next(n for n in count(2) if n not in taken)
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
        self.symmetric = not any(_uses_its_indices(s.body) for s in program.statements)
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

    def representatives(self, tensor: Tensor) -> Iterator[Place]:
        """Yield one entry of each kind that the programme tells apart.

        Every index runs over a whole axis and occurs only where tensors are read. So a
        permutation of the numbers 0, …, n - 1, in all axes of that length together, takes the
        programme into itself, and what holds for one entry holds for all that such
        permutations take it to: those with the same indices equal, among axes of one length.
        """
        shape = self.shape(tensor)
        for place in self.places(tensor):
            highest: dict[int, int] = {}
            for length, k in zip(shape, place, strict=True):
                if self.symmetric and k > highest.get(length, -1) + 1:
                    break  # an earlier entry stands for this one
                highest[length] = max(k, highest.get(length, -1))
            else:
                yield place

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

    def sizes_text(self) -> str:
        """Return the numbers that names stand for, such as ``B = 2, n0 = 3``."""
        return ", ".join(f"{name} = {number}" for name, number in self.sizes.items())

    def place_of(self, read: Indexed, at: Mapping[Symbol, int]) -> Place | None:
        """Return the place where a tensor is read; None outside of it, where it is 0."""
        if not is_shifted(read):
            return tuple(at[e] if e in at else int(e) for e in read.indices)
        shifts = [shift(e) for e in read.indices]
        place = tuple(found.at(at) for found in shifts if found is not None)
        shape = self.shape(self.tensors[str(read.base.name)])
        inside = all(0 <= n < extent for n, extent in zip(place, shape, strict=True))
        return place if inside else None

    def _written_out(self, expression: Expr, at: Mapping[Symbol, int]) -> Expr:
        if isinstance(expression, Indexed):
            place = self.place_of(expression, at)
            return Integer(0) if place is None else self.entry(str(expression.base.name), place)
        if isinstance(expression, Sum):
            names = [k for k, _, _ in expression.limits]
            lengths = [last - first + 1 for _, first, last in expression.limits]
            ranges = [range(int(length.xreplace(self.sizes))) for length in lengths]
            inner = [{**at, **dict(zip(names, p, strict=True))} for p in product(*ranges)]
            return sympy.Add(*(self._written_out(expression.function, here) for here in inner))
        if isinstance(expression, MaxOver):
            raise OutOfReachError(
                f"{expression} has no derivative: a programme is proved before its stable form"
            )
        if expression.is_Symbol:
            if expression in self.sizes:
                return self.sizes[expression]
            if expression in at:
                return Integer(at[expression])
            return self.entry(str(expression.name), ())
        if not expression.args:
            return expression
        return expression.func(*(self._written_out(part, at) for part in expression.args))


def _uses_its_indices(expression: Expr) -> bool:
    """Whether an index occurs elsewhere than where a tensor is read, or in a shift there."""
    if isinstance(expression, Indexed):
        return is_shifted(expression)
    if isinstance(expression, ExprWithLimits):
        return _uses_its_indices(expression.function)
    if expression.is_Symbol:
        return bool(expression.is_integer and not expression.is_positive)
    return any(map(_uses_its_indices, expression.args))
