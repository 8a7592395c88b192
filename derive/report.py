"""A whole derivation as text for a terminal."""

import textwrap
from itertools import pairwise, zip_longest

from derive.board import Told
from derive.document import (
    Document,
    Equations,
    Lines,
    Math,
    Paragraphs,
    Proof,
    Recorded,
    Section,
    Sentence,
    Sentences,
    Table,
    Tensors,
    WrittenOut,
    document,
)
from derive.printing import TEXT, Form, shape_text, statement_text, with_shapes, written_out
from derive.program import Program, Statement
from derive.spec import NetworkSpec

_INDENT = "  "
_WIDTH = 96
_SIGNS = (TEXT.plus_sign, TEXT.minus_sign)


def text_report(
    program: Program,
    spec: NetworkSpec,
    *,
    form: Form = "matrix",
    steps: bool = False,
    expand: bool = False,
) -> str:
    """Return a derivation as text: what is given, forward, backward, gradients.

    Parameters
    ----------
    program
        The result of `derive.rewrite_program`.
    spec
        The network that it was derived for.
    form
        ``"matrix"`` or ``"index"``; what has no matrix form is in index form in either.
    steps
        Whether each statement is followed by the steps that led to it.
    expand
        Whether each gradient is also written out as one formula.

    Returns
    -------
    str
        Lines of text, the last one ended.
    """
    return write_text(document(program, spec, form=form, steps=steps, expand=expand))


def write_text(doc: Document) -> str:
    """Return a document as text, the last line ended."""
    writer = _Writer(doc)
    title = textwrap.wrap(text_sentence(doc.title), _WIDTH, break_on_hyphens=False)
    blocks = [title, *(writer.block(section) for section in doc.sections)]
    return "\n\n".join("\n".join(block).rstrip() for block in blocks) + "\n"


class _Writer:
    """Writes the sections of one document."""

    def __init__(self, doc: Document) -> None:
        self.doc = doc
        self.told = doc.told(TEXT)
        statements = doc.statements
        formulas = [statement_text(statement, form=doc.form) for statement in statements]
        # one column of shapes for all sections
        shown = with_shapes(statements, formulas)
        self.lines = {
            statement.name: _in_width(formula, line)
            for statement, formula, line in zip(statements, formulas, shown, strict=True)
        }

    def block(self, section: Section) -> list[str]:
        match section.content:
            case Tensors(tensors=tensors):
                lines = _wrapped([f"{t.name} {shape_text(t.shape)}" for t in tensors], "   ")
            case Lines(statements=statements):
                lines = [line for statement in statements for line in self._line(statement)]
            case Equations(equations=equations):
                lines = []
                for equation in equations:
                    if equation.said:
                        lines += _filled(equation.said)
                    start = f"{_INDENT * 2}{equation.left.write(TEXT)} = "
                    lines += _broken(start, equation.right.write(TEXT))
            case Sentences(sentences=sentences, stop=stop):
                lines = _wrapped([text_sentence(sentence) for sentence in sentences], stop)
            case Paragraphs(paragraphs=paragraphs):
                lines = [line for paragraph in paragraphs for line in _filled(paragraph)]
            case Table(head=head, rows=rows):
                lines = _columns([head, *rows])
            case Proof(certificate=certificate):
                lines = str(certificate).splitlines()
            case WrittenOut(program=program):
                lines = []
                for _, left, right in written_out(program, TEXT, form=self.doc.form):
                    lines += _broken(f"{_INDENT}{left} = ", right)
        return [text_sentence(section.heading), *lines]

    def _line(self, statement: Statement) -> list[str]:
        # why a gradient is zero, so that nobody takes it for an oversight
        remark = f"   {', '.join(statement.origin)}" if statement.body == 0 else ""
        own = _steps_lines(self.told.get(statement.name, ()))
        *first, last = self.lines[statement.name]
        return [*first, last + remark, *own]


def text_sentence(sentence: Sentence) -> str:
    """Return words and formulas as text."""
    words = []
    for part in sentence:
        match part:
            case Math():
                words.append(part.write(TEXT))
            case Recorded(text) | str(text):
                words.append(text)
    return "".join(words)


def _filled(paragraph: Sentence) -> list[str]:
    text = text_sentence(paragraph)
    return textwrap.wrap(
        text, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False
    )


def _columns(rows: list[tuple[Sentence, ...]]) -> list[str]:
    """Return rows with their cells under each other."""
    cells = [[text_sentence(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = ([f"{cell:<{n}}" for cell, n in zip(row, widths, strict=True)] for row in cells)
    return [_INDENT + "    ".join(row).rstrip() for row in padded]


def _steps_lines(told: tuple[Told, ...]) -> list[str]:
    """Return the steps of a statement, numbered, their forms under each other."""
    lines = []
    for one in told:
        lines.append(f"{_INDENT}{one.number:>4}. {one.step.rule}: {one.step.reason}")
        indent = " " * len(one.left)
        for left, form in zip_longest([one.left], one.forms, fillvalue=indent):
            lines += _broken(f"{_INDENT}      {left} = ", form)
    return [*lines, ""] if lines else lines


def _in_width(formula: str, line: str) -> list[str]:
    """Return a statement with its shape, on more lines than one if the formula is too long."""
    if len(_INDENT + formula) <= _WIDTH:
        return [_INDENT + line]
    left, _, right = line.partition(" = ")
    return _broken(f"{_INDENT}{left} = ", right)


def _broken(start: str, formula: str) -> list[str]:
    """Return a formula on one line, or if it is too long with a line for each of its terms."""
    if len(start + formula) <= _WIDTH:
        return [start + formula]
    opened, *terms = _terms(formula)
    indent = " " * (len(start) + _column(opened) - 2)
    return [start + opened, *(indent + term for term in terms)]


def _terms(formula: str) -> list[str]:
    """Return the terms of the outermost sum, each but the first with its sign in front.

    Of several sums side by side it is the one with the most terms.
    """
    signs: dict[tuple[int, ...], list[int]] = {}  # by the brackets that are open there
    opened: list[int] = []
    for position, character in enumerate(formula):
        if character in "([":
            opened.append(position)
        elif character in ")]":
            opened.pop()
        elif formula[position - 1 : position + 2] in _SIGNS:
            signs.setdefault(tuple(opened), []).append(position)
    outermost = max(signs, key=lambda brackets: (-len(brackets), len(signs[brackets])), default=())
    cuts = [0, *signs.get(outermost, ()), None]
    return [formula[cut:end].rstrip() for cut, end in pairwise(cuts)]


def _column(opened: str) -> int:
    """Return where the terms of a sum begin: behind the last bracket that is open."""
    depth = 0
    for position in range(len(opened) - 1, -1, -1):
        depth += (opened[position] in ")]") - (opened[position] in "([")
        if depth < 0:
            return position + 1
    return 0


def _wrapped(entries: list[str], separator: str) -> list[str]:
    """Return short entries side by side, as many to a line as fit."""
    lines = [""]
    for entry in entries:
        longer = lines[-1] + (separator if lines[-1] else "") + entry
        if lines[-1] and len(longer) > _WIDTH:
            lines[-1] += separator.rstrip()
            lines.append(entry)
        else:
            lines[-1] = longer
    return [_INDENT + line for line in lines]
