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
    from collections.abc import Callable

    from runtime.blocks.streamed import StreamedDataset
    from runtime.data.dataset import Dataset
    from runtime.data.options import DataOptions

_ENDINGS = (".mat", ".csv", ".npz", ".tsv", ".npy", ".parquet", ".pq", ".zarr")
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

    @property
    def is_generated(self) -> bool:
        """Whether a seed draws it."""
        return self.path is None and self.name in ("circles", *_PLANAR)

    @property
    def is_downloaded(self) -> bool:
        """Whether its files are published, and fetched where they are not here."""
        return self.path is None and self.name in _IMAGES

    def load(self, options: "DataOptions | None" = None) -> "Dataset":
        """Return the set as `open` does, in memory.

        Raises
        ------
        InputError
            As `open` does; or if the set is larger than memory.
        RunError
            As `open` does.
        """
        from runtime.data.dataset import Dataset

        data = self.open(options)
        if not isinstance(data, Dataset):
            raise InputError(
                f"{data.name}: it is larger than memory, and this needs it there. Give fewer rows; "
                "gradwright train, predict and evaluate read it block by block."
            )
        return data

    def open(
        self,
        options: "DataOptions | None" = None,
        tell: "Callable[[float], object] | None" = None,
    ) -> "Dataset | StreamedDataset":
        """Generate, read or download the set, scale it, and hold rows out for test.

        `tell` is called with the share of a large set that has been read.

        Raises
        ------
        InputError
            If it is missing, damaged, not to be had, or does not suit the options.
        RunError
            If the disk fills up during a download.
        """
        from runtime.data.options import DataOptions
        from runtime.data.user_file import load_file, scaled

        chosen = options or DataOptions()
        if self.path is not None:
            return load_file(self.path, self.name, chosen, tell)
        data = self._load_named(chosen)
        data = data if chosen.dtype in (None, data.X_train.dtype) else data.astype(chosen.dtype)
        data = data.with_one_output() if chosen.aim.outputs == 1 else data
        return scaled(data, chosen.scale)

    def _load_named(self, options: "DataOptions") -> "Dataset":
        from runtime.data.circles import circles
        from runtime.data.mnist import FASHION_MNIST, MNIST, load_images
        from runtime.data.planar import planar_set

        if self.name in _IMAGES:
            images = MNIST if self.name == "mnist" else FASHION_MNIST
            return load_images(
                images,
                data_dir=options.data_dir,
                offline=options.offline,
                sparse=options.sparse if options.scale == "none" else "never",
            )
        if self.name in _PLANAR:
            return planar_set(self.name, options.data_seed)
        return circles(options.data_seed)


_PLANAR = ("moons", "spirals", "blobs", "xor")
_IMAGES = ("mnist", "fashion-mnist")
SETS: Mapping[str, Choice] = {
    "circles": Choice(name="circles", shape=(2, 2), spec="2-10-2"),
    "mnist": Choice(name="mnist", shape=(784, 10), spec="784-100-10", epochs=10, batch=100),
    "fashion-mnist": Choice(
        name="fashion-mnist", shape=(784, 10), spec="784-100-10", epochs=10, batch=100
    ),
    # networks and epochs that solve them at the default learning rate: see the README
    "moons": Choice(name="moons", shape=(2, 2), spec="2-10-2", epochs=1000),
    "spirals": Choice(name="spirals", shape=(2, 2), spec="2-32-32-2", epochs=2000),
    "blobs": Choice(name="blobs", shape=(2, 3), spec="2-10-3", epochs=50),
    "xor": Choice(name="xor", shape=(2, 2), spec="2-10-2", epochs=1000),
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
    # os.path, not Path: a name that is too long is no file, and no error either; what is there
    # but is no file, such as a pipe or a link that leads nowhere, is refused in words later
    if path.suffix.lower() in _ENDINGS or os.path.lexists(data):
        name = path.resolve().name if path.name in ("", "..") else path.stem
        return Choice(name=name or "data", path=path)
    given = shown(data if len(data) <= _LONGEST else f"{data[:_LONGEST]}...")
    close = difflib.get_close_matches(data.lower(), SETS, n=1, cutoff=0.7)
    hint = f' Did you mean "{close[0]}"?' if close else ""
    if data[:1].isdigit() and "-" in data:
        hint = f" Is it the network? Then write: gradwright train circles {given}"
    raise InputError(
        f"data: {given} is not known.{hint} Known: {', '.join(SETS)}, or the path of a CSV, NPZ, "
        "NPY, Parquet or MATLAB file, of a Zarr store, or of a folder of IDX or NPY files."
    )
