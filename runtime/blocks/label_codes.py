"""From labels that go by block by block to classes, or to real targets.

The checks and the rule of what is a class are those of `runtime.data.labels`: they are asked about
the distinct labels, each at the place where it was met first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from runtime.blocks.table import BlockTable, LabelColumn
from runtime.data.dataset import one_column, one_hot
from runtime.data.labels import (
    MOST_CLASSES,
    Aim,
    Class,
    Labels,
    labels_from_texts,
    targets_of,
)
from runtime.errors import InputError

_MOST = 4 * MOST_CLASSES  # distinct labels that are kept

Array = NDArray[np.floating[Any]]


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelCodes:
    """What the labels of a table mean.

    Attributes
    ----------
    classes
        Sorted; empty for real targets.
    outputs
        Columns of the targets.
    sizes
        Rows of each class; of all together for real targets.
    sha256
        Of the labels, as they stand there.
    column
        Where they stand.
    values, codes
        The distinct labels, sorted, and the place of each among the classes; None where rows are
        one-hot already, or targets real.
    """

    classes: tuple[Class, ...]
    outputs: int
    sizes: NDArray[np.int64]
    sha256: str
    column: LabelColumn
    values: NDArray[Any] | None = None
    codes: NDArray[np.int64] | None = None

    def codes_of(self, block: NDArray[Any], first: int = 0) -> NDArray[np.int64]:
        """Return the class of each row of a block that begins at row `first`; 0 if there is none.

        Raises
        ------
        InputError
            If a label was not there when the classes were learnt.
        """
        if not self.classes:
            return np.zeros(len(block), np.int64)
        if self.values is None or self.codes is None:
            return np.asarray(block.argmax(axis=1), np.int64)
        block = block.reshape(-1)
        at = np.minimum(np.searchsorted(self.values, block), len(self.values) - 1)
        if not (known := self.values[at] == block).all():
            row = first + int(known.argmin())
            raise InputError(
                f"{self.column.place(row)}: the label has changed while it was read. Start again."
            )
        return np.asarray(self.codes[at])

    def matrix(self, first: int, last: int, dtype: DTypeLike) -> Array:
        """Return Y for the rows from one to another.

        Raises
        ------
        InputError
            If a target is not finite, or too large for the type.
        """
        block = self.column.read(first, last)
        if not self.classes:
            labels = _numbers(self.column, block, first)
            targets = targets_of(labels, Aim(classes=()))
            return targets.matrix(None, dtype, one_output=False)
        codes = self.codes_of(block, first)
        if self.outputs == 1:
            return one_column(codes, dtype)
        return one_hot(codes, len(self.classes), dtype)


def learn_labels(table: BlockTable, aim: Aim, known: tuple[Class, ...] | None = None) -> LabelCodes:
    """Read all labels of a table once, and return what they mean.

    Parameters
    ----------
    table
        With labels.
    aim
        What the network is to make of them.
    known
        The classes, if the training part has settled them; empty for real targets.

    Raises
    ------
    InputError
        Naming the first label that cannot be used.
    """
    column = table.labels
    if column is None:
        raise InputError(
            f"{table.where}: there are no labels. Expected one for each row: y.npy beside X.npy, "
            "an array y, a column of the table; or --label NAME."
        )
    met = _Met()
    for first, block in blocks_of(table, column):
        met.add(column, block, first)
    labels = met.distinct(column)
    if known is not None and not known:
        aim = Aim(classes=())
    targets = targets_of(labels, aim, known or None)
    if met.overflown and targets.classes:
        raise InputError(
            f"{column.where}: more than {_MOST} different labels; at most {MOST_CLASSES} classes "
            "are trained. For real targets use --loss mse, mae or huber; else choose the column of "
            "the labels with --label NAME."
        )
    one_output = aim.outputs == 1 and len(targets.classes) == 2
    digest = met.digest.hexdigest()
    if not targets.classes:
        assert targets.numbers is not None
        for first, block in blocks_of(table, column) if met.kind == "number" else ():
            if not np.isfinite(block).all():
                targets_of(_numbers(column, block, first), Aim(classes=()))  # names the row
        return LabelCodes(
            classes=(),
            outputs=targets.numbers.shape[1],
            sizes=np.array([table.rows]),
            sha256=digest,
            column=column,
        )
    assert targets.codes is not None
    sizes = np.zeros(len(targets.classes), np.int64)
    np.add.at(sizes, targets.codes, met.counts(len(labels)))
    values = met.values()
    return LabelCodes(
        classes=targets.classes,
        outputs=1 if one_output else len(targets.classes),
        sizes=sizes,
        sha256=digest,
        column=column,
        values=values,
        codes=None if values is None else targets.codes,
    )


def blocks_of(table: BlockTable, column: LabelColumn) -> Iterator[tuple[int, NDArray[Any]]]:
    """Give the labels of a table block by block, each with its first row."""
    if table.edges is not None:
        for first, last in table.spans():
            yield first, column.read(first, last)
        return
    step = 1 << 17  # labels are narrow, though inputs may be wide
    for first in range(0, table.rows, step):
        yield first, column.read(first, min(first + step, table.rows))


@final
class _Met:
    """Which labels were met, how often, and where first."""

    def __init__(self) -> None:
        self.found: dict[Any, list[int]] = {}  # by label: how often, and the first row
        self.digest = sha256()
        self.kind = ""
        self.overflown = False
        self.width = 0  # of one-hot rows, or of several targets
        self.odd: tuple[NDArray[Any], int] | None = None  # a row that is not one-hot

    def add(self, column: LabelColumn, block: NDArray[Any], first: int) -> None:
        """Take a block into account."""
        block = block.reshape(len(block), -1) if block.ndim > 1 else block
        block = block[:, 0] if block.ndim == 2 and block.shape[1] == 1 else block
        kind = "text" if block.dtype.kind == "U" else "number"
        if self.kind and kind != self.kind:
            raise InputError(f"{column.where}: texts and numbers. Expected one kind of label.")
        self.kind = kind
        if kind == "text":
            self.digest.update("\0".join(block.tolist()).encode() + b"\0")
        else:
            self.digest.update(np.ascontiguousarray(block).data)
        if block.ndim == 2:
            self._add_rows(block, first)
            return
        if len(self.found) > _MOST:
            self.overflown = True
            return
        values, at, counts = np.unique(block, return_index=True, return_counts=True)
        for value, row, count in zip(values.tolist(), at.tolist(), counts.tolist(), strict=True):
            self.found.setdefault(value, [0, first + row])[0] += count

    def _add_rows(self, block: NDArray[Any], first: int) -> None:
        self.width = block.shape[1]
        ones = np.count_nonzero(block == 1, axis=1)
        right = (ones == 1) & (np.count_nonzero(block, axis=1) == 1)
        if self.odd is None and not right.all():
            row = int(right.argmin())
            self.odd = block[row], first + row
        counts = np.bincount(block[right].argmax(axis=1), minlength=self.width)
        for value in np.flatnonzero(counts).tolist():
            row = int((right & (block.argmax(axis=1) == value)).argmax())
            self.found.setdefault(value, [0, first + row])[0] += int(counts[value])

    def distinct(self, column: LabelColumn) -> Labels:
        """Return the distinct labels, each at the place where it was met first."""
        keys = sorted(self.found)
        rows = [self.found[key][1] for key in keys]
        if self.width:
            table = np.eye(self.width)[np.array(keys, np.int64)]
            if self.odd is not None:
                table = np.concatenate([table, self.odd[0][None]])
                rows.append(self.odd[1])
            return Labels(
                numbers=table, where=column.where, place=lambda row: column.place(rows[row])
            )
        if self.kind == "text":
            return labels_from_texts(
                [key.strip() for key in keys],
                column.where,
                lambda row: column.place(rows[row]),
            )
        numbers = np.array(keys)
        return Labels(
            numbers=numbers.astype(np.int64) if numbers.dtype.kind == "b" else numbers,
            where=column.where,
            place=lambda row: column.place(rows[row]),
        )

    def counts(self, length: int) -> NDArray[np.int64]:
        """Return how often each of the distinct labels was met."""
        counts = [self.found[key][0] for key in sorted(self.found)]
        return np.array(counts + [0] * (length - len(counts)), np.int64)

    def values(self) -> NDArray[Any] | None:
        """Return the distinct labels as they stand there; None for one-hot rows."""
        return None if self.width else np.array(sorted(self.found))


def _numbers(column: LabelColumn, block: NDArray[Any], first: int) -> Labels:
    block = block[:, 0] if block.ndim == 2 and block.shape[1] == 1 else block
    return Labels(numbers=block, where=column.where, place=lambda row: column.place(first + row))
