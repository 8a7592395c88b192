"""Statements and programmes as text and as LaTeX, in matrix form or index form."""

from typing import Literal

from sympy import Expr

from derive.index_form import index_form, target_form
from derive.latex_notation import LatexNotation
from derive.matrix_form import matrix_form
from derive.matrix_printing import matrix_piece
from derive.notation import Notation
from derive.ordering import Indices, pulled_sums
from derive.program import Program, Statement
from derive.text_notation import TextNotation

Form = Literal["matrix", "index"]

TEXT = TextNotation()
LATEX = LatexNotation()

_WIDEST = 60  # a longer formula has its shape right behind it, out of line


def statement_text(statement: Statement, *, form: Form = "index") -> str:
    """Return a statement as text, for example ``dZ1[i,j] = dH1[i,j] (1 − H1[i,j]²)``.

    Parameters
    ----------
    statement
        A statement of a programme.
    form
        ``"index"``, or ``"matrix"`` for ``dZ1 = dH1 ∘ (1 − H1 ∘ H1)``; what has no matrix
        form is written in index form all the same.

    Raises
    ------
    InternalError
        If the statement is not of the grammar in `derive.program`.
    """
    return " = ".join(sides(statement, TEXT, form))


def statement_latex(statement: Statement, *, form: Form = "index") -> str:
    """Return a statement in LaTeX, for math mode; as `statement_text` in all else."""
    return " = ".join(sides(statement, LATEX, form))


def expression_text(expression: Expr, indices: Indices) -> str:
    """Return an expression of a programme or of a step in index form, as text."""
    return TEXT.signed(index_form(expression, indices, TEXT))


def expression_latex(expression: Expr, indices: Indices) -> str:
    """Return an expression of a programme or of a step in index form, in LaTeX."""
    return LATEX.signed(index_form(expression, indices, LATEX))


def matrix_text(statement: Statement) -> str | None:
    """Return a statement in matrix form as text, or None if it has none."""
    found = _matrix_sides(statement, TEXT)
    return " = ".join(found) if found else None


def shape_text(shape: tuple[Expr, ...]) -> str:
    """Return a shape as text: ``(B, 2)``, ``(10,)``, ``scalar``."""
    if not shape:
        return "scalar"
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def shape_latex(shape: tuple[Expr, ...]) -> str:
    r"""Return a shape in LaTeX: ``(B \times 2)``, ``(10)``, ``\mathrm{scalar}``."""
    if not shape:
        return r"\mathrm{scalar}"
    names = (str(e) if e.is_Integer else LATEX.name(str(e)) for e in shape)
    return "(" + r" \times ".join(names) + ")"


def program_text(program: Program, *, form: Form = "matrix") -> str:
    """Return a programme as text, one statement a line, each with its shape."""
    formulas = [statement_text(statement, form=form) for statement in program.statements]
    return "\n".join(with_shapes(program.statements, formulas))


def with_shapes(statements: tuple[Statement, ...], formulas: list[str]) -> list[str]:
    """Return formulas as lines of text, each with its statement's shape, in one column."""
    widths = (len(formula) for formula in formulas if len(formula) <= _WIDEST)
    column = max(widths, default=0) + 4
    lines = []
    for statement, formula in zip(statements, formulas, strict=True):
        gap = " " * max(column - len(formula), 4)
        lines.append(formula + gap + shape_text(statement.target.shape))
    return lines


def program_latex(program: Program, *, form: Form = "matrix") -> str:
    """Return a programme in LaTeX, for math mode: an ``aligned`` block of its statements."""
    rows = aligned_rows(program.statements, form=form)
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def aligned_rows(statements: tuple[Statement, ...], *, form: Form = "matrix") -> list[str]:
    """Return statements as rows of an ``align*`` or ``aligned`` block, with their shapes."""
    rows = []
    for statement in statements:
        left, right = sides(statement, LATEX, form)
        rows.append(f"{left} &= {right} && {shape_latex(statement.target.shape)}")
    return rows


def sides(statement: Statement, notation: Notation, form: Form) -> tuple[str, str]:
    """Return both sides of a statement in a notation."""
    found = _matrix_sides(statement, notation) if form == "matrix" else None
    if found:
        return found
    left = target_form(statement, notation)
    right = index_form(pulled_sums(statement.body), statement.indices, notation)
    return left.text, notation.signed(right)


def _matrix_sides(statement: Statement, notation: Notation) -> tuple[str, str] | None:
    expression = matrix_form(statement)
    if expression is None:
        return None
    return notation.name(statement.name), notation.signed(matrix_piece(expression, notation))
