"""Kernels from a file of the user's: imported as a program would be, with clear errors.

The file's code runs, and may do and raise whatever it likes. So each call of it stands in
`foreign_code`, which turns what comes out of it into an `InputError` that names the file.
"""

import sys
from contextlib import ExitStack, redirect_stdout
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Self, final

from runtime.errors import GradwrightError, InputError
from runtime.files import read_text, shown
from runtime.interruption import Interrupted

_MODULE_NAME = "gradwright_checked_kernels"


@final
class foreign_code:  # noqa: N801  # read as a statement: with foreign_code("x.py"): …
    """Run code that is not ours: what it raises becomes an `InputError`, what it prints a message.

    Signals pass, and so do errors of this project. ``sys.exit`` does not: else a file that
    calls it would decide how the command ends.

    Parameters
    ----------
    what
        Whose code it is, to name in the error: ``kernels.py: loss_and_gradients``.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Send what is printed to standard error: standard output is for results."""
        self._stack.enter_context(redirect_stdout(sys.stderr))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Raise `InputError` for whatever was raised."""
        self._stack.close()
        if error is None or isinstance(error, KeyboardInterrupt | Interrupted | GradwrightError):
            return
        if isinstance(error, SystemExit):
            raise InputError(f"{self.what} calls sys.exit. Remove that call.") from error
        raise InputError(f"{self.what} raises {_told(error)}") from error


def load_kernels(path: str) -> ModuleType:
    """Run a Python file and return it as a module; nothing is written beside it.

    Raises
    ------
    InputError
        If it cannot be read, is not Python, or raises.
    """
    read_text(path)  # says clearly what is wrong with a path, or with bytes that are no text
    loader = SourceFileLoader(_MODULE_NAME, str(Path(path).resolve()))
    spec = spec_from_loader(_MODULE_NAME, loader)
    if spec is None:
        raise InputError(f"{shown(path)}: cannot be imported. Give a Python file.")
    module = module_from_spec(spec)
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    sys.modules[_MODULE_NAME] = module  # where dataclasses and Numba look for it
    try:
        with foreign_code(f"{shown(path)}: loading it"):
            loader.exec_module(module)
    except BaseException:
        del sys.modules[_MODULE_NAME]
        raise
    finally:
        sys.dont_write_bytecode = before
    return module


def _told(error: BaseException) -> str:
    """Return an error's kind and first line, and where in the code it arose."""
    text = str(error).strip()
    message = f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
    if isinstance(error, SyntaxError):
        return message  # tells the line itself
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return message
    return f"{message} ({Path(place.tb_frame.f_code.co_filename).name}, line {place.tb_lineno})"
