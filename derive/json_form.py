"""A whole derivation as JSON, for other programs."""

import json
import platform
from importlib import metadata
from typing import TYPE_CHECKING, Any

from sympy import Expr

from derive.board import grouped_steps
from derive.printing import (
    LATEX,
    TEXT,
    Form,
    expression_text,
    matrix_text,
    statement_latex,
    statement_text,
    written_out,
)
from derive.program import Program, Statement
from derive.spec import NetworkSpec

if TYPE_CHECKING:
    from derive.proof import Certificate
    from derive.recurrence import Recurrence, Unrolling

_DISTRIBUTIONS = ("gradwright", "sympy")


def json_report(
    program: Program,
    spec: NetworkSpec,
    *,
    form: Form = "matrix",
    expand: bool = False,
    certificate: "Certificate | None" = None,
) -> str:
    """Return a derivation as JSON text.

    Parameters
    ----------
    program
        The result of `derive.rewrite_program`.
    spec
        The network that it was derived for.
    form
        In which form ``latex`` is.
    expand
        Whether each gradient is also written out as one formula.
    certificate
        What was proved of it, if anything.

    Returns
    -------
    str
        An object with the keys of `derivation_object`, indented, the last line ended.
    """
    derivation = derivation_object(program, spec, form=form, expand=expand, certificate=certificate)
    return json.dumps(derivation, indent=2, ensure_ascii=False) + "\n"


def derivation_object(
    program: Program,
    spec: NetworkSpec,
    *,
    form: Form = "matrix",
    expand: bool = False,
    certificate: "Certificate | None" = None,
) -> dict[str, Any]:
    """Return a derivation in dicts, lists, strings and integers.

    Keys: ``spec``, ``loss``; ``forward`` and ``backward``, lists of statements; ``gradients``,
    the gradient's name by the parameter's; ``steps``; ``proof``, a list of claims; ``versions``.
    After `derive.hvp_program` also ``second_order``, a list of statements, and ``hvp``, the
    name of the Hessian times the direction by the parameter's.

    A statement is ``{"name", "indices", "shape", "matrix", "index", "latex", "from"}``, with
    sizes that are names as strings, and null for a matrix form that there is not. A step is
    ``{"rule", "target", "for", "indices", "before", "after", "reason", "uses"}`` in index form,
    in reading order; ``for`` is the statement that it leads to. With `expand` there is one key
    more, ``expanded``: the gradients as ``{"name", "matrix", "index", "latex"}``, each in inputs
    and forward values alone.
    """
    second = {
        "second_order": [statement_object(statement, form) for statement in program.second_order],
        "hvp": program.hessian_products,
    }
    derivation = {
        "spec": str(spec),
        "loss": spec.loss,
        "forward": [statement_object(statement, form) for statement in program.forward],
        "backward": [statement_object(statement, form) for statement in program.backward],
        "gradients": program.gradients,
        **(second if program.second_order else {}),
        "steps": step_objects(program),
        "proof": certificate.to_json() if certificate else [],
        "versions": versions(),
    }
    if expand:
        derivation["expanded"] = _expanded(program, form)
    return derivation


def json_recurrence(recurrence: "Recurrence", *, form: Form = "matrix") -> str:
    """Return the gradients of networks of any depth as JSON text.

    The keys are those of `derivation_object`. The forward statements are those of layer ℓ and
    then of the output layer, the backward ones in the other order. Without a
    certificate, ``proof`` holds one claim for each depth compared.
    """
    output, layer = recurrence.output, recurrence.layer
    certificate = recurrence.certificate
    value = {
        "spec": recurrence.text,
        "loss": recurrence.spec.loss,
        "forward": [statement_object(s, form) for s in (*recurrence.forward, *output.forward)],
        "backward": [statement_object(s, form) for s in (*output.backward, *layer.backward)],
        "gradients": {**layer.gradients, **output.gradients},
        "steps": [*step_objects(output), *step_objects(layer)],
        "proof": certificate.to_json()
        if certificate
        else [_compared(unrolling) for unrolling in recurrence.unrollings],
        "versions": versions(),
    }
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _compared(unrolling: "Unrolling") -> dict[str, str]:
    return {
        "claim": f"unrolled at N = {unrolling.hidden} it is the derivation of {unrolling.network}",
        "method": f"exact comparison of {unrolling.statements} statements",
        "status": "proved" if unrolling.holds else "failed",
    }


def _expanded(program: Program, form: Form) -> list[dict[str, Any]]:
    matrix, index = (written_out(program, TEXT, form=kind) for kind in ("matrix", "index"))
    latex = written_out(program, LATEX, form=form)
    return [
        {
            "name": statement.name,
            "matrix": " = ".join(row) if row != entry else None,
            "index": " = ".join(entry),
            "latex": " = ".join(tex),
        }
        for (statement, *row), (_, *entry), (_, *tex) in zip(matrix, index, latex, strict=True)
    ]


def versions() -> dict[str, str]:
    """Return the versions that a derivation depends on, by distribution."""
    found = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"  # run from the source tree
    return found


def statement_object(statement: Statement, form: Form) -> dict[str, Any]:
    """Return one statement, as `derivation_object` describes it."""
    return {
        "name": statement.name,
        "indices": [symbol.name for symbol in statement.indices],
        "shape": [_size(extent) for extent in statement.target.shape],
        "matrix": matrix_text(statement),
        "index": statement_text(statement),
        "latex": statement_latex(statement, form=form),
        "from": list(statement.origin),
    }


def _size(extent: Expr) -> int | str:
    return int(extent) if extent.is_Integer else str(extent.name)


def step_objects(program: Program) -> list[dict[str, Any]]:
    """Return the steps of a programme, as `derivation_object` describes them."""
    return [
        {
            "rule": step.rule,
            "target": step.target,
            "for": name,
            "indices": [symbol.name for symbol in step.indices],
            "before": expression_text(step.before, step.indices),
            "after": expression_text(step.after, step.indices),
            "reason": step.reason,
            "uses": list(step.uses),
        }
        for name, steps in grouped_steps(program).items()
        for step in steps
    ]
