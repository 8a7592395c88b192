"""Rung 2: the whole programme at once against brute-force differentiation of the loss.

For an entry x of a parameter, the loss is written out as one expression in x, with whatever
does not depend on x as symbols, and ``sympy.diff`` of it in x must equal the programme's
gradient, written out statement by statement. This knows nothing of cotangents or of the
chain rule's order. By the symmetry of indices (`Explicit.representatives`) one entry of each
kind stands for all. Expressions grow with each layer: it is for small networks, up to two
hidden layers; what would take minutes is not attempted, and says so.
"""

from functools import partial

import sympy
from sympy import Expr, Symbol, diff

from derive.program import Program
from derive.proof.algebra import Algebra
from derive.proof.attempt import Verdict, attempt, left_out
from derive.proof.claim import Claim
from derive.proof.explicit import Explicit, Place, small_sizes
from derive.proof.reach import OutOfReachError

RUNG = "whole programme"
MOST_ENTRIES = 400  # of all tensors together
MOST_NODES = 60_000  # of the written-out loss as a tree: some seconds


def whole_proof(
    program: Program,
    sizes: dict[Symbol, int] | None = None,
    *,
    of: str = "loss",
    effort: int = 1,
) -> tuple[Claim, ...]:
    """Prove the gradient of each parameter in one go, on small explicit sizes.

    Parameters
    ----------
    program
        The gradient programme of a scalar, rewritten or not, without the shifts of
        `derive.stable_program`. Sizes that are names are given numbers, each another;
        integers are kept.
    sizes
        Numbers to use for the sizes that are names.
    of
        The scalar.
    effort
        How many times as large as usual expressions may become before a claim is given up.

    Returns
    -------
    tuple of Claim
        One for each parameter; a single one, not attempted, where there is no such scalar
        or the programme is too large for this rung.
    """
    explicit = Explicit(program, small_sizes(program) if sizes is None else sizes)
    if of not in program.tensors() or program.tensors()[of].shape:
        return (left_out(RUNG, program.gradients.values(), "it is not the gradient of a scalar"),)
    if explicit.count() > MOST_ENTRIES:
        reason = f"{explicit.count()} entries; written out at once are at most {MOST_ENTRIES}"
        return (left_out(RUNG, program.gradients.values(), reason),)
    try:
        whole = _Whole(program, explicit, of, effort)
    except OutOfReachError as error:
        return (left_out(RUNG, program.gradients.values(), str(error)),)
    entries = "one entry of each kind" if explicit.symmetric else "every entry"
    method = f"exact: sympy.diff of the written-out loss in {entries}"
    return tuple(
        attempt(
            partial(whole.verdict, name),
            claim=f"{gradient} = d {of} / d {name}",
            method=method,
            rung=RUNG,
            about=gradient,
            sizes=explicit.sizes_text(),
        )
        for name, gradient in program.gradients.items()
    )


class _Whole:
    def __init__(self, program: Program, explicit: Explicit, of: str, effort: int) -> None:
        self.program = program
        self.explicit = explicit
        self.loss = explicit.entry(of, ())
        self.effort = effort
        self.algebra = Algebra(effort=effort)  # shared: the questions are about the same calls
        self.bodies: dict[Expr, Expr] = {}
        self.backward: set[Expr] = set()
        gradients = {statement.name for statement in program.backward}
        for statement in program.statements:
            for place in explicit.places(statement.target):
                entry = explicit.entry(statement.name, place)
                self.bodies[entry] = explicit.body(statement, place)
                if statement.name in gradients:
                    self.backward.add(entry)

    def verdict(self, name: str) -> Verdict:
        gradient = self.program.gradients[name]
        for place in self.explicit.representatives(self.program.tensors()[name]):
            if not self._holds(name, gradient, place):
                return "not proved", f"{self.explicit.entry(gradient, place)} differs"
        return "proved", ""

    def _holds(self, name: str, gradient: str, place: Place) -> bool:
        variable = self.explicit.entry(name, place)
        stated = self.explicit.entry(gradient, place)
        # a gradient may also be right by relations between values that are symbols here
        return self._agree(variable, stated, {variable}) or self._agree(variable, stated, None)

    def _agree(self, variable: Expr, stated: Expr, free: set[Expr] | None) -> bool:
        """Compare, with what reads none of `free` as symbols; None writes all of it out."""
        algebra = self.algebra
        needed = self._needed(stated)
        depends = None if free is None else set(free)
        plain: dict[Expr, Expr] = {}
        polynomials: dict[Expr, Expr] = {}
        for entry, body in self.bodies.items():
            written_out = depends is None or bool(body.free_symbols & depends)
            if entry not in needed or not (written_out or entry in self.backward):
                continue
            body = algebra.without_cases(body)
            if entry not in self.backward:
                plain[entry] = body.xreplace(plain)
                if depends is not None:
                    depends.add(entry)
            # functions become symbols at once, or the backward pass would grow with its depth
            polynomials[entry] = algebra.polynomial(body.xreplace(polynomials))
        loss = plain.get(self.loss, sympy.Integer(0))
        most = MOST_NODES * self.effort
        if (nodes := _nodes(loss, {})) > most:
            raise OutOfReachError(
                f"the loss written out has {nodes} nodes, at most {most} are attempted"
            )
        slope = algebra.polynomial(diff(loss, variable))
        return algebra.is_zero(slope - polynomials[stated])

    def _needed(self, stated: Expr) -> set[Expr]:
        needed = {stated, self.loss}
        for entry in reversed(self.bodies):
            if entry in needed:
                needed |= self.bodies[entry].free_symbols
        return needed


def _nodes(expression: Expr, known: dict[Expr, int]) -> int:
    """Return the size of an expression as a tree."""
    if expression not in known:
        known[expression] = 1 + sum(_nodes(part, known) for part in expression.args)
    return known[expression]
