"""Ctrl-C, SIGTERM and a terminal that hangs up: what each does, and when.

Mostly a signal ends the command where it is, by an exception that runs every clean-up on its
way (`signals_raise`). While kernels are compiled it ends the process (`signals_kill`). During
training the first one asks the run to end with its epoch and be saved; a second one ends the
process (`StopRequest`).

To end the process is no exception's work: compiled kernels and the compiler run in a thread
that cannot be stopped, and Python waits for its threads before it exits.
"""

import atexit
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn, final

from runtime.messages import say_at_once

# number -> what has happened to the command
SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_HANG_UP = getattr(signal, "SIGHUP", None)  # Windows has none
if _HANG_UP is not None:
    SIGNALS[_HANG_UP] = "the terminal hung up"
Handler = Callable[[int, FrameType | None], Any]


@final
class Interrupted(BaseException):  # like KeyboardInterrupt, no error
    """A signal asks the command to end.

    Attributes
    ----------
    number
        The signal's number.
    """

    def __init__(self, number: int, more: str = "") -> None:
        super().__init__(SIGNALS.get(signal.Signals(number), "interrupted") + more)
        self.number = number

    @property
    def exit_status(self) -> int:
        """What a shell shows for a process that the signal ended: 130 for Ctrl-C."""
        return 128 + self.number


@contextlib.contextmanager
def signals_raise(*, at_the_end: signal.Handlers | None = None) -> Iterator[None]:
    """Let every signal of `SIGNALS` raise `Interrupted` inside the block.

    Parameters
    ----------
    at_the_end
        What they do afterwards; by default what they did before.
    """

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        del frame
        raise Interrupted(number)

    with _handled_by(stop, at_the_end):
        yield


@contextlib.contextmanager
def signals_kill(abandon: Callable[[], object], note: str) -> Iterator[None]:
    """Let every signal call `abandon`, say `note`, and end the process."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        del frame
        _end_process(number, abandon, f"{Interrupted(number, note)}")

    with _handled_by(stop, None):
        yield


@final
class StopRequest:
    """Collects signals instead of raising; a context manager.

    Attributes
    ----------
    number
        The first signal's number, or None.
    """

    def __init__(self, notice: str | None) -> None:
        """Take over the signals when entered; `notice`, if any, is shown at the first of them."""
        self.number: int | None = None
        self._notice = notice
        self._abandon: Callable[[], object] | None = None
        self._note: Callable[[], str] = str
        self._shielded = False
        self._handlers = contextlib.ExitStack()

    def __enter__(self) -> "StopRequest":
        self._handlers.enter_context(_handled_by(self._receive, None))
        return self

    def __exit__(self, *_: object) -> None:
        self._handlers.close()

    @contextlib.contextmanager
    def running_threads(
        self, abandon: Callable[[], object], note: Callable[[], str]
    ) -> Iterator[None]:
        """Let a second signal call `abandon`, say what `note` gives, and end the process."""
        self._abandon, self._note = abandon, note
        try:
            yield
        finally:
            self._abandon = None

    @contextlib.contextmanager
    def shielded(self) -> Iterator[None]:
        """Let nothing interrupt the block, which must be short."""
        self._shielded = True
        try:
            yield
        finally:
            self._shielded = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.number is None:
            self.number = number
            if self._notice is not None:
                say_at_once(self._notice)
            return
        if self._shielded:
            return
        if self._abandon is None:
            raise Interrupted(number)
        _end_process(number, self._abandon, f"stopped at once{self._note()}")


def _end_process(number: int, abandon: Callable[[], object], message: str) -> NoReturn:
    abandon()
    say_at_once(f"gradwright: {message}")
    atexit._run_exitfuncs()  # they remove temporary folders
    os._exit(128 + number)


@contextlib.contextmanager
def _handled_by(handler: Handler, at_the_end: signal.Handlers | None) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's affair
        return
    # nohup ignores the hang-up on purpose; Ctrl-C is taken even where a shell ignores it
    # for its background jobs: who sends it to this process means it
    numbers = [
        number
        for number in SIGNALS
        if number != _HANG_UP or signal.getsignal(number) != signal.SIG_IGN
    ]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            # None: it was set by something that is not Python
            restored = previous if at_the_end is None else at_the_end
            signal.signal(number, signal.SIG_DFL if restored is None else restored)
