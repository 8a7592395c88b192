"""Emitted modules run by Python itself: slow, and ready at once.

Compiling a module takes many seconds, so that few networks can be compiled in a test run.
Read as plain Python, the same text shows whether it says what it should, for any number of
networks; the compiled ones show that Numba makes of it what Python does.
"""

import ctypes
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from scipy.linalg import cython_blas

# the module's only lines about Numba, and what stands for them here
_IMPORTS = {
    "from numba import njit, types\n": "from uncompiled import njit\n",
    "from numba.core import cgutils\n": "",
    "from numba.extending import intrinsic, register_jitable\n": (
        "from uncompiled import intrinsic, register_jitable\n"
    ),
    "from llvmlite import ir\n": "",
    "import llvmlite.binding\n": "",
    "\n_register_gemm()\n": "\n",
    "\nEVALUATED = 512 ": "\nEVALUATED = 32 ",  # several blocks of few samples, or it takes minutes
}


def uncompiled(text: str) -> ModuleType:
    """Return the module of a text, with its kernels left to the interpreter."""
    for line, instead in _IMPORTS.items():
        text = text.replace(line, instead)
    assert "numba import" not in text
    assert "EVALUATED = 32 " in text
    module = ModuleType("uncompiled_module")
    exec(compile(text, "<emitted module>", "exec"), vars(module))
    return module


def njit(function: Callable[..., Any] | None = None, *, cache: bool = False, **_: object) -> Any:
    """Stand for Numba's decorator, with or without options."""
    if function is None:
        return njit_entry if cache else njit
    return function


def njit_entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """Stand for the decorator of what is called from outside: integers wrap, as compiled."""
    return np.errstate(all="ignore")(function)


def register_jitable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Stand for the decorator of what Python may call as it is."""
    return function


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Stand for an intrinsic by what it is there for."""
    return _INTRINSICS[function.__name__]


def _load(address: int) -> int:
    return ctypes.c_int64.from_address(address).value


def _store(address: int, value: int) -> None:
    ctypes.c_int64.from_address(address).value = value


def _call_gemm(*arguments: Any) -> None:
    """Call SciPy's gemm of the type of alpha, every argument by its address."""
    alpha = arguments[5]
    name = {"float32": "sgemm", "float64": "dgemm"}[np.dtype(type(alpha)).name]
    # letters and sizes, alpha, A, lda, B, ldb, beta, C, ldc; A, B and C are addresses already
    passed = [
        ctypes.c_void_p(argument) if isinstance(argument, int) else _address(argument)
        for argument in arguments
    ]
    _gemm(name)(*passed)


def _address(number: Any) -> Any:
    array = np.asarray(number).reshape(1).copy()
    pointer = ctypes.c_void_p(array.ctypes.data)
    pointer.array = array  # type: ignore[attr-defined]  # keeps it alive
    return pointer


def _gemm(name: str) -> Any:
    capsule = cython_blas.__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    address = api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)(address)


def _prefetch(address: int) -> None:
    """Do nothing: it only makes a later read faster."""


_INTRINSICS = {"_load": _load, "_store": _store, "_call_gemm": _call_gemm, "_prefetch": _prefetch}
