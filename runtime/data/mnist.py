"""MNIST and Fashion-MNIST, from a folder, from the user's cache, or downloaded into it.

The files in the cache are the canonical ones, checked by SHA-256 at each use. In a folder
that the user gives, files of the same layout are taken whatever their checksum; it is noted
in the data set's `sources`.

References
----------
Y. LeCun, C. Cortes, C. J. C. Burges: The MNIST database of handwritten digits. A derivative
of NIST data sets; Creative Commons Attribution-ShareAlike 3.0.

H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST, a novel image dataset for benchmarking machine
learning algorithms, 2017, arXiv:1708.07747. MIT licence.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from runtime.data.dataset import Dataset, one_hot
from runtime.data.download import RemoteFile, fetch, is_intact
from runtime.data.idx import open_idx, parse_idx
from runtime.data.idx_folder import image_table
from runtime.data.source import read_source
from runtime.data.sparse_rows import Inputs
from runtime.data.table import inputs_of
from runtime.errors import InputError
from runtime.files import shown

VARIABLE = "GRADWRIGHT_DATA"
_SIDE = 28  # pixels


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """A published set of 28 × 28 images in four IDX files.

    Attributes
    ----------
    name
        Name of the set, of its subfolder in a data folder, and of that in the cache.
    files
        Training images, training labels, test images, test labels, each inside gzip.
    mirrors
        Addresses to download from, in this order.
    classes
        What the labels 0, 1, … stand for.
    """

    name: str
    files: tuple[RemoteFile, RemoteFile, RemoteFile, RemoteFile]
    mirrors: tuple[str, ...]
    classes: tuple[str | int, ...]


MNIST = ImageSet(
    name="mnist",
    files=(
        RemoteFile(
            name="train-images-idx3-ubyte.gz",
            size=9912422,
            sha256="440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        RemoteFile(
            name="train-labels-idx1-ubyte.gz",
            size=28881,
            sha256="3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        RemoteFile(
            name="t10k-images-idx3-ubyte.gz",
            size=1648877,
            sha256="8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        RemoteFile(
            name="t10k-labels-idx1-ubyte.gz",
            size=4542,
            sha256="f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    classes=tuple(range(10)),
)

FASHION_MNIST = ImageSet(
    name="fashion-mnist",
    files=(
        RemoteFile(
            name="train-images-idx3-ubyte.gz",
            size=26421880,
            sha256="3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        RemoteFile(
            name="train-labels-idx1-ubyte.gz",
            size=29515,
            sha256="a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
        RemoteFile(
            name="t10k-images-idx3-ubyte.gz",
            size=4422102,
            sha256="346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        RemoteFile(
            name="t10k-labels-idx1-ubyte.gz",
            size=5148,
            sha256="67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
)


def mnist(
    data_dir: str | os.PathLike[str] | None = None,
    offline: bool = False,
    progress: bool | None = None,
) -> Dataset:
    """Return MNIST: 60,000 images of 784 pixels for training and 10,000 for test.

    Parameters
    ----------
    data_dir
        Folder with the four IDX files, or with a subfolder ``mnist`` that holds them; each
        plain or inside gzip. Without it the folder named by ``GRADWRIGHT_DATA``; without
        that the user's cache folder, into which missing files are downloaded.
    offline
        Never use the network.
    progress
        Whether to show downloads; None decides by whether standard error is a terminal.

    Returns
    -------
    Dataset
        float32, pixels divided by 255, in [0, 1].

    Raises
    ------
    InputError
        If a given folder has not got the files, a file is damaged or does not fit the
        others, or a missing one cannot be downloaded.
    RunError
        If the disk fills up during a download.
    """
    return load_images(MNIST, data_dir=data_dir, offline=offline, progress=progress)


def load_images(
    images: ImageSet,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    offline: bool = False,
    progress: bool | None = None,
    sparse: str = "never",
) -> Dataset:
    """Return an image set; parameters and errors as for `mnist`, `sparse` as in `DataOptions`."""
    if data_dir is not None:
        paths = _given_files(images, Path(data_dir), f"--data-dir {shown(data_dir)}")
        way_out = "Put the right file there, or leave out --data-dir to download it."
    elif variable := os.environ.get(VARIABLE):
        paths = _given_files(images, Path(variable), f"{VARIABLE}={shown(variable)}")
        way_out = f"Put the right file there, or unset {VARIABLE} to download it."
    else:
        paths = _cached_files(images, cache_folder(images), offline, progress)
        way_out = "Delete it, and the next run downloads it again."
    sources: dict[str, str] = {}
    X_train, Y_train = _read_part(images, paths[0], paths[1], way_out, sources, sparse)
    X_test, Y_test = _read_part(images, paths[2], paths[3], way_out, sources, sparse)
    _refuse_exchanged(images, paths[0].parent, sources)
    return Dataset(
        name=images.name,
        X_train=X_train,
        Y_train=Y_train,
        X_test=X_test,
        Y_test=Y_test,
        classes=images.classes,
        grid=None,
        sources=sources,
    )


def _refuse_exchanged(images: ImageSet, folder: Path, sources: dict[str, str]) -> None:
    """Refuse the files of another set: all sets have files of the same names."""
    for other in (MNIST, FASHION_MNIST):
        theirs = {file.sha256 for file in other.files}
        if other is not images and theirs & set(sources.values()):
            raise InputError(
                f"{shown(folder)}: these are the files of {other.name}, not of {images.name}. Put "
                f"those of {images.name} into the subfolder {images.name}."
            )


def cache_folder(images: ImageSet) -> Path:
    """Return the folder of the user's cache that the set is downloaded into."""
    from platformdirs import user_cache_path

    return user_cache_path("gradwright") / "data" / images.name


