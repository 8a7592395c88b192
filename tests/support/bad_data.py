"""Damaged, misleading and hostile data files, and the words that each must be refused with."""

import gzip
import io
import lzma
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from data_folder import idx_bytes, packed
from numpy.lib import format as npy

ROWS = 40
GOOD_X = np.random.default_rng(0).normal(size=(ROWS, 3))
GOOD_Y = np.arange(ROWS) % 2


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A file that must be refused: how it is made, and what the message says."""

    make: Callable[[Path], object]
    says: tuple[str, ...]
    options: tuple[str, ...] = ()
    name: str = "bad.csv"


class Trap:
    """Leaves a trace in the working folder if it is ever unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch executed",))


def text(content: str, *says: str, options: tuple[str, ...] = ()) -> Bad:
    return Bad(make=lambda path: path.write_text(content), says=says, options=options)


def raw(content: bytes | Callable[[], bytes], *says: str, name: str = "bad.csv") -> Bad:
    def make(path: Path) -> None:
        path.write_bytes(content if isinstance(content, bytes) else content())

    return Bad(make=make, says=says, name=name)


def array(value: Any, *, fortran: bool = False) -> bytes:
    """Return an array as an NPY file; objects are pickled, as an attacker would."""
    value = np.asarray(value)
    stream = io.BytesIO()
    value = np.asfortranarray(value) if fortran else value
    npy.write_array(stream, value, allow_pickle=value.dtype.hasobject)
    return stream.getvalue()


def header(content: str, version: bytes = b"\x01\x00", data: bytes = b"") -> bytes:
    """Return an NPY file with that header, whatever it says."""
    size = struct.pack("<H", len(content)) if version[0] == 1 else struct.pack("<I", len(content))
    return b"\x93NUMPY" + version + size + content.encode() + data


def described(shape: str, descr: str = "'<f8'", order: str = "False", data: bytes = b"") -> bytes:
    return header(
        f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n", data=data
    )


def archive(method: int = zipfile.ZIP_STORED, **members: Any) -> bytes:
    """Return a zip file of arrays; bytes are members as they are."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        for name, value in members.items():
            file.writestr(f"{name}.npy", value if isinstance(value, bytes) else array(value))
    return stream.getvalue()


def npz(*says: str, content: bytes | Callable[[], bytes] | None = None, **members: Any) -> Bad:
    return raw(archive(**members) if content is None else content, *says, name="bad.npz")


def renamed(name: str) -> Callable[[], bytes]:
    def make() -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as file:
            file.writestr(name, array(GOOD_X))
            file.writestr("y.npy", array(GOOD_Y))
        return stream.getvalue()

    return make


def twice() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name in ("X.npy", "x.npy", "y.npy"):
            file.writestr(name, array(GOOD_X))
    return stream.getvalue()


def bomb() -> bytes:
    """Return a small archive whose X announces and unpacks to 300 MB of zeros."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        with file.open("X.npy", "w", force_zip64=True) as member:
            rows = 600_064
            member.write(described(f"({rows}, 64)"))
            block = bytes(rows * 64 * 8 // 64)
            for _ in range(64):
                member.write(block)
        file.writestr("y.npy", array(np.arange(rows) % 2))
    return stream.getvalue()


def encrypted() -> bytes:
    content = bytearray(archive(X=GOOD_X, y=GOOD_Y))
    place = content.find(b"PK\x01\x02")
    while place >= 0:
        content[place + 8] |= 1
        place = content.find(b"PK\x01\x02", place + 4)
    return bytes(content)


def flipped() -> bytes:
    content = bytearray(archive(X=GOOD_X, y=GOOD_Y))
    content[300] ^= 1
    return bytes(content)


def with_value(value: float, dtype: str = "f8") -> np.ndarray[Any, Any]:
    X = GOOD_X.astype(dtype)
    X[7, 2] = value
    return X


IMAGES = np.arange(ROWS * 6, dtype=np.uint8).reshape(ROWS, 2, 3)
LABELS = (np.arange(ROWS) % 2).astype(np.uint8)


def folder(*says: str, **files: bytes | None) -> Bad:
    """Return a folder of IDX files; None leaves one out."""
    names = {"images": "train-images-idx3-ubyte", "labels": "train-labels-idx1-ubyte"}
    found = {names["images"]: idx_bytes(IMAGES), names["labels"]: idx_bytes(LABELS)}
    for key, content in files.items():
        name = names.get(key.removesuffix("_gz"), key.replace("__", "."))
        found.pop(name, None)
        if content is not None:
            found[f"{name}.gz" if key.endswith("_gz") else name] = content

    def make(path: Path) -> None:
        path.mkdir()
        for name, content in found.items():
            (path / name).write_bytes(content)

    return Bad(make=make, says=says, name="bad")


def gzip_bomb() -> bytes:
    """Return some gzip that goes on for 4 GB after an honest beginning."""
    zeros = gzip.compress(bytes(1 << 24), 1, mtime=0)
    return packed(idx_bytes(IMAGES)) + 256 * zeros


def special(make: Callable[[Path], object], *says: str, name: str = "bad.csv") -> Bad:
    return Bad(make=make, says=says, name=name)


def folder_for_a_file(path: Path) -> None:
    path.mkdir()
    (path / "train-images-idx3-ubyte").mkdir()
    (path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS))


