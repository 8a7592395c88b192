"""Telling for whom a benchmark waits, and how it can go on."""

import contextlib
import sys
from types import TracebackType
from typing import Any, Self, final

from runtime.bench.others import Waiting
from runtime.messages import is_live, say


@final
class LiveWaiting:
    """Says it once on standard error, and on a terminal how it goes on; a context manager."""

    def __init__(self) -> None:
        self._is_told = False
        self._line: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.tell(None)

    def tell(self, waiting: Waiting | None) -> None:
        """Say for whom it is waited, or wipe the line when that is over."""
        if waiting is None:
            if self._line is not None:
                self._line.close()
                self._line = None
            return
        if not self._is_told:
            self._is_told = True
            say(
                f"waiting for other programmes, {waiting.patience:g} seconds in all at most: "
                f"{waiting}. Stop them, or measure beside them with --wait 0; several threads may "
                "then take many times as long."
            )
        if is_live():
            with contextlib.suppress(OSError):  # a terminal that has gone away
                if self._line is None:
                    self._line = _line()
                self._line.set_description_str(
                    f"waited {waiting.seconds:.0f} of {waiting.patience:g} s: {waiting}"
                )


def _line() -> Any:
    """Return a line that is drawn over, as wide as the terminal at most, and wiped at the end."""
    from tqdm import tqdm

    return tqdm(bar_format="{desc}", leave=False, dynamic_ncols=True, file=sys.stderr)
