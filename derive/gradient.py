"""The one rule, and reverse accumulation over it.

For a statement ``T[o] := body`` with cotangent ``G[o]``, and for each occurrence ``X[e]`` in
the body::

    dX[p]  +=  sum over o of  G[o] * (∂body/∂X[e]) * δ(e, p)

The derivatives are those of `derive.body_slopes`. The Kronecker deltas δ are contracted against
the sums over ``o``. Nothing in this file knows any function, activation, loss or matrix product.

References
----------
A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 3.2
(reverse accumulation); S. Laue, M. Mitterreiter and J. Giesen, "Computing Higher Order
Derivatives of Matrix and Tensor Expressions", NeurIPS 2018 (index notation).
"""

from dataclasses import dataclass, replace
from typing import final

import sympy
from sympy import (
    Expr,
    Integer,
    KroneckerDelta,
    Mul,
    Symbol,
)

from derive.body_slopes import Range, slopes
from derive.check import check_program
from derive.errors import InternalError
from derive.indices import canonical, fresh, rename, target_indices
from derive.program import (
    Partial,
    Program,
    Statement,
    Step,
    Sum,
    Tensor,
    occurrences,
)
from derive.shifts import solve_shift


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Contribution:
    """What one reader of an operand adds to its cotangent, in the three forms it is told in.

    Attributes
    ----------
    reader
        Name of the statement that reads the operand.
    chained
        The cotangent times the derivative that is to be taken, summed.
    stated
        The same with the derivative taken, and the deltas that tie the indices.
    value
        The same with the deltas contracted.
    """

    reader: str
    chained: Expr
    stated: Expr
    value: Expr


def gradient_program(program: Program, *, of: str = "loss") -> Program:
    """Return `program` followed by the gradient of a scalar in every parameter.

    Parameters
    ----------
    program
        A forward programme, for example that of `derive.loss_program`.
    of
        The scalar to differentiate.

    Returns
    -------
    Program
        The forward statements, then ``d{name}`` for every intermediate value and parameter
        that the scalar depends on. A parameter that it does not depend on has a statement
        ``d{name} := 0`` that says so.

    Raises
    ------
    InternalError
        If the scalar has axes, or a statement is outside of what the rule carries.
    """
    target = program.tensors()[of]
    if target.shape:
        raise InternalError(f"{of} has shape {target.shape}; a gradient is that of a scalar")
    return _reverse(program, of, None, program.parameters)


def vjp_program(program: Program, *, of: str = "P", inputs: tuple[str, ...] = ("X",)) -> Program:
    """Return the programme of the vector-Jacobian product of one tensor.

    Parameters
    ----------
    program
        A forward programme.
    of
        The tensor whose cotangent is given, as a further input ``d{of}``.
    inputs
        Inputs that are differentiated beside the parameters.

    Returns
    -------
    Program
        The statements that `of` needs, and ``d{name}`` for the inputs and parameters.
    """
    needed = _needed(program, of)
    read = {name for statement in needed for name in statement.reads()} | {of}
    seed = Tensor(name=f"d{of}", shape=program.tensors()[of].shape)
    forward = Program(
        inputs=(
            *(t for t in program.inputs if t.name in (*read, *inputs, *program.parameters)),
            seed,
        ),
        parameters=program.parameters,
        statements=needed,
        outputs=(of,),
    )
    return _reverse(forward, of, seed, (*inputs, *program.parameters))


def _reverse(program: Program, of: str, seed: Tensor | None, wanted: tuple[str, ...]) -> Program:
    tensors = program.tensors()
    contributions: dict[str, list[_Contribution]] = {}
    position = {name: n for n, name in enumerate(tensors)}
    readers = _readers(program)
    waiting = {name: len(names) for name, names in readers.items()}
    moved = _downstream(program, wanted)
    added: list[Statement] = []
    steps: list[Step] = []
    cotangents: dict[str, str] = {of: f"d{of}"} if seed else {}

    def emit(name: str) -> None:
        tensor = Tensor(name=f"d{name}", shape=tensors[name].shape)
        indices = target_indices(tensor.shape)
        parts = contributions.get(name, [])
        body = canonical(sympy.Add(*(part.value for part in parts)), indices)
        origin = tuple(f"rule: {reader} reads {name}" for reader in readers[name])
        if not parts:
            origin = (f"{of} does not depend on {name}",)
        cotangents[name] = tensor.name
        statement = Statement(target=tensor, indices=indices, body=body, origin=origin)
        added.append(statement)
        steps.extend(_steps(statement, name, parts))

    for statement in reversed(program.statements):
        depends = statement.name == of or statement.name in contributions
        if depends and statement.name != of:
            emit(statement.name)
        opened = _opened(statement) if depends else statement
        for operand in _in_order(statement, position):
            if depends and operand in moved:
                cotangent = Tensor(name=f"d{statement.name}", shape=statement.target.shape)
                given = None if statement.name == of and seed is None else cotangent
                part = _pull_back(opened, tensors[operand], given)
                contributions.setdefault(operand, []).append(part)
            waiting[operand] -= 1
            if waiting[operand] == 0 and operand in wanted:
                emit(operand)
    for name in wanted:
        if name not in cotangents:
            emit(name)
    return check_program(
        Program(
            inputs=program.inputs,
            parameters=program.parameters,
            statements=(*program.statements, *added),
            outputs=(*program.outputs, *(cotangents[name] for name in wanted)),
            cotangents=tuple(
                (name, grad)
                for name, grad in cotangents.items()
                if seed is None or grad != seed.name
            ),
            steps=tuple(steps),
        )
    )


