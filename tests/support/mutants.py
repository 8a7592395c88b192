"""Wrong gradients: every checker shares this stock, and must reject all of it.

Each is a right gradient programme with one mistake in one backward statement, of the kind
that people make by hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import sympy
from sympy import Expr, Indexed, Mul, Symbol

from derive.indices import canonical
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
    yield from _wrong_reads(statement, program)


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
