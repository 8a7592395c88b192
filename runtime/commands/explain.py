"""``gradwright explain``: a network's derivation as a worksheet, and its solution."""

from pathlib import Path

import click

from runtime.commands.completing import files, network
from runtime.commands.objective import objective_options

FORMATS = ("text", "markdown", "html", "latex")
SUFFIXES = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".tex": "latex",
}

_EPILOG = """\b
Examples:
  gradwright explain                             # the lab's 2-10-2, on the terminal
  gradwright explain --solution
  gradwright explain -o sheet.html               # and sheet-solution.html
  gradwright explain --names lab -o sheet.tex
  gradwright explain N -o any-depth.html         # any number of hidden layers
  gradwright explain 784-100:relu-50-10 --loss mse --level 1
  gradwright explain --seed 7 -o ada.html        # other numbers for another student
  gradwright explain 2-8:mish-2 --define 'mish(z) = z*tanh(log(1+exp(z)))' -o mish.md

\b
Under the formulas with their blanks stands a small network of the same kind,
worked entry by entry: exact fractions while the arithmetic is rational, and
decimals, marked as rounded, where a function such as tanh leaves it.
"""


@click.command(name="explain", epilog=_EPILOG)
@click.argument("spec", required=False, default="2-10-2", shell_complete=network)
@objective_options
@click.option(
    "--names",
    type=click.Choice(["plain", "lab"]),
    default="plain",
    show_default=True,
    help="lab: Wh bh htilde h Wy by ytilde yhat, with biases (n, 1).",
)
@click.option(
    "--level",
    type=click.IntRange(1, 3),
    default=2,
    show_default=True,
    help="What is left blank: 1 an operand of each gradient and its shape, 2 also the steps that "
    "lead to it, 3 all but the names.",
)
@click.option(
    "--example/--no-example", default=True, show_default=True, help="Work a small network by hand."
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Draws the numbers of the example."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="latex is a document that compiles as it stands, html a page that needs no network. "
    "[by the name of FILE, else text]",
)
@click.option("--solution", is_flag=True, help="The solution alone.")
@click.option(
    "-o",
    "output",
    metavar="FILE",
    shell_complete=files,
    default="-",
    help="Write the worksheet to FILE and the solution beside it, as FILE-solution; with "
    "--solution, the solution to FILE.",
)
def command(
    spec: str,
    loss: str | None,
    define: tuple[str, ...],
    l2: float | None,
    labels: str,
    names: str,
    level: int,
    example: bool,
    seed: int,
    format_: str | None,
    solution: bool,
    output: str,
) -> None:
    """Write a worksheet on the gradients of network SPEC, and its solution."""
    # imported here because it loads SymPy, for which `gradwright --help` must not wait
    from derive.spec import DEFAULT_LOSS
    from derive.worksheets import worksheet

    sheet = worksheet(
        spec,
        loss=DEFAULT_LOSS if loss is None else loss,
        define=define,
        l2=l2 or 0.0,
        labels=labels,
        names=names,
        level=level,
        example=example,
        seed=seed,
    )
    chosen = format_ or SUFFIXES.get(Path(output).suffix.lower(), "text")
    worksheet_text, solution_text = sheet.reports(chosen)
    asked_for = solution_text if solution else worksheet_text
    if output == "-":
        from runtime.commands.derive import print_text

        print_text(asked_for)
        return
    from runtime.files import shown, write_atomically
    from runtime.messages import say

    files = {output: asked_for}
    if not solution and _is_plain(Path(output)):
        files[str(solution_path(Path(output)))] = solution_text
    for path, text in files.items():
        write_atomically(path, text)
    if len(files) > 1:
        say(f"worksheet {' and solution '.join(map(shown, files))}")


def solution_path(path: Path) -> Path:
    """Return where the solution of a worksheet is written: ``sheet-solution.html``."""
    return path.with_name(f"{path.stem}-solution{path.suffix}")


def _is_plain(path: Path) -> bool:
    """Whether a path is a file or will be one: beside a device nothing is written."""
    return path.is_file() or not path.exists()
