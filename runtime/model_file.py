"""``model.safetensors``: the weights, and how they came to be.

The one metadata entry, `ENTRY`, is a JSON object with sorted keys: what the caller gives,
the version of this format, and the SHA-256 of everything else in the file (null: not to be
checked). It holds no time and no path, so equal runs give equal bytes.

References
----------
.. [1] https://huggingface.co/docs/safetensors, the file format.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError, InternalError
from runtime.files import path_error, shown, write_atomically

ENTRY = "gradwright"
FORMAT = 1
_OWN_KEYS = {"format", "sha256"}
# name in the file -> NumPy's; all little-endian there
_DTYPES = {"F32": np.float32, "F64": np.float64, "I64": np.int64, "U64": np.uint64}
_AGAIN = "Train again, or restore the file from a copy"

Array = NDArray[Any]
Shape = tuple[int, ...]


def save_model(
    path: str | os.PathLike[str],
    params: Mapping[str, Array],
    meta: Mapping[str, Any],
    *,
    work_began: bool = False,
) -> None:
    """Write weights and their description to `path`, whole or not at all.

    Parameters
    ----------
    path
        Usually ``model.safetensors`` in the run's folder.
    params
        Arrays of float32, float64, int64 or uint64, of any layout and shape.
    meta
        What JSON can hold, without ``format`` and ``sha256``. Equal content gives equal
        bytes, whatever the order of the keys; so leave out times and paths.
    work_began
        As for `runtime.files.write_atomically`.

    Raises
    ------
    InputError, RunError
        If `path` cannot be written to.
    InternalError
        If `params` or `meta` hold what the file cannot.
    """
    write_atomically(path, model_bytes(params, meta), work_began=work_began)


def model_bytes(params: Mapping[str, Array], meta: Mapping[str, Any]) -> bytes:
    """Return the content of the file that `save_model` writes."""
    from safetensors.numpy import save

    if clash := _OWN_KEYS & set(meta):
        raise InternalError(f"model metadata must not have the keys {sorted(clash)}")
    arrays = {name: _plain(name, array) for name, array in params.items()}
    try:
        # through JSON and back, so that a tuple hashes as the list it is read as
        content = json.loads(_json({**meta, "format": FORMAT}))
    except (TypeError, ValueError) as error:
        raise InternalError(f"model metadata is not JSON: {error}") from error
    entry = _json({**content, "sha256": _digest(arrays, content)})
    return bytes(save(arrays, metadata={ENTRY: entry}))


def load_model(
    path: str | os.PathLike[str], expected: Mapping[str, Shape] | None = None
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read what `save_model` wrote.

    Nothing in the file is evaluated, and no array is read before its place, type and shape
    are known to be right.

    Parameters
    ----------
    path
        The file.
    expected
        Names and shapes that the network needs, if they are known: exactly these.

    Returns
    -------
    params, meta
        Arrays that the caller owns and may write to, in the order of their names, and what
        was given as `meta`.

    Raises
    ------
    InputError
        If the file is not there, cut short, damaged, of another program or a newer version,
        or does not hold the parameters that are `expected`.
    """
    from safetensors import SafetensorError, safe_open

    name = shown(path)
    _check_readable(Path(path), name)
    try:
        with safe_open(Path(path), framework="numpy") as stored:
            entry = _entry(stored.metadata() or {}, name)
            slices = {key: stored.get_slice(key) for key in sorted(stored.keys())}
            dtypes = {key: part.get_dtype() for key, part in slices.items()}
            shapes = {key: tuple(part.get_shape()) for key, part in slices.items()}
            _check_arrays(dtypes, shapes, expected, name)
            params = {key: stored.get_tensor(key) for key in slices}
    except SafetensorError as error:
        raise InputError(f"{name}: damaged or cut short ({_one_line(error)}). {_AGAIN}.") from error
    except OSError as error:
        raise path_error(error, path, "read") from error
    checksum = entry.pop("sha256")
    if checksum is not None and checksum != _digest(params, entry):
        raise InputError(
            f"{name}: damaged: its content does not have the checksum it was saved with. {_AGAIN};"
            ' if it was changed on purpose, set "sha256" in its metadata to null.'
        )
    del entry["format"]
    return params, entry


def _plain(name: str, array: Array) -> Array:
    """Return `array` little-endian and C-contiguous: safetensors writes memory as it lies."""
    array = np.asarray(array)
    if array.dtype.newbyteorder("=") not in [np.dtype(dtype) for dtype in _DTYPES.values()]:
        raise InternalError(f"model array {name} has dtype {array.dtype}, which is not stored")
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(arrays: Mapping[str, Array], content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of metadata and arrays, in the order of their names."""
    digest = hashlib.sha256(_json(content).encode())
    for name in sorted(arrays):
        array = _plain(name, arrays[name])
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _check_readable(path: Path, name: str) -> None:
    """Refuse what cannot be mapped into memory; safetensors' own words are less plain."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # before opening it: a pipe would wait
            raise InputError(f"{name}: not an ordinary file. Give a run's model.safetensors.")
        with path.open("rb"):
            pass
    except FileNotFoundError as error:
        raise InputError(f"{name}: there is no such file. Check the path.") from error
    except OSError as error:
        raise path_error(error, path, "read") from error
    if status.st_size == 0:
        raise InputError(f"{name}: the file is empty. {_AGAIN}.")


def _entry(metadata: Mapping[str, str], name: str) -> dict[str, Any]:
    if ENTRY not in metadata:
        raise InputError(
            f'{name}: not a model of gradwright: there is no metadata entry "{ENTRY}". '
            "Give the model.safetensors of a run."
        )
    try:
        entry = json.loads(metadata[ENTRY])
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: damaged: its metadata is not JSON. {_AGAIN}.") from error
    if not isinstance(entry, dict) or not set(entry) >= _OWN_KEYS:
        raise InputError(f"{name}: damaged: its metadata is incomplete. {_AGAIN}.")
    if entry["format"] != FORMAT:
        written = json.dumps(entry["format"])
        raise InputError(
            f"{name}: written in format {written}, and this version reads format {FORMAT}. "
            "Install the version of gradwright that wrote it."
        )
    return entry


def _check_arrays(
    dtypes: Mapping[str, str],
    shapes: Mapping[str, Shape],
    expected: Mapping[str, Shape] | None,
    name: str,
) -> None:
    for key, dtype in dtypes.items():
        if dtype not in _DTYPES:
            known = ", ".join(_DTYPES)
            raise InputError(f"{name}: {shown(key)} has type {dtype}; expected one of {known}.")
    if expected is None:
        return
    for key, shape in expected.items():
        if key not in shapes:
            raise InputError(f"{name}: {key} {shape} is missing. Is it the model of another run?")
        if shapes[key] != tuple(shape):
            raise InputError(
                f"{name}: {key} has shape {shapes[key]}, expected {tuple(shape)}. "
                "Is it the model of another network?"
            )
    if extra := sorted(set(shapes) - set(expected)):
        raise InputError(
            f"{name}: holds {', '.join(map(shown, extra))}, which the network does not have. "
            "Is it the model of another network?"
        )


def _one_line(error: BaseException) -> str:
    return re.sub(r"\s+", " ", str(error)).strip()
