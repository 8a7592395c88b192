"""What a run leaves and says, and small sets in MATLAB's form to run on."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from runtime.history import History

LAST_LINE = re.compile(
    r"test accuracy \d+\.\d\d %  test loss \S+  train accuracy \d+\.\d\d %  train loss \S+  "
    r"(\d+) epochs in \d+\.\d+ s\n"
)
FILES = {
    "checkpoint.safetensors",
    "curves.png",
    "decision.png",
    "history.csv",
    "kernels.py",
    "model.safetensors",
    "run.json",
}


def write_set(path: Path, rows: int = 20, **changes: Any) -> Path:
    """Write a MATLAB file of two classes in the plane; None leaves a matrix out."""
    rng = np.random.default_rng(0)
    labels = np.eye(2)[np.arange(rows) % 2]
    matrices = {
        "Xtrain": rng.normal(size=(rows, 2)) + 2 * labels,
        "Ytrain": labels,
        "Xtest": rng.normal(size=(rows, 2)) + 2 * labels,
        "Ytest": labels,
    } | changes
    savemat(path, {name: value for name, value in matrices.items() if value is not None})
    return path


def with_entry(value: float, row: int, column: int) -> Any:
    matrix = np.zeros((20, 2))
    matrix[row, column] = value
    return matrix


def record_in(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return record


def rows_in(folder: Path) -> History:
    return History.from_csv((folder / "history.csv").read_text())
