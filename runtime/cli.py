"""The command line. It loads nothing that a command does not need: see `LazyGroup`."""

import contextlib
import errno
import gc
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import click

from runtime.errors import GradwrightError, InternalError
from runtime.interruption import Interrupted, signals_raise
from runtime.messages import say
from runtime.ranks.launcher import refuse_launch

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# command -> one line for the list of commands; each lives in runtime/commands
COMMANDS = {
    "derive": "Print a network's gradients as formulas, with their derivation.",
    "explain": "Write a worksheet on a network's gradients, and its solution.",
    "generate": "Write a module that computes and trains a network.",
    "train": "Train a network with generated kernels.",
    "sweep": "Train many times: a grid of settings, each with many seeds.",
    "predict": "Print what a trained network says about data.",
    "evaluate": "Measure a trained network on data with labels.",
    "export": "Write a trained network as an ONNX file.",
    "import": "Read a dense network from an ONNX file.",
    "check": "Compare the generated gradients with PyTorch autograd.",
    "grade": "Say what is right and wrong in a student's file of the lab, and why.",
    "bench": "Time training against other frameworks.",
    "cache": "List or clear the compiled kernels.",
    "completion": "Print what makes a shell complete commands and options.",
}
SHARED = ("train", "bench")  # may be started several times over, by mpiexec
_COMPLETE = "_GRADWRIGHT_COMPLETE"  # set by a shell that asks what may follow
_MODULES = {"import": "import_network"}  # Python's own word names no module

EPILOG = """\b
Examples:
  gradwright derive 2-10-2
  gradwright train circles
  gradwright generate 784-100-10 -o network.py

\b
Exit status: 0 done and right; 1 ran, and something failed or is wrong; 2 input,
option or path unusable; 130 after Ctrl-C, 143 after SIGTERM; 70 a mistake of ours.
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
        command: click.Command = import_module(
            f"runtime.commands.{_MODULES.get(cmd_name, cmd_name)}"
        ).command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Offer the commands of the table, without importing any."""
        from click.shell_completion import CompletionItem

        begun = [name for name in COMMANDS if name.startswith(incomplete)]
        items = [CompletionItem(name, help=COMMANDS[name]) for name in begun]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command for one that does not exist."""
        from difflib import get_close_matches

        known_to_fail = not ctx.resilient_parsing  # else a shell asks what may follow
        if known_to_fail and args and args[0] not in COMMANDS and not args[0].startswith("-"):
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
@click.option("--debug", is_flag=True, help="Show the traceback of an error; may stand anywhere.")
def cli(debug: bool) -> None:
    """Derive a network's gradients as formulas, generate kernels, and train with them."""
    del debug  # taken out of the arguments by `main`, so that it may stand anywhere
    command = click.get_current_context().invoked_subcommand
    if command not in SHARED:
        refuse_launch(f"gradwright {command}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status: 0, 1, 2, 70, 130 or 143."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = given[: given.index("--")] if "--" in given else given
    debug = "--debug" in options
    rest = [argument for argument in options if argument != "--debug"] + given[len(options) :]
    # what was done is told by the status; a signal while Python packs up changes nothing
    at_the_end = signal.SIG_IGN if arguments is None else None
    if _COMPLETE in os.environ:
        import_module("runtime.commands.completion")  # puts its bash in the place of click's
    try:
        with signals_raise(at_the_end=at_the_end):
            status = _run(rest, debug=debug)
    except Interrupted as signalled:  # while an error was being reported
        status = signalled.exit_status
    if arguments is None:
        gc.freeze()  # else Python's last collection walks through all that SymPy made
    sys.exit(status)


def _run(arguments: list[str], *, debug: bool) -> int:
    """Return the exit status; whatever goes wrong is told here, and nowhere else."""
    try:
        status = cli.main(arguments, prog_name="gradwright", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        return int(status or 0)
    except click.ClickException as error:
        _show_traceback(debug)
        with contextlib.suppress(OSError):
            error.show()
        return error.exit_code
    except Interrupted as error:
        _show_traceback(debug)
        say(f"gradwright: {error}")
        return error.exit_status
    except (click.Abort, KeyboardInterrupt):  # not from us, but a library may raise one
        _show_traceback(debug)
        say("gradwright: interrupted")
        return 128 + signal.SIGINT
    except GradwrightError as error:
        _show_traceback(debug)
        if str(error):  # else another process tells it
            say(f"gradwright: {error}")
        if isinstance(error, InternalError):
            _ask_for_report(error)
        return error.exit_status
    except UnicodeEncodeError as error:
        if not _was_printing(error):
            return _our_mistake(error, debug)
        _show_traceback(debug)
        say(
            f"gradwright: standard output: its encoding, {error.encoding}, has no "
            f"{error.object[error.start]!a}. Set PYTHONIOENCODING=utf-8."
        )
        return 2
    except MemoryError:
        _show_traceback(debug)
        say("gradwright: there is not enough memory. Use a smaller network or less data.")
        return 1
    except OSError as error:
        if not _concerns_output(error):
            return _our_mistake(error, debug)
        if error.errno != errno.EPIPE:  # else whoever read our output has had enough
            say(f"gradwright: standard output: cannot be written: {error.strerror}.")
        return 1
    except Exception as error:  # noqa: BLE001  # the outermost edge: a mistake of ours
        return _our_mistake(error, debug)


def _show_traceback(debug: bool) -> None:
    if debug:
        with contextlib.suppress(OSError):
            traceback.print_exc()


def _was_printing(error: BaseException) -> bool:
    """Tell whether it was raised while text went to a stream: click writes all that we print."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(frame.f_code is click.echo.__code__ for frame in frames)


def _concerns_output(error: OSError) -> bool:
    """Tell whether an error came from a stream; errors about files name the file."""
    kinds = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EBADF)
    return error.filename is None and error.errno in kinds


def _our_mistake(error: BaseException, debug: bool) -> int:
    _show_traceback(debug)
    say(f"gradwright: internal error: {type(error).__name__}: {error}")
    _ask_for_report(error)
    return InternalError.exit_status


def _ask_for_report(error: BaseException) -> None:
    from importlib import metadata

    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "unknown"
    try:
        version = metadata.version("gradwright")
    except metadata.PackageNotFoundError:
        version = "(not installed)"
    say(
        "This is a mistake of gradwright's, not yours. Please report it with the command, this "
        f"message, and: gradwright {version}, Python {sys.version.split()[0]}, {where}. "
        "--debug shows more."
    )
