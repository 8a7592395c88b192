"""``gradwright bench``: our kernels and other people's tools, in turn, on the same work."""

import sys

import click

from runtime.commands.objective import objective_options

EPILOG = """\b
Examples:
  gradwright bench circles
  gradwright bench mnist --against torch --repeats 9
  gradwright bench mnist --sparse never
  gradwright bench circles --against c
  gradwright bench 784-256-256-10 --batch 128
  gradwright bench 8-64:relu-1 --loss mse --against torch --format json

\b
Every contender has a process of its own, bound to the same processors, and they
take turns, so that only the ratios count: the peer's time over ours, turn by
turn. Run it on a machine that is otherwise idle.
"""


@click.command("bench", epilog=EPILOG)
@click.argument("target", metavar="circles|mnist|SPEC")
@click.option(
    "--against",
    metavar="PEER,…",
    help="torch, numpy, c. [all that are installed and can compute the network; c, which is "
    "what generate --target c writes, on request]",
)
@click.option("--threads", type=int, default=1, show_default=True, help="Of each contender.")
@click.option("--repeats", type=int, default=5, show_default=True, help="Turns of each.")
@click.option("--batch", type=int, help="Samples per step. [circles 10, mnist and SPEC 100]")
@click.option(
    "--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True
)
@click.option(
    "--sparse",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Whether our kernels skip inputs that are 0, as in gradwright train.",
)
@objective_options
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json holds every single figure.",
)
def command(
    target: str,
    *,
    against: str | None,
    threads: int,
    repeats: int,
    batch: int | None,
    dtype: str,
    sparse: str,
    loss: str | None,
    define: tuple[str, ...],
    l2: float | None,
    labels: str,
    format_: str,
) -> None:
    """Time training by generated kernels against other tools.

    The work is that of circles (2-10-2, batch 10, 150 epochs) or mnist (784-100-10, batch
    100, one epoch), or of a network SPEC on 2,000 samples of synthetic data. Shuffles are
    included, evaluation is not.
    """
    from derive.spec import DEFAULT_LOSS
    from runtime.bench.turns import run_bench

    live = sys.stderr.isatty()
    result = run_bench(
        target,
        against=None if against is None else [name.strip() for name in against.split(",")],
        threads=threads,
        repeats=repeats,
        batch=batch,
        dtype=dtype,
        sparse=sparse,
        loss=DEFAULT_LOSS if loss is None else loss,
        define=define,
        l2=l2 or 0.0,
        labels=labels,
        say=(lambda message: click.echo(message, err=True)) if live else None,
    )
    for name, reason in result.left_out.items():
        click.echo(f"{name} is left out: {reason}", err=True)
    if format_ == "json":
        click.echo(result.to_json(), nl=False)
    else:
        click.echo(str(result))
    if result.disturbed:
        click.echo(
            f"other programmes used {result.others:.2f} processors meanwhile, so these figures "
            "are rough: run it again on an idle machine",
            err=True,
        )
