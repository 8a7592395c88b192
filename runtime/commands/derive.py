"""``gradwright derive``: a network's gradients as formulas."""

from typing import TYPE_CHECKING, Literal

import click

from runtime.commands.objective import objective_options, reader

if TYPE_CHECKING:
    from derive.program import Program
    from derive.spec import NetworkSpec

_EPILOG = """\b
Examples:
  gradwright derive 2-10-2
  gradwright derive 2-10-2 --steps
  gradwright derive 2-10-2 --prove
  gradwright derive 784-100:relu-50-10 --loss mse
  gradwright derive nx-nh-ny --names lab
  gradwright derive 2-10:mish-2 --define 'mish(z) = z*tanh(log(1+exp(z)))'
  gradwright derive 2-10-2 --loss '-sum(Y*(1-P)**2*log(P))' --l2 0.01
  gradwright derive N
  gradwright derive N:relu --loss mse
  gradwright derive 2-10-2 --format latex -o gradients.tex
  gradwright derive 2-10-2 --format json
  gradwright derive 2-10-2 --hvp                 # and Hessian times a direction

\b
SPEC holds the sizes from input to output, with an optional :activation after
a layer's size. Hidden layers are tanh unless written; the output follows the
loss, softmax for cross-entropy. A size may be a name that starts with n, and
stays symbolic. N stands for any number of hidden layers, N:relu for other
hidden layers than tanh: a recurrence over the layers, and induction.
"""


@click.command(name="derive", epilog=_EPILOG)
@click.argument("spec")
@objective_options
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "latex", "json"]),
    default="text",
    show_default=True,
    help="latex is a document that compiles as it stands.",
)
@click.option(
    "--form",
    type=click.Choice(["matrix", "index"]),
    default="matrix",
    show_default=True,
    help="Products of matrices, or entry by entry.",
)
@click.option("--steps", is_flag=True, help="Tell each rewriting that led to a formula.")
@click.option(
    "--prove", is_flag=True, help="Prove the gradients, and print what was shown and how."
)
@click.option(
    "--names",
    type=click.Choice(["plain", "lab"]),
    default="plain",
    show_default=True,
    help="lab: Wh bh htilde h Wy by ytilde yhat, with biases (n, 1).",
)
@click.option("--hvp", is_flag=True, help="Differentiate again: the Hessian times a direction v.")
@click.option(
    "-o",
    "output",
    metavar="FILE",
    default="-",
    help="Write to FILE, in UTF-8, in place of standard output.",
)
def command(
    spec: str,
    loss: str | None,
    define: tuple[str, ...],
    l2: float | None,
    format_: str,
    form: str,
    steps: bool,
    prove: bool,
    names: str,
    labels: str,
    hvp: bool,
    output: str,
) -> None:
    """Derive the gradients of network SPEC as formulas."""
    from derive.spec import is_any_depth, one_hidden_layer

    read = reader(loss, define, l2)
    any_depth = is_any_depth(spec)
    network = read(one_hidden_layer(spec) if any_depth else spec)
    derivation = _recurrence if any_depth else _derivation
    text, failed = derivation(
        network,
        format_=format_,
        form=form,
        steps=steps,
        prove=prove,
        names=names,
        labels=labels,
        hvp=hvp,
    )
    if output == "-":
        _print(text)
    else:
        from runtime.files import write_atomically

        write_atomically(output, text)
    if failed:
        from runtime.errors import RunError

        raise RunError(f"proof: {failed}")


def _derivation(
    network: "NetworkSpec",
    *,
    format_: str,
    form: str,
    steps: bool,
    prove: bool,
    names: str,
    labels: str,
    hvp: bool,
) -> tuple[str, str]:
    """Return the report, and what a proof that was asked for found wrong."""
    # imported here because they load SymPy, for which `gradwright --help` must not wait
    from derive.gradient import gradient_program
    from derive.json_form import json_report
    from derive.latex_report import latex_report
    from derive.names import lab_names
    from derive.network import loss_program
    from derive.report import text_report
    from derive.rewrite import rewrite_program
    from derive.second_order import hvp_program

    def derived(network: "NetworkSpec") -> "Program":
        program = rewrite_program(gradient_program(loss_program(network)), labels=labels)
        if hvp:
            program = rewrite_program(hvp_program(program), labels=labels)
        return lab_names(program) if names == "lab" else program

    program = derived(network)
    certificate = None
    if prove:
        from derive.errors import InputError
        from derive.proof import prove_network

        if hvp:
            raise InputError(
                "--prove: the gradients are what is proved, not products with the Hessian. "
                "Leave --hvp out to prove them."
            )
        certificate = prove_network(network, derived)
    failed = "; ".join(map(str, certificate.failures)) if certificate else ""
    chosen: Literal["matrix", "index"] = "index" if form == "index" else "matrix"
    if format_ == "json":
        return json_report(program, network, form=chosen, certificate=certificate), failed
    report = latex_report if format_ == "latex" else text_report
    return report(program, network, form=chosen, steps=steps, certificate=certificate), failed


def _recurrence(
    network: "NetworkSpec",
    *,
    format_: str,
    form: str,
    steps: bool,
    prove: bool,
    names: str,
    labels: str,
    hvp: bool,
) -> tuple[str, str]:
    """Return the report of any depth, and that nothing was found wrong."""
    from derive.errors import InputError, InternalError
    from derive.recurrence import layer_recurrence
    from derive.recurrence_report import json_recurrence, latex_recurrence, text_recurrence

    if names == "lab":
        raise InputError(
            "--names lab: the lab numbers its hidden layers only where there are several (Wh; "
            "Wh1, Wh2, …), so its names need a depth. Leave --names out, or give sizes, for "
            "example 2-10-2."
        )
    if hvp:
        raise InputError(
            "--hvp: along a direction, each layer needs what changes in those before it as well "
            "as after it, and any depth is derived for the gradients only. Leave --hvp out, or "
            "give sizes, for example 2-10-2."
        )
    if prove:
        raise InputError(
            "--prove: a proof is for one depth; that of any depth, by induction, is part of its "
            "page. Leave --prove out, or give sizes, for example 2-10-2."
        )
    recurrence = layer_recurrence(network, labels=labels)
    if not recurrence.holds:
        raise InternalError(f"the recurrence is not what single networks give\n\n{recurrence}")
    chosen: Literal["matrix", "index"] = "index" if form == "index" else "matrix"
    if format_ == "json":
        return json_recurrence(recurrence, form=chosen), ""
    if format_ == "latex":
        return latex_recurrence(recurrence, form=chosen, steps=steps), ""
    return text_recurrence(recurrence, form=chosen, steps=steps), ""


def _print(text: str) -> None:
    try:
        click.echo(text, nl=False)
    except UnicodeEncodeError as error:  # raised before anything is written
        from runtime.errors import InputError

        symbol = error.object[error.start]
        raise InputError(
            f"standard output: its encoding, {error.encoding}, has no {symbol!a}. "
            "Set PYTHONIOENCODING=utf-8, or write to a file with -o."
        ) from error
