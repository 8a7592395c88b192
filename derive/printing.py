"""Statements and programmes as text and as LaTeX, in matrix form or index form."""

from typing import Literal

import sympy
from sympy import Expr, Indexed

from derive.errors import InputError
from derive.index_form import index_form, target_form
from derive.latex_notation import LatexNotation
from derive.mathml_notation import MathmlNotation
from derive.matrix_form import matrix_form
from derive.matrix_printing import matrix_piece
from derive.notation import Notation
from derive.ordering import Indices, pulled_sums
from derive.program import Program, Statement, tensor_of
from derive.text_notation import TextNotation

Form = Literal["matrix", "index"]

TEXT = TextNotation()
LATEX = LatexNotation()
MATHML = MathmlNotation()

_LONGEST = 20_000  # formulas put into each other: 50 hidden layers of tanh take 10,404
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


def shape_mathml(shape: tuple[Expr, ...]) -> str:
    """Return a shape in MathML: ``B × 2``, ``10``, ``scalar``."""
    if not shape:
        return "<mtext>scalar</mtext>"
    names = (f"<mn>{e}</mn>" if e.is_Integer else MATHML.name(str(e)) for e in shape)
    return "<mo>×</mo>".join(names)


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


def aligned_rows(
    statements: tuple[Statement, ...], *, form: Form = "matrix", notation: Notation = LATEX
) -> list[str]:
    """Return statements as rows of an ``align*`` or ``aligned`` block, with their shapes."""
    rows = []
    for statement in statements:
        left, right = sides(statement, notation, form)
        rows.append(f"{left} &= {right} && {shape_latex(statement.target.shape)}")
    return rows


def written_out(
    program: Program, notation: Notation, *, form: Form = "matrix"
) -> list[tuple[Statement, str, str]]:
    """Return the parameters' gradients with both sides, no other cotangent left in them.

    Every cotangent that a gradient reads is replaced by what it is, until only inputs and
    forward values are left: one formula for each parameter, to be read or pasted alone.

    Raises
    ------
    InputError
        If they would be too long to be of use to anyone: what a softmax between hidden layers
        reads twice doubles with each of them.
    """
    _check_length(program)
    cotangents = {statement.name: statement for statement in program.backward}
    matrices = {name: matrix_form(statement) for name, statement in cotangents.items()}
    inline = {name: matrix for name, matrix in matrices.items() if matrix is not None}
    lines = []
    for name in program.gradients.values():
        statement, matrix = cotangents[name], inline.get(name)
        if form == "matrix" and matrix is not None and len(inline) == len(matrices):
            piece = matrix_piece(matrix, notation, inline)
            lines.append((statement, notation.name(name), notation.signed(piece)))
        else:
            left = target_form(statement, notation).text
            right = index_form(pulled_sums(statement.body), statement.indices, notation, cotangents)
            lines.append((statement, left, notation.signed(right)))
    return lines


def _check_length(program: Program) -> None:
    """Count the formulas that would be put in, before they are."""
    parts: dict[str, int] = {}
    for statement in program.backward:
        reads = [tensor_of(read) for read in sympy.preorder_traversal(statement.body)
                 if isinstance(read, Indexed)]  # fmt: skip
        parts[statement.name] = 1 + sum(parts.get(name, 0) for name in reads)
    total = sum(parts[name] for name in program.gradients.values())
    if total > _LONGEST:
        raise InputError(
            f"expand: written out, the gradients would hold {total} formulas, at most {_LONGEST} "
            "are written. Leave it out, or take fewer hidden layers."
        )


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
