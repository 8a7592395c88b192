"""Read a folder of IDX files: images and labels, with or without a test part."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.data.idx import IdxFile, open_idx, parse_idx
from runtime.data.labels import Labels
from runtime.data.source import read_source
from runtime.data.table import Parts, Piece, Table, number_labels
from runtime.errors import InputError
from runtime.files import path_error, shown

_MOST_FILES = 10_000
_WAY_OUT = "Put the right file there, or give another folder."
_EXPECTED = (
    "Expected IDX files as MNIST has them, plain or .gz: train-images-idx3-ubyte and "
    "train-labels-idx1-ubyte, with t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte for test"
)


@contextmanager
def open_idx_folder(folder: Path) -> Iterator[Parts]:
    """Give what is in a folder, to be read while this is open: pixels divided by 255, and labels.

    Names say what a file is: ``idx3`` or ``images``, ``idx1`` or ``labels``; ``t10k`` or
    ``test`` for the test part. Images may have any height and width.

    Raises
    ------
    InputError
        If a file is missing, there twice or damaged, or if two do not belong together.
    """
    files = _files(folder)
    if not {"train images", "test images"} & set(files):
        raise InputError(f"{shown(folder)}: no images. {_EXPECTED}.")
    sources: dict[str, str] = {}
    with ExitStack() as stack:
        tables = {
            part: _table(stack, files[f"{part} images"], files.get(f"{part} labels"), sources)
            for part in ("train", "test")
            if f"{part} images" in files
        }
        first, second = tables.get("train"), tables.get("test")
        if first is None:
            first, second = second, None
        assert first is not None
        yield Parts(train=first, test=second, sources=sources)


def _files(folder: Path) -> dict[str, Path]:
    """Return the files by what they hold, such as ``train images``."""
    found: dict[str, Path] = {}
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise path_error(error, folder, "read") from error
    if len(paths) > _MOST_FILES:
        raise InputError(f"{shown(folder)}: {len(paths)} files. {_EXPECTED}.")
    for path in paths:
        name = path.name.lower().removesuffix(".gz")
        if not name.endswith(("ubyte", ".idx", "idx1", "idx3")):
            continue
        kind = "images" if "idx3" in name or "images" in name else None
        kind = "labels" if kind is None and ("idx1" in name or "labels" in name) else kind
        if kind is None:
            continue
        part = "test" if "t10k" in name or "test" in name else "train"
        key = f"{part} {kind}"
        if key in found:
            raise InputError(
                f"{shown(folder)}: {found[key].name} and {path.name} both look like the {kind} of "
                f"the {part} part. Leave one of them there."
            )
        found[key] = path
    return found


def _table(stack: ExitStack, images: Path, labels: Path | None, sources: dict[str, str]) -> Table:
    file = stack.enter_context(open_idx(images, dimensions=3, way_out=_WAY_OUT))
    sources[images.name] = file.sha256
    known: Labels | None = None
    if labels is not None:
        source = read_source(labels)
        values = parse_idx(source, dimensions=1, way_out=_WAY_OUT)
        sources[labels.name] = source.sha256
        known = number_labels(shown(labels), values.astype(np.int64))
    # float64 holds the quotients of float32 too
    return image_table(file, np.arange(256, dtype=np.float64) / 255, known)


def image_table(
    file: IdxFile, intensity: NDArray[np.floating], labels: Labels | None = None
) -> Table:
    """Return a table of images, to be read while the file is open.

    Parameters
    ----------
    file
        The images.
    intensity
        What each of the 256 bytes stands for: to look that up is faster than dividing.
    labels
        One for each image.
    """
    where = shown(file.path)

    def place(row: int, column: int) -> str:
        return f"{where}, image {row}, pixel {column} (counted from 0)"

    def pieces() -> Iterator[Piece]:
        row = 0
        for part in file.pieces():
            flat = part.reshape(len(part), -1)
            yield slice(row, row + len(flat)), slice(None), intensity[flat]
            row += len(flat)

    return Table(
        where=where,
        rows=file.shape[0],
        columns=prod(file.shape[1:]),
        pieces=pieces,
        place=place,
        labels=labels,
    )
