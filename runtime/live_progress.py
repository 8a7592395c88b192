"""How far training is: a bar on a terminal, a few plain lines anywhere else."""

import contextlib
import math
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self, final

from runtime.messages import is_live, say

if TYPE_CHECKING:
    from runtime.training import Progress

# short enough to leave room for the ^C that a terminal writes behind it
_BAR = "{percentage:3.0f} % |{bar:16}| {n_fmt} of {total_fmt} epochs, {remaining} left{postfix}"
LINES = 10  # at most so many, one for each tenth of the epochs


@final
class LiveProgress:
    """Shows a run's `Progress` on standard error; a context manager."""

    def __init__(self, epochs: int, done: int = 0) -> None:
        """Prepare to show `epochs` epochs, of which some were done before."""
        from tqdm import tqdm

        self.live = is_live()
        self._told = done * LINES // epochs
        self._bar = tqdm(
            total=epochs,
            initial=done,
            bar_format=_BAR,
            disable=not self.live,
            leave=False,
            file=sys.stderr,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._bar.close()

    def show(self, progress: "Progress") -> None:
        """Show the figures after the last epoch that is complete."""
        figures = (
            f"train loss {progress.train_loss:.4f}, "
            f"test accuracy {100 * progress.test_accuracy:.2f} %"
        )
        if math.isnan(progress.test_accuracy):  # a regression has none
            figures = f"train loss {progress.train_loss:.4g}, test loss {progress.test_loss:.4g}"
        if self.live:
            with contextlib.suppress(OSError):  # a terminal that has gone away
                self._bar.set_postfix_str(figures, refresh=False)
                self._bar.update(progress.epoch - self._bar.n)
            return
        tenths = progress.epoch * LINES // progress.epochs
        if tenths > self._told:
            self._told = tenths
            say(f"epoch {progress.epoch} of {progress.epochs}: {figures}")
