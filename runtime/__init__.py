"""Data, training, pictures, checks and the command line around the generated kernels.

    result = runtime.train("circles", "2-10-2", epochs=300)
    print(result.history.last_line())

The names below are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.blocks.streamed import StreamedDataset
    from runtime.data.dataset import Dataset
    from runtime.estimators import NetworkClassifier, NetworkRegressor
    from runtime.grading.grader import grade
    from runtime.history import History
    from runtime.lab_data import CirclesData, MNISTData
    from runtime.onnx_reading import import_onnx
    from runtime.onnx_writing import export_onnx
    from runtime.portable import PortableNetwork
    from runtime.result import Model, TrainResult
    from runtime.settings import Settings
    from runtime.sweeps.progress import SweepProgress
    from runtime.sweeps.result import SweepResult
    from runtime.sweeps.sweeping import sweep
    from runtime.torch_check import check
    from runtime.torch_module import as_torch_module
    from runtime.training import Progress, train

__all__ = [
    "CirclesData",
    "Dataset",
    "History",
    "MNISTData",
    "Model",
    "NetworkClassifier",
    "NetworkRegressor",
    "PortableNetwork",
    "Progress",
    "Settings",
    "StreamedDataset",
    "SweepProgress",
    "SweepResult",
    "TrainResult",
    "as_torch_module",
    "check",
    "export_onnx",
    "grade",
    "import_onnx",
    "sweep",
    "train",
]

_HOMES = {
    "CirclesData": "runtime.lab_data",
    "Dataset": "runtime.data.dataset",
    "History": "runtime.history",
    "MNISTData": "runtime.lab_data",
    "Model": "runtime.result",
    "NetworkClassifier": "runtime.estimators",
    "NetworkRegressor": "runtime.estimators",
    "PortableNetwork": "runtime.portable",
    "Progress": "runtime.training",
    "Settings": "runtime.settings",
    "StreamedDataset": "runtime.blocks.streamed",
    "SweepProgress": "runtime.sweeps.progress",
    "SweepResult": "runtime.sweeps.result",
    "TrainResult": "runtime.result",
    "as_torch_module": "runtime.torch_module",
    "check": "runtime.torch_check",
    "export_onnx": "runtime.onnx_writing",
    "grade": "runtime.grading.grader",
    "import_onnx": "runtime.onnx_reading",
    "sweep": "runtime.sweeps.sweeping",
    "train": "runtime.training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