def _opened(statement: Statement) -> Statement:
    """Return a statement under fresh indices, so that none of an operand's is captured."""
    renaming = {symbol: fresh() for symbol in statement.indices}
    indices = tuple(renaming.values())
    return replace(statement, indices=indices, body=rename(statement.body, renaming))


def _pull_back(statement: Statement, operand: Tensor, cotangent: Tensor | None) -> _Contribution:
    """Return what one opened statement adds to the cotangent of an operand."""
    places = target_indices(operand.shape)
    indices = statement.indices
    own = tuple(zip(indices, statement.target.shape, strict=True))
    G = Integer(1) if cotangent is None else cotangent[indices]
    taken: list[Expr] = []
    total: list[Expr] = []
    for slope in slopes(statement.body, operand.name):
        # `canonical` evaluates them, under names that the next layer has too
        deltas = (
            KroneckerDelta(*pair, evaluate=False)
            for pair in zip(slope.position, places, strict=True)
        )
        taken.append(summed(Mul(slope.value, *deltas), slope.bound))
        ranges = (*own, *slope.bound)
        total.append(_contract(G * slope.value, slope.position, places, ranges, operand))
    partial = Partial(statement.target[indices or ()], operand[places or ()])
    return _Contribution(
        reader=statement.name,
        chained=total_over(G * partial, own, pull=False),
        stated=total_over(G * sympy.Add(*taken), own, pull=False) if taken else Integer(0),
        value=sympy.Add(*total),
    )


def _steps(statement: Statement, operand: str, parts: list[_Contribution]) -> list[Step]:
    """Return how a cotangent came about: chain rule, derivatives taken, deltas contracted."""
    readers = tuple(part.reader for part in parts)
    whose = " and ".join(readers)
    told = (
        (
            "chain rule",
            sympy.Add(*(part.chained for part in parts)),
            f"{whose} read{'s' * (len(parts) == 1)} {operand}" if parts else statement.origin[0],
        ),
        (
            "derivative",
            sympy.Add(*(part.stated for part in parts)),
            f"of the definition of {whose}; one entry of {operand} in another gives δ",
        ),
        ("delta", statement.body, "of a sum over δ one term is left, where its indices agree"),
    )
    steps: list[Step] = []
    before = statement.target[statement.indices or ()]
    for rule, form, reason in told:
        after = canonical(form, statement.indices)
        if after != before:
            steps.append(
                Step(
                    rule=rule,
                    target=statement.name,
                    indices=statement.indices,
                    before=before,
                    after=after,
                    reason=reason,
                    uses=readers,
                )
            )
            before = after
    return steps


def _contract(
    value: Expr,
    position: tuple[Expr, ...],
    places: tuple[Symbol, ...],
    ranges: tuple[Range, ...],
    operand: Tensor,
) -> Expr:
    """Sum ``value * δ(position, places)`` over `ranges`, by solving each delta for an index."""
    left = dict(ranges)
    solved: dict[Expr, Expr] = {}
    shifted: list[tuple[Expr, Symbol, Expr]] = []
    for index, place, extent in zip(position, places, operand.shape, strict=True):
        if left.get(index) == extent:
            del left[index]
            solved[index] = place
        elif not (extent == 1 and index == 0):
            shifted.append((index, place, extent))
    for index, place, extent in shifted:
        solution = solve_shift(rename(index, solved), place, value, left)
        if solution is None:
            raise InternalError(
                f"{operand.name} is read with the index {index} on an axis of {extent}: the "
                "rule carries distinct indices that each run over a whole axis, and sums of "
                "them in which one has the factor 1 or -1 and is the index of another factor"
            )
        solved = {known: rename(e, dict([solution])) for known, e in solved.items()}
        solved |= [solution]
        del left[solution[0]]
    return total_over(rename(value, solved), tuple(left.items()))


def total_over(value: Expr, ranges: tuple[Range, ...], *, pull: bool = True) -> Expr:
    """Return the sum of `value` over `ranges`; factors free of an index leave its sum."""
    if not pull:
        limits = [(symbol, 0, extent - 1) for symbol, extent in reversed(ranges)]
        return Sum(value, *limits) if limits else value
    for symbol, extent in reversed(ranges):
        outside, inside = value.as_independent(symbol, as_Add=False)
        # a sum over nothing but its index counts it
        value = outside * (extent if inside == 1 else Sum(inside, (symbol, 0, extent - 1)))
    return value


def summed(value: Expr, ranges: tuple[Range, ...]) -> Expr:
    """Return the sum of `value` over `ranges`; what reads a tensor and no index leaves its sum."""
    for symbol, extent in reversed(ranges):
        outside, inside = value.as_independent(symbol, as_Add=False)
        if not occurrences(outside):
            outside, inside = 1, value
        value = outside * Sum(inside, (symbol, 0, extent - 1))
    return value


def _readers(program: Program) -> dict[str, list[str]]:
    readers: dict[str, list[str]] = {name: [] for name in program.tensors()}
    for statement in program.statements:
        for name in statement.reads():
            readers[name].append(statement.name)
    return readers


def _in_order(statement: Statement, position: dict[str, int]) -> list[str]:
    """Return what a statement reads in the order of declaration: inputs, then results."""
    return sorted(statement.reads(), key=position.__getitem__)


def _downstream(program: Program, names: tuple[str, ...]) -> set[str]:
    """Return `names` and every result that depends on one of them."""
    reached = set(names)
    for statement in program.statements:
        if not reached.isdisjoint(statement.reads()):
            reached.add(statement.name)
    return reached


def _needed(program: Program, of: str) -> tuple[Statement, ...]:
    needed = {of}
    kept: list[Statement] = []
    for statement in reversed(program.statements):
        if statement.name in needed:
            needed |= set(statement.reads())
            kept.append(statement)
    return tuple(reversed(kept))
