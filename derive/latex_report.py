"""A whole derivation in LaTeX: an article that compiles as it stands."""

from collections.abc import Set
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
from derive.errors import InternalError
from derive.latex_notation import latex_name
from derive.printing import LATEX, aligned_rows, shape_latex, written_out
from derive.program import Statement

_PREAMBLE = r"""\documentclass[a4paper]{article}
\usepackage[margin=2cm]{geometry}
\usepackage{amsmath}
\allowdisplaybreaks
\setlength{\parindent}{0pt}
\begin{document}
"""

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "Σ": r"$\sum$",
    "δ": r"$\delta$",
    "∂": r"$\partial$",
    "∘": r"$\circ$",
    "⊘": r"$\oslash$",
    "ᵀ": r"$^{\top}$",
    "−": "$-$",
    "≥": r"$\ge$",
    "≤": r"$\le$",
    "→": r"$\to$",
    "ℓ": r"$\ell$",
    "…": r"\ldots{}",
    **{sign: f"${sign}$" for sign in "<>|"},
} | {symbol: rf"\{symbol}" for symbol in "&%$#_{}"}


def write_latex(doc: Document) -> str:
    """Return a document in LaTeX that compiles as it stands; it needs amsmath and geometry."""
    writer = _Writer(doc)
    parts = [_PREAMBLE, rf"\section*{{{writer.sentence(doc.title)}}}"]
    parts += [part for section in doc.sections for part in writer.parts(section)]
    return "\n".join([*parts, r"\end{document}"]) + "\n"


@final
class _Writer:
    """Writes the sections of one document."""

    def __init__(self, doc: Document) -> None:
        self.doc = doc
        self.names = doc.names
        self.told = doc.told(LATEX)

    def parts(self, section: Section) -> list[str]:
        """Return a section, and the steps that led to its statements."""
        parts = [rf"\subsection*{{{self.sentence(section.heading)}}}", self.content(section)]
        if isinstance(section.content, Lines):
            for statement in section.content.statements:
                if told := self.told.get(statement.name):
                    parts += self.steps(statement, told)
        return parts

    def content(self, section: Section) -> str:
        match section.content:
            case Tensors(tensors=tensors):
                given = (f"${latex_name(t.name)}$ ${shape_latex(t.shape)}$" for t in tensors)
                return ", ".join(given) + "."
            case Lines(statements=statements):
                return _aligned(aligned_rows(statements, form=self.doc.form))
            case Equations(equations=equations):
                groups = spoken_groups(equations)
                return "\n".join(part for group in groups for part in self.spoken(group))
            case Proof(certificate=certificate):
                return certificate.to_latex(self.prose)
            case WrittenOut(program=program):
                lines = written_out(program, LATEX, form=self.doc.form)
                return _aligned([f"{left} &= {right}" for _, left, right in lines])
            case Sentences(sentences=sentences):
                return "; ".join(self.sentence(sentence) for sentence in sentences) + "."
            case Paragraphs(paragraphs=paragraphs):
                return "\n\n".join(self.sentence(paragraph) for paragraph in paragraphs) + "\n"
            case Table(head=head, rows=rows):
                first, *others = (
                    " & ".join(self.sentence(cell) for cell in row) + r" \\"
                    for row in (head, *rows)
                )
                body = "\n".join([f"{first} \\hline", *others])
                return f"\\begin{{tabular}}{{{'l' * len(head)}}}\n{body}\n\\end{{tabular}}\n"

    def spoken(self, group: tuple[Equation, ...]) -> list[str]:
        """Return equations as one block, and before it what is said of them."""
        said = [self.sentence(group[0].said)] if group[0].said else []
        rows = [f"{e.left.write(LATEX)} &= {e.right.write(LATEX)}" for e in group]
        return [*said, _aligned(rows)]

    def sentence(self, sentence: Sentence) -> str:
        """Return words and formulas for LaTeX's text mode."""
        parts = []
        for part in sentence:
            match part:
                case Math():
                    parts.append(f"${part.write(LATEX)}$")
                case Recorded(text):
                    parts.append(self.prose(text))
                case str(text):
                    parts.append(latex_prose(text))
        return "".join(parts)

    def prose(self, text: str) -> str:
        return latex_prose(text, self.names)

    def steps(self, statement: Statement, told: tuple[Told, ...]) -> list[str]:
        """Return the steps that led to a statement, under a heading of its own."""
        lines = [rf"\subsubsection*{{\boldmath${latex_name(statement.name)}$}}"]
        for told_step in told:
            rule = latex_prose(f"{told_step.number}. {told_step.step.rule}: ")
            lines.append(rf"\textbf{{{rule}}}{self.prose(told_step.step.reason)}")
            first, *others = told_step.forms
            rows = [f"{told_step.left} &= {first}", *(f"&= {other}" for other in others)]
            lines.append(_aligned(rows))
        return lines


def latex_prose(text: str, names: Set[str] = frozenset()) -> str:
    """Return plain text for LaTeX's text mode, the names in it in math mode.

    Raises
    ------
    InternalError
        If it holds a character that plain LaTeX does not know.
    """
    parts = []
    for word in words_of(text):
        if word in names:
            parts.append(f"${latex_name(word)}$")
        elif not word.isascii() and word not in _SPECIAL:
            raise InternalError(f"{word!r} in {text!r} has no form in LaTeX")
        else:
            parts.append("".join(_SPECIAL.get(character, character) for character in word))
    return "".join(parts)


def _aligned(rows: list[str]) -> str:
    """Return rows as a block of equations of their own."""
    return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"
