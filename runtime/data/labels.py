"""From labels as they stand in a file to classes and one-hot rows, or to real targets.

Whether a set is a classification or a regression follows from its labels and from what is
minimised; `Aim.wants_numbers` holds the whole rule.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from runtime.data.dataset import one_column, one_hot
from runtime.errors import InputError

REGRESSION_LOSSES = ("mse", "mae", "huber")
MOST_CLASSES = 1_000  # of a user's file; one-hot rows of more would fill the memory
_LARGEST = 2**53  # beyond, float64 leaves out integers
_LONGEST = 200  # characters of a label

Class = int | str


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """The labels of a table: numbers or texts, and where each of them stands.

    Attributes
    ----------
    numbers
        Shape (rows,) or (rows, k), int64 or float64; None if they are texts.
    texts
        One for each row, or None.
    where
        What messages call the column: ``iris.csv``, ``set.npz: y``.
    place
        What they call the label of a row, counted from 0: ``iris.csv, line 7``.
    """

    numbers: NDArray[Any] | None = None
    texts: Sequence[str] | None = None
    where: str
    place: Callable[[int], str]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.numbers if self.numbers is not None else self.texts or ())


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What a network is to make of a set.

    Attributes
    ----------
    loss
        The loss, by name or as a formula.
    outputs
        Size of the last layer; None if it follows the data.
    output
        Activation of the last layer.
    classes
        The classes of a network that was trained already, none for a regression. None for
        a network that is to be trained.
    """

    loss: str = "cross-entropy"
    outputs: int | None = None
    output: str = "softmax"
    classes: tuple[Class, ...] | None = None

    def wants_numbers(self, labels: Labels) -> bool:
        """Tell whether the labels are targets to come close to, not names of classes.

        They are if the loss is mse, mae or huber and they are numbers; except for integers
        that a network with an output for each of them tells apart, and for 0 and 1 under a
        single sigmoid.
        """
        if self.classes is not None:
            return not self.classes
        numbers = labels.numbers
        if self.loss not in REGRESSION_LOSSES or numbers is None:
            return False
        if self.outputs is None or not _are_integers(numbers):
            return True
        if numbers.ndim == 2:
            return self.outputs != numbers.shape[1] or not _is_one_hot(numbers).all()
        distinct = np.unique(numbers)
        if self.outputs == 1:
            return self.output != "sigmoid" or not np.array_equal(distinct, [0, 1])
        return self.outputs != len(distinct)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Targets:
    """Labels as a network is trained with them.

    Attributes
    ----------
    classes
        Sorted; empty for a regression.
    codes
        Place of each row's label among the classes; None for a regression.
    numbers
        Real targets (rows, k), float64; None for a classification.
    place
        What messages call the label of a row.
    """

    classes: tuple[Class, ...]
    codes: NDArray[np.int64] | None = None
    numbers: NDArray[np.float64] | None = None
    place: Callable[[int], str]

    def matrix(
        self, chosen: NDArray[np.bool_] | None, dtype: DTypeLike, *, one_output: bool
    ) -> NDArray[np.floating[Any]]:
        """Return Y for the rows that are chosen, or for all of them.

        Raises
        ------
        InputError
            If a real target is too large for the type.
        """
        rows = slice(None) if chosen is None else chosen
        if self.numbers is not None:
            with np.errstate(over="ignore"):
                numbers = self.numbers.astype(dtype)
            if (bad := ~np.isfinite(numbers).all(axis=1)).any():
                row = int(bad.argmax())
                raise InputError(
                    f"{self.place(row)}: the target is too large for {np.dtype(dtype)}. Use "
                    "--dtype float64."
                )
            return np.ascontiguousarray(numbers[rows])
        assert self.codes is not None
        if one_output and len(self.classes) == 2:
            return one_column(self.codes[rows], dtype)
        return one_hot(self.codes[rows], len(self.classes), dtype)


def labels_from_texts(texts: Sequence[str], where: str, place: Callable[[int], str]) -> Labels:
    """Return labels that are numbers where every text is one, and else texts.

    Raises
    ------
    InputError
        If a label is missing or very long, or if some are numbers and others are not.
    """
    values: dict[str, float | None] = {}
    for row, text in enumerate(texts):
        if text in values:
            continue
        if not text:
            raise InputError(f"{place(row)}: the label is missing. Fill it in, or remove the row.")
        if len(text) > _LONGEST:
            raise InputError(
                f"{place(row)}: a label of {len(text)} characters; at most {_LONGEST} are read. "
                "Give the column of the labels with --label NAME."
            )
        values[text] = as_number(text)
    names = [text for text, value in values.items() if value is None]
    if not names:
        numbers = np.array([values[text] for text in texts], dtype=np.float64)
        return Labels(numbers=numbers, where=where, place=place)
    if len(names) == len(values):
        return Labels(texts=texts, where=where, place=place)
    number = next(text for text, value in values.items() if value is not None)
    odd = names[0] if texts[0] == number or values[texts[0]] is not None else number
    other = number if odd == names[0] else names[0]
    raise InputError(
        f"{place(_index(texts, odd))}: the label {odd!r} stands among others such as {other!r}: "
        "expected integers alone, or texts alone that are no numbers. Correct it; or choose the "
        "column of the labels with --label NAME."
    )


def as_number(text: str) -> float | None:
    """Return a number that is written as one in any language, or None."""
    if "_" in text or not text.isascii():  # float() would take 1_000 and other digits
        return None
    try:
        return float(text)
    except ValueError:
        return None


