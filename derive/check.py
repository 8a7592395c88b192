"""The invariants of a programme, checked after every transformation."""

import sympy
from sympy import DiracDelta, Expr, Heaviside, Indexed, KroneckerDelta, Piecewise, Symbol
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.function import Derivative, Subs
from sympy.core.relational import Relational
from sympy.functions.elementary.piecewise import ExprCondPair

from derive.errors import InternalError
from derive.program import Partial, Program, Statement, Tensor
from derive.shifts import is_index, is_shifted, shift

_NEVER = (Derivative, Subs, KroneckerDelta, DiracDelta, Heaviside, Partial)


def check_program(program: Program) -> Program:
    """Return `program` if it is well formed.

    What holds afterwards: each tensor is written once and read only after that; every
    index in a body is an index of the target or bound by a sum; it runs over the whole of
    each axis that it reads, or is part of a shift; shifted reads stand in polynomials
    and what is chosen by cases only, and an index is a number in a comparison only; every
    output exists; no unevaluated derivative and no delta is left; every sum is
    `derive.program.Sum`.

    Raises
    ------
    InternalError
        Naming the statement and the invariant that it breaks.
    """
    known: dict[str, Tensor] = {}
    for tensor in program.inputs:
        if tensor.name in known:
            raise InternalError(f"the input {tensor.name} is declared twice")
        known[tensor.name] = tensor
    for statement in program.statements:
        _check_statement(statement, known)
        known[statement.name] = statement.target
    for name in (*program.outputs, *program.parameters):
        if name not in known:
            raise InternalError(f"{name} is asked for, and no statement writes it")
    return program


def _check_statement(statement: Statement, known: dict[str, Tensor]) -> None:
    if statement.name in known:
        raise _broken(statement, "its target is written twice")
    if len(statement.indices) != len(statement.target.shape):
        raise _broken(statement, "it needs one index per axis")
    if len(set(statement.indices)) != len(statement.indices):
        raise _broken(statement, "an index is used for two axes")
    if statement.body.has(*_NEVER):
        raise _broken(statement, "a derivative or delta is left in it")
    ranges: dict[Expr, Expr] = dict(zip(statement.indices, statement.target.shape, strict=True))
    _check_expression(statement, statement.body, ranges, known, ())


def _check_expression(
    statement: Statement,
    expression: Expr,
    ranges: dict[Expr, Expr],
    known: dict[str, Tensor],
    inside: tuple[Expr, ...],
) -> None:
    """Check an expression; `inside` is what it stands in beside sums and products."""
    if isinstance(expression, Indexed):
        if inside and is_shifted(expression):
            raise _broken(
                statement,
                f"the shifted read {expression} stands in {inside[0].func.__name__}; give what "
                "is shifted there, or the read, a statement of its own",
            )
        _check_read(statement, expression, ranges, known)
    elif isinstance(expression, ExprWithLimits):
        if type(expression) is sympy.Sum:
            raise _broken(statement, "a sum is SymPy's own, not derive.program.Sum")
        inner = dict(ranges)
        for symbol, first, last in expression.limits:
            if symbol in inner:
                raise _broken(statement, f"the index {symbol} is bound twice")
            if first != 0:
                raise _broken(statement, f"the index {symbol} starts at {first}, not 0")
            inner[symbol] = last + 1
        _check_expression(statement, expression.function, inner, known, inside)
    elif isinstance(expression, Symbol):
        if is_index(expression):
            if expression not in ranges:
                raise _broken(statement, f"the index {expression} is not in scope")
            if not (inside and isinstance(inside[-1], Relational)):
                raise _broken(statement, f"the index {expression} is used as a number")
    else:
        if not _keeps_zero(expression):
            inside = (*inside, expression)
        for argument in expression.args:
            _check_expression(statement, argument, ranges, known, inside)


def _keeps_zero(expression: Expr) -> bool:
    """Whether an expression is a polynomial in its arguments, or one of them by cases."""
    is_power = expression.is_Pow and expression.exp.is_Integer and expression.exp.is_positive
    is_choice = isinstance(expression, Piecewise | ExprCondPair)
    return bool(expression.is_Add or expression.is_Mul or is_power or is_choice)


def _check_read(
    statement: Statement, read: Indexed, ranges: dict[Expr, Expr], known: dict[str, Tensor]
) -> None:
    tensor = known.get(read.base.name)
    if tensor is None:
        raise _broken(statement, f"it reads {read.base.name} before that is written")
    if len(read.indices) != len(tensor.shape):
        raise _broken(statement, f"it reads {read}, which has {len(tensor.shape)} axes")
    for position, extent in zip(read.indices, tensor.shape, strict=True):
        if position.is_Symbol or position.is_number:
            fits = (position == 0 and extent == 1) or ranges.get(position) == extent
        else:
            found = shift(position)
            fits = found is not None and all(symbol in ranges for symbol, _ in found.factors)
        if not fits:
            raise _broken(
                statement, f"the index {position} of {read} does not run over an axis of {extent}"
            )


def _broken(statement: Statement, why: str) -> InternalError:
    indices = ", ".join(map(str, statement.indices))
    return InternalError(
        f"{statement.name}[{indices}] := {statement.body} is not well formed: {why}"
    )
