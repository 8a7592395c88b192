"""``gradwright predict``: what a trained network says about data, as CSV."""

from typing import TYPE_CHECKING

import click

from runtime.commands import completing
from runtime.commands.applied import applied_options, data_options

if TYPE_CHECKING:
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

    from runtime.files import shown, write_atomically
    from runtime.messages import say
    from runtime.trained import load_samples, load_trained

    trained = load_trained(Path(folder))
    options = data_options(trained, label, data_seed, data_dir, offline)
    samples = load_samples(trained, data, options, part=part, labels=False)
    text = prediction_csv(trained, samples)
    if output is None:
        click.echo(text, nl=False, color=True)  # else it would take codes out of labels
    else:
        write_atomically(output, text)
        say(f"{shown(output)} is written")
    return 0


def prediction_csv(trained: "Trained", samples: "Samples") -> str:
    """Return the predictions for all samples as CSV.

    Raises
    ------
    RunError
        If an output is not finite.
    """
    import csv
    import io

    import numpy as np

    from runtime.evaluation import outputs_of, predicted_labels
    from runtime.trained import kernels_of

    P = outputs_of(kernels_of(trained), trained.params, samples.X, samples.place)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not trained.classes:
        k = P.shape[1]
        writer.writerow(["prediction"] if k == 1 else [f"prediction_{n + 1}" for n in range(k)])
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
    writer.writerow(["class", *columns])
    for label, row in zip(predicted.tolist(), P, strict=True):
        writer.writerow([trained.classes[label], *map(str, row)])
    return text.getvalue()
