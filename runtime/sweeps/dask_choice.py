"""Whether a cluster can be used: that needs Dask, which is an extra."""

from importlib.util import find_spec

from runtime.errors import InputError


def require_dask() -> None:
    """Raise `InputError` unless Dask's distributed scheduler is installed."""
    if find_spec("distributed") is None:
        raise InputError(
            "--scheduler: Dask is not installed. Install it with: pip install 'gradwright[dask]'"
        )
