"""What reading and writing ONNX share: the package, and how large a file may be."""

from importlib import import_module
from typing import Any

from runtime.errors import InputError

Onnx = Any  # the package's modules and messages: it is not imported until needed

LARGEST = 512 << 20  # bytes of a file; 134 million parameters in float32
ENTRY = "gradwright"  # the metadata entry with what ONNX has no place for

# our activation -> operator; silu is Sigmoid and Mul
OPERATORS = {
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "relu": "Relu",
    "softplus": "Softplus",
    "elu": "Elu",
    "gelu": "Gelu",
    "sin": "Sin",
    "softmax": "Softmax",
    "log_softmax": "LogSoftmax",
}


def load_onnx() -> Onnx:
    """Return the onnx package.

    Raises
    ------
    InputError
        If it is not installed.
    """
    try:
        return import_module("onnx")
    except ImportError as error:
        raise InputError(
            "onnx is not installed, and its files need it. "
            "Install it with: pip install 'gradwright[onnx]'"
        ) from error
