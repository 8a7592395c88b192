"""A set in NPY files, Parquet, Zarr or lazy arrays: in memory if it fits, else block by block."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from runtime.blocks.lazy_arrays import is_zarr_store, lazy_parts, open_zarr
from runtime.blocks.memory import size_text, usual_memory
from runtime.blocks.npy_folder import is_npy_folder, open_npy_file, open_npy_folder
from runtime.blocks.parquet_files import ENDINGS, MAGIC, is_parquet_folder, open_parquet
from runtime.blocks.streamed import StreamedDataset
from runtime.blocks.survey import Tell, survey
from runtime.blocks.table import BlockParts
from runtime.data.dataset import Dataset, Option
from runtime.data.options import UNTRAINED, DataOptions, TrainedColumns
from runtime.data.source import first_bytes
from runtime.errors import InputError
from runtime.files import shown

KINDS = ("npy", "parquet", "zarr")


def block_format(path: Path) -> str | None:
    """Return which of `KINDS` a file or folder is, by its content; None for another one."""
    if path.is_dir():
        if is_zarr_store(path):
            return "zarr"
        if is_npy_folder(path):
            return "npy"
        return "parquet" if is_parquet_folder(path) else None
    first = first_bytes(path, 8)
    if first.startswith(b"\x93NUMPY") or path.suffix.lower() == ".npy":
        return "npy"
    is_parquet = first.startswith(MAGIC) or path.suffix.lower() in ENDINGS
    return "parquet" if is_parquet else None


def open_blocks(
    path: Path,
    kind: str,
    label: str | None,
    trained: TrainedColumns = UNTRAINED,
) -> BlockParts:
    """Return the tables in a file or folder of a kind.

    Parameters
    ----------
    path, kind
        What `block_format` said of it.
    label
        What ``--label`` says: a column of Parquet, or a file of labels for NPY.
    trained
        What a network was trained on, for a table that it is applied to.

    Raises
    ------
    InputError
        If it is missing, damaged, or a package is not installed.
    """
    if kind == "parquet":
        return open_parquet(path, label, trained)
    if kind == "npy" and not path.is_dir():
        return open_npy_file(path, label)
    if label is not None:
        raise InputError(
            f"label: {label} was given, and the labels of {shown(path)} have a place of their own. "
            "Leave out --label."
        )
    return open_zarr(path) if kind == "zarr" else open_npy_folder(path)


def load_blocks(
    name: str,
    parts: BlockParts,
    options: DataOptions,
    more: Mapping[str, Option] | None = None,
    tell: Tell | None = None,
) -> Dataset | StreamedDataset:
    """Return a set: in memory if the options let it, else to be read block by block.

    Parameters
    ----------
    name, parts, options, more, tell
        As for `survey`.

    Raises
    ------
    InputError
        If something in it cannot be used, or there is too little memory.
    """
    memory = usual_memory() if options.memory is None else options.memory
    data = survey(name, parts, options, memory, more, tell)
    if data.fits:
        return data.in_memory(options.sparse if data.scaling is None else "never")
    assert data.plan  # which may be refused, and then it is now
    return data


def load_lazy(given: Sequence[object], options: DataOptions) -> Dataset | StreamedDataset:
    """Return the set in arrays ``(X, y)`` or ``(X, y, X_test, y_test)`` that lie elsewhere.

    Raises
    ------
    InputError
        As `load_blocks` does.
    """
    return load_blocks("arrays", lazy_parts(given), options)


def memory_text(data: Dataset | StreamedDataset) -> str | None:
    """Return in words where a set is, that was read with an eye on memory; None for another."""
    memory = data.options.get("memory")
    if not isinstance(memory, int):
        return None
    rows = data.train_rows + data.test_rows
    size = size_text(rows * (data.inputs + data.outputs) * data.dtype.itemsize)
    limit = f"the {size_text(memory)} that data may take (--memory)"
    if isinstance(data, Dataset):
        return f"{size} of data fit into {limit}"
    plan = data.plan
    blocks = len(plan.edges) - 1
    together = max(1, round(blocks * min(1, plan.buffer / data.train_rows)))
    text = f"{size} of data are more than {limit}: read in {blocks:,} blocks, {together:,} of them"
    return f"{text} shuffled at a time"
