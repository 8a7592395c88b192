"""``gradwright cache``: the compiled kernels on disk."""

import click

EPILOG = """\b
Examples:
  gradwright cache list
  gradwright cache clear
"""


@click.group("cache", epilog=EPILOG)
def command() -> None:
    """List or clear the compiled kernels.

    Kernels are compiled once for each network, and kept in the user's cache folder (or in
    $GRADWRIGHT_CACHE). Clearing it loses nothing: they are compiled again.
    """


@command.command("list")
def list_entries() -> None:
    """List the networks whose kernels are kept."""
    from codegen.cache import cache_folder, entries

    found = entries()
    for entry in found:
        click.echo(f"{entry.name}  {entry.size / 1e6:6.2f} MB  {entry.title}")
    if not found:
        click.echo(f"nothing is kept in {cache_folder()}", err=True)


@command.command("clear")
def clear_entries() -> None:
    """Delete all kept kernels."""
    from codegen.cache import clear

    click.echo(f"{clear()} deleted")


@command.command("where")
def where() -> None:
    """Print the folder in which kernels are kept."""
    from codegen.cache import cache_folder

    click.echo(cache_folder())