TABLE = "a,b,label\n1,2,x\n3,4,y\n5,6,x\n7,8,y\n"
REAL = "a,b,t\n1,2,0.5\n3,4,0.7\n5,6,0.1\n7,8,0.2\n"

CSV = {
    "empty": text("", "it is empty"),
    "blank lines": text("\n\n  \n", "it is empty"),
    "header alone": text("a,b,label\n", "a header and nothing below it"),
    "one column": text("1\n2\n3\n", "line 1: one column alone", "separated by a comma"),
    "short row": text(TABLE + "9,x\n", "line 6: 2 cells, expected 3"),
    "long row": text(TABLE + "9,9,9,x\n", "line 6: 4 cells, expected 3"),
    "text among numbers": text(
        TABLE + "9,abc,x\n", "line 6, column 2 ('b'): 'abc' is not a number"
    ),
    "empty cell": text(TABLE + "9,,x\n", "line 6, column 2 ('b'): the cell is empty", "Fill it in"),
    "nan": text(TABLE + "9,nan,x\n", "line 6, column 2 ('b'): nan, expected a finite number"),
    "inf": text(TABLE + "-inf,9,x\n", "line 6, column 1 ('a'): -inf"),
    "beyond float64": text(TABLE + "1e999,9,x\n", "line 6, column 1 ('a'): inf"),
    "beyond float32": text(TABLE + "9,1e300,x\n", "1e+300 is too large for float32", "float64"),
    "label missing": text(TABLE + "9,9,\n", "line 6: the label is missing", "remove the row"),
    "labels mixed": text(TABLE + "9,9,3\n", "line 6: the label '3' stands among", "'x'"),
    "labels with NA": text("1,2,0\n1,3,1\n2,2,NA\n", "line 3: the label 'NA' stands among"),
    "labels not integers": text(REAL, "line 2: the label 0.5 is not an integer", "--loss mse"),
    "label nan": text("1,2,0\n1,3,nan\n2,2,1\n", "line 2: the label is nan"),
    "label beyond 2**53": text(
        "1,2,0\n1,3,1e20\n2,2,1\n", "line 2: the label 1e+20 is beyond 2**53"
    ),
    "label of a page": text("1,2,x\n1,3," + "y" * 999 + "\n", "line 2: a label of 999 characters"),
    "one class": text("1,2,x\n1,3,x\n2,2,x\n", "every label is 'x'", "nothing to tell apart"),
    "a class for each row": text(
        "".join(f"{n},1,{n}\n" for n in range(1500)), "1500 different labels", "--loss mse"
    ),
    "too few rows": text("1,2,x\n1,3,y\n", "2 rows are too few", "test part"),
    "not UTF-8": raw(TABLE.encode() + b"9,9,\xff\n", "line 6: byte 38 of the file is not UTF-8"),
    "UTF-16": raw(TABLE.encode("utf-16"), "it is UTF-16, not CSV"),
    "gzip": raw(packed(TABLE.encode()), "it is gzip, not CSV"),
    "HDF5": raw(b"\x89HDF\r\n\x1a\n" + bytes(100), "it is HDF5, not CSV"),
    "PDF": raw(b"%PDF-1.7\n", "it is PDF, not CSV"),
    "zero byte": raw(TABLE.encode() + b"9,\0,x\n", "line 6: a zero byte at byte 36"),
    "binary": raw(b"1,2,\x80\x81\n", "byte 4 of the file is not UTF-8"),
    "web page": text("<!doctype html>\n<html>\n<p>404, not found\n", "bad.csv"),
    "quote not closed": text(TABLE + '9,9,"x\n', "line 6: a quote is opened and never closed"),
    "quote not closed, long": text(
        TABLE + '9,9,"x\n' + TABLE * 9000, "a cell of more than 131072 characters"
    ),
    "stray quote": text(TABLE + '9,"9"9,x\n', "line 6: not CSV", "Double the quotes"),
    "name twice": text("a,a,label\n1,2,x\n3,4,y\n", "line 1: the header has the name 'a' twice"),
    "name empty": text("a,,label\n1,2,x\n3,4,y\n", "line 1: the header has the name '' twice or"),
    "million columns": text(",".join(["1"] * 1_000_000) + "\n", "1000000 columns", "transposed?"),
    "one endless line": raw(lambda: b"1," * (10 << 20), "line 1: more than 16777216 bytes"),
    "old line ends": raw(TABLE.replace("\n", "\r").encode(), "line ends LF or CRLF"),
    "decimal commas": text(
        "1,5;2,5;3,5;0,0\n1,5;2,5;3,5;1,0\n", "is not a number", "decimal points where"
    ),
    "underscore": text(TABLE + "9,1_000,x\n", "line 6, column 2 ('b'): '1_000' is not a number"),
    "other digits": text(TABLE + "9,٣,x\n", "line 6, column 2 ('b'): '٣' is not a number"),
    "hexadecimal": text(TABLE + "9,0x10,x\n", "'0x10' is not a number"),
    "complex": text(TABLE + "9,1+2j,x\n", "'1+2j' is not a number"),
    "formula": text(TABLE + "9,=cmd|' /C calc'!A0,x\n", "is not a number"),
    "header in the middle": text(TABLE + TABLE, "line 6, column 1 ('a'): 'a' is not a number"),
    "two lines of header": text(
        "a,b,label\nm,kg,\n1,2,x\n", "line 2, column 1 ('a'): 'm' is not a number"
    ),
    "no such label": text(
        TABLE, "no column 'colour'. Its columns: 'a', 'b', 'label'", options=("--label", "colour")
    ),
    "no such number": text(
        "1,2,0\n3,4,1\n", "no column '9'", "number, from 1 to 3", options=("--label", "9")
    ),
    "a name without a header": text(
        "1,2,0\n3,4,1\n", "no column 'y', and no header", options=("--label", "y")
    ),
    "target nan": text(REAL + "1,2,nan\n", "line 6: the label is nan", options=("--loss", "mse")),
    "target too large": text(
        REAL + "1,2,1e300\n",
        "line 6: the target is too large for float32",
        options=("--loss", "mse"),
    ),
    "fraction": text(TABLE, "test_fraction: 1.5", options=("--test-fraction", "1.5")),
}

