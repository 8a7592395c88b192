"""Pictures on a screen: in a notebook below its cell, elsewhere on a figure of pyplot's."""

import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, final

from runtime.picture import Blank, blank_figure, house_style, png_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# draws on the figure that a `Blank` gives
Picture = Callable[[Blank], AbstractContextManager["Figure"]]

_NOTEBOOK_DPI = 80  # a picture for each epoch stays in step with training
_WINDOW_DPI = 100
_PAUSE = 1e-3  # seconds: in which a window draws itself


@final
class Screen:
    """Where pictures are shown, one after another, each in the place of the last of its name.

    In a notebook a picture replaces the one of its name that the same cell has shown, so that
    a loop shows one that moves. Elsewhere it is drawn on pyplot's figure of that name, in a
    window if there is one; ``plt.savefig`` afterwards writes it to a file.
    """

    def __init__(self) -> None:
        self._handles: dict[str, tuple[int, Any]] = {}

    def show(self, picture: Picture, name: str) -> None:
        """Show a picture in the place of that name."""
        shell = _notebook_shell()
        if shell is None:
            _show_on_a_figure(picture, name)
        else:
            self._show_in_a_cell(picture, name, shell.execution_count)

    def _show_in_a_cell(self, picture: Picture, name: str, cell: int) -> None:
        from importlib import import_module

        with picture(partial(blank_figure, dpi=_NOTEBOOK_DPI)) as figure:
            png = {"image/png": b64encode(png_bytes(figure)).decode(), "text/plain": f"({name})"}
        if self._handles.get(name, (None,))[0] == cell:
            self._handles[name][1].update(png, raw=True)
        else:
            display = import_module("IPython.display").display
            self._handles[name] = cell, display(png, raw=True, display_id=True)


def _notebook_shell() -> Any:
    """Return IPython's shell where a notebook runs in it, else None."""
    ipython = sys.modules.get("IPython")  # who is in a notebook has imported it
    shell = None if ipython is None else ipython.get_ipython()
    return shell if hasattr(shell, "kernel") else None


@contextmanager
def _figure_of_pyplot(width: float, height: float, *, name: str) -> Iterator["Figure"]:
    from matplotlib import pyplot as plt

    with house_style():
        figure = plt.figure(name, clear=True)
        figure.set_dpi(_WINDOW_DPI)
        figure.set_size_inches(width, height)
        yield figure


def _show_on_a_figure(picture: Picture, name: str) -> None:
    from matplotlib import pyplot as plt

    with picture(partial(_figure_of_pyplot, name=name)) as figure:
        is_window = figure.canvas.required_interactive_framework is not None
    if is_window:
        plt.show(block=False)
        plt.pause(_PAUSE)
