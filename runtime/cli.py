"""The command line. It loads nothing that a command does not need: see `LazyGroup`."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from runtime.errors import GradwrightError, InternalError

# command -> one line for the list of commands; each lives in runtime/commands
COMMANDS = {
    "derive": "Print a network's gradients as formulas, with their derivation.",
    "generate": "Write a module that computes and trains a network.",
    "train": "Train a network with generated kernels.",
    "check": "Compare the generated gradients with PyTorch autograd.",
    "bench": "Time training against other frameworks.",
    "cache": "List or clear the compiled kernels.",
}

EPILOG = """\b
Examples:
  gradwright derive 2-10-2
  gradwright train circles
  gradwright generate 784-100-10 -o network.py
"""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run, so that --help is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"runtime.commands.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command for one that does not exist."""
        from difflib import get_close_matches

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = get_close_matches(args[0], COMMANDS, n=1)
            hint = f' Did you mean "{close[0]}"?' if close else ""
            known = ", ".join(COMMANDS)
            ctx.fail(f'command: "{args[0]}" is not known.{hint} Known: {known}.')
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="gradwright", prog_name="gradwright")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Derive a network's gradients as formulas, generate kernels, and train with them."""
    del debug  # taken out of the arguments by `main`, so that it may stand anywhere


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status: 0, 1, 2, 70, 130 or 143."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    sys.exit(_run([argument for argument in given if argument != "--debug"], debug=debug))


def _run(arguments: list[str], *, debug: bool) -> int:
    try:
        status = cli.main(arguments, prog_name="gradwright", standalone_mode=False)
        sys.stdout.flush()
        return int(status or 0)
    except click.ClickException as error:
        if debug:
            raise
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        return 130
    except BrokenPipeError:
        # whoever read our output has had enough, as in `gradwright derive 2-10-2 | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except GradwrightError as error:
        if debug:
            raise
        _say(str(error))
        if isinstance(error, InternalError):
            _ask_for_report(error)
        return error.exit_status
    except Exception as error:  # the outermost edge: a mistake of ours
        if debug:
            raise
        _say(f"internal error: {type(error).__name__}: {error}")
        _ask_for_report(error)
        return 70


def _say(message: str) -> None:
    click.echo(f"gradwright: {message}", err=True)


def _ask_for_report(error: BaseException) -> None:
    from importlib.metadata import version

    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "unknown"
    click.echo(
        "This is a mistake of gradwright's, not yours. Please report it with the command, this "
        f"message, and: gradwright {version('gradwright')}, Python {sys.version.split()[0]}, "
        f"{where}. --debug shows more.",
        err=True,
    )
