"""Emitted C for tests: compiled with warnings as errors, and called through ctypes."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codegen.source import GeneratedSource

STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror")
SANITIZED = ("-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

Params = Mapping[str, np.ndarray]


def compilers() -> list[str]:
    """Return the C compilers there are, the first of which is used where one is enough."""
    found = [name for name in ("gcc", "clang") if shutil.which(name)]
    in_ci = os.environ.get("CI") == "true"
    assert len(found) == 2 or not in_ci, "CI needs gcc and clang, and .ci/run installs them"
    if not found:
        pytest.skip("there is no C compiler")
    return found


def write(source: GeneratedSource, folder: Path, prefix: str = "net") -> Path:
    """Write a C file and its header; return the first."""
    assert source.header is not None
    path = folder / f"{prefix}.c"
    path.write_text(source.text, "utf-8")
    path.with_suffix(".h").write_text(source.header, "utf-8")
    return path


def compile_c(*files: Path, out: Path, flags: tuple[str, ...], compiler: str = "") -> Path:
    """Compile C files to a programme or library; a warning is an error."""
    linked = [] if "-fsyntax-only" in flags else ["-lm", "-o", str(out)]
    command = [compiler or compilers()[0], *STRICT, *flags, *map(str, files), *linked]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
    assert done.stderr == ""
    return out


@dataclass(frozen=True)
class CNetwork:
    """The three functions of a library, of NumPy arrays."""

    library: Any
    dtype: str
    sizes: tuple[int, ...]

    @classmethod
    def built(
        cls,
        source: GeneratedSource,
        folder: Path,
        flags: tuple[str, ...] = ("-O2",),
        prefix: str = "net",
        compiler: str = "",
    ) -> "CNetwork":
        """Compile a network, and load it; the folder must not hold another one."""
        path = write(source, folder, prefix)
        flags = ("-shared", "-fPIC", *flags)
        out = compile_c(path, out=folder / "net.so", flags=flags, compiler=compiler)
        sizes = tuple(int(n) for n in source.spec.sizes)
        return cls(ctypes.CDLL(str(out)), source.dtype, sizes)

    @property
    def number(self) -> Any:
        return ctypes.c_float if self.dtype == "float32" else ctypes.c_double

    def array(self, values: Any) -> np.ndarray:
        """Return an array of the library's type, in C order, that nothing else holds."""
        return np.array(values, self.dtype, order="C")

    def flat(self, params: Params) -> np.ndarray:
        return self.array(np.concatenate([np.ravel(value) for value in params.values()]))

    def apart(self, flat: np.ndarray, like: Params) -> dict[str, np.ndarray]:
        """Return numbers one after another as the parameters that they are."""
        found, start = {}, 0
        for name, value in like.items():
            found[name] = flat[start : start + value.size].reshape(value.shape)
            start += value.size
        assert start == flat.size
        return found

    def forward(self, params: Params, X: Any) -> np.ndarray:
        X, flat = self.array(X), self.flat(params)
        P = np.zeros((len(X), self.sizes[-1]), self.dtype)
        self.library.net_forward(*map(_pointer, (flat, X)), ctypes.c_size_t(len(X)), _pointer(P))
        return P

    def loss_and_gradients(
        self, params: Params, X: Any, Y: Any
    ) -> tuple[float, dict[str, np.ndarray]]:
        X, Y, flat = self.array(X), self.array(Y), self.flat(params)
        grads = np.zeros_like(flat)
        function = self.library.net_loss_and_gradients
        function.restype = self.number
        loss = function(*map(_pointer, (flat, X, Y)), ctypes.c_size_t(len(X)), _pointer(grads))
        return float(loss), self.apart(grads, params)

    def train(
        self,
        params: Params,
        X: Any,
        Y: Any,
        *,
        epochs: int,
        batch: int,
        eta: float,
        seed: int = 0,
        order: Any = None,
        with_losses: bool = False,
        more: Sequence[Any] = (),
    ) -> tuple[int, dict[str, np.ndarray], np.ndarray]:
        """Return the status, the parameters after training, and the losses.

        `more` is what an optimiser's function is given at the end.
        """
        X, Y, flat = self.array(X), self.array(Y), self.flat(params)
        losses = np.full(epochs, np.nan, self.dtype)
        given = None if order is None else np.ascontiguousarray(order, np.uint32)
        sizes = map(ctypes.c_size_t, (len(X), epochs, batch))
        status = self.library.net_train(
            *map(_pointer, (flat, X, Y)),
            *sizes,
            self.number(eta),
            ctypes.c_uint64(seed),
            None if given is None else _pointer(given),
            _pointer(losses) if with_losses else None,
            *more,
        )
        return status, self.apart(flat, params), losses


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    assert array.flags.carray
    return ctypes.c_void_p(array.ctypes.data)
