"""From source to a module: written to a file of the cache, then imported.

Only text that our own emitter wrote is imported here: in this process, or in an earlier one of
the same user, whose text `codegen.cache` vouches for. Numba cannot cache functions made by
``exec``, so it is a real file, named by its content.
"""

import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

from codegen.cache import note_written, prepare, seal, seal_at_exit
from codegen.errors import InputError, InternalError
from codegen.source import GeneratedSource

_OpenForWrite = Callable[[str], AbstractContextManager[BinaryIO]]

_one_at_a_time = threading.Lock()  # another thread must not see half a module


def compile_module(source: GeneratedSource) -> ModuleType:
    """Return the emitted module, imported; its functions are compiled when first called.

    A second process that asks for the same source finds it compiled in the user's cache.

    Parameters
    ----------
    source
        The result of `codegen.generate`, for Numba or NumPy.

    Raises
    ------
    InputError
        If the source is in C.
    """
    if source.header is not None:
        raise InputError("the source is in C; write it to a file, and compile it with cc")
    with _one_at_a_time:
        return _imported(prepare(source.text))


def _imported(path: Path) -> ModuleType:
    name = path.stem
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InternalError(f"no import is possible from {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    bytecode = Path(spec.cached or path)
    not_yet = not bytecode.exists()
    try:
        with _compiled_beside_the_source():
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    if not_yet and bytecode.is_file():
        note_written(bytecode, bytecode.read_bytes())
    _note_what_is_compiled(module)
    seal_at_exit(path.parent)
    return module


def _note_what_is_compiled(module: ModuleType) -> None:
    """Have each file that Numba writes for a module's kernels noted as it is written."""
    for value in vars(module).values():
        # Numba offers nothing for this; without it nothing is vouched for, and all compiles anew
        file = getattr(getattr(value, "_cache", None), "_cache_file", None)
        if file is not None:
            file._open_for_write = _noting(file._open_for_write)


def _noting(open_for_write: _OpenForWrite) -> _OpenForWrite:
    """Return Numba's way to write a file, which renames it when it is whole, with a note."""

    @contextmanager
    def noting(path: str) -> Iterator[BinaryIO]:
        with open_for_write(path) as file:
            yield file
            file.flush()
            note_written(Path(path), Path(file.name).read_bytes())

    return noting


@contextmanager
def _compiled_beside_the_source() -> Iterator[None]:
    """Keep Numba from ``$NUMBA_CACHE_DIR``, where nothing vouches for what it finds."""
    from numba.core import config

    chosen = config.CACHE_DIR
    config.CACHE_DIR = ""
    try:
        yield
    finally:
        config.CACHE_DIR = chosen


def keep_compiled(module: ModuleType) -> None:
    """Vouch for what has been compiled of a module so far, so that it is found again."""
    file = getattr(module, "__file__", None)
    if file is not None:
        seal(Path(file).parent)
