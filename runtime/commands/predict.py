"""``gradwright predict``: what a trained network says about data, as CSV."""

from itertools import chain
from typing import TYPE_CHECKING

import click

from runtime.commands import completing
from runtime.commands.applied import applied_options, data_options

if TYPE_CHECKING:
    from types import ModuleType

    from runtime.trained import Samples, Trained

EPILOG = """\b
Examples:
  gradwright predict runs/circles circles
  gradwright predict runs/iris new.csv
  gradwright predict runs/iris new.csv -o answers.csv
  gradwright predict runs/house more.npz | head

\b
The first line is a header: class,p(A),p(B),... for probabilities, class,A,B,...
for other outputs, and prediction (or prediction_1, ...) for real targets.
"""


@click.command("predict", epilog=EPILOG)
@click.argument("folder", shell_complete=completing.folders)
@click.argument("data", shell_complete=completing.data)
@applied_options
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    shell_complete=completing.files,
    help="Write to FILE, in place of what is there. [stdout]",
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
    output: str | None,
) -> int:
    """Print the class of each sample in DATA, and how probable each class is.

    FOLDER is that of a run, as gradwright train made it; DATA is the name of a set, a CSV
    file, an NPZ archive, a MATLAB file or a folder of IDX files, with labels or without. Rows
    are in the order of the data, and inputs are scaled as those of the training were.
    """
    from pathlib import Path

    from runtime.files import replacing, shown
    from runtime.messages import say
    from runtime.trained import kernels_of, load_trained, samples_by_block

    trained = load_trained(Path(folder))
    options = data_options(trained, label, data_seed, data_dir, offline)
    samples = samples_by_block(trained, data, options, part=part, labels=False)
    first, module = next(samples), kernels_of(trained)
    texts = (
        prediction_csv(trained, module, some, header=some is first)
        for some in chain([first], samples)
    )
    if output is None:
        for text in texts:
            click.echo(text, nl=False, color=True)  # else it would take codes out of labels
        return 0
    with replacing(output) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        for text in texts:
            file.write(text)
    say(f"{shown(output)} is written")
    return 0


def prediction_csv(
    trained: "Trained", module: "ModuleType", samples: "Samples", *, header: bool
) -> str:
    """Return the predictions for samples as CSV, with a header or without.

    Raises
    ------
    RunError
        If an output is not finite.
    """
    import csv
    import io

    import numpy as np

    from runtime.evaluation import outputs_of, predicted_labels

    P = outputs_of(module, trained.params, samples.X, samples.place)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not trained.classes:
        k = P.shape[1]
        names = ["prediction"] if k == 1 else [f"prediction_{n + 1}" for n in range(k)]
        writer.writerows([names] if header else [])
        writer.writerows(map(str, row) for row in P)  # str of a NumPy float: as short as exact
        return text.getvalue()
    predicted = predicted_labels(P, trained.output)
    if trained.output == "log_softmax":
        P = np.exp(P)
    if trained.output == "sigmoid" and P.shape[1] == 1:
        P = np.concatenate([1 - P, P], axis=1)
    if P.shape[1] == 1:
        columns = ["output"]
    elif trained.output in ("softmax", "log_softmax", "sigmoid"):
        columns = [f"p({label})" for label in trained.classes]
    else:
        columns = [str(label) for label in trained.classes]
    writer.writerows([["class", *columns]] if header else [])
    for label, row in zip(predicted.tolist(), P, strict=True):
        writer.writerow([trained.classes[label], *map(str, row)])
    return text.getvalue()
