"""Our own C, compiled for this processor: what the compiled Python is measured against."""

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bench.workload import Array, Params, Workload
from runtime.errors import InputError

COMPILER = "cc"
_FLAGS = ("-std=c99", "-O3", "-march=native", "-shared", "-fPIC")


def is_there() -> bool:
    """Whether there is a C compiler."""
    return shutil.which(COMPILER) is not None


class CPeer:
    """What ``gradwright generate --target c`` emits: one call for a whole run, one thread."""

    def __init__(self, work: Workload, X: Array, Y: Array) -> None:
        import codegen

        source = codegen.generate(work.network(), target="c", dtype=work.dtype, labels=work.labels)
        self._train = _compiled(source.text, source.header or "").net_train
        self._number = ctypes.c_float if work.dtype == "float32" else ctypes.c_double
        self._work, self._X, self._Y = work, np.ascontiguousarray(X), np.ascontiguousarray(Y)
        self._seed = 0

    def train(self, params: Params, epochs: int, order: NDArray[np.int64] | None = None) -> None:
        """Train as `runtime.bench.peers.Contender` says."""
        flat = np.concatenate([value.ravel() for value in params.values()])
        given = None if order is None else np.ascontiguousarray(order, np.uint32)
        self._seed += 1
        status = self._train(
            *(_pointer(array) for array in (flat, self._X, self._Y)),
            *map(ctypes.c_size_t, (len(self._X), epochs, self._work.batch)),
            self._number(self._work.eta),
            ctypes.c_uint64(self._seed),
            None if given is None else _pointer(given),
            None,
        )
        if status:
            raise MemoryError("the C function could not train")
        start = 0
        for value in params.values():
            value[...] = flat[start : start + value.size].reshape(value.shape)
            start += value.size


def _compiled(text: str, header: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.c"
        path.write_text(text, "utf-8")
        path.with_suffix(".h").write_text(header, "utf-8")
        library = path.with_suffix(".so")
        command = [COMPILER, *_FLAGS, str(path), "-lm", "-o", str(library)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise InputError(f"c: {COMPILER} cannot compile it: {done.stderr.strip()}")
        return ctypes.CDLL(str(library))


def _pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
