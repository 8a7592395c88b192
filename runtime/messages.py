"""What a command says while it works: on standard error, and never in the way of the work."""

import contextlib
import os
import sys
from collections.abc import Iterator

import click

_quiet = [False]


@contextlib.contextmanager
def nothing_said(*, quiet: bool = True) -> Iterator[None]:
    """Drop every message inside the block, if `quiet`; errors are told after it."""
    before, _quiet[0] = _quiet[0], quiet or _quiet[0]
    try:
        yield
    finally:
        _quiet[0] = before


def say(message: str) -> None:
    """Write a message to standard error.

    A reader who has gone away (``2>&1 | head -1``) or a full disk behind standard error is
    no reason to lose a training run: such a message is dropped.
    """
    if _quiet[0]:
        return
    with contextlib.suppress(OSError):
        click.echo(message, err=True)


def say_at_once(message: str) -> None:
    """Write a message to standard error from a signal handler.

    The handler may have interrupted a write to the same stream, which cannot be entered
    twice; so this goes round it. On a terminal it starts a line below a bar.
    """
    text = f"\n{message}\n" if is_live() else f"{message}\n"
    # not the number 2: that may be another file where standard error is closed
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.write(sys.stderr.fileno(), text.encode("ascii", "backslashreplace"))


def is_live() -> bool:
    """Tell whether standard error is a terminal on which lines may be drawn over."""
    dumb = os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))
    return sys.stderr is not None and sys.stderr.isatty() and not dumb
