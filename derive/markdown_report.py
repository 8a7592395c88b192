r"""A whole derivation in Markdown with formulas in TeX, for GitHub, GitLab, Jupyter and pandoc.

Formulas stand in ``$$`` blocks of their own or between single ``$``. MathJax as GitHub sets it
up refuses ``\operatorname``, so functions without a command are set upright by other means,
and no ``|`` stands in a table.
"""

import re
from typing import final

from derive.board import Told, told_steps
from derive.document import (
    Document,
    Lines,
    Math,
    Proof,
    Recorded,
    Section,
    Sentence,
    Sentences,
    Tensors,
    WrittenOut,
)
from derive.latex_notation import LatexNotation
from derive.printing import aligned_rows, shape_latex, written_out
from derive.program import Statement

_WORD = re.compile(r"[A-Za-z]\w*|.", re.DOTALL | re.ASCII)
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
    parts = [f"# {_escaped(doc.title)}"]
    # steps follow all statements
    last = "Second order, along v" if doc.program.second_order else "Backward"
    for section in doc.sections:
        parts += [f"## {_escaped(section.heading)}", _content(section, doc)]
        if doc.steps and section.heading == last:
            parts += _steps(doc)
    return "\n\n".join(parts) + "\n"


def _content(section: Section, doc: Document) -> str:
    match section.content:
        case Tensors(tensors=tensors):
            rows = [f"| ${MARKDOWN.name(t.name)}$ | ${shape_latex(t.shape)}$ |" for t in tensors]
            return "\n".join(["| Name | Shape |", "|---|---|", *rows])
        case Lines(statements=statements):
            return _aligned(aligned_rows(statements, form=doc.form, notation=MARKDOWN))
        case Proof(certificate=certificate):
            return certificate.to_markdown()
        case WrittenOut():
            lines = written_out(doc.program, MARKDOWN, form=doc.form)
            return _aligned([f"{left} &= {right}" for _, left, right in lines])
        case Sentences(sentences=sentences):
            return "\n".join(f"- {_sentence(sentence, doc)}" for sentence in sentences)


def _sentence(sentence: Sentence, doc: Document) -> str:
    words = []
    for part in sentence:
        match part:
            case Math():
                words.append(f"${part.write(MARKDOWN)}$")
            case Recorded(text):
                words.append(_prose(text, doc))
            case str(text):
                words.append(_escaped(text))
    return "".join(words)


def _prose(text: str, doc: Document) -> str:
    """Return plain text with nothing in it that Markdown would take for markup."""
    names = doc.names

    def written(match: re.Match[str]) -> str:
        word = match[0]
        if word in names:
            return f"${MARKDOWN.name(word)}$"
        return _escaped(word)

    return _WORD.sub(written, text)


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", text)


def _aligned(rows: list[str]) -> str:
    body = " \\\\\n".join(rows)
    return f"$$\n\\begin{{aligned}}\n{body}\n\\end{{aligned}}\n$$"


def _steps(doc: Document) -> list[str]:
    told = told_steps(doc.program, MARKDOWN, matrix=doc.form == "matrix")
    return [
        part
        for statement in doc.program.statements
        if told.get(statement.name)
        for part in _steps_of(statement, told[statement.name], doc)
    ]


def _steps_of(statement: Statement, told: tuple[Told, ...], doc: Document) -> list[str]:
    parts = [f"### ${MARKDOWN.name(statement.name)}$"]
    for one in told:
        parts.append(f"**{one.number}. {one.step.rule}:** {_prose(one.step.reason, doc)}")
        first, *others = one.forms
        parts.append(_aligned([f"{one.left} &= {first}", *(f"&= {form}" for form in others)]))
    return parts