NPZ = {
    "text": raw(b"1,2,3\n", "damaged or cut short", name="bad.npz"),
    "empty file": raw(b"", "damaged or cut short", name="bad.npz"),
    "truncated": npz("damaged or cut short", content=archive(X=GOOD_X, y=GOOD_Y)[:-100]),
    "no members": npz("no inputs. Expected arrays X and y", "it holds nothing"),
    "other members": npz("no inputs", "it holds 'data.npy'", data=GOOD_X),
    "no labels": npz("bad.npz: X: there are no labels", X=GOOD_X),
    "two forms": npz("X or y beside Xtrain", X=GOOD_X, Xtrain=GOOD_X, y=GOOD_Y),
    "objects": npz("X: holds Python objects", "unpickled", X=[Trap(), 1], y=GOOD_Y),
    "objects as labels": npz("y: holds Python objects", X=GOOD_X, y=np.array([Trap()] * ROWS)),
    "pickle as a member": npz("X: no array of NumPy's", X=pickle.dumps(Trap()), y=GOOD_Y),
    "pickle as the file": raw(pickle.dumps(Trap()), "damaged or cut short", name="bad.npz"),
    "records": npz("X: holds records", X=np.zeros(ROWS, "f8,i4"), y=GOOD_Y),
    "complex": npz("X: holds complex numbers", X=GOOD_X + 1j, y=GOOD_Y),
    "dates": npz("X: holds dates", X=np.zeros((ROWS, 2), "M8[s]"), y=GOOD_Y),
    "texts": npz("X: holds texts", X=np.full((ROWS, 2), "a"), y=GOOD_Y),
    "sizes that overflow": npz(
        "X: its header announces", X=described("(4611686018427387904, 4611686018427387904)")
    ),
    "negative size": npz("X: its header announces the shape (-1, 3)", X=described("(-1, 3)")),
    "more than there is": npz("X: its header announces", "960 bytes", X=described("(40, 3)")),
    "less than there is": npz(
        "X: its header announces", X=described("(1, 3)", data=bytes(100)), y=GOOD_Y
    ),
    "endless header": npz("X: no array of NumPy's", X=header("{" + " " * 60_000 + "}")),
    "header of 4 GB": npz(
        "X: no array of NumPy's", X=b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}", y=GOOD_Y
    ),
    "header that is code": npz(
        "X: no array of NumPy's", X=described("__import__('os').system('touch executed')")
    ),
    "deep header": npz("X: no array of NumPy's", X=header("(" * 9_000)),
    "format 3.0": npz("format 3.0", X=header("{}", version=b"\x03\x00")),
    "format 9.9": npz("X: no array of NumPy's", X=header("{}", version=b"\x09\x09")),
    "bomb": npz("as a decompression bomb", content=bomb),
    "path out of the archive": npz("points out of the archive", content=renamed("../../X.npy")),
    "absolute path": npz("points out of the archive", content=renamed("/etc/X.npy")),
    "backslashes": npz("points out of the archive", content=renamed("a\\..\\..\\X.npy")),
    "name twice": npz("a second member of that name", content=twice),
    "encrypted": npz("it is encrypted", content=encrypted),
    "packed by LZMA": npz(
        "packed by method 14", content=archive(zipfile.ZIP_LZMA, X=GOOD_X, y=GOOD_Y)
    ),
    "flipped bit": npz("damaged or cut short", "CRC", content=flipped),
    "labels short": npz("39 labels for the 40 rows", X=GOOD_X, y=GOOD_Y[1:]),
    "labels not one-hot": npz("y, row 0", "not one-hot", X=GOOD_X, y=np.ones((ROWS, 2))),
    "labels in three dimensions": npz("has shape (40, 1, 1)", X=GOOD_X, y=GOOD_Y[:, None, None]),
    "labels 0.5": npz("the label 0.5 is not an integer", X=GOOD_X, y=GOOD_Y / 2),
    "label nan": npz("y, row 0", "the label is nan", X=GOOD_X, y=np.full(ROWS, np.nan)),
    "label empty": npz("y[0]: the label is missing", X=GOOD_X, y=np.full(ROWS, "")),
    "one class": npz("every label is 0", X=GOOD_X, y=np.zeros(ROWS)),
    "nan": npz("X[7, 2]: nan", X=with_value(np.nan), y=GOOD_Y),
    "inf by columns": npz("X[7, 2]: inf", X=array(with_value(np.inf), fortran=True), y=GOOD_Y),
    "beyond float32": npz("X[7, 2]: 1e+300 is too large", X=with_value(1e300), y=GOOD_Y),
    "no rows": npz("has shape (0,), expected (rows,)", X=GOOD_X[:0], y=GOOD_Y[:0]),
    "no columns": npz("there are no inputs", X=GOOD_X[:, :0], y=GOOD_Y),
    "a single number": npz("a single number", X=np.float64(3), y=GOOD_Y),
    "transposed": npz("200000 columns", "transposed?", X=np.zeros((2, 200_000)), y=[0, 1]),
    "other columns in test": npz(
        "Xtest: 2 columns", Xtrain=GOOD_X, Ytrain=GOOD_Y, Xtest=GOOD_X[:, :2], Ytest=GOOD_Y
    ),
    "unseen label in test": npz(
        "Ytest, row 1",
        "label 1.5 is not",
        Xtrain=GOOD_X,
        Ytrain=GOOD_Y,
        Xtest=GOOD_X,
        Ytest=1.5 * GOOD_Y,
    ),
    "new class in test": npz(
        "Ytest, row 0",
        "not one of the classes",
        Xtrain=GOOD_X,
        Ytrain=GOOD_Y,
        Xtest=GOOD_X,
        Ytest=GOOD_Y + 7,
    ),
    "no labels in test": npz("no labels", Xtrain=GOOD_X, Ytrain=GOOD_Y, Xtest=GOOD_X),
    "a single array": raw(
        array(GOOD_X), "there are no labels", "y.npy beside X.npy", name="bad.npy"
    ),
    "label of a column": Bad(
        make=lambda path: path.write_bytes(archive(X=GOOD_X, y=GOOD_Y)),
        says=("is no CSV file", "Leave out --label"),
        options=("--label", "y"),
        name="bad.npz",
    ),
}

