"""``gradwright check``: the kernels against PyTorch autograd."""

import click

from runtime.commands.completing import files, network
from runtime.commands.objective import objective_options, reader

EPILOG = """\b
Examples:
  gradwright check
  gradwright check 784-100:relu-10 --dtype float32
  gradwright check 5-8-3 --loss mse --format json
  gradwright check --kernels network.py

\b
SPEC is the network, such as 2-10-2 or 784-100:relu-10. Each entry of the loss,
the output and the gradients must be within a running rounding error bound of
what PyTorch autograd gives in float64, and finite at extreme inputs. Exit
status 1 means that something is not.
"""

DEFAULT_SPEC = "2-10-2"


@click.command("check", epilog=EPILOG)
@click.argument("spec", required=False, shell_complete=network)
@click.option(
    "--kernels",
    metavar="FILE.py",
    shell_complete=files,
    help="Check the kernels in FILE.py, and take SPEC from it unless given. Runs FILE.py as a "
    "program would; only use files you trust.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float64"]),
    help="Type of the kernels. [float64, or that of the file]",
)
@click.option("--batch", type=int, help="Samples to compare on. [37]")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Draws parameters, inputs and targets."
)
@objective_options
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="A table, or JSON.",
)
@click.pass_context
def command(
    ctx: click.Context,
    spec: str | None,
    kernels: str | None,
    dtype: str | None,
    batch: int | None,
    seed: int,
    loss: str | None,
    define: tuple[str, ...],
    l2: float | None,
    labels: str,
    format_: str,
) -> None:
    """Compare a network's kernels with PyTorch autograd.

    Without --kernels they are generated for SPEC (2-10-2 unless given). Needs PyTorch:
    pip install 'gradwright[torch]'
    """
    # imported here: they load NumPy and more, for which --help must not wait
    from runtime.kernel_file import load_kernels
    from runtime.messages import say
    from runtime.torch_check import DEFAULT_BATCH, check, spec_of
    from runtime.torch_oracle import load_torch

    load_torch()  # before the file is run: nothing is done that could not be compared
    module = None
    if kernels is not None:
        module = load_kernels(kernels)
        network = spec_of(module, spec, loss=loss, define=define or None, l2=l2)
    else:
        network = reader(loss, define, l2)(spec or DEFAULT_SPEC)
    report = check(
        network,
        kernels=module,
        labels=labels,
        dtype=dtype,
        batch=DEFAULT_BATCH if batch is None else batch,
        seed=seed,
    )
    if format_ == "json":
        import json

        click.echo(json.dumps(report.to_json(), indent=2, allow_nan=False))
        for remark in (*report.failures, *report.notes):
            say(remark)
    else:
        click.echo(report.to_text())
    if not report.ok:
        if module is not None and loss is None:
            say(
                f"Compared with the loss {network.loss}; if the kernels have another, "
                "give it with --loss."
            )
        ctx.exit(1)
