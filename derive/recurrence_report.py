"""The gradients of networks of any depth as a page: text, LaTeX, JSON.

`sections` is the page, the same for every notation; the functions below it only write it down.
"""

import json
import textwrap
from dataclasses import dataclass
from typing import Any, final

from derive.board import told_steps
from derive.document import legend
from derive.errors import InternalError
from derive.json_form import statement_object, step_objects, versions
from derive.latex_report import (
    aligned,
    latex_document,
    latex_prose,
    latex_sentence,
    latex_steps,
)
from derive.layer_names import DEPTH, LAYER, in_layer
from derive.printing import (
    LATEX,
    TEXT,
    Form,
    aligned_rows,
    program_latex,
    shape_text,
    statement_text,
    with_shapes,
)
from derive.program import Program, Statement, Tensor
from derive.recurrence import Recurrence, Unrolling
from derive.report import steps_lines, text_sentence, wrapped
from derive.spec import NetworkSpec

_INDENT = "  "
_WIDTH = 96
_SYMBOLS = (DEPTH, "B", "X", "Y", "H_0", "n_0")  # in prose, beside names with a layer
_EQUAL = "equal, statement for statement"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page.

    Attributes
    ----------
    heading
        What it is about.
    program
        Where its statements, their steps and the names in its prose are from.
    statements
        What is written as formulas.
    prose
        Paragraphs, under the formulas.
    """

    heading: str
    program: Program
    statements: tuple[Statement, ...] = ()
    prose: tuple[str, ...] = ()


def sections(recurrence: Recurrence) -> tuple[Section, ...]:
    """Return the page from what is given to what is assumed, without title and legend."""
    output, layer = recurrence.output, recurrence.layer
    parts = [
        Section(heading="Given", program=layer, prose=_given(recurrence)),
        Section(
            heading="Forward: layer ℓ = 1, …, N, from H_0 = X",
            program=layer,
            statements=recurrence.forward,
        ),
        Section(
            heading="Forward: layer N + 1, the output, and the loss",
            program=output,
            statements=output.forward,
        ),
        Section(
            heading="Backward, base case: layer N + 1",
            program=output,
            statements=output.backward,
        ),
        Section(
            heading="Backward, induction step: from layer ℓ + 1 to layer ℓ, for ℓ = N, …, 1",
            program=layer,
            statements=layer.backward,
        ),
        Section(
            heading="Gradients, for every N and ℓ = 1, …, N + 1",
            program=layer,
            prose=("   ".join(f"∂loss/∂{name} = {g}" for name, g in layer.gradients.items()),),
        ),
        Section(heading="Why this is the gradient", program=layer, prose=_induction(recurrence)),
    ]
    if output.assumptions:
        assumed = tuple(_assumed(assumption, output) for assumption in output.assumptions)
        parts.append(Section(heading="Assumed", program=output, prose=assumed))
    return tuple(parts)


def title(recurrence: Recurrence) -> str:
    """Return the heading of the page."""
    hidden, output = recurrence.spec.activations
    return (
        f"Networks with N hidden layers, any N: {hidden} in hidden layers, {output} output, "
        f"{recurrence.spec.loss} loss, mean over a batch of B samples"
    )


def text_recurrence(recurrence: Recurrence, *, form: Form = "matrix", steps: bool = False) -> str:
    """Return the page as text.

    Parameters
    ----------
    recurrence
        The result of `derive.layer_recurrence`.
    form
        ``"matrix"`` or ``"index"``; what has no matrix form is in index form in either.
    steps
        Whether each backward statement is followed by the steps that led to it.
    """
    blocks = [textwrap.fill(title(recurrence), _WIDTH)]
    for section in sections(recurrence):
        lines = [section.heading]
        formulas = [statement_text(statement, form=form) for statement in section.statements]
        told = told_steps(section.program, TEXT, matrix=form == "matrix") if steps else {}
        for statement, line in zip(
            section.statements, with_shapes(section.statements, formulas), strict=True
        ):
            lines += [_INDENT + line, *steps_lines(told.get(statement.name, ()))]
        lines += [_paragraph(paragraph) for paragraph in section.prose]
        blocks.append("\n".join(lines).rstrip())
    blocks.append("\n".join(_table(recurrence.unrollings)))
    text = "\n\n".join(blocks)
    words = [text_sentence(sentence) for sentence in legend(text, form)]
    notation = "\n".join(["Notation", *wrapped(words, "; ")])
    return f"{text}\n\n{notation}\n"


def latex_recurrence(recurrence: Recurrence, *, form: Form = "matrix", steps: bool = False) -> str:
    """Return the page as a LaTeX document; as `text_recurrence` in all else."""
    parts = [rf"\section*{{{_latex(title(recurrence))}}}"]
    for section in sections(recurrence):
        parts.append(rf"\subsection*{{{_latex(section.heading)}}}")
        if section.statements:
            parts.append(aligned(aligned_rows(section.statements, form=form)))
        told = told_steps(section.program, LATEX, matrix=form == "matrix") if steps else {}
        for statement in section.statements:
            if told.get(statement.name):
                parts += latex_steps(statement, told[statement.name], section.program)
        parts += [_latex(text) + "\n" for text in section.prose]
    parts += [r"\subsection*{Unrolled}", _latex_table(recurrence.unrollings)]
    words = legend(text_recurrence(recurrence, form=form, steps=steps), form)
    notation = "; ".join(map(latex_sentence, words))
    parts += [r"\subsection*{Notation}", f"{notation}."]
    return latex_document("\n".join(parts) + "\n")


def latex_equations(recurrence: Recurrence) -> str:
    """Return all statements in LaTeX, output layer first, for a notebook."""
    blocks = (program_latex(part) for part in (recurrence.output, recurrence.layer))
    return "$$" + r" \\ ".join(blocks) + "$$"


def json_recurrence(recurrence: Recurrence, *, form: Form = "matrix") -> str:
    """Return the recurrence as JSON, with the keys of `derive.json_form.derivation_object`.

    The forward statements are those of layer ℓ and then of the output layer, the backward
    ones in the other order. ``proof`` holds one claim for each depth compared.
    """
    output, layer = recurrence.output, recurrence.layer
    value: dict[str, Any] = {
        "spec": recurrence.text,
        "loss": recurrence.spec.loss,
        "forward": [statement_object(s, form) for s in (*recurrence.forward, *output.forward)],
        "backward": [statement_object(s, form) for s in (*output.backward, *layer.backward)],
        "gradients": {**layer.gradients, **output.gradients},
        "steps": [*step_objects(output), *step_objects(layer)],
        "proof": [_claim(unrolling) for unrolling in recurrence.unrollings],
        "versions": versions(),
    }
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _given(recurrence: Recurrence) -> tuple[str, ...]:
    tensors = {t.name: t for part in (recurrence.output, recurrence.layer) for t in part.inputs}
    weights = "   ".join(_shaped(tensors[name]) for name in recurrence.layer.parameters)
    return (
        f"H_0 = X (B, n_0)   {_shaped(tensors['Y'])}",
        f"{weights}   for ℓ = 1, …, N + 1",
    )


def _shaped(tensor: Tensor) -> str:
    return f"{tensor.name} {shape_text(tensor.shape)}"


def _induction(recurrence: Recurrence) -> tuple[str, ...]:
    """Return the argument; what it says of the statements is checked on them first."""
    z, h, after = in_layer("Z", LAYER), in_layer("H", LAYER), in_layer("Z", LAYER, 1)
    last = in_layer("Z", DEPTH, 1)
    layer = recurrence.layer
    weights = " and ".join(layer.parameters)
    for name, reader in ((z, h), (h, after), *((parameter, z) for parameter in layer.parameters)):
        if [s.name for s in layer.forward if name in s.reads()] != [reader]:
            raise InternalError(f"{name} is not read by {reader} alone")
    if layer.statement(after) != recurrence.output_as_next_layer:
        raise InternalError(f"{last} is not defined as {after} is")
    return (
        f"Claim: d{z} = ∂loss/∂{z} for every layer ℓ = 1, …, N + 1, and likewise {weights}.",
        "Base case. In layer N + 1 the statements above were derived from the loss itself.",
        f"Step. Let d{after} = ∂loss/∂{after}. The definitions read {weights} in {z} alone, {z} "
        f"in {h} alone, and {h} in {after} alone, so the loss depends on all of them through "
        f"{after} only. Hence the chain rule needs d{after} and the definitions of {z}, {h} and "
        f"{after}, and nothing else. It was applied to these with ℓ and the sizes as symbols, so "
        f"it holds for each ℓ from N down to 1; for ℓ = N too, as {last} is defined like any "
        f"{after}.",
        "So the claim holds for every N. Where N = 0, the base case is all, with H_0 = X.",
    )


def _assumed(assumption: str, program: Program) -> str:
    users = [s.name for s in program.statements if f"identity: {assumption}" in s.origin]
    return f"{assumption} (used in {', '.join(users)})" if users else assumption


def _paragraph(text: str) -> str:
    if "   " in text:  # entries side by side
        return _INDENT + text
    return textwrap.fill(text, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)


def _table(unrollings: tuple[Unrolling, ...]) -> list[str]:
    widest = max((len(_shown(u.network)) for u in unrollings), default=0)
    lines = ["Unrolled, against the derivation of each network by itself"]
    lines.append(f"{_INDENT}N    {'network':<{widest}}    statements")
    for u in unrollings:
        lines.append(
            f"{_INDENT}{u.hidden:<5}{_shown(u.network):<{widest}}    {u.statements:<13}{_status(u)}"
        )
    return lines


def _latex_table(unrollings: tuple[Unrolling, ...]) -> str:
    rows = [r"$N$ & network & statements & \\ \hline"]
    for u in unrollings:
        cells = (str(u.hidden), _latex(_shown(u.network)), str(u.statements))
        rows.append(" & ".join((*cells, _latex(_status(u)))) + r" \\")
    return "\\begin{tabular}{llll}\n" + "\n".join(rows) + "\n\\end{tabular}\n"


def _shown(network: NetworkSpec) -> str:
    """Return a network's specification, a deep one by its first and last layers."""
    first, second, *others = str(network).split("-")
    middle = others if len(others) < 3 else ["…", others[-1]]
    return "-".join((first, second, *middle))


def _latex(text: str) -> str:
    return latex_prose(text, symbols=_SYMBOLS).replace("   ", r"\quad ")


def _status(unrolling: Unrolling) -> str:
    return _EQUAL if unrolling.holds else f"DIFFERENT in {', '.join(unrolling.different)}"


def _claim(unrolling: Unrolling) -> dict[str, str]:
    return {
        "claim": f"unrolled at N = {unrolling.hidden} it is the derivation of {unrolling.network}",
        "method": f"exact comparison of {unrolling.statements} statements",
        "status": "proved" if unrolling.holds else "failed",
    }
