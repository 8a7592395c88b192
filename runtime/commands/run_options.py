"""Options of ``gradwright train`` about its data, and about the folder of a run."""

from collections.abc import Callable
from typing import TypeVar

import click

from runtime.commands.completing import files, folders

Command = TypeVar("Command", bound=Callable[..., object])

_DATA = (
    click.option(
        "--label",
        metavar="NAME",
        help="Column of the labels in CSV or Parquet: its name, or its number from 1 where there "
        "is no header [the last]; for an NPY file the file of the labels. [y.npy beside X.npy]",
    ),
    click.option(
        "--test-fraction",
        type=float,
        metavar="F",
        help="Share of the rows held out where there is no test part, by class. [0.2]",
    ),
    click.option(
        "--scale",
        type=click.Choice(["none", "standard", "minmax"]),
        default="none",
        show_default=True,
        help="Bring each input to mean 0 and deviation 1, or to 0 ... 1, over the training part.",
    ),
    click.option(
        "--data-dir",
        shell_complete=folders,
        help="Folder with the files of mnist or fashion-mnist. [$GRADWRIGHT_DATA, or download]",
    ),
    click.option("--offline", is_flag=True, help="Never download."),
)
_FOLDER = (
    click.option(
        "--out",
        metavar="FOLDER",
        shell_complete=folders,
        help="Folder for the results. [runs/DATA, or runs/DATA-2 and so on if there is one]",
    ),
    click.option("--overwrite", is_flag=True, help="Replace the run that is in the folder."),
    click.option(
        "--resume",
        is_flag=True,
        help="Go on with the run in the folder; begin where there is none yet.",
    ),
    click.option(
        "--from",
        "from_",
        metavar="RUN.JSON",
        shell_complete=files,
        help="Do the run of a record again, but for the options that are given. DATA may be left "
        "out.",
    ),
    click.option(
        "--checkpoint-every",
        type=int,
        metavar="N",
        help="Write a checkpoint every N epochs, or a multiple of N where the disk would hold "
        "training up. [by time: every 2 seconds at most, and at the end]",
    ),
)


def memory_option(command: Command) -> Command:
    """Add the option that says how much memory data may take."""
    return click.option(
        "--memory",
        metavar="SIZE",
        callback=_memory,
        help="What data in NPY, Parquet or Zarr may take, such as 2GB; a larger set is read block "
        "by block. [half of what is free]",
    )(command)


def _memory(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    del context, parameter
    if value is None:
        return None
    from runtime.blocks.memory import memory_size

    return memory_size(value)


def data_options(command: Command) -> Command:
    """Add the options that say where data are, and what is done with them."""
    for option in reversed(_DATA):
        command = option(command)
    return command


def folder_options(command: Command) -> Command:
    """Add the options that say where a run is kept, and from where it goes on."""
    for option in reversed(_FOLDER):
        command = option(command)
    return command
