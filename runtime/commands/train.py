"""``gradwright train``: data in, a folder with the trained network and its pictures out."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from runtime.data.dataset import Dataset
    from runtime.history import History
    from runtime.run_folder import RunFolder
    from runtime.training import Settings, TrainResult

EPILOG = """\b
Examples:
  gradwright train circles
  gradwright train circles 2-20:relu-2 --epochs 300 --seed 7
  gradwright train mnist --data-dir ~/mnist --epochs 5
  gradwright train circles --check --dtype float64 --out runs/checked
"""

# what each named set is trained with unless told otherwise: the lab's own
DEFAULTS: dict[str, dict[str, Any]] = {
    "circles": {"spec": "2-10-2", "batch": 10, "epochs": 150},
    "mnist": {"spec": "784-100-10", "batch": 100, "epochs": 10},
}


@click.command("train", epilog=EPILOG)
@click.argument("data")
@click.argument("spec", required=False)
@click.option("--epochs", type=int, help="Passes over the data. [circles 150, mnist 10]")
@click.option("--batch", type=int, help="Samples per step. [circles 10, mnist 100]")
@click.option("--eta", type=float, default=0.03, show_default=True, help="Learning rate.")
@click.option(
    "--loss",
    default="cross-entropy",
    show_default=True,
    metavar="cross-entropy|mse",
    help="Loss of one sample; the mean over the batch is taken.",
)
@click.option(
    "--labels",
    type=click.Choice(["one-hot", "any"]),
    default="one-hot",
    show_default=True,
    help="Whether the derivation may use that a row of labels sums to 1.",
)
@click.option(
    "--init-scale",
    type=float,
    default=0.3,
    show_default=True,
    help="Standard deviation of the initial weights.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Draws weights and order.")
@click.option(
    "--data-seed", type=int, default=0, show_default=True, help="Draws the generated set."
)
@click.option(
    "--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True
)
@click.option("--data-dir", help="Folder with the data's files. [$GRADWRIGHT_DATA, or download]")
@click.option("--offline", is_flag=True, help="Never download.")
@click.option("--out", help="Folder for the results. [runs/DATA, or the next free runs/DATA-2, …]")
@click.option("--overwrite", is_flag=True, help="Replace the run that is in the folder.")
@click.option("--plot/--no-plot", default=True, show_default=True, help="Draw the pictures.")
@click.option("--check", is_flag=True, help="First compare the kernels with PyTorch autograd.")
def command(
    data: str,
    spec: str | None,
    *,
    epochs: int | None,
    batch: int | None,
    loss: str,
    labels: str,
    data_seed: int,
    data_dir: str | None,
    offline: bool,
    out: str | None,
    overwrite: bool,
    plot: bool,
    check: bool,
    **numbers: Any,
) -> int:
    """Train a network on DATA with generated kernels.

    DATA is circles, mnist, or a MATLAB file with Xtrain, Ytrain, Xtest and Ytest. SPEC is
    the network, such as 2-10-2 or 784-100:relu-10; the default is 2-10-2 for circles and
    784-100-10 for mnist.

    The folder then holds model.safetensors (weights), history.csv, run.json, kernels.py
    (the generated module), curves.png and, for two-dimensional data, decision.png.
    """
    from runtime.run_folder import open_run_folder
    from runtime.training import Settings, check_kernels, prepare, run

    defaults = DEFAULTS.get(data, DEFAULTS["circles"])
    settings = Settings(
        epochs=defaults["epochs"] if epochs is None else epochs,
        batch=defaults["batch"] if batch is None else batch,
        **numbers,
    )
    _check_spec(spec or defaults["spec"], loss)
    load, name = _loader(data, data_seed, data_dir, offline)
    with open_run_folder(name, out, overwrite=overwrite) as folder:
        dataset = load()
        network = spec or _default_spec(data, dataset)
        say(f"{network} on {name}: generating and compiling, or loading from the cache …")
        model = prepare(dataset, network, loss=loss, labels=labels, settings=settings)
        if check:
            check_kernels(model, settings)
            say("the kernels agree with PyTorch autograd")
        with _progress(settings.epochs) as report:
            result = run(model, dataset, settings, report)
        _write(folder, result, data_seed=data_seed, labels=labels, plot=plot)
        folder.finish()
        say(f"results are in {folder.path}")
    click.echo(result.history.last_line())
    if result.stopped_by is None:
        return 0
    say(f"stopped after epoch {result.history.epochs} of {settings.epochs}, and saved")
    return 128 + result.stopped_by


def say(message: str) -> None:
    """Write a message to standard error."""
    click.echo(message, err=True)


def _check_spec(spec: str, loss: str) -> None:
    """Refuse a network that cannot be read before anything else is done."""
    from derive.spec import parse_spec

    parse_spec(spec, loss=loss)


def _loader(
    data: str, data_seed: int, data_dir: str | None, offline: bool
) -> tuple[Callable[[], "Dataset"], str]:
    """Return what loads the data, and its name."""
    from runtime.errors import InputError

    if data == "circles":
        from runtime.data.circles import circles

        return (lambda: circles(data_seed)), data
    if data == "mnist":
        from runtime.data.mnist import mnist

        return (lambda: mnist(data_dir, offline)), data
    if data.endswith(".mat"):
        from runtime.data.circles import circles_from_mat

        return (lambda: circles_from_mat(data)), Path(data).stem
    raise InputError(
        f'data: "{data}" is not known. Known: {", ".join(DEFAULTS)}, or the path of a '
        ".mat file with Xtrain, Ytrain, Xtest and Ytest."
    )


def _default_spec(data: str, dataset: "Dataset") -> str:
    if data in DEFAULTS:
        return str(DEFAULTS[data]["spec"])
    return f"{dataset.X_train.shape[1]}-32-{dataset.Y_train.shape[1]}"


class _progress:  # noqa: N801  # used as a function
    """Shows how far training is: a bar on a terminal, a few lines in a pipe."""

    def __init__(self, epochs: int) -> None:
        from tqdm import tqdm

        self.live = sys.stderr.isatty()
        self.epochs = epochs
        self.told = 0
        self.bar = tqdm(
            total=epochs, unit=" epochs", disable=not self.live, leave=False, dynamic_ncols=True
        )

    def __enter__(self) -> Callable[["History"], None]:
        return self.report

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def report(self, history: "History") -> None:
        """Show the figures after the last epoch that is known."""
        done = history.epochs
        figures = (
            f"train loss {history.train_loss[-1]:.4f}, "
            f"test accuracy {100 * history.test_accuracy[-1]:.2f} %"
        )
        if self.live:
            self.bar.set_postfix_str(figures, refresh=False)
            self.bar.update(done - self.bar.n)
        elif done * 10 // max(1, self.epochs) > self.told:
            self.told = done * 10 // max(1, self.epochs)
            say(f"epoch {done} of {self.epochs}: {figures}")


def _write(
    folder: "RunFolder", result: "TrainResult", *, data_seed: int, labels: str, plot: bool
) -> None:
    """Write the files of a run, each whole or not at all; the weights come first."""
    from runtime.model_file import model_bytes

    settings, model, data = result.settings, result.model, result.data
    meta = {
        "spec": model.spec,
        "loss": model.loss,
        "labels": labels,
        "classes": list(data.classes),
        "epochs": result.history.epochs,
        "settings": _settings(settings),
        "data_seed": data_seed,
    }
    folder.write("model.safetensors", model_bytes(model.params, meta))
    folder.write("history.csv", result.history.to_csv())
    folder.write("kernels.py", model.source)
    folder.write("run.json", _record(result, data_seed, labels))
    if plot:
        from runtime.plots import curves_png, decision_png

        title = f"{data.name}, {model.spec}, {result.history.epochs} epochs"
        folder.write("curves.png", curves_png(result.history, title))
        if data.X_train.shape[1] == 2:
            sure = model.module.SPEC.endswith("softmax") or model.loss == "cross-entropy"
            folder.write(
                "decision.png", decision_png(model.predict, data, title, probabilities=sure)
            )


def _settings(settings: "Settings") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(settings)


def _record(result: "TrainResult", data_seed: int, labels: str) -> str:
    from runtime.run_record import DataRecord, RunRecord, platform_facts, versions

    history, data = result.history, result.data
    seeds = {"seed": result.settings.seed, "data_seed": data_seed}
    settings = {**_settings(result.settings), "labels": labels}
    del settings["seed"]
    figures: dict[str, float] = {"epochs": history.epochs}
    if history.epochs:
        figures |= {
            "test_accuracy": float(history.test_accuracy[-1]),
            "test_loss": float(history.test_loss[-1]),
            "train_accuracy": float(history.train_accuracy[-1]),
            "train_loss": float(history.train_loss[-1]),
            "seconds": float(history.seconds[-1]),
        }
    return RunRecord(
        spec=result.model.spec,
        loss=result.model.loss,
        settings=settings,
        seeds=seeds,
        data=DataRecord(name=data.name, sha256=data.sources, classes=data.classes),
        results=figures,
        versions=versions(),
        platform=platform_facts(),
    ).to_json()
