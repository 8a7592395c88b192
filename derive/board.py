"""The recorded steps of a derivation in the order in which one would tell them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import final

from sympy import Expr

from derive.index_form import index_form, target_form
from derive.notation import Notation
from derive.printing import sides
from derive.program import SUBSTITUTE, Program, Step

MATRIX_FORM = "matrix form"
_RECOGNISED = "recognised from the indices"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One step as it is told.

    Attributes
    ----------
    number
        Its place in the whole derivation, from 1.
    step
        As recorded; for the matrix form, which is read off and not recorded, its like.
    left
        What is rewritten: an entry of a tensor, or a tensor.
    forms
        What is told as equal to `left`, in order: the form before only where nothing above
        tells it.
    """

    number: int
    step: Step
    left: str
    forms: tuple[str, ...]


def told_steps(
    *programs: Program, notation: Notation, matrix: bool = True
) -> dict[str, tuple[Told, ...]]:
    """Return the steps by the name of the statement that they lead to, in reading order.

    Steps of a cotangent that another statement absorbed are told there, first.

    Parameters
    ----------
    programs
        Programmes with recorded steps, which are numbered through.
    notation
        How formulas are written.
    matrix
        Whether the matrix form of a statement is told as its last step.
    """
    teller = _Teller(programs, notation)
    return {
        name: tuple(teller.told(name, steps, matrix=matrix))
        for program in programs
        for name, steps in grouped_steps(program).items()
    }


class _Teller:
    """Numbers the steps of programmes and writes them in a notation."""

    def __init__(self, programs: tuple[Program, ...], notation: Notation) -> None:
        self.statements = {s.name: s for program in programs for s in program.statements}
        self.notation = notation
        self.number = 0

    def told(self, name: str, steps: tuple[Step, ...], *, matrix: bool) -> Iterator[Told]:
        above = ("", "")
        for step in steps:
            left = self._left(step)
            before, after = (self._written(side, step) for side in (step.before, step.after))
            forms = (after,) if before == left or above == (left, before) else (before, after)
            above = (left, after)
            yield self._next(step, left, forms)
        statement = self.statements.get(name)
        if steps and matrix and statement is not None:
            left, right = sides(statement, self.notation, "matrix")
            if (left, right) != sides(statement, self.notation, "index"):
                step = replace(steps[-1], rule=MATRIX_FORM, target=name, reason=_RECOGNISED)
                yield self._next(step, left, (right,))

    def _next(self, step: Step, left: str, forms: tuple[str, ...]) -> Told:
        self.number += 1
        return Told(number=self.number, step=step, left=left, forms=forms)

    def _written(self, expression: Expr, step: Step) -> str:
        return self.notation.signed(index_form(expression, step.indices, self.notation))

    def _left(self, step: Step) -> str:
        statement = self.statements.get(step.target)
        if statement is not None:
            return target_form(statement, self.notation).text
        places = [self.notation.index(symbol.name) for symbol in step.indices]
        return self.notation.entry(step.target, places).text


def grouped_steps(program: Program) -> dict[str, tuple[Step, ...]]:
    """Return the recorded steps by the name of the statement that they lead to."""
    own: dict[str, list[Step]] = {}
    for step in program.steps:
        own.setdefault(step.target, []).append(step)

    def leading_to(name: str) -> Iterator[Step]:
        for step in own.get(name, []):
            if step.rule == SUBSTITUTE:
                for other in step.uses:
                    yield from leading_to(other)
        yield from own.get(name, [])

    kept = {statement.name for statement in program.statements}
    absorbed = {name for step in program.steps if step.rule == SUBSTITUTE for name in step.uses}
    left = (name for name in own if name not in kept | absorbed)
    return {
        name: tuple(leading_to(name)) for name in (*(s.name for s in program.statements), *left)
    }
