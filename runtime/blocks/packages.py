"""Packages that only some data need: imported when these are met."""

from importlib import import_module
from typing import Any

from runtime.errors import InputError

_EXTRAS = {
    "pyarrow": ("parquet", "Parquet files"),
    "pyarrow.parquet": ("parquet", "Parquet files"),
    "zarr": ("zarr", "Zarr stores"),
}


def load_package(name: str, where: str) -> Any:
    """Return a package that `where` needs.

    Raises
    ------
    InputError
        If it is not installed; the message names the extra.
    """
    extra, what = _EXTRAS[name]
    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise InputError(
            f"{where}: {what} need {package}, which is not installed. Install it with: pip install "
            f"'gradwright[{extra}]'"
        ) from None
