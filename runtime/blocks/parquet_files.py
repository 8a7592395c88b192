"""Tables in Parquet files, read a row group at a time."""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.blocks.packages import load_package
from runtime.blocks.table import BlockParts, BlockTable, LabelColumn
from runtime.data.npy_header import one_line, quoted
from runtime.data.options import TrainedColumns
from runtime.errors import InputError
from runtime.files import path_error, shown

ENDINGS = (".parquet", ".pq")
MAGIC = b"PAR1"
_MOST_FILES = 100_000
_SMALLER = "write them with row_group_size=ROWS"


def is_parquet_folder(folder: Path) -> bool:
    """Tell whether a folder holds Parquet files, by their endings."""
    return bool(_paths(folder))


def open_parquet(path: Path, label: str | None, trained: TrainedColumns) -> BlockParts:
    """Return the table in a Parquet file, or in all files of a folder, in the order of names.

    Parameters
    ----------
    path
        A file, or a folder of files with the same columns.
    label
        Name of the label's column; None for that of `trained`, or else the last.
    trained
        Names of the columns that are read, in this order; all if it has none.

    Raises
    ------
    InputError
        If pyarrow is not installed, a file is damaged, or a column is missing or no number.
    """
    name = shown(path)
    reading = _Reading(
        where=name,
        arrow=load_package("pyarrow", name),
        parquet=load_package("pyarrow.parquet", name),
        paths=_paths(path) if path.is_dir() else [path],
    )
    columns = reading.open()
    if label is not None and label not in columns:
        raise InputError(
            f"{name}: there is no column {quoted(label)}. Its columns: {_listed(columns)}."
        )
    names = trained.names
    at = label or (trained.label if trained.label in columns else None)
    if set(names) <= set(columns):
        others = [column for column in columns if column not in names]
        if at is None and others and len(columns) != trained.inputs:
            at = others[-1]
    else:
        missing = next(column for column in names if column not in columns)
        raise InputError(
            f"{name}: there is no column {quoted(missing)}, with which the network was trained. "
            f"Its columns: {_listed(columns)}."
        )
    wanted = names or tuple(columns)
    used = tuple(column for column in wanted if column != at)
    reading.check_types(used, at)
    edges = np.cumsum([0, *(rows for _, _, rows in reading.groups)], dtype=np.int64)
    rows = int(edges[-1])
    labels = None
    if at is not None:
        label_name = f"{name}, column {quoted(at)}"
        labels = LabelColumn(
            where=label_name,
            read=lambda first, last: reading.labels(first, last, str(at)),
            place=lambda row: f"{label_name}, row {row} (counted from 0)",
        )
    return BlockParts(
        train=BlockTable(
            where=name,
            rows=rows,
            columns=len(used),
            dtype=reading.dtype(used),
            read=lambda first, last: reading.inputs(first, last, used),
            place=lambda row, k: f"{name}, column {quoted(used[k])}, row {row} (counted from 0)",
            labels=labels,
            names=used,
            edges=edges,
            blocks=("row groups", _SMALLER),
        )
    )


