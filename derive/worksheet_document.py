"""What a worksheet says: the sections of a derivation, with blanks where a student thinks.

All formulas are those of the derived programme and its recorded steps, as `derive.document`
has them; here it is decided which parts of them are answers.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import chain, takewhile

import sympy
from sympy import Expr, Integer

from derive.blanks import Blanks
from derive.board import MATRIX_FORM, Told, told_steps
from derive.document import (
    Document,
    Equation,
    Equations,
    Lines,
    Math,
    Paragraphs,
    Recorded,
    Section,
    Sentence,
    Table,
    equation,
    name,
)
from derive.index_form import index_form
from derive.indices import canonical
from derive.local_derivative import local_derivative
from derive.matrix_expression import Hadamard, MatMul, Matrix, Name, Ones, Plus, Scaled, Transpose
from derive.matrix_form import matrix_form
from derive.matrix_printing import matrix_piece
from derive.matrix_shapes import column_shape, shape_piece, shapes_written
from derive.notation import Level, Notation, Piece
from derive.ordering import free_indices
from derive.printing import TEXT, sides
from derive.program import Partial, Program, Statement, size, tensor_of
from derive.rules import RULES
from derive.worked_example import SAMPLES, Array, Entry, WorkedExample, entry_piece

LEVELS = (1, 2, 3)
_HOLE = "?"  # the name of no tensor

_COLUMN = Math(lambda n: shape_piece((size("n"), Integer(1)), n).text)
_HOW_TO: tuple[Sentence, ...] = (
    (
        "Every blank has a number, and the solution has the answer under the same number. "
        "Brackets around a blank are given: what belongs into it is without them.",
    ),
    (
        "Under each formula stand its shapes, operand by operand. Where two are multiplied as "
        "matrices, the inner sizes must agree; a vector is a column, ",
        _COLUMN,
        ". The gradient in a matrix has the shape of that matrix.",
    ),
)


def worksheet_document(
    whole: Document, *, level: int, example: WorkedExample | None, asked: bool = True
) -> Document:
    """Return what both sheets of a worksheet say, with answers in the place of blanks.

    Parameters
    ----------
    whole
        What is told of the derivation, of one network or of any depth, without a proof.
    level
        As for `derive.worksheet`.
    example
        The worked example, if there is one.
    asked
        Whether there should be one, so that it is said if there is none.

    Returns
    -------
    Document
        Its title wants the kind of the sheet in front, and its text is for `derive.blanks` to cut.
    """
    first, *rest = whole.title
    assert isinstance(first, str)
    *told, notation = whole.sections
    writer = _Writer(whole.programs, level)
    sections = [Section(heading=("How to use it",), content=Paragraphs(paragraphs=_HOW_TO))]
    for section in told:
        match section.content:
            case Lines(statements=statements):
                sections += writer.sections(section.heading, statements)
            case Table():
                pass  # comparisons, which are no matter of a student's
            case _:
                sections.append(section)
    if example is not None:
        sections += writer.example(example)
    elif asked:
        no_example = "There is none: of small numbers the loss is no real number."
        sections.append(Section(heading=("An example",), content=_sentences(no_example)))
    if writer.used:
        rules = tuple((f"{rule}: ", *RULES[rule]) for rule in RULES if rule in writer.used)
        sections.append(Section(heading=("Rules",), content=Paragraphs(paragraphs=rules)))
    return replace(
        whole,
        title=(first.replace("Network", "network", 1), *rest),
        steps=False,
        sections=(*sections, notation),
    )


def _sentences(*texts: str) -> Paragraphs:
    return Paragraphs(paragraphs=tuple((text,) for text in texts))


class _Writer:
    """Writes the formulas of programmes, with blanks at a level."""

    def __init__(self, programs: tuple[Program, ...], level: int) -> None:
        self.level = level
        self.statements = {s.name: s for program in programs for s in program.statements}
        self.tensors = {t.name: t for program in programs for t in program.tensors().values()}
        self.cotangents = {f"d{tensor}" for tensor in self.tensors} & self.tensors.keys()
        self.blanks = Blanks()
        self.used: dict[str, None] = {}

        @cache
        def told(notation: Notation) -> dict[str, tuple[Told, ...]]:
            return told_steps(*programs, notation=notation)

        self.told: Callable[[Notation], dict[str, tuple[Told, ...]]] = told

    def sections(self, heading: Sentence, statements: tuple[Statement, ...]) -> Iterator[Section]:
        """Yield the definitions in one section, or a section for each gradient."""
        given = [statement for statement in statements if statement.name not in self.cotangents]
        if given:
            equations = tuple(equation for s in given for equation in self.definition(s))
            yield Section(heading=heading, content=Equations(equations=equations))
        for statement in statements:
            if statement.name in self.cotangents:
                parts = (self.steps(statement), self.formula(statement), self.shapes(statement))
                yield Section(
                    heading=(*heading, ": ", name(statement.name)),
                    content=Equations(equations=tuple(chain(*parts))),
                )

    def definition(self, statement: Statement) -> Iterator[Equation]:
        """Yield a definition, which is given, and its shapes."""
        left, right = _sides(statement)
        yield Equation(left=left, right=right)
        yield from self.shapes(statement)

    def steps(self, statement: Statement) -> Iterator[Equation]:
        """Yield the recorded steps; the last one is the formula itself, and left out."""
        if self.level == 1:
            return
        told = self.told(TEXT).get(statement.name, ())
        for place, one in enumerate(told[:-1]):
            self.used[one.step.rule] = None
            said: Sentence = (f"{one.step.rule}: ", Recorded(one.step.reason))
            if one.step.rule == "derivative":
                yield from self.derivatives(one, said)
                continue
            left, right = self.told_sides(statement.name, place)
            is_given = one.step.rule == "chain rule" and self.level == 2
            yield Equation(
                left=left,
                right=right if is_given else self.blanks.whole(right, wide=True),
                said=said,
            )

    def told_sides(self, target: str, place: int) -> tuple[Math, Math]:
        def told(notation: Notation) -> Told:
            return self.told(notation)[target][place]

        return Math(lambda n: told(n).left), Math(lambda n: told(n).forms[-1])

    def derivatives(self, one: Told, said: Sentence) -> Iterator[Equation]:
        """Yield each derivative that a step took, with a blank for what it is."""
        nodes = dict.fromkeys(
            node for node in sympy.preorder_traversal(one.step.before) if isinstance(node, Partial)
        )
        for partial in nodes:
            statement = self.statements[tensor_of(partial.args[0])]
            free = tuple(sorted(free_indices(partial), key=str))
            taken = canonical(local_derivative(statement, partial), free)
            left, right = (_in_index_form(side, one.step.indices) for side in (partial, taken))
            yield Equation(left=left, right=self.blanks.whole(right, wide=True), said=said)
            said = ()

    def formula(self, statement: Statement) -> Iterator[Equation]:
        """Yield the formula of a gradient, with a blank for an operand or for all of it."""
        left, right = _sides(statement)
        matrix = matrix_form(statement)
        said: Sentence = ()
        if self.level > 1:  # else nothing is told before it
            said = ("the result",)
            if matrix is not None:
                self.used[MATRIX_FORM] = None
                said = (f"{MATRIX_FORM}: recognised from the indices",)
        if statement.body == 0:
            because: Sentence = (Recorded(", ".join(statement.origin)),)
            yield Equation(left=left, right=right, said=because)
            return
        if matrix is None or self.level == 3:
            yield Equation(left=left, right=self.blanks.whole(right, wide=True), said=said)
            return
        around, answer = _opened(matrix, self.cotangents)

        def write(notation: Notation, marked: Callable[[str], str]) -> str:
            piece = matrix_piece(answer, notation)
            # factors among factors need no brackets
            level = Level.ATOM if isinstance(answer, MatMul | Hadamard) else piece.level
            hole = Piece(marked(piece.text), level, piece.negative)
            return notation.signed(matrix_piece(around, notation, {_HOLE: hole}))

        yield Equation(left=left, right=self.blanks.within(write), said=said)

    def shapes(self, statement: Statement) -> Iterator[Equation]:
        """Yield a formula in shapes, with a blank for that of the result."""
        matrix = matrix_form(statement)
        if matrix is None or not statement.target.shape:
            return
        operands = Math(lambda n: n.signed(shapes_written(matrix, self.tensors, n)))
        shape = column_shape(statement.target)
        result = Math(lambda n: shape_piece(shape, n).text)
        if self.level == 3:
            operands = self.blanks.whole(operands)
        yield Equation(left=operands, right=self.blanks.whole(result))

    def example(self, example: WorkedExample) -> Iterator[Section]:
        """Yield the example: its numbers, and every statement entry by entry."""
        exactly = Math(lambda n: n.equals_sign.strip())
        rounded = Math(lambda n: n.approximately_sign.strip())
        about: Sentence = (
            f"The network {example.spec} with {SAMPLES} samples; entries are counted from 1. What "
            "is rational stays a fraction, which is exact (",
            exactly,
            "). Where a function leaves the rational numbers, its value is rounded to five digits "
            "(",
            rounded,
            "), and the entry's name stands for the exact value from there on: rounding is never "
            "carried along, so a last digit may differ from what rounded numbers give.",
        )
        yield Section(heading=("An example by hand",), content=Paragraphs(paragraphs=(about,)))
        given = tuple(
            Equation(left=name(tensor), right=_matrix(array))
            for tensor, array in example.inputs.items()
        )
        yield Section(heading=("By hand: given",), content=Equations(equations=given))
        for part, statements in (
            ("forward", example.program.forward),
            ("backward", example.program.backward),
        ):
            equations = tuple(e for s in statements for e in self.worked(example, s))
            yield Section(heading=(f"By hand: {part}",), content=Equations(equations=equations))

    def worked(self, example: WorkedExample, statement: Statement) -> Iterator[Equation]:
        """Yield the entries of a statement; the first shows how unless all is left blank."""
        left, right = _sides(statement)
        said: Sentence = (equation(left, right),)  # once, before the first
        for number, entry in enumerate(example.of(statement)):
            shown = _worked_sides(example, entry)
            is_given = number == 0 and self.level < 3 and len(example.of(statement)) > 1
            yield Equation(
                left=shown[0],
                right=shown[1] if is_given else self.blanks.whole(shown[1], wide=True),
                said=said,
            )
            said = ()


def _sides(statement: Statement) -> tuple[Math, Math]:
    @cache
    def both(notation: Notation) -> tuple[str, str]:
        return sides(statement, notation, "matrix")

    return Math(lambda n: both(n)[0]), Math(lambda n: both(n)[1])


def _in_index_form(expression: Expr, indices: tuple[sympy.Symbol, ...]) -> Math:
    return Math(lambda n: n.signed(index_form(expression, indices, n)))


def _worked_sides(example: WorkedExample, entry: Entry) -> tuple[Math, Math]:
    def right(notation: Notation) -> str:
        substituted = notation.signed(example.substituted(entry, notation))
        value = example.value(entry, notation)
        is_all = notation.equals_sign + substituted == value
        return substituted if is_all else substituted + value

    left = Math(lambda n: entry_piece(entry.statement.name, entry.place, n).text)
    return left, Math(right)


def _matrix(array: Array) -> Math:
    rows = array.reshape(len(array), -1)
    return Math(lambda n: n.matrix([[n.signed(n.number(e)) for e in row] for row in rows]).text)


def _opened(matrix: Matrix, cotangents: set[str]) -> tuple[Matrix, Matrix]:
    """Return a formula with a hole in it, and the operand that belongs there.

    The operand is what a cotangent is multiplied with, else what is left when numbers and
    sizes are taken away: it is what the derivative of one statement brings in.
    """
    match matrix:
        case Scaled(operand=operand) if operand is not None:
            around, answer = _opened(operand, cotangents)
            return Scaled(matrix.number, matrix.scalars, matrix.divisors, around), answer
        case MatMul(factors) | Hadamard(factors):
            first, end = _asked(factors, cotangents)
            asked = factors[first:end]
            if len(asked) == len(factors):
                return Name(_HOLE), matrix
            kind = type(matrix)
            answer = kind(asked) if len(asked) > 1 else asked[0]
            return kind((*factors[:first], Name(_HOLE), *factors[end:])), answer
        case Plus(terms):
            for place, term in enumerate(terms):
                if _reads(term, cotangents):
                    around, answer = _opened(term, cotangents)
                    return Plus((*terms[:place], around, *terms[place + 1 :])), answer
    return Name(_HOLE), matrix


def _asked(factors: tuple[Matrix, ...], cotangents: set[str]) -> tuple[int, int]:
    """Return the first of the factors that are asked for, and where they end.

    Those that read no cotangent, as far as they stand side by side; else one that does.
    """
    local = [not _reads(f, cotangents) and not _is_ones(f) for f in factors]
    if not any(local):
        first = next((n for n, f in enumerate(factors) if not _is_ones(f)), 0)
        return first, first + 1
    first = local.index(True)
    run = list(takewhile(bool, local[first:]))
    return first, first + len(run)


def _is_ones(matrix: Matrix) -> bool:
    return isinstance(matrix.operand if isinstance(matrix, Transpose) else matrix, Ones)


def _reads(matrix: Matrix, names: set[str]) -> bool:
    """Whether a matrix expression reads one of some tensors."""
    if isinstance(matrix, Name):
        return matrix.name in names
    values = (getattr(matrix, field) for field in type(matrix).__slots__)
    parts = (part for value in values for part in (value if isinstance(value, tuple) else (value,)))
    return any(_reads(part, names) for part in parts if isinstance(part, Matrix))
