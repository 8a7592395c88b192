r"""A whole derivation in Markdown with formulas in TeX, for GitHub, GitLab, Jupyter and pandoc.

Formulas stand in ``$$`` blocks of their own or between single ``$``. MathJax as GitHub sets it
up refuses ``\operatorname``, so functions without a command are set upright by other means,
and no ``|`` stands in a table.
"""

import re
from typing import final

from derive.board import Told
from derive.document import (
    Document,
    Equation,
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
    spoken_groups,
    words_of,
)
from derive.latex_notation import LatexNotation
from derive.printing import aligned_rows, shape_latex, written_out
from derive.program import Statement

_SPECIAL = re.compile(r"[\\`*_{}\[\]<>#|~$&]")


@final
class MarkdownNotation(LatexNotation):
    """LaTeX that hosts of Markdown allow."""

    def operator(self, name: str) -> str:
        r"""``\mathop{\mathrm{where}}``."""
        return rf"\mathop{{\mathrm{{{name}}}}}"


MARKDOWN = MarkdownNotation()


def write_markdown(doc: Document) -> str:
    """Return a document in Markdown, the last line ended."""
    writer = _Writer(doc)
    parts = [f"# {writer.sentence(doc.title)}"]
    parts += [part for section in doc.sections for part in writer.parts(section)]
    return "\n\n".join(parts) + "\n"


@final
class _Writer:
    """Writes the sections of one document."""

    def __init__(self, doc: Document) -> None:
        self.doc = doc
        self.names = doc.names
        self.told = doc.told(MARKDOWN)

    def parts(self, section: Section) -> list[str]:
        """Return a section, and the steps that led to its statements."""
        parts = [f"## {self.sentence(section.heading)}", self.content(section)]
        if isinstance(section.content, Lines):
            for statement in section.content.statements:
                if told := self.told.get(statement.name):
                    parts += self.steps(statement, told)
        return parts

    def content(self, section: Section) -> str:
        match section.content:
            case Tensors(tensors=tensors):
                rows = [
                    f"| ${MARKDOWN.name(t.name)}$ | ${shape_latex(t.shape)}$ |" for t in tensors
                ]
                return "\n".join(["| Name | Shape |", "|---|---|", *rows])
            case Lines(statements=statements):
                return _aligned(aligned_rows(statements, form=self.doc.form, notation=MARKDOWN))
            case Equations(equations=equations):
                groups = spoken_groups(equations)
                return "\n\n".join(part for group in groups for part in self.spoken(group))
            case Proof(certificate=certificate):
                return certificate.to_markdown(self.prose)
            case WrittenOut(program=program):
                lines = written_out(program, MARKDOWN, form=self.doc.form)
                return _aligned([f"{left} &= {right}" for _, left, right in lines])
            case Sentences(sentences=sentences):
                return "\n".join(f"- {self.sentence(sentence)}" for sentence in sentences)
            case Paragraphs(paragraphs=paragraphs):
                return "\n\n".join(self.sentence(paragraph) for paragraph in paragraphs)
            case Table(head=head, rows=rows):
                cells = ([self.sentence(cell) for cell in row] for row in (head, *rows))
                first, *others = (f"| {' | '.join(row)} |" for row in cells)
                return "\n".join([first, "|" + "---|" * len(head), *others])

    def spoken(self, group: tuple[Equation, ...]) -> list[str]:
        """Return equations as one block, and before it what is said of them."""
        said = [self.sentence(group[0].said)] if group[0].said else []
        rows = [f"{e.left.write(MARKDOWN)} &= {e.right.write(MARKDOWN)}" for e in group]
        return [*said, _aligned(rows)]

    def sentence(self, sentence: Sentence) -> str:
        words = []
        for part in sentence:
            match part:
                case Math():
                    words.append(f"${part.write(MARKDOWN)}$")
                case Recorded(text):
                    words.append(self.prose(text))
                case str(text):
                    words.append(_escaped(text))
        return "".join(words)

    def prose(self, text: str) -> str:
        """Return plain text with nothing in it that Markdown would take for markup."""
        return "".join(
            f"${MARKDOWN.name(word)}$" if word in self.names else _escaped(word)
            for word in words_of(text)
        )

    def steps(self, statement: Statement, told: tuple[Told, ...]) -> list[str]:
        parts = [f"### ${MARKDOWN.name(statement.name)}$"]
        for one in told:
            parts.append(f"**{one.number}. {one.step.rule}:** {self.prose(one.step.reason)}")
            first, *others = one.forms
            parts.append(_aligned([f"{one.left} &= {first}", *(f"&= {form}" for form in others)]))
        return parts


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", text)


def _aligned(rows: list[str]) -> str:
    # fractions of two rows would touch
    below = " \\\\[4pt]\n" if any("\\frac" in row for row in rows) else " \\\\\n"
    body = below.join(rows)
    return f"$$\n\\begin{{aligned}}\n{body}\n\\end{{aligned}}\n$$"
