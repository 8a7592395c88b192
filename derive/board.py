"""The recorded steps of a derivation in the order in which one would tell them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import final

from sympy import Expr, Symbol

from derive.index_form import index_form, target_form
from derive.notation import Notation
from derive.printing import sides
from derive.program import Program, Statement, Step

MATRIX_FORM = "matrix form"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One step as it is told.

    Attributes
    ----------
    number
        Its place in the whole derivation, from 1.
    rule, target, reason
        As recorded; `MATRIX_FORM` is the last step of a statement that has one.
    part
        ``(n, of)`` if the step gives one of several terms of a sum.
    left
        What is rewritten: an entry of a tensor, or a tensor.
    forms
        Expressions that are equal: before and after.
    goes_on
        Whether the step above ended with the first of `forms`, so that it need not be
        told again.
    """

    number: int
    rule: str
    target: str
    reason: str
    part: tuple[int, int] | None
    left: str
    forms: tuple[str, ...]
    goes_on: bool = False

    @property
    def new_forms(self) -> tuple[str, ...]:
        """The forms that the step above has not told."""
        return self.forms[1:] if self.goes_on else self.forms


def told_steps(
    program: Program, notation: Notation, *, matrix: bool = True
) -> dict[str, tuple[Told, ...]]:
    """Return the steps by the name of the statement that they lead to, in reading order.

    Steps of a cotangent that another statement absorbed are told there, before the step
    that absorbs it.

    Parameters
    ----------
    program
        A programme with recorded steps.
    notation
        How formulas are written.
    matrix
        Whether the matrix form of a statement is told as its last step.
    """
    result: dict[str, tuple[Told, ...]] = {}
    statements = {statement.name: statement for statement in program.statements}
    number = 0
    for name, steps in grouped_steps(program).items():
        told: list[Told] = []
        for step, part in _with_parts(steps):
            number += 1
            next_ = _told(number, step, part, statements.get(step.target), notation)
            goes_on = bool(told) and _leads_on(told[-1], next_)
            told.append(replace(next_, goes_on=goes_on))
        if told and matrix and name in statements:
            left, right = sides(statements[name], notation, "matrix")
            if (left, right) != sides(statements[name], notation, "index"):
                number += 1
                told.append(
                    Told(
                        number=number,
                        rule=MATRIX_FORM,
                        target=name,
                        reason="recognised from the indices",
                        part=None,
                        left=left,
                        forms=(right,),
                    )
                )
        result[name] = tuple(told)
    return result


def grouped_steps(program: Program) -> dict[str, tuple[Step, ...]]:
    """Return the recorded steps by the name of the statement that they lead to."""
    own: dict[str, list[Step]] = {}
    for step in program.steps:
        own.setdefault(step.target, []).append(step)
    # cotangents that are in no statement any more, each told once
    gone = own.keys() - {statement.name for statement in program.statements}

    def leading_to(name: str) -> Iterator[Step]:
        for step in own.get(name, []):
            absorbed = gone & (_names_in(step.before) - _names_in(step.after))
            gone.difference_update(absorbed)
            for other in sorted(absorbed):
                yield from leading_to(other)
            yield step

    grouped = {s.name: tuple(leading_to(s.name)) for s in program.statements}
    return grouped | {name: tuple(leading_to(name)) for name in own if name in gone}


def _names_in(expression: Expr) -> set[str]:
    """Return the names of tensors, sizes and indices that an expression mentions."""
    return {atom.name for atom in expression.atoms(Symbol)}


def _with_parts(steps: tuple[Step, ...]) -> Iterator[tuple[Step, tuple[int, int] | None]]:
    """Yield each step, with its place among the terms of one cotangent if there are several."""
    terms = Counter(step.target for step in steps if step.rule == "chain rule")
    seen: Counter[str] = Counter()
    for step in steps:
        part = None
        if step.rule == "chain rule" and terms[step.target] > 1:
            seen[step.target] += 1
            part = (seen[step.target], terms[step.target])
        yield step, part


def _leads_on(step: Told, other: Told) -> bool:
    return step.part is None and (step.left, step.forms[-1]) == (other.left, other.forms[0])


def _told(
    number: int,
    step: Step,
    part: tuple[int, int] | None,
    statement: Statement | None,
    notation: Notation,
) -> Told:
    if statement is None:
        left = notation.entry(step.target, [notation.index(s.name) for s in step.indices])
    else:
        left = target_form(statement, notation)
    return Told(
        number=number,
        rule=step.rule,
        target=step.target,
        reason=step.reason,
        part=part,
        left=left.text,
        forms=tuple(
            notation.signed(index_form(expression, step.indices, notation))
            for expression in (step.before, step.after)
        ),
    )
