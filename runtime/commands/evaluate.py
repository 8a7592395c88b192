"""``gradwright evaluate``: how well a trained network does on data with labels."""

import json
import math
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from runtime.commands import completing
from runtime.commands.applied import applied_options, data_options

if TYPE_CHECKING:
    from runtime.evaluation import Evaluation

EPILOG = """\b
Examples:
  gradwright evaluate runs/mnist mnist
  gradwright evaluate runs/iris more.csv --format json
  gradwright evaluate runs/iris iris.csv --part test
"""

_MOST_SHOWN = 20  # classes of a confusion matrix in text
_LONGEST = 16  # characters of a class there


@click.command("evaluate", epilog=EPILOG)
@click.argument("folder", shell_complete=completing.folders)
@click.argument("data", shell_complete=completing.data)
@applied_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people, or for programmes.",
)
def command(
    folder: str,
    data: str,
    *,
    label: str | None,
    part: str | None,
    data_seed: int | None,
    data_dir: str | None,
    offline: bool,
    form: str,
) -> int:
    """Print loss, accuracy and confusion matrix of a trained network, or how far it is off.

    FOLDER is that of a run, as gradwright train made it; DATA is the name of a set, or a path
    as for train, with labels that the network knows. --part test of the file that the run was
    trained on are the rows that were held out.
    """
    from pathlib import Path

    from runtime.evaluation import evaluate
    from runtime.trained import kernels_of, load_trained, samples_by_block

    trained = load_trained(Path(folder))
    options = data_options(trained, label, data_seed, data_dir, offline)
    samples = samples_by_block(trained, data, options, part=part, labels=True)
    first = next(samples)
    found = evaluate(
        kernels_of(trained),
        trained.params,
        ((some.X, some.Y) for some in chain([first], samples) if some.Y is not None),
        output=trained.output,
        classes=len(trained.classes),
    )
    if form == "json":
        click.echo(json.dumps(to_json(found, trained.classes), indent=2, ensure_ascii=False))
    else:
        click.echo(f"{trained.record.spec} on {first.name}: {found.samples} samples")
        click.echo(to_text(found, trained.classes))
    return 0


def to_json(found: "Evaluation", classes: tuple[int | str, ...]) -> dict[str, Any]:
    """Return the figures for programmes; what is not finite is null."""
    figures: dict[str, Any] = {"samples": found.samples, "loss": _finite(found.loss)}
    if found.confusion is None:
        return figures | {"rmse": _finite(found.rmse), "r2": _finite(found.r2)}
    return figures | {
        "accuracy": found.accuracy,
        "classes": list(classes),
        "confusion": found.confusion.tolist(),
    }


def to_text(found: "Evaluation", classes: tuple[int | str, ...]) -> str:
    """Return the figures for people."""
    from runtime.history import figure_text

    lines = [f"loss      {figure_text(found.loss)}"]
    if found.confusion is None:
        r2 = "undefined: the targets are all the same"
        r2 = r2 if math.isnan(found.r2) else f"{found.r2:.4f}"
        return "\n".join([*lines, f"RMSE      {figure_text(found.rmse)}", f"R²        {r2}"])
    right = int(found.confusion.trace())
    lines += [f"accuracy  {100 * found.accuracy:.2f} %  ({right} of {found.samples})", ""]
    if len(classes) > _MOST_SHOWN:
        return "\n".join([*lines, *_commonest(found, classes)])
    names = [_short(label) for label in classes]
    width = max(map(len, [*names, str(found.confusion.max())]))
    first = max(map(len, names))
    lines.append("confusion matrix: a row for each true class, a column for each predicted one")
    lines.append(" ".join([" " * (first + 2), *(name.rjust(width) for name in names)]))
    for name, row in zip(names, found.confusion.tolist(), strict=True):
        cells = [str(count).rjust(width) for count in row]
        lines.append(" ".join([f"  {name.rjust(first)}", *cells]))
    return "\n".join(lines)


def _commonest(found: "Evaluation", classes: tuple[int | str, ...]) -> list[str]:
    """Return the mistakes made most often: a table of so many classes fits no screen."""
    assert found.confusion is not None
    counts = {
        (true, guess): count
        for true, row in enumerate(found.confusion.tolist())
        for guess, count in enumerate(row)
        if true != guess and count
    }
    worst = sorted(counts, key=lambda pair: (-counts[pair], pair))[:_MOST_SHOWN]
    lines = ["most common mistakes (--format json has the whole confusion matrix)"]
    for true, guess in worst:
        names = f"{_short(classes[true])} taken for {_short(classes[guess])}"
        lines.append(f"  {counts[true, guess]:>6}  {names}")
    return lines


def _short(label: int | str) -> str:
    # a label is a stranger's text: it must not reach the terminal as a command
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(label))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
