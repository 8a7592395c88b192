"""A whole derivation in LaTeX: an article that compiles as it stands, or its body."""

import re
from typing import TYPE_CHECKING

from derive.board import Told, told_steps
from derive.errors import InternalError
from derive.latex_notation import latex_name
from derive.printing import LATEX, Form, aligned_rows, shape_latex
from derive.program import Program, Statement
from derive.spec import NetworkSpec

if TYPE_CHECKING:
    from derive.proof import Certificate

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

# symbols -> what the reader is told where one occurs
_LEGEND: tuple[tuple[tuple[str, ...], str], ...] = (
    (("",), r"$\mathrm{d}T$ is $\partial\,\mathrm{loss} / \partial T$"),
    (
        (r"\nabla^2",),
        r"$\mathrm{v}T$ and $\mathrm{h}T$ are how $T$ and $\mathrm{d}T$ change along $v$",
    ),
    ((r"\circ", r"\oslash"), r"$\circ$ and $\oslash$ multiply and divide entry by entry"),
    ((r"\mathbf{1}",), r"$\mathbf{1}$ is a column of ones"),
    ((r"\sum",), "a sum runs over the whole axis"),
    ((r"{where}",), r"$\operatorname{where}(c, a, b)$ is $a$ where $c$ holds, else $b$"),
    ((r"\delta",), r"$\delta_{ij}$ is 1 where $i = j$, else 0"),
)

# a word, also one with a layer below it: W_ℓ, W_{ℓ+1}
_IN_LAYER = re.compile(r"_(?:[ℓN]|\{[^}]*\})$")
_WORD = re.compile(r"[A-Za-z]\w*(?:(?<=_)(?:ℓ|\{[^}]*\}))?|.", re.DOTALL | re.ASCII)


def latex_report(
    program: Program,
    spec: NetworkSpec,
    *,
    form: Form = "matrix",
    steps: bool = False,
    certificate: "Certificate | None" = None,
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
    certificate
        What was proved of it, if anything.
    """
    return latex_document(
        latex_fragment(program, spec, form=form, steps=steps, certificate=certificate)
    )


def latex_document(body: str) -> str:
    """Return an article that compiles as it stands."""
    return f"{_PREAMBLE}\n{body}\n\\end{{document}}\n"


def latex_fragment(
    program: Program,
    spec: NetworkSpec,
    *,
    form: Form = "matrix",
    steps: bool = False,
    certificate: "Certificate | None" = None,
) -> str:
    """Return the body of `latex_report`, for a document of one's own with ``amsmath``."""
    title = f"Network {spec}, {spec.loss} loss, mean over a batch of B samples"
    parts = [rf"\section*{{{latex_prose(title)}}}", _given(program)]
    parts += [r"\subsection*{Forward}", aligned(aligned_rows(program.forward, form=form))]
    parts += [r"\subsection*{Backward}", aligned(aligned_rows(program.backward, form=form))]
    if program.second_order:
        rows = aligned_rows(program.second_order, form=form)
        parts += [r"\subsection*{Second order, along $v$}", aligned(rows)]
    parts += [r"\subsection*{Gradients}", _gradients(program)]
    if program.second_order:
        parts += [r"\subsection*{Hessian times $v$}", _hessian_products(program)]
    if program.assumptions:
        assumed = "; ".join(latex_prose(a, program) for a in program.assumptions)
        parts += [r"\subsection*{Assumed}", f"{assumed}."]
    if steps:
        parts += [r"\subsection*{Steps}", *_steps(program, form)]
    parts += [r"\subsection*{Notation}", latex_legend("\n".join(parts))]
    if certificate:
        parts += [r"\subsection*{Proof}", certificate.to_latex()]
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


def _given(program: Program) -> str:
    given = (f"${latex_name(t.name)}$ ${shape_latex(t.shape)}$" for t in program.inputs)
    return "Given: " + ", ".join(given) + "."


def _gradients(program: Program) -> str:
    pairs = (
        rf"$\partial\,\mathrm{{loss}} / \partial {latex_name(name)} = {latex_name(grad)}$"
        for name, grad in program.gradients.items()
    )
    return ", ".join(pairs) + "."


def _hessian_products(program: Program) -> str:
    pairs = (
        rf"$(\nabla^2\,\mathrm{{loss}}\; v)_{{{latex_name(name)}}} = {latex_name(product)}$"
        for name, product in program.hessian_products.items()
    )
    return ", ".join(pairs) + "."


def latex_legend(text: str) -> str:
    """Return what a reader must know about the symbols that occur."""
    words = [words for symbols, words in _LEGEND if any(symbol in text for symbol in symbols)]
    return "; ".join(words) + "."


def aligned(rows: list[str]) -> str:
    """Return rows as a block of equations of their own."""
    return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"


def _steps(program: Program, form: Form) -> list[str]:
    told = told_steps(program, LATEX, matrix=form == "matrix")
    return [
        line
        for statement in program.statements
        if told.get(statement.name)
        for line in latex_steps(statement, told[statement.name], program)
    ]


def latex_steps(statement: Statement, told: tuple[Told, ...], program: Program) -> list[str]:
    """Return the steps that led to a statement, under a heading of its own."""
    lines = [rf"\subsubsection*{{${latex_name(statement.name)}$}}"]
    for step in told:
        part = f", term {step.part[0]} of {step.part[1]}" if step.part else ""
        rule = latex_prose(f"{step.number}. {step.rule}{part}: ")
        lines.append(rf"\textbf{{{rule}}}{latex_prose(step.reason, program)}")
        sign = r"+\!=" if step.part else "="
        first, *others = step.new_forms
        rows = [f"{step.left} &{sign} {first}", *(f"&= {other}" for other in others)]
        lines.append(aligned(rows))
    return lines
