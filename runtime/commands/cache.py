"""``gradwright cache``: the compiled kernels on disk."""

import os

import click

EPILOG = """\b
Examples:
  gradwright cache list
  gradwright cache clear
  GRADWRIGHT_CACHE=/scratch/me gradwright cache where
"""


@click.group("cache", epilog=EPILOG)
def command() -> None:
    """List or clear the compiled kernels.

    Kernels are derived and compiled once for each network, and kept in the user's cache folder
    (or in $GRADWRIGHT_CACHE). Clearing it loses nothing: they are made again.
    """


@command.command("list", epilog="\b\nExample:\n  gradwright cache list\n")
def list_entries() -> None:
    """List the networks whose kernels are kept, with the room they take."""
    from codegen.cache import cache_folder, entries
    from runtime.files import path_error, shown

    try:
        found = entries()
    except OSError as error:
        raise path_error(error, cache_folder(), "read") from error
    for entry in found:
        click.echo(f"{entry.name}  {entry.size / 1e6:6.2f} MB  {entry.title}")
    if not found:
        click.echo(f"nothing is kept in {shown(cache_folder())}", err=True)


@command.command("clear", epilog="\b\nExample:\n  gradwright cache clear\n")
def clear_entries() -> None:
    """Delete all kept kernels and their sources; they are made again when they are needed."""
    from codegen.cache import cache_folder, clear, entries
    from runtime.errors import RunError
    from runtime.files import path_error, shown

    try:
        number = clear()
        left = len(entries())
    except OSError as error:
        raise path_error(error, cache_folder(), "cleared") from error
    if left:
        raise RunError(
            f"{shown(cache_folder())}: {left} of {number} could not be deleted. Check that "
            "the folder is yours and can be written to."
        )
    click.echo(f"{number} deleted")


@command.command("where", epilog='\b\nExample:\n  ls "$(gradwright cache where)"\n')
def where() -> None:
    """Print the folder in which kernels are kept."""
    from codegen.cache import cache_folder

    # as bytes: a path need not be text in any encoding
    click.echo(os.fsencode(cache_folder()))
