"""Statements of a derivation as NumPy, one line each: what the readable modules are made of."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import accumulate

from codegen.emit.matrix_text import Place, matrix_text
from codegen.errors import InternalError
from derive.matrix_form import matrix_form
from derive.program import MaxOver, Program, Statement, Tensor


def needed(program: Program, wanted: Collection[str]) -> tuple[Statement, ...]:
    """Return the statements that compute `wanted`, in order."""
    names = set(wanted)
    kept = []
    for statement in reversed(program.statements):
        if statement.name in names:
            names |= set(statement.reads())
            kept.append(statement)
    return tuple(reversed(kept))


def statement_value(
    statement: Statement,
    *,
    shapes: Mapping[str, tuple[str, ...]],
    place: Place,
    vectors: Collection[str] = (),
    zero_log: bool = True,
) -> str:
    """Return the right-hand side of a statement as NumPy source.

    Parameters
    ----------
    statement
        Its tensors have two axes at most.
    shapes, place, vectors, zero_log
        As for `matrix_text`; a target among `vectors` gets a value with one axis.

    Raises
    ------
    InternalError
        If there is none.
    """
    if isinstance(statement.body, MaxOver):
        entries = statement_value(
            _entries_of(statement), shapes=shapes, place=place, vectors=vectors, zero_log=zero_log
        )
        return f"np.max({entries}, axis=1, keepdims=True)"
    expression = matrix_form(statement)
    if expression is None:
        raise InternalError(f"{statement} has no form in NumPy")
    shape = tuple(map(str, statement.target.shape))
    text = matrix_text(
        expression, shape, shapes=shapes, place=place, vectors=vectors, zero_log=zero_log
    )
    return _as_vector(text) if statement.name in vectors else text


_COLUMN_OF_SUMS = ".sum(axis=0, keepdims=True).T"


def _as_vector(column: str) -> str:
    """Return the source of a column (n, 1) as that of a vector (n,)."""
    matrix = column.removesuffix(_COLUMN_OF_SUMS)
    if matrix != column and (matrix.isidentifier() or _is_in_brackets(matrix)):
        return f"{matrix}.sum(axis=0)"
    return f"({column})[:, 0]"


def _is_in_brackets(text: str) -> bool:
    """Whether the bracket that opens a text is closed at its end."""
    depths = accumulate((c == "(") - (c == ")") for c in text)
    return text.startswith("(") and list(depths).index(0) == len(text) - 1


def _entries_of(statement: Statement) -> Statement:
    """Return the statement of the matrix whose largest entries by row `statement` takes."""
    limits = statement.body.limits
    if len(statement.indices) != 1 or len(limits) != 1:
        raise InternalError(f"{statement} is not the largest entry of each row")
    ((k, _, last),) = limits
    shape = (*statement.target.shape, last + 1)
    return replace(
        statement,
        target=Tensor(name=statement.name, shape=shape),
        indices=(*statement.indices, k),
        body=statement.body.function,
    )
