"""The sets that are known by name, what each is trained with, and how to load one."""

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from runtime.errors import InputError
from runtime.files import shown

if TYPE_CHECKING:
    from runtime.data.dataset import Dataset

_LONGEST = 80  # characters of a wrong name that are shown


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A set that was chosen but not loaded yet, and the lab's settings for it.

    Attributes
    ----------
    name
        What the set, and the folder of a run on it, is called.
    path
        The file it is in, or None for a set that is known by name.
    shape
        Input columns and classes, as far as they are known without loading it.
    spec
        Network to train unless another is given, or None: ``n-32-classes``.
    epochs, batch
        Passes over the training set, and samples per step.
    """

    name: str
    path: Path | None = None
    shape: tuple[int, int] | None = None
    spec: str | None = None
    epochs: int = 150
    batch: int = 10

    def load(
        self, *, data_seed: int = 0, data_dir: str | None = None, offline: bool = False
    ) -> "Dataset":
        """Generate, read or download the set.

        Parameters
        ----------
        data_seed
            Draws a generated set.
        data_dir
            Folder with the files of a downloaded set.
        offline
            Never use the network.

        Raises
        ------
        InputError
            If it is missing, damaged, or not to be had.
        RunError
            If the disk fills up during a download.
        """
        from runtime.data.circles import circles, circles_from_mat
        from runtime.data.mnist import mnist

        if self.path is not None:
            return circles_from_mat(self.path)
        if self.name == "mnist":
            return mnist(data_dir, offline)
        return circles(data_seed)


SETS: Mapping[str, Choice] = {
    "circles": Choice(name="circles", shape=(2, 2), spec="2-10-2"),
    "mnist": Choice(name="mnist", shape=(784, 10), spec="784-100-10", epochs=10, batch=100),
}


def choose(data: str) -> Choice:
    """Return the set of that name, or the one in the file of that path.

    Names win over files: ``./circles`` is a file.

    Raises
    ------
    InputError
        If it is neither.
    """
    if data in SETS:
        return SETS[data]
    path = Path(data)
    # os.path, not Path: a name that is too long is no file, and no error either
    if path.suffix.lower() == ".mat" or os.path.isfile(data):  # noqa: PTH113
        return Choice(name=path.stem, path=path)
    given = shown(data if len(data) <= _LONGEST else f"{data[:_LONGEST]}...")
    close = difflib.get_close_matches(data.lower(), SETS, n=1, cutoff=0.7)
    hint = f' Did you mean "{close[0]}"?' if close else ""
    if data[:1].isdigit() and "-" in data:
        hint = f" Is it the network? Then write: gradwright train circles {given}"
    raise InputError(
        f"data: {given} is not known.{hint} Known: {', '.join(SETS)}, or the path of a "
        "MATLAB file (.mat) with Xtrain, Ytrain, Xtest and Ytest."
    )
