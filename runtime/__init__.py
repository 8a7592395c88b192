"""Data, training, pictures, checks and the command line around the generated kernels.

    from runtime.data.circles import circles
    result = runtime.train(circles(), "2-10-2")

The names below are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.history import History
    from runtime.torch_check import check
    from runtime.training import Model, Settings, TrainResult, train

__all__ = ["History", "Model", "Settings", "TrainResult", "check", "train"]

_HOMES = {
    "History": "runtime.history",
    "Model": "runtime.training",
    "Settings": "runtime.training",
    "TrainResult": "runtime.training",
    "check": "runtime.torch_check",
    "train": "runtime.training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
