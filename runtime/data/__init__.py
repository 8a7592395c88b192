"""Data sets: where they come from, and the checks that every one of them passes.

`dataset` holds the value, `circles` and `mnist` make one, `idx` and `matlab` read the two
file formats, `download` fetches files of known checksum. The functions are imported from
their modules (``from runtime.data.circles import circles``): a function re-exported here
would hide the module of the same name. SciPy, requests and tqdm are imported when needed.
"""

from runtime.data.dataset import Dataset, check_dataset

__all__ = ["Dataset", "check_dataset"]
