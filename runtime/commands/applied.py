"""What the commands share that apply a trained network to data."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from runtime.commands.completing import folders

if TYPE_CHECKING:
    from runtime.data.options import DataOptions
    from runtime.trained import Trained

Command = TypeVar("Command", bound=Callable[..., object])

_OPTIONS = (
    click.option(
        "--label",
        metavar="NAME",
        help="Column of the labels in a CSV file. [that of the training, if it was named]",
    ),
    click.option(
        "--part",
        type=click.Choice(["train", "test", "all"]),
        help="Which rows. [test if the data have a test part of their own, else all]",
    ),
    click.option(
        "--data-seed", type=int, help="Draws the points of a generated set. [that of the training]"
    ),
    click.option(
        "--data-dir",
        shell_complete=folders,
        help="Folder with the files of mnist or fashion-mnist. [$GRADWRIGHT_DATA, or download]",
    ),
    click.option("--offline", is_flag=True, help="Never download."),
)


def applied_options(command: Command) -> Command:
    """Add the options that say which data a trained network is applied to."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def data_options(
    trained: "Trained",
    label: str | None,
    data_seed: int | None,
    data_dir: str | None,
    offline: bool,
) -> "DataOptions":
    """Return how the data are to be read: as in training, unless an option says otherwise."""
    from runtime.data.options import DataOptions
    from runtime.settings import whole_number

    if data_seed is None:
        data_seed = trained.record.seeds.get("data_seed", 0)
    return DataOptions(
        data_seed=whole_number("data_seed", data_seed, 0),
        data_dir=data_dir,
        offline=offline,
        label=label,
        dtype=trained.dtype,
        aim=trained.aim,
    )
