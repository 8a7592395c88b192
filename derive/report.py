"""A whole derivation as text for a terminal."""

from typing import TYPE_CHECKING

from derive.board import Told, told_steps
from derive.printing import TEXT, Form, shape_text, statement_text, with_shapes
from derive.program import Program, Statement
from derive.spec import NetworkSpec

if TYPE_CHECKING:
    from derive.proof import Certificate

_INDENT = "  "
_WIDTH = 96

# symbols -> what the reader is told where one occurs, and in which form only
_LEGEND: tuple[tuple[tuple[str, ...], str, Form | None], ...] = (
    (("∘", "⊘"), "∘ and ⊘ multiply and divide entry by entry", "matrix"),
    ((" 1", "1ᵀ"), "1 beside a matrix is a column of ones", "matrix"),
    (("1 −", "− 1", "1 +"), "a number added to a matrix is added to each entry", "matrix"),
    (("Σ_",), "a sum runs over the whole axis", None),
    (("where(",), "where(c, a, b) is a where c holds, else b", None),
    (("δ[",), "δ[i,j] is 1 where i = j, else 0", None),
)


def text_report(
    program: Program,
    spec: NetworkSpec,
    *,
    form: Form = "matrix",
    steps: bool = False,
    certificate: "Certificate | None" = None,
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
    certificate
        What was proved of it, if anything.

    Returns
    -------
    str
        Lines of text, the last one ended.
    """
    blocks = [[f"Network {spec}, {spec.loss} loss, mean over a batch of B samples"]]
    blocks.append(["Given", *_given(program)])
    formulas = [statement_text(statement, form=form) for statement in program.statements]
    told = told_steps(program, TEXT, matrix=form == "matrix") if steps else {}
    lines = {}
    for statement, line in zip(
        program.statements, with_shapes(program.statements, formulas), strict=True
    ):
        own = [_INDENT + line + _remark(statement), *steps_lines(told.get(statement.name, ()))]
        lines[statement.name] = "\n".join(own)
    blocks.append(["Forward", *(lines[statement.name] for statement in program.forward)])
    blocks.append(["Backward", *(lines[statement.name] for statement in program.backward)])
    if program.second_order:
        second = (lines[statement.name] for statement in program.second_order)
        blocks.append(["Second order, along v", *second])
    blocks.append(["Gradients", *_gradients(program)])
    if program.second_order:
        blocks.append(["Hessian times v", *_hessian_products(program)])
    if program.assumptions:
        blocks.append(["Assumed", *_assumptions(program)])
    text = "\n\n".join("\n".join(block).rstrip() for block in blocks)
    words = ["dT is ∂loss/∂T"]
    if program.second_order:
        words += ["vT is how T changes along v", "hT is how dT changes along v"]
    legend = ["Notation", *wrapped([*words, *legend_entries(text, form)], "; ")]
    proof = f"\n\nProof\n{certificate}" if certificate else ""
    return text + "\n\n" + "\n".join(legend) + proof + "\n"


def legend_entries(text: str, form: Form) -> list[str]:
    """Return what a reader must know about the symbols that occur."""
    words = []
    for symbols, meaning, only in _LEGEND:
        if only in (None, form) and any(symbol in text for symbol in symbols):
            words.append(meaning)
    return words


def _given(program: Program) -> list[str]:
    return wrapped([f"{t.name} {shape_text(t.shape)}" for t in program.inputs], "   ")


def _remark(statement: Statement) -> str:
    """Return why a gradient is zero, so that nobody takes it for an oversight."""
    return f"   {', '.join(statement.origin)}" if statement.body == 0 else ""


def _gradients(program: Program) -> list[str]:
    return wrapped([f"∂loss/∂{name} = {grad}" for name, grad in program.gradients.items()], "   ")


def _hessian_products(program: Program) -> list[str]:
    products = program.hessian_products.items()
    return wrapped([f"(∇²loss v) in {name} = {product}" for name, product in products], "   ")


def _assumptions(program: Program) -> list[str]:
    lines = []
    for assumption in program.assumptions:
        users = [s.name for s in program.statements if f"identity: {assumption}" in s.origin]
        used = f" (used in {', '.join(users)})" if users else ""
        lines.append(f"{_INDENT}{assumption}{used}")
    return lines


def steps_lines(told: tuple[Told, ...]) -> list[str]:
    """Return the steps of a statement, numbered, their forms under each other."""
    lines = []
    for step in told:
        part = f", term {step.part[0]} of {step.part[1]}" if step.part else ""
        lines.append(f"{_INDENT}{step.number:>4}. {step.rule}{part}: {step.reason}")
        sign = "+=" if step.part else "="
        first, *others = step.new_forms
        lines.append(f"{_INDENT}      {step.left} {sign} {first}")
        indent = " " * (len(step.left) + len(sign) - 1)
        lines += [f"{_INDENT}      {indent} = {other}" for other in others]
    return [*lines, ""] if lines else lines


def wrapped(entries: list[str], separator: str) -> list[str]:
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
