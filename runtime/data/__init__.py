"""Data sets: where they come from, and the checks that every one of them passes.

`dataset` holds the value; `circles`, `planar` and `mnist` make one by name, `user_file` from a
path or from arrays. `csv_file`, `npz_file`, `idx_folder` and `matlab` read a format each and give
a `table`, which is split, converted and scaled on its way into memory; what is mostly zeros gets
there as `sparse_rows`. `labels` makes classes or real targets of what stands there. `download`
fetches files of known checksum.

The functions are imported from their modules (``from runtime.data.circles import circles``): a
function re-exported here would hide the module of the same name. SciPy, requests and tqdm are
imported when needed, and so are the names below, since they bring NumPy: a shell that asks for
the names of the sets (`catalogue`) does not wait for that.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.data.dataset import Dataset, check_dataset

__all__ = ["Dataset", "check_dataset"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("runtime.data.dataset"), name)
