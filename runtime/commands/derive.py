"""``gradwright derive``: a network's gradients as formulas."""

from typing import TYPE_CHECKING, Literal

import click

from runtime.commands.completing import files, network
from runtime.commands.objective import objective_options, reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from derive.network_derivation import Derivation
    from derive.recurrence import Recurrence
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
  gradwright derive N                            # any number of hidden layers
  gradwright derive N:relu --loss mse --format html --steps -o any-depth.html
  gradwright derive N --prove
  gradwright derive 2-10-2 --format latex -o gradients.tex
  gradwright derive 2-10-2 --format html --steps -o gradients.html
  gradwright derive 2-10-2 --expand
  gradwright derive 2-10-2 --format json
  gradwright derive 2-10-2 --hvp                 # and Hessian times a direction
  gradwright derive 2-10:softplus-2 --explain-stability

\b
SPEC holds the sizes from input to output, with an optional :activation after
a layer's size. Hidden layers are tanh unless written; the output follows the
loss, softmax for cross-entropy. A size may be a name that starts with n, and
stays symbolic. N stands for any number of hidden layers, N:relu for other
hidden layers than tanh: a recurrence over the layers, and induction.
"""


@click.command(name="derive", epilog=_EPILOG)
@click.argument("spec", shell_complete=network)
@objective_options
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "latex", "markdown", "html", "json"]),
    default="text",
    show_default=True,
    help="latex is a document that compiles as it stands, html a page that needs no network.",
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
    "--explain-stability",
    is_flag=True,
    help="Print instead where formulas as they are written would overflow or lose their digits, "
    "and what the forms give that are computed in their place.",
)
@click.option(
    "--expand",
    is_flag=True,
    help="Also write out each gradient as one formula, in inputs, parameters and forward "
    "values alone: what dZ1, dH1, ... are is put in their place.",
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
    shell_complete=files,
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
    expand: bool,
    prove: bool,
    explain_stability: bool,
    names: str,
    labels: str,
    hvp: bool,
    output: str,
) -> None:
    """Derive the gradients of network SPEC as formulas."""
    read = reader(loss, define, l2)
    certificate = None
    if explain_stability:
        text = _stability(spec, read, format_=format_, labels=labels)
    else:
        result = derived(
            spec, read, labels=labels, names=names, hvp=hvp, expand=expand, prove=prove
        )
        text = told(result, format_, form=form, steps=steps, expand=expand)
        certificate = result.certificate
    failed = "; ".join(map(str, certificate.failures)) if certificate else ""
    if output == "-":
        print_text(text)
    else:
        from runtime.files import shown, write_atomically
        from runtime.messages import say

        write_atomically(output, text)
        say(f"{shown(output)} is written")
    if failed:
        from runtime.errors import RunError

        raise RunError(f"proof: {failed}")


def derived(
    spec: str,
    read: "Callable[[str], NetworkSpec]",
    *,
    labels: str,
    names: str,
    hvp: bool,
    expand: bool,
    prove: bool,
) -> "Derivation | Recurrence":
    """Return the derivation of a network, or of networks of any depth."""
    # imported here because they load SymPy, for which `gradwright --help` must not wait
    from derive.network_derivation import derivation
    from derive.spec import is_any_depth, one_hidden_layer

    if is_any_depth(spec):
        _refuse_for_any_depth(names=names, hvp=hvp, expand=expand)
        return _recurrence(read(one_hidden_layer(spec)), labels=labels, prove=prove)
    return derivation(read(spec), labels=labels, names=names, hvp=hvp, prove=prove)


def told(
    result: "Derivation | Recurrence", format_: str, *, form: str, steps: bool, expand: bool
) -> str:
    """Return what there is to say of a derivation in a format."""
    from derive.network_derivation import Derivation

    chosen: Literal["matrix", "index"] = "index" if form == "index" else "matrix"
    if isinstance(result, Derivation):
        return result.report(format_, form=chosen, steps=steps, expand=expand)
    return result.report(format_, form=chosen, steps=steps)


def _stability(
    spec: str, read: "Callable[[str], NetworkSpec]", *, format_: str, labels: str
) -> str:
    """Return where formulas as written fail, and what is computed in their place."""
    from derive.errors import InputError
    from derive.spec import is_any_depth
    from derive.stability import compare_forms, stability_report

    if is_any_depth(spec) or format_ != "text":
        what = f"--format {format_}" if format_ != "text" else "N"
        raise InputError(
            f"--explain-stability: it is text about one network, so {what} does not go with it. "
            "Give sizes, for example 2-10-2, and leave --format out."
        )
    network = read(spec)
    return stability_report(compare_forms(network, labels=labels), network)


def _refuse_for_any_depth(*, names: str, hvp: bool, expand: bool) -> None:
    """Refuse what only a network of known depth has."""
    from derive.errors import InputError

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
    if expand:
        raise InputError(
            "--expand: a gradient of any depth is a recurrence, which has no last formula to "
            "write out. Leave --expand out, or give sizes, for example 2-10-2."
        )


def _recurrence(network: "NetworkSpec", *, labels: str, prove: bool) -> "Recurrence":
    from derive.errors import InternalError
    from derive.recurrence import layer_recurrence

    recurrence = layer_recurrence(network, labels=labels, prove=prove)
    if not recurrence.holds:
        raise InternalError(f"the recurrence is not what single networks give\n\n{recurrence}")
    return recurrence


def print_text(text: str) -> None:
    """Write to standard output, whole or not at all.

    Raises
    ------
    InputError
        If its encoding lacks a character.
    """
    try:
        click.echo(text, nl=False)
    except UnicodeEncodeError as error:  # raised before anything is written
        from runtime.errors import InputError

        symbol = error.object[error.start]
        raise InputError(
            f"standard output: its encoding, {error.encoding}, has no {symbol!a}. "
            "Set PYTHONIOENCODING=utf-8, or write to a file with -o."
        ) from error
