"""Read a table of numbers and a column of labels from a CSV file.

Python's `csv` splits the lines; what is added is that every complaint names line and column.
The separator is the one of ``, ; tab |`` that gives the first row the most cells. The first
row is a header if none of its cells is a number, that of the labels left aside.
"""

import csv
from array import array
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, final

import numpy as np
from numpy.typing import NDArray

from runtime.data.labels import Labels, as_number, labels_from_texts
from runtime.data.options import UNTRAINED, TrainedColumns
from runtime.data.source import MOST_COLUMNS, open_source, refuse_unbearable
from runtime.data.table import Parts, Piece, Table
from runtime.errors import InputError
from runtime.files import shown

SEPARATORS = ",;\t|"
_LONGEST_LINE = 16 << 20  # bytes
_BLOCK = 1 << 22  # numbers in a block: large ones are given back to the system when freed
_SHOWN = 40  # characters of a cell in a message
_OTHER = {
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"\x1f\x8b": "gzip",
    b"\x89HDF": "HDF5",
    b"%PDF": "PDF",
}


def read_csv(
    path: Path,
    *,
    label: str | None = None,
    dtype: str | None = None,
    trained: TrainedColumns = UNTRAINED,
) -> Parts:
    """Return the table in a CSV file, read whole into blocks of the type.

    Parameters
    ----------
    path
        The file: UTF-8, with a header or without.
    label
        Name of the label's column; its number from 1 where there is no header; None for
        that of `trained`, or else the last.
    dtype
        Type of the inputs, float64 unless given.
    trained
        What a network was trained on that the table is for; nothing for a file with labels.

    Raises
    ------
    InputError
        With the file and the line of the first thing that is wrong.
    """
    with open_source(path) as (stream, digest):
        reading = _Reading(path, stream, label, np.dtype(dtype or "float64"), trained)
        table = reading.table()
    if trained.names and table.names:
        _refuse_other_columns(table, trained.names)
    return Parts(train=table, test=None, sources={path.name: digest})


def _refuse_other_columns(table: Table, names: tuple[str, ...]) -> None:
    for column, (found, wanted) in enumerate(zip(table.names, names, strict=False), start=1):
        if found != wanted:
            raise InputError(
                f"{table.where}: input {column} is {_cell(found)}, and the network was trained "
                f"with {_cell(wanted)} there. Put the columns into the order of the training."
            )


