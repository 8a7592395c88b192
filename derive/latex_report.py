"""A whole derivation in LaTeX: an article that compiles as it stands, or its body."""

import re

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
    document,
)
from derive.errors import InternalError
from derive.latex_notation import latex_name
from derive.printing import LATEX, Form, aligned_rows, shape_latex, written_out
from derive.program import Program, Statement
from derive.spec import NetworkSpec

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
} | {symbol: rf"\{symbol}" for symbol in "&%$#_{}"}

# a word, also one with a layer below it: W_ℓ, W_{ℓ+1}
_IN_LAYER = re.compile(r"_(?:[ℓN]|\{[^}]*\})$")
_WORD = re.compile(r"[A-Za-z]\w*(?:(?<=_)(?:ℓ|\{[^}]*\}))?|.", re.DOTALL | re.ASCII)


def latex_report(
    program: Program,
    spec: NetworkSpec,
    *,
    form: Form = "matrix",
    steps: bool = False,
    expand: bool = False,
) -> str:
    """Return a derivation as a LaTeX document; it needs ``amsmath`` and ``geometry`` only.

    Parameters
    ----------
    program
        The result of `derive.rewrite_program`.
    spec
        The network that it was derived for.
    form
        ``"matrix"`` or ``"index"``; what has no matrix form is in index form in either.
    steps
        Whether the steps that led to each statement are told.
    expand
        Whether each gradient is also written out as one formula.
    """
    return write_latex(document(program, spec, form=form, steps=steps, expand=expand))


def latex_document(body: str) -> str:
    """Return an article that compiles as it stands."""
    return f"{_PREAMBLE}\n{body}\n\\end{{document}}\n"


def latex_fragment(
    program: Program,
    spec: NetworkSpec,
    *,
    form: Form = "matrix",
    steps: bool = False,
    expand: bool = False,
) -> str:
    """Return the body of `latex_report`, for a document of one's own with ``amsmath``."""
    return write_latex_body(document(program, spec, form=form, steps=steps, expand=expand))


def write_latex(doc: Document) -> str:
    """Return a document in LaTeX that compiles as it stands."""
    return latex_document(write_latex_body(doc))


def write_latex_body(doc: Document) -> str:
    """Return what stands between the document's beginning and end."""
    parts = [rf"\section*{{{latex_prose(doc.title)}}}"]
    # steps follow all statements
    last = "Second order, along v" if doc.program.second_order else "Backward"
    for section in doc.sections:
        parts += [rf"\subsection*{{{latex_prose(section.heading)}}}", _content(section, doc)]
        if doc.steps and section.heading == last:
            parts += _steps(doc)
    return "\n".join(parts) + "\n"


def latex_prose(text: str, program: Program | None = None, *, symbols: tuple[str, ...] = ()) -> str:
    """Return plain text for LaTeX's text mode; the names of a programme's tensors in math.

    Names with a layer, such as ``W_{ℓ+1}``, and further `symbols` are in math too.

    Raises
    ------
    InternalError
        If it holds a character that plain LaTeX does not know.
    """
    names = (set(program.tensors()) if program else set()) | set(symbols)
    names |= {name.removeprefix("d") for name in names} | {f"d{name}" for name in names}

    def written(match: re.Match[str]) -> str:
        word = match[0]
        if word in names or _IN_LAYER.search(word):
            return f"${latex_name(word)}$"
        if not word.isascii() and word not in _SPECIAL:
            raise InternalError(f"{word!r} in {text!r} has no form in LaTeX")
        return "".join(_SPECIAL.get(character, character) for character in word)

    return _WORD.sub(written, text)


def _content(section: Section, doc: Document) -> str:
    match section.content:
        case Tensors(tensors=tensors):
            given = (f"${latex_name(t.name)}$ ${shape_latex(t.shape)}$" for t in tensors)
            return ", ".join(given) + "."
        case Lines(statements=statements):
            return aligned(aligned_rows(statements, form=doc.form))
        case Proof(certificate=certificate):
            return certificate.to_latex()
        case WrittenOut():
            lines = written_out(doc.program, LATEX, form=doc.form)
            return aligned([f"{left} &= {right}" for _, left, right in lines])
        case Sentences(sentences=sentences, each_on_a_line=each_on_a_line):
            stop = " \\\\\n" if each_on_a_line else "; "
            return stop.join(latex_sentence(sentence, doc.program) for sentence in sentences) + "."


def latex_sentence(sentence: Sentence, program: Program | None = None) -> str:
    """Return words and formulas for LaTeX's text mode."""
    words = []
    for part in sentence:
        match part:
            case Math():
                words.append(f"${part.write(LATEX)}$")
            case Recorded(text):
                words.append(latex_prose(text, program))
            case str(text):
                words.append(latex_prose(text))
    return "".join(words)


def aligned(rows: list[str]) -> str:
    """Return rows as a block of equations of their own."""
    return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"


def _steps(doc: Document) -> list[str]:
    told = told_steps(doc.program, LATEX, matrix=doc.form == "matrix")
    return [
        line
        for statement in doc.program.statements
        if told.get(statement.name)
        for line in latex_steps(statement, told[statement.name], doc.program)
    ]


def latex_steps(statement: Statement, told: tuple[Told, ...], program: Program) -> list[str]:
    """Return the steps that led to a statement, under a heading of its own."""
    lines = [rf"\subsubsection*{{${latex_name(statement.name)}$}}"]
    for told_step in told:
        rule = latex_prose(f"{told_step.number}. {told_step.step.rule}: ")
        lines.append(rf"\textbf{{{rule}}}{latex_prose(told_step.step.reason, program)}")
        first, *others = told_step.forms
        rows = [f"{told_step.left} &= {first}", *(f"&= {other}" for other in others)]
        lines.append(aligned(rows))
    return lines