HUGE = struct.pack(">IIII", 2051, 2**32 - 1, 2**32 - 1, 2**32 - 1)

IDX = {
    "empty folder": special(Path.mkdir, "no images. Expected IDX files", name="bad"),
    "truncated gzip": folder("truncated", images_gz=packed(idx_bytes(IMAGES))[:-30]),
    "damaged gzip": folder(
        "compressed data are damaged", images_gz=packed(idx_bytes(IMAGES))[:-8] + bytes(8)
    ),
    "wrong magic": folder("magic number is 2052", images=struct.pack(">I", 2052) + bytes(40)),
    "exchanged": folder("are two files exchanged?", images=idx_bytes(LABELS)),
    "sizes that overflow": folder("4294967295 x 4294967295 x 4294967295", images=HUGE),
    "no images in it": folder("there is nothing in it", images=struct.pack(">IIII", 2051, 0, 2, 3)),
    "truncated": folder("(truncated)", images=idx_bytes(IMAGES)[:-1]),
    "too long": folder("it goes on after", images=idx_bytes(IMAGES) + b"\0"),
    "cut in the header": folder("inside the header", labels=idx_bytes(LABELS)[:6]),
    "empty file": folder("the file is empty", labels=b""),
    "elements of 4 bytes": folder("unsigned bytes", images=struct.pack(">I", 0x0D03) + bytes(20)),
    "gzip bomb": folder("it goes on after", images_gz=gzip_bomb()),
    "labels missing": folder("there are no labels", labels=None),
    "labels short": folder("39 labels for the 40 rows", labels=idx_bytes(LABELS[1:])),
    "one class": folder("every label is 0", labels=idx_bytes(0 * LABELS)),
    "images twice": folder(
        "both look like the images", emnist_train_images__idx3=idx_bytes(IMAGES)
    ),
    "no test labels": folder(
        "there are no labels", **{"t10k-images-idx3-ubyte": idx_bytes(IMAGES)}
    ),
    "folder in place of a file": special(folder_for_a_file, "it is a folder", name="bad"),
    "a text": folder("neither gzip (1f 8b) nor IDX (00 00)", images=b"hello world"),
}

PATHS = {
    "missing": special(lambda path: None, "there is no such file"),
    "link to itself": special(lambda path: path.symlink_to(path), "go round in a circle"),
    "link to nothing": special(lambda path: path.symlink_to("nowhere"), "there is no such file"),
    "link to a device": special(lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    "pipe": special(os.mkfifo, "not a regular file"),
    "folder with a file's name": special(Path.mkdir, "no images"),
    "pipe as MATLAB": special(os.mkfifo, "not a regular file", name="bad.mat"),
    "text as MATLAB": raw(b"1,2,3\n", "bad.mat", name="bad.mat"),
    "lzma": raw(lzma.compress(TABLE.encode()), "a zero byte at byte 5", "no text"),
    "gzip of an NPZ": raw(
        lambda: gzip.compress(archive(X=GOOD_X, y=GOOD_Y)), "damaged or cut short", name="bad.npz"
    ),
}

BAD = {
    f"{kind}: {name}": bad
    for kind, cases in (("csv", CSV), ("npz", NPZ), ("idx", IDX), ("path", PATHS))
    for name, bad in cases.items()
}
