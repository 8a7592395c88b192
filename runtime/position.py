"""A point of a run from which it goes on exactly, and the way from there.

The order of the samples in epoch e depends on the seed and on e alone, and everything else a
step reads is the weights and the optimiser's arrays. So these and the number of epochs done
are all there is to a position: no state of a random generator belongs to it, and a run in
several calls of the kernel gives the bits of a run in one. The same fact takes a run back: an
epoch that was passed is reached again from an earlier position.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self, Union, final

import numpy as np
from numpy.typing import NDArray

from codegen.compressed_rows import module_takes_rows
from runtime.blocks.streamed import AnyDataset
from runtime.data.dataset import Dataset
from runtime.errors import InputError
from runtime.settings import Settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from runtime.blocks.streamed_course import StreamedCourse
    from runtime.ranks.communicator import Ranks

Array = NDArray[np.floating[Any]]


@final
@dataclass(slots=True, kw_only=True)
class Position:
    """How far a run is; the kernels change it in place.

    Attributes
    ----------
    epoch
        Epochs done.
    params
        Weights and biases by name.
    state
        The optimiser's arrays, by the names in the module's ``STATE``; empty where it has
        none, or has not begun.
    """

    epoch: int
    params: dict[str, Array]
    state: dict[str, Array]

    def copy(self) -> Self:
        """Return a position that stays when this one moves on."""
        return type(self)(
            epoch=self.epoch,
            params={name: value.copy() for name, value in self.params.items()},
            state={name: value.copy() for name, value in self.state.items()},
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What carries a run from one position to the next.

    Attributes
    ----------
    module
        The emitted module.
    data
        The set, in the type of the settings.
    settings
        With the number of threads that `threads_used` returns: the sums of a step are
        rounded in another way by another number of threads.
    reuse
        What calls of the kernel share: checks of the set's arrays, and the list of the inputs
        that are not 0, which for MNIST takes a quarter of an epoch. So the set must not change.
    ranks
        The processes that train together, all of which do what one does; None: there is one.
    """

    module: ModuleType
    data: Dataset
    settings: Settings
    reuse: dict[str, Any] = field(default_factory=dict, repr=False)
    ranks: "Ranks | None" = None

    def advance(
        self, position: Position, epochs: int, callback: Callable[[Array], object] | None = None
    ) -> None:
        """Train for some epochs, or fewer if `callback` returns true.

        `callback` takes the figures (epochs, 4) of epochs that are done: see the module's
        ``train``. Without one nothing is evaluated.
        """
        done = 0

        def count(rows: Array) -> bool:
            nonlocal done
            done += len(rows)
            return bool(callback is not None and callback(rows))

        data, settings = self.data, self.settings
        with self.together():
            history = self.module.train(
                position.params,
                data.X_train,
                data.Y_train,
                epochs=epochs,
                batch=settings.batch,
                eta=settings.eta,
                seed=settings.seed,
                start=position.epoch,
                state=position.state,
                test=None if callback is None else (data.X_test, data.Y_test),
                threads=settings.threads,
                sparse=settings.sparse,
                reuse=self.reuse,
                callback=None if callback is None else count,
                **self.options,
            )
        position.epoch += len(history)

    @property
    def options(self) -> dict[str, Any]:
        """What the module's ``train`` is told of the optimiser, and of other processes."""
        of_ranks = {} if self.ranks is None else self.ranks.options
        return {**self.settings.training_numbers, **of_ranks}

    def together(self) -> "AbstractContextManager[None]":
        """Return what a call of ``train`` runs in, which other processes wait for."""
        return nullcontext() if self.ranks is None else self.ranks.busy()

    def replay(self, position: Position, epoch: int) -> Position:
        """Return the position after `epoch` epochs, reached again from an earlier one."""
        again = position.copy()
        if epoch > again.epoch:
            self.advance(again, epoch - again.epoch)
        return again


def refuse_sharing(data: AnyDataset) -> None:
    """Raise `InputError` for a set that several processes cannot train on together."""
    if not isinstance(data, Dataset):
        raise InputError(
            f"{data.name}: it is larger than memory, and several processes train together on data "
            "in memory alone. Give more --memory, or train in one process."
        )


AnyCourse = Union[Course, "StreamedCourse"]


def course_of(
    module: ModuleType,
    data: AnyDataset,
    settings: Settings,
    within: Callable[[int, float], object] | None = None,
    ranks: "Ranks | None" = None,
) -> AnyCourse:
    """Return what carries a run over a set on; `within` is told how far a long epoch is.

    Raises
    ------
    InputError
        If there is too little memory for the batches, or several processes were to share blocks.
    """
    if isinstance(data, Dataset):
        if not module_takes_rows(module):
            data = data.as_arrays()
        return Course(module=module, data=data, settings=settings, ranks=ranks)
    from runtime.blocks.streamed_course import StreamedCourse

    if ranks is not None:
        refuse_sharing(data)
    return StreamedCourse(module=module, data=data, settings=settings, within=within)


def threads_used(module: ModuleType, settings: Settings, samples: int) -> int:
    """Return how many threads the kernels take for a whole run on so many samples.

    Asked once and then given to every call: they would take fewer for a call of few epochs.
    """
    if settings.threads is not None:
        return settings.threads
    return int(module.threads_used(samples, epochs=settings.epochs, batch=settings.batch))
