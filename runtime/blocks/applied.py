"""What a trained network is applied to, block by block, where data may be larger than memory."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.blocks.holding_out import HeldOut, hold_out
from runtime.blocks.label_codes import LabelCodes, blocks_of, learn_labels
from runtime.blocks.loading import open_blocks
from runtime.blocks.survey import checksum, refuse_unusable
from runtime.blocks.table import BlockTable
from runtime.data.options import DataOptions
from runtime.data.split import held_out_counts
from runtime.errors import InputError
from runtime.trained import Samples, Trained, refuse_misfit


def block_samples(
    trained: Trained,
    path: Path,
    kind: str,
    options: DataOptions,
    *,
    part: str | None,
    labels: bool,
) -> Iterator[Samples]:
    """Give the samples in a file or folder of a kind of `runtime.blocks.loading`.

    Parameters
    ----------
    trained, options, part, labels
        As for `runtime.trained.load_samples`.
    path, kind
        Where they are.

    Raises
    ------
    InputError
        If the data are missing, damaged, or do not fit the network.
    """
    parts = open_blocks(path, kind, options.label, trained.columns)
    tables = [parts.train]
    if parts.test is not None:
        wanted = {"train": [parts.train], "all": [parts.train, parts.test]}
        tables = wanted.get(part or "test", [parts.test])
    for table in tables:
        refuse_misfit(trained, table.where, table.columns)
    learnt = [_learnt(trained, table) if labels else None for table in tables]
    held = None
    if parts.test is None and part in ("train", "test"):
        held = _drawn_rows(trained, parts.train, part)
    name = " and ".join(table.where for table in tables) + (f", {part} part" if part else "")
    for table, codes in zip(tables, learnt, strict=True):
        for first, last in table.spans():
            found = _block(trained, table, codes, first, last)
            chosen = None
            if held is not None:
                chosen = held.mask(first, last)
                chosen = chosen if part == "test" else ~chosen
            samples = _samples(name, table, first, found, chosen)
            if len(samples.X):
                yield samples


def _learnt(trained: Trained, table: BlockTable) -> LabelCodes:
    if table.labels is None:
        raise InputError(
            f"{table.where}: there are no labels to compare with. Use gradwright predict, or give "
            "data with labels."
        )
    codes = learn_labels(table, trained.aim)
    outputs = int(trained.network.sizes[-1])
    if codes.outputs != outputs:
        raise InputError(
            f"{codes.column.where}: {codes.outputs} targets, and the network has {outputs} outputs."
        )
    return codes


def _drawn_rows(trained: Trained, table: BlockTable, part: str) -> HeldOut:
    """Return the rows for test that the run drew, if these are the same data."""
    record = trained.record.data
    fraction = record.options.get("test_fraction")
    same = isinstance(fraction, float) and table.labels is not None
    if same:
        codes = learn_labels(table, trained.aim)
        same = record.sha256 == {"X": checksum(table), "y": codes.sha256}
    if not same:
        raise InputError(
            f"{table.where}: it has no {part} part, and its data are not those that the run was "
            "trained on. Leave out --part."
        )
    assert isinstance(fraction, float)
    counts = held_out_counts(codes.sizes, fraction, table.where)
    blocks = (codes.codes_of(block, first) for first, block in blocks_of(table, codes.column))
    return hold_out(blocks, codes.sizes, counts, trained.record.seeds.get("data_seed", 0))


Pair = tuple[NDArray[np.floating], NDArray[np.floating] | None]


def _block(
    trained: Trained, table: BlockTable, codes: LabelCodes | None, first: int, last: int
) -> Pair:
    """Return the inputs from one row to another as the network takes them, and their targets."""
    dtype = np.dtype(trained.dtype)
    raw = table.read(first, last)
    refuse_unusable(table, first, raw, dtype)
    X = raw.astype(dtype)
    trained.scale(X)
    if not np.isfinite(X).all():
        raise InputError(f"{table.where}: scaled inputs are beyond the range of {trained.dtype}.")
    return X, None if codes is None else codes.matrix(first, last, dtype)


def _samples(
    name: str, table: BlockTable, first: int, pair: Pair, chosen: NDArray[np.bool_] | None
) -> Samples:
    rows = np.arange(first, first + len(pair[0]))
    X, Y = pair
    if chosen is not None:
        rows, X, Y = rows[chosen], X[chosen], None if Y is None else Y[chosen]
    return Samples(name=name, X=X, Y=Y, place=partial(_place, table.where, rows))


def _place(where: str, rows: NDArray[np.intp], row: int) -> str:
    return f"sample {rows[row]} of {where} (counted from 0)"