def targets_of(labels: Labels, aim: Aim, known: tuple[Class, ...] | None = None) -> Targets:
    """Return labels as the network needs them.

    Parameters
    ----------
    labels
        As they were read.
    aim
        Decides whether they are classes.
    known
        The classes, if the training part or a trained network has settled them.

    Raises
    ------
    InputError
        If they are not finite, not integers, all the same, too many, or not among those
        that are known. The message names the place.
    """
    if aim.wants_numbers(labels):
        return Targets(classes=(), numbers=_real(labels), place=labels.place)
    known = aim.classes if known is None else known
    if labels.numbers is not None and labels.numbers.ndim == 2:
        return _from_one_hot(labels, labels.numbers, known)
    distinct, codes = _distinct(labels)
    if known is None:
        _refuse_useless(labels, distinct)
        return Targets(classes=distinct, codes=codes, place=labels.place)
    places = {label: place for place, label in enumerate(known)}
    for place, label in enumerate(distinct):
        if label not in places:
            row = int((codes == place).argmax())
            raise InputError(
                f"{labels.place(row)}: the label {label!r} is not one of the classes of the "
                f"training part: {_listed(known)}. Remove the row, or train on such labels too."
            )
    renamed = np.array([places[label] for label in distinct], dtype=np.int64)
    return Targets(classes=known, codes=renamed[codes], place=labels.place)


def _distinct(labels: Labels) -> tuple[tuple[Class, ...], NDArray[np.int64]]:
    """Return the sorted distinct labels, and the place of each row's among them."""
    if labels.numbers is None:
        texts = labels.texts or ()
        names = sorted(set(texts))
        places = {name: place for place, name in enumerate(names)}
        return tuple(names), np.fromiter((places[t] for t in texts), np.int64, len(texts))
    numbers = labels.numbers
    _refuse_not_finite(labels, numbers)
    if not _are_integers(numbers):
        row = int((numbers % 1 != 0).argmax())
        raise InputError(
            f"{labels.place(row)}: the label {numbers[row]!s} is not an integer, and classes are "
            "integers or texts. For real targets use --loss mse, mae or huber; else choose the "
            "column of the labels with --label NAME."
        )
    if numbers.size and np.abs(numbers).max() > _LARGEST:
        row = int(np.abs(numbers).argmax())
        raise InputError(
            f"{labels.place(row)}: the label {numbers[row]!s} is beyond 2**53. Number the classes "
            "from 0, or name them."
        )
    values, codes = np.unique(numbers, return_inverse=True)
    return tuple(int(value) for value in values), codes.astype(np.int64, copy=False)


def _refuse_useless(labels: Labels, distinct: tuple[Class, ...]) -> None:
    if len(distinct) < 2:
        raise InputError(
            f"{labels.where}: every label is {distinct[0]!r}, so there is nothing to tell apart. "
            "Expected at least two classes; choose the column of the labels with --label NAME."
        )
    if len(distinct) > MOST_CLASSES:
        raise InputError(
            f"{labels.where}: {len(distinct)} different labels in {len(labels)} rows; at most "
            f"{MOST_CLASSES} classes are trained. For real targets use --loss mse, mae or huber; "
            "else choose the column of the labels with --label NAME."
        )


def _from_one_hot(
    labels: Labels, numbers: NDArray[Any], known: tuple[Class, ...] | None
) -> Targets:
    right = _is_one_hot(numbers)
    if not right.all():
        row = int(right.argmin())
        raise InputError(
            f"{labels.place(row)}: not one-hot, expected a single 1 among {numbers.shape[1]} "
            "numbers. For real targets use --loss mse, mae or huber."
        )
    columns = numbers.shape[1]
    if known is not None and len(known) != columns:
        raise InputError(
            f"{labels.where}: {columns} columns of one-hot labels for {len(known)} classes: "
            f"{_listed(known)}. Give labels of the same classes."
        )
    if columns > MOST_CLASSES or columns < 2:
        raise InputError(
            f"{labels.where}: {columns} columns of labels, expected 2 to {MOST_CLASSES} classes."
        )
    codes = numbers.argmax(axis=1).astype(np.int64)
    return Targets(classes=known or tuple(range(columns)), codes=codes, place=labels.place)


def _real(labels: Labels) -> NDArray[np.float64]:
    if labels.numbers is None:
        first = (labels.texts or ("",))[0]
        raise InputError(
            f"{labels.place(0)}: the target {first!r} is not a number, and the network was "
            "trained on real targets. Choose the column with --label NAME."
        )
    numbers = labels.numbers.astype(np.float64)
    _refuse_not_finite(labels, numbers)
    return numbers[:, None] if numbers.ndim == 1 else numbers


def _refuse_not_finite(labels: Labels, numbers: NDArray[Any]) -> None:
    bad = ~np.isfinite(numbers if numbers.ndim == 1 else numbers.sum(axis=1))
    if bad.any():
        row = int(bad.argmax())
        raise InputError(
            f"{labels.place(row)}: the label is {numbers[row]!s}, expected a finite number. "
            "Correct it, or remove the row."
        )


def _are_integers(numbers: NDArray[Any]) -> bool:
    with np.errstate(invalid="ignore"):
        return bool((numbers % 1 == 0).all()) if numbers.dtype.kind == "f" else True


def _is_one_hot(numbers: NDArray[Any]) -> NDArray[np.bool_]:
    ones = np.count_nonzero(numbers == 1, axis=1)
    return np.asarray((ones == 1) & (np.count_nonzero(numbers, axis=1) == 1))


def _index(texts: Sequence[str], wanted: str) -> int:
    return next(row for row, text in enumerate(texts) if text == wanted)


def _listed(classes: tuple[Class, ...], most: int = 12) -> str:
    shown = ", ".join(repr(label) for label in classes[:most])
    return shown if len(classes) <= most else f"{shown}, … ({len(classes)})"