@final
@dataclass(slots=True, kw_only=True)
class _Reading:
    """Files that are open one at a time."""

    where: str
    arrow: Any
    parquet: Any
    paths: list[Path]
    groups: list[tuple[int, int, int]] = field(default_factory=list)  # file, group in it, rows
    schema: Any = None
    _marks: list[tuple[int, int]] = field(default_factory=list)  # size and time of each file
    _at: tuple[int, Any] | None = None  # the file that is open
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self) -> list[str]:
        """Read what all files say of themselves; return the names of the columns."""
        for number, path in enumerate(self.paths):
            self._marks.append(_mark(path))
            file = self._file(number)
            schema = file.schema_arrow
            if self.schema is None:
                self.schema = schema
            elif not schema.equals(self.schema):
                raise InputError(
                    f"{shown(path)}: its columns are not those of {shown(self.paths[0])}. Expected "
                    "the same names and types in every file."
                )
            meta = file.metadata
            sizes = [meta.row_group(group).num_rows for group in range(meta.num_row_groups)]
            self.groups += [(number, group, rows) for group, rows in enumerate(sizes) if rows]
        names: list[str] = self.schema.names
        if len(set(names)) < len(names):
            raise InputError(
                f"{self.where}: two columns have one name. Give each a name of its own."
            )
        if not names or not self.groups:
            raise InputError(f"{self.where}: there are no {'rows' if names else 'columns'}.")
        return names

    def check_types(self, inputs: Sequence[str], label: str | None) -> None:
        """Raise `InputError` for the first column of a type that cannot be used."""
        types = self.arrow.types
        for name in inputs:
            kind = self.schema.field(name).type
            if not (types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind)):
                raise InputError(
                    f"{self.where}, column {quoted(name)}: holds {quoted(str(kind))}, expected "
                    "numbers. Remove the column; a label in another column than the last is named "
                    "by --label NAME."
                )
        if label is None:
            return
        kind = self.schema.field(label).type
        kind = kind.value_type if types.is_dictionary(kind) else kind
        known = (
            types.is_floating,
            types.is_integer,
            types.is_boolean,
            types.is_string,
            types.is_large_string,
        )
        if not any(is_of(kind) for is_of in known):
            raise InputError(
                f"{self.where}, column {quoted(label)}: labels of {quoted(str(kind))}, expected "
                "numbers or texts. Choose the column of the labels with --label NAME."
            )

    def dtype(self, inputs: Sequence[str]) -> np.dtype[Any]:
        """Return the type that holds all inputs."""
        kinds = [np.dtype(self.schema.field(name).type.to_pandas_dtype()) for name in inputs]
        return np.result_type(*kinds) if kinds else np.dtype("float64")

    def inputs(self, first: int, last: int, names: Sequence[str]) -> NDArray[Any]:
        """Return the inputs of row groups."""
        block = np.empty((last - first, len(names)), self.dtype(names))
        at = 0
        for number, group, rows in self._groups_of(first, last):
            table = self._read(number, group, list(names))
            for column, name in enumerate(names):
                found = table.column(name)
                self._refuse_nulls(found, name, first + at)
                block[at : at + rows, column] = found.to_numpy()
            at += rows
        return block

    def labels(self, first: int, last: int, name: str) -> NDArray[Any]:
        """Return the labels of row groups."""
        found: list[NDArray[Any]] = []
        at = first
        for number, group, rows in self._groups_of(first, last):
            column = self._read(number, group, [name]).column(name)
            self._refuse_nulls(column, name, at)
            if self.arrow.types.is_dictionary(column.type):
                column = column.cast(column.type.value_type)
            values = column.to_numpy()
            if values.dtype.kind == "O":
                encoded = column.dictionary_encode().combine_chunks()
                texts = np.array(encoded.dictionary.to_pylist(), dtype=str)
                values = texts[encoded.indices.to_numpy()]
            found.append(values)
            at += rows
        return np.concatenate(found)

    def _groups_of(self, first: int, last: int) -> list[tuple[int, int, int]]:
        start, wanted = 0, []
        for number, group, rows in self.groups:
            if first <= start < last:
                wanted.append((number, group, rows))
            start += rows
        assert sum(rows for _, _, rows in wanted) == last - first, "row groups are read whole"
        return wanted

    def _file(self, number: int) -> Any:
        if self._at is None or self._at[0] != number:
            path = self.paths[number]
            if _mark(path) != self._marks[number]:
                raise InputError(f"{shown(path)}: it was changed while it was read. Start again.")
            try:
                # memory_map=False: a file that is cut short while it is mapped kills the process
                self._at = number, self.parquet.ParquetFile(path, memory_map=False)
            except (OSError, self.arrow.ArrowException) as error:
                raise self._damaged(path, error) from None
        return self._at[1]

    def _read(self, number: int, group: int, names: list[str]) -> Any:
        with self._lock:
            path = self.paths[number]
            file = self._file(number)
            if _mark(path) != self._marks[number]:
                raise InputError(f"{shown(path)}: it was changed while it was read. Start again.")
            try:
                return file.read_row_group(group, columns=names, use_threads=False)
            except (OSError, self.arrow.ArrowException) as error:
                raise self._damaged(path, error) from None

    def _damaged(self, path: Path, error: BaseException) -> InputError:
        return InputError(
            f"{shown(path)}: no Parquet file, damaged or cut short ({one_line(error)}). Copy or "
            "write it again."
        )

    def _refuse_nulls(self, column: Any, name: str, first: int) -> None:
        if column.null_count:
            row = first + int(np.argmax(column.is_null().to_numpy()))
            raise InputError(
                f"{self.where}, column {quoted(name)}, row {row} (counted from 0): the value is "
                "missing. Fill it in, or remove the row."
            )


def _mark(path: Path) -> tuple[int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116
    except FileNotFoundError:
        raise InputError(f"{shown(path)}: there is no such file. Check the path.") from None
    except OSError as error:
        raise path_error(error, path, "read") from error
    return status.st_size, status.st_mtime_ns


def _paths(folder: Path) -> list[Path]:
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise path_error(error, folder, "read") from error
    found = [path for path in paths if path.suffix.lower() in ENDINGS and path.is_file()]
    if len(found) > _MOST_FILES:
        raise InputError(f"{shown(folder)}: {len(found)} files; at most {_MOST_FILES} are read.")
    return found


def _listed(names: Sequence[str], most: int = 12) -> str:
    text = ", ".join(map(quoted, names[:most]))
    return text if len(names) <= most else f"{text} and {len(names) - most} more"
