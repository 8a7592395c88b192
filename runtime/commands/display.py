"""What ``gradwright train`` shows: while it runs, at its end, and in pictures."""

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, final

import click

from runtime.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.blocks.streamed import AnyDataset
    from runtime.live_progress import Style
    from runtime.result import TrainResult
    from runtime.snapshots import Snapshots

Command = TypeVar("Command", bound=Callable[..., object])

_OPTIONS = (
    click.option("--plot/--no-plot", default=True, show_default=True, help="Draw the pictures."),
    click.option(
        "--plot-format",
        type=click.Choice(["png", "svg"]),
        default="png",
        show_default=True,
        help="Format of the pictures.",
    ),
    click.option("--log-scale", is_flag=True, help="Draw the loss on a logarithmic scale."),
    click.option(
        "--animate",
        is_flag=True,
        help="Draw how the decision came about, decision.gif; for two inputs.",
    ),
    click.option(
        "--gradient-norms",
        is_flag=True,
        help="Measure how long the gradient of each layer is, and draw it: gradient_norms.png.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="Print the last line, and errors."),
    click.option(
        "--json-lines",
        is_flag=True,
        help="Print JSON in place of the last line: an object for each report, and the result.",
    ),
)


def display_options(command: Command) -> Command:
    """Add the options that decide what is shown, and nothing about the result."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """These options, by name.

    Raises
    ------
    InputError
        If they contradict each other.
    """

    plot: bool
    plot_format: str
    log_scale: bool
    animate: bool
    gradient_norms: bool
    quiet: bool
    json_lines: bool

    def __post_init__(self) -> None:
        for name in ("animate", "gradient_norms", "log_scale"):
            if getattr(self, name) and not self.plot:
                option = f"--{name.replace('_', '-')}"
                raise InputError(f"{option} is about a picture. Leave it out, or --no-plot.")

    @property
    def style(self) -> "Style | None":
        """How progress is shown; None: as fits where it goes."""
        return "json" if self.json_lines else "none" if self.quiet else None

    @property
    def pictures(self) -> dict[str, Any]:
        """What `runtime.run_output.run_files` is told."""
        return {
            "plot": self.plot,
            "plot_format": self.plot_format,
            "log_scale": self.log_scale,
        }

    def refuse_misfit(self, dataset: "AnyDataset") -> None:
        """Raise `InputError` if there is nothing to animate in a set."""
        inputs = dataset.inputs
        if self.animate and (inputs != 2 or dataset.is_regression):
            what = "real targets" if inputs == 2 else f"{inputs} inputs"
            raise InputError(
                f"--animate: {dataset.name} has {what}; it draws how two inputs are told apart."
            )

    def snapshots(self, epochs: int) -> "Snapshots":
        """Return what looks at the run on its way."""
        from runtime.snapshots import Snapshots

        return Snapshots(
            epochs=epochs,
            animate=self.animate,
            gradient_norms=self.gradient_norms,
            scores=self.plot,
        )

    def tell_result(self, result: "TrainResult", folder: "Path", files: Iterable[str]) -> None:
        """Print the last line on standard output."""
        if not self.json_lines:
            click.echo(result.last_line())
            return
        from runtime.live_progress import json_line

        history, at = result.history, result.epoch - 1
        figures = {
            name: float(values[at]) if len(values) else math.nan
            for name, values in {
                "train_loss": history.train_loss,
                "train_accuracy": history.train_accuracy,
                "test_loss": history.test_loss,
                "test_accuracy": history.test_accuracy,
                **(result.regression() or {}),
            }.items()
        }
        json_line(
            {
                "event": "result",
                "data": result.data.name,
                "spec": result.model.spec,
                "loss": result.model.loss,
                "epochs": history.epochs,
                "of": result.settings.epochs,
                "best_epoch": result.best,
                "stopped_because": result.stopped_because or None,
                **figures,
                "seconds": float(history.seconds[-1]) if history.epochs else 0.0,
                "folder": os.fspath(folder),
                "files": sorted(files),
            }
        )