class _Lines:
    """Gives the lines of a stream as text, and remembers what is odd about the last one."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.stream, self.name = stream, name
        self.number = 0
        self.offset = 0
        self.odd = (
            False  # whether float() might take what is no number to others; until it is reset
        )

    def __iter__(self) -> Iterator[str]:
        while line := self.stream.readline(_LONGEST_LINE):
            self.number += 1
            yield self._text(line)
            self.offset += len(line)

    def _text(self, line: bytes) -> str:
        if self.number == 1:
            for magic, kind in _OTHER.items():
                if line.startswith(magic):
                    raise InputError(
                        f"{self.name}: it is {kind}, not CSV. Save it as UTF-8 text with commas."
                    )
            line = line.removeprefix(b"\xef\xbb\xbf")
        where = f"{self.name}, line {self.number}"
        if len(line) == _LONGEST_LINE:
            raise InputError(
                f"{where}: more than {_LONGEST_LINE} bytes without a line end. Expected a line "
                "for each sample."
            )
        if (zero := line.find(b"\0")) >= 0:
            raise InputError(
                f"{where}: a zero byte at byte {self.offset + zero} of the file, so it is no "
                "text. Give a CSV file in UTF-8."
            )
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{where}: byte {self.offset + error.start} of the file is not UTF-8. Save the "
                "file as UTF-8."
            ) from None
        self.odd = self.odd or "_" in text or not text.isascii()
        return text


@final
class _Reading:
    """A CSV file on its way to a table."""

    def __init__(
        self,
        path: Path,
        stream: BinaryIO,
        label: str | None,
        dtype: np.dtype[Any],
        trained: TrainedColumns,
    ) -> None:
        self.name = shown(path)
        self.label, self.dtype, self.inputs = label or trained.label, dtype, trained.inputs
        self.needed = self.inputs is None or label is not None  # whether there must be labels
        self.lines = _Lines(stream, self.name)
        self.blocks: list[NDArray[Any]] = []
        self.numbers = array("d")  # of the rows that are in no block yet
        self.places = array("q")  # the line that each row ends on
        self.texts: list[str] = []  # of the labels
        self.at: int | None = None  # the label's column
        self.header: list[str] = []
        self.columns = 0

    def table(self) -> Table:
        """Read everything."""
        rows = self._rows()
        first = next(rows, None)
        if first is None:
            raise InputError(f"{self.name}: it is empty. Expected a row for each sample.")
        self._begin(first)
        seen: dict[str, str] = {}
        if not self.header:
            self._take(first, seen)
        for row in rows:
            self._take(row, seen)
        self._close_block(self.lines.number)
        if not self.places:
            raise InputError(
                f"{self.name}: there is a header and nothing below it. Expected a row for each "
                "sample."
            )
        places, header, name = self.places, self.header, self.name

        def place(row: int, column: int) -> str:
            told = f" ({_cell(header[column])})" if header else ""
            return f"{name}, line {places[row]}, input {column + 1}{told}"

        return Table(
            where=name,
            rows=len(places),
            columns=self.columns - (self.at is not None),
            pieces=self._pieces,
            place=place,
            labels=self._labels(),
            names=tuple(header),
            is_given_away=True,
        )

    def _labels(self) -> Labels | None:
        if self.at is None:
            return None
        places = self.places
        return labels_from_texts(
            self.texts, self.name, lambda row: f"{self.name}, line {places[row]}"
        )

    def _pieces(self) -> Iterator[Piece]:
        start = 0
        self.blocks.reverse()
        while self.blocks:
            block = self.blocks.pop()  # given away, so that it is freed when it was copied
            yield slice(start, start + len(block)), slice(None), block
            start += len(block)

    def _rows(self) -> Iterator[list[str]]:
        text = iter(self.lines)
        first = next((line for line in text if line.strip()), None)
        if first is None:
            return
        reader = csv.reader(
            chain([first], text), delimiter=_separator(first), skipinitialspace=True, strict=True
        )
        try:
            yield from (row for row in reader if row and (len(row) > 1 or row[0].strip()))
        except csv.Error as error:
            raise InputError(
                f"{self.name}, line {self.lines.number}: {_in_words(error)}."
            ) from None

    def _begin(self, first: list[str]) -> None:
        """Learn from the first row: how many columns, a header or not, which are labels."""
        self.columns = len(first)
        if self.columns > MOST_COLUMNS + 1:
            raise InputError(
                f"{self.name}, line {self.lines.number}: {self.columns} columns; at most "
                f"{MOST_COLUMNS} inputs are read. Has the table been transposed? Expected a row "
                "for each sample."
            )
        cells = [cell.strip() for cell in first]
        has_labels = self.needed or self.columns != self.inputs
        named = self.label is not None and self.label in cells
        if named and as_number(str(self.label)) is None:
            has_labels, is_header = True, True
            at = cells.index(str(self.label))
        else:
            at = self._numbered(cells) if has_labels else -1
            rest = [cell for column, cell in enumerate(cells) if column != at]
            is_header = bool(rest) and all(as_number(cell) is None for cell in rest)
            if is_header and named:  # a name that is a number, such as 2024
                at = cells.index(str(self.label))
            elif is_header and self.label is not None and has_labels:
                raise InputError(
                    f"{self.name}: there is no column {_cell(self.label)}. Its columns: "
                    f"{_listed(cells)}."
                )
        if self.inputs is not None and self.columns - has_labels != self.inputs:
            raise InputError(
                f"{self.name}: {self.columns} columns, and the network has {self.inputs} inputs. "
                f"Expected {self.inputs} columns, or {self.inputs + 1} with the labels."
            )
        if has_labels:
            self.at = at
            if self.columns == 1:
                raise InputError(
                    f"{self.name}, line {self.lines.number}: one column alone, so there are no "
                    "inputs beside the labels. Columns are separated by a comma, semicolon, tab "
                    "or |."
                )
        if is_header:
            if double := [c for n, c in enumerate(cells) if c in cells[:n] or not c]:
                raise InputError(
                    f"{self.name}, line {self.lines.number}: the header has the name "
                    f"{_cell(double[0])} twice or empty. Give every column a name of its own."
                )
            self.header = [cell for column, cell in enumerate(cells) if column != self.at]

    def _numbered(self, cells: list[str]) -> int:
        """Return the label's column by its number, or the last."""
        if self.label is None:
            return len(cells) - 1
        if self.label.isascii() and self.label.isdigit() and 1 <= int(self.label) <= len(cells):
            return int(self.label) - 1
        if all(as_number(cell) is None for cell in cells):  # a header without that name
            raise InputError(
                f"{self.name}: there is no column {_cell(self.label)}. Its columns: "
                f"{_listed(cells)}."
            )
        raise InputError(
            f"{self.name}: there is no column {_cell(self.label)}, and no header in line "
            f"{self.lines.number}. Give the label's column by its number, from 1 to {len(cells)}."
        )

    def _take(self, row: list[str], seen: dict[str, str]) -> None:
        if len(row) != self.columns:
            raise InputError(
                f"{self.name}, line {self.lines.number}: {len(row)} cells, expected "
                f"{self.columns} as in the first row. Correct the line, or quote cells that hold "
                "the separator."
            )
        if self.at is not None:
            text = row.pop(self.at).strip()
            self.texts.append(seen.setdefault(text, text))
        try:
            if self.lines.odd and any(as_number(cell) is None for cell in row):
                raise ValueError
            self.lines.odd = False
            self.numbers.extend(map(float, row))
        except ValueError:
            raise self._no_number(row) from None
        self.places.append(self.lines.number)
        if len(self.numbers) >= _BLOCK:
            self._close_block(self.lines.number)

    def _close_block(self, line: int) -> None:
        inputs = self.columns - (self.at is not None)
        if not self.numbers:
            return
        raw = np.frombuffer(self.numbers, dtype=np.float64).reshape(-1, inputs)
        with np.errstate(over="ignore"):
            block = raw.astype(self.dtype)
        if not (finite := np.isfinite(block)).all():
            row, column = np.unravel_index(int(finite.argmin()), block.shape)
            line = self.places[len(self.places) - len(block) + int(row)]
            raise self._not_finite(line, int(column), float(raw[row, column]))
        del raw
        self.blocks.append(block)
        self.numbers = array("d")
        refuse_unbearable(sum(block.nbytes for block in self.blocks), self.name)

    def _not_finite(self, line: int, column: int, value: float) -> InputError:
        place = f"{self.name}, line {line}, {self._column(column)}"
        if np.isfinite(value):
            return InputError(
                f"{place}: {value} is too large for {self.dtype}. Use --dtype float64."
            )
        return InputError(
            f"{place}: {value}, expected a finite number. Remove or replace such values."
        )

    def _no_number(self, row: list[str]) -> InputError:
        column, cell = next((c, t) for c, t in enumerate(row) if as_number(t) is None)
        place = f"{self.name}, line {self.lines.number}, {self._column(column)}"
        if not cell.strip():
            return InputError(f"{place}: the cell is empty. Fill it in, or remove the row.")
        hint = "Correct it, or remove the column; a label in another column than the last is "
        hint += "named by --label NAME."
        if ";" in cell:
            hint = "Write decimal points where there are decimal commas."
        return InputError(f"{place}: {_cell(cell)} is not a number. {hint}")

    def _column(self, column: int) -> str:
        number = column + 1 + (self.at is not None and column >= self.at)
        told = f" ({_cell(self.header[column])})" if self.header else ""
        return f"column {number}{told}"


def _separator(line: str) -> str:
    """Return the separator that gives the line the most cells, a comma if none gives two."""

    def cells(separator: str) -> int:
        try:
            return len(next(csv.reader([line], delimiter=separator, skipinitialspace=True), []))
        except csv.Error:
            return 0

    return max(SEPARATORS, key=cells)


def _in_words(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text:
        return "a quote is opened and never closed. Close it"
    if "field larger" in text:
        return "a cell of more than 131072 characters: is a quote never closed? Close it"
    if "new-line character" in text:
        return "a carriage return inside a line. Save the file with line ends LF or CRLF"
    return f"not CSV ({text}). Double the quotes inside a quoted cell"


def _cell(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def _listed(cells: list[str], most: int = 12) -> str:
    names = ", ".join(map(_cell, cells[:most]))
    return names if len(cells) <= most else f"{names} and {len(cells) - most} more"
