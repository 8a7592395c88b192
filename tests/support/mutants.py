"""Wrong gradients: every checker shares this stock, and must reject all of it.

Each is a right gradient programme with one mistake in one backward statement, of the kind
that people make by hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest

import sympy
from sympy import Expr, Indexed, Mul, Symbol

from derive.indices import canonical, rename
from derive.program import (
    BATCH,
    Program,
    Statement,
    Sum,
    base,
    indices_of,
    occurrences,
    tensor_of,
)


@dataclass(frozen=True)
class Mutant:
    """A programme with one mistake: its kind, the statement it is in, the programme."""

    kind: str
    where: str
    program: Program

    def __str__(self) -> str:
        return f"{self.kind} in {self.where}: {self.program.statement(self.where).body}"


def mutants(program: Program) -> list[Mutant]:
    """Return every mutant of a gradient programme, each once."""
    found: dict[tuple[str, Expr], Mutant] = {}
    for statement in program.backward:
        for kind, wrong in _mistakes(statement, program):
            body = canonical(wrong, statement.indices)
            if body == statement.body or (statement.name, body) in found:
                continue
            if any(len(set(read.indices)) < len(read.indices) for read in body.atoms(Indexed)):
                continue  # a diagonal is not of the grammar
            changed = replace(statement, body=body)
            statements = tuple(changed if s is statement else s for s in program.statements)
            mutant = Mutant(kind, statement.name, replace(program, statements=statements))
            found[statement.name, body] = mutant
    return list(found.values())


def one_of_each_kind(stock: list[Mutant]) -> list[Mutant]:
    """Return the first mutant of each kind."""
    first: dict[str, Mutant] = {}
    for mutant in stock:
        first.setdefault(mutant.kind, mutant)
    return list(first.values())


def some_of_each_kind(stock: list[Mutant], most: int) -> list[Mutant]:
    """Return at most so many mutants, of the kinds in turn, so that rare kinds are in."""
    kinds: dict[str, list[Mutant]] = {}
    for mutant in stock:
        kinds.setdefault(mutant.kind, []).append(mutant)
    rows = zip_longest(*kinds.values())
    return [mutant for row in rows for mutant in row if mutant is not None][:most]


def _mistakes(statement: Statement, program: Program) -> Iterator[tuple[str, Expr]]:
    body = statement.body
    if body == 0:
        yield "not zero", sympy.Integer(1)
        return
    yield "wrong sign", -body
    yield "factor two", 2 * body
    yield "left out", sympy.Integer(0)
    if body.has(BATCH) and not body.has(Sum):
        yield "missing mean", BATCH * body
    yield "mean taken again", body / BATCH
    for node in _nodes(body):
        if node.is_Mul:
            for factor in node.args:
                if occurrences(factor) or isinstance(factor, Sum):
                    rest = Mul(*(other for other in node.args if other is not factor))
                    yield "dropped factor", body.xreplace({node: rest})
        elif node.is_Add:
            for term in node.args:
                yield "dropped term", body.xreplace({node: node - term})
                yield "wrong sign of a term", body.xreplace({node: node - 2 * term})
        elif node.is_Pow and node.exp == 2:
            yield "not squared", body.xreplace({node: node.base})
        elif isinstance(node, Sum):
            yield from _wrong_sums(node, statement)
        elif node.is_Integer and node not in (0, -1) and node != body:
            yield "wrong constant", body.replace(node, node + 1)
    yield from _wrong_reads(statement, program)


def _wrong_sums(total: Sum, statement: Statement) -> Iterator[tuple[str, Expr]]:
    """Yield a sum as a mean, and as a single term: that of a free index of the same range."""
    body = statement.body
    lengths = [last + 1 for _, _, last in total.limits]
    yield "mean in place of sum", body.xreplace({total: total / Mul(*lengths)})
    if len(lengths) > 1:
        return
    ((bound, _, last),) = total.limits
    for free, extent in zip(statement.indices, statement.target.shape, strict=True):
        if extent == last + 1:
            yield "missing reduction", body.xreplace({total: rename(total.function, {bound: free})})


def _wrong_reads(statement: Statement, program: Program) -> Iterator[tuple[str, Expr]]:
    body, tensors = statement.body, program.tensors()
    before = list(tensors)[: list(tensors).index(statement.name)]
    for read in sorted(occurrences(body), key=sympy.default_sort_key):
        if not isinstance(read, Indexed):
            continue
        shape = tensors[tensor_of(read)].shape
        if len(shape) == 2 and shape[0] == shape[1]:
            yield "transposed", body.xreplace({read: read.base[tuple(reversed(read.indices))]})
        for other in before:
            if other != tensor_of(read) and tensors[other].shape == shape:
                kind = "wrong point" if _is_argument(read, body) else "wrong operand"
                yield kind, body.xreplace({read: base(other)[indices_of(read)]})


def _is_argument(read: Expr, body: Expr) -> bool:
    return any(call.has(read) for call in body.atoms(sympy.Function) if call != read)


def _nodes(body: Expr) -> list[Expr]:
    """Return the nodes of a body, without what stands inside of reads."""
    found: dict[Expr, None] = {}
    stack = [body]
    while stack:
        node = stack.pop()
        found[node] = None
        if isinstance(node, Sum):
            stack.append(node.function)
        elif not isinstance(node, Indexed | Symbol):
            stack.extend(node.args)
    return list(found)
