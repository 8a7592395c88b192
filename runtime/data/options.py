"""How a set is to be loaded: what the options of ``gradwright train`` say about data."""

from dataclasses import dataclass, field
from typing import final

from runtime.data.labels import Aim


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedColumns:
    """What is known of a table because a network was trained on one of its kind.

    Attributes
    ----------
    names
        Of the columns that the inputs came from, in their order; empty if they had none.
    label
        Name of the label's column, which may be missing now.
    inputs
        How many inputs the network has: a table of as many columns has no labels.
    """

    names: tuple[str, ...] = ()
    label: str | None = None
    inputs: int | None = None


UNTRAINED = TrainedColumns()  # nothing is known: the table is to train on


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DataOptions:
    """Everything that decides which numbers come out of a set.

    Attributes
    ----------
    data_seed
        Draws a generated set, and the rows that are held out for test.
    data_dir
        Folder with the files of a downloaded set.
    offline
        Never use the network.
    label
        Name of the column of the labels in a CSV file, or its number from 1 where the file
        has no header; None for the last one.
    test_fraction
        Share of the rows that is held out where there is no test part; None for a fifth.
    scale
        One of `runtime.data.scaling.SCALES`.
    memory
        Bytes that data in NPY, Parquet or Zarr may take; None for half of what is free.
    sparse
        Whether inputs may be `runtime.data.sparse_rows.SparseRows`: ``"auto"``, where few of them
        are not 0; ``"always"``; or ``"never"``.
    dtype
        The type to load in; None: as the source has it, float64 for a file.
    aim
        What the network is to make of the labels.
    """

    data_seed: int = 0
    data_dir: str | None = None
    offline: bool = False
    label: str | None = None
    test_fraction: float | None = None
    scale: str = "none"
    memory: int | None = None
    sparse: str = "never"
    dtype: str | None = None
    aim: Aim = field(default_factory=Aim)