def _given_files(images: ImageSet, folder: Path, option: str) -> list[Path]:
    """Return the four files in a folder that the user named, or say what is missing."""
    if not folder.is_dir():
        state = "is not a folder" if folder.exists() else "does not exist"
        raise InputError(f"{option}: {state}. Give the folder that holds the files of the set.")
    for place in (folder / images.name, folder):  # sets have files of the same names
        found = [_plain_or_packed(place, file.name) for file in images.files]
        missing = [file.name for file, path in zip(images.files, found, strict=True) if not path]
        if len(missing) < len(found):
            break
    if missing:
        raise InputError(
            f"{option}: no {', '.join(missing)}, packed or not, there or in the subfolder "
            f"{images.name}. Put the missing files there, or name no folder to download them."
        )
    return [path for path in found if path]


def _plain_or_packed(folder: Path, name: str) -> Path | None:
    candidates = (folder / name, folder / name.removesuffix(".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _cached_files(
    images: ImageSet, folder: Path, offline: bool, progress: bool | None
) -> list[Path]:
    """Return the four files in the cache, after fetching what is missing or damaged."""
    wanted = [file for file in images.files if not is_intact(folder / file.name, file)]
    damaged = [file.name for file in wanted if (folder / file.name).exists()]
    way_out = (
        f"Or put the {len(images.files)} files into a folder yourself and give it with "
        f"--data-dir FOLDER (or {VARIABLE}=FOLDER)."
    )
    if offline and wanted:
        missing = [file.name for file in wanted if file.name not in damaged]
        problems = [f"missing: {', '.join(missing)}"] if missing else []
        problems += [f"damaged (wrong SHA-256): {', '.join(damaged)}"] if damaged else []
        raise InputError(
            f"{images.name}: not complete in {shown(folder)}: {'; '.join(problems)}. Run once "
            f"without --offline to download what is needed. {way_out}"
        )
    for file in wanted:
        if file.name in damaged and progress is not False:
            print(
                f"{shown(folder / file.name)}: damaged (wrong SHA-256), fetching it again",
                file=sys.stderr,
            )
        fetch(file, images.mirrors, folder, way_out=way_out, progress=progress)
    return [folder / file.name for file in images.files]


def _read_part(
    images: ImageSet,
    image_path: Path,
    label_path: Path,
    way_out: str,
    sources: dict[str, str],
    sparse: str,
) -> tuple[Inputs, NDArray[np.float32]]:
    """Return inputs (N, 784) and one-hot labels of one part, noting both checksums."""
    with open_idx(image_path, dimensions=3, way_out=way_out) as file:
        source = read_source(label_path)
        labels = parse_idx(source, dimensions=1, way_out=way_out)
        count, height, width = file.shape
        if (height, width) != (_SIDE, _SIDE):
            raise InputError(
                f"{shown(image_path)}: images of {height} x {width} pixels, expected {_SIDE} x "
                f"{_SIDE}. {way_out}"
            )
        if count != len(labels):
            raise InputError(
                f"{shown(label_path)}: {len(labels)} labels for the {count} images in "
                f"{image_path.name}: the files do not belong together. {way_out}"
            )
        try:
            Y = one_hot(labels, len(images.classes), np.float32)
        except InputError as error:
            raise InputError(f"{shown(label_path)}: {error}. {way_out}") from None
        sources[image_path.name] = file.sha256
        sources[label_path.name] = source.sha256
        intensity = np.arange(256, dtype=np.float32) / np.float32(255)
        return inputs_of(image_table(file, intensity), np.dtype(np.float32), sparse), Y
