"""The student files of ``tests/grading/students``, and by which words a mistake is named.

The files and their manifests were written by someone who had not seen the grader. `NAMED` says
which of the grader's kinds names which of the manifests'; where the grader reports a mistake
without a diagnosis, as for ``return`` forgotten, the function's message names it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STUDENTS = Path(__file__).resolve().parents[1] / "grading" / "students"

NAMED: dict[str, tuple[str, ...]] = {
    "accuracy-not-percent": ("accuracy",),
    "accuracy-wrong-axis": ("accuracy",),
    "accuracy-wrong-operand": ("accuracy",),
    "bias-not-summed": ("reduction-missing",),
    "bias-over-all-entries": ("wrong-axis",),
    "bias-wrong-axis": ("wrong-axis",),
    "bias-wrong-operand": ("wrong-tensor", "wrong-operand"),
    "detached-graph": ("graph-cut",),
    "divided-by-wrong-size": ("wrong-size-division",),
    "doubled-tanh-derivative": ("extra-factor",),
    "error-sign": ("sign",),
    "factor-two": ("constant-factor",),
    "forgotten-transpose": ("transpose",),
    "forward-missing-activation": ("function-missing",),
    "forward-missing-bias": ("term-missing",),
    "forward-returns-logits": ("wrong-return",),
    "forward-sigmoid": ("wrong-function",),
    "grad-not-zeroed": ("grad-not-reset",),
    "gradient-overwritten-in-loop": ("reduction-replaced",),
    "gradients-swapped": ("wrong-tensor",),
    "in-place-outputs": ("in-place",),
    "in-place-params": ("in-place",),
    "log-of-wrong-operand": ("wrong-operand",),
    "loss-mean-over-all": ("extra-size-division",),
    "loss-sign": ("sign",),
    "loss-sum": ("missing-mean",),
    "mean-twice": ("extra-mean",),
    "missing-backprop-weights": ("wrong-operand",),
    "missing-batch-mean": ("missing-mean",),
    "missing-batch-mean-bias": ("missing-mean",),
    # where only one gradient lacks it, dh stands where dhtilde belongs
    "missing-tanh-derivative": ("activation-derivative-missing", "wrong-operand"),
    "mse-like-error": ("extra-factor",),
    "mse-loss": ("wrong-loss",),
    "no-grad-missing": ("graph",),
    "requires-grad-lost": ("graph",),
    "sgd-divides-by-batch": ("constant-factor",),
    "sgd-local-only": ("zero",),
    "sgd-no-eta": ("factor-missing",),
    "sgd-plus": ("sign",),
    "sgd-skips-parameter": ("zero", "constant-factor"),
    "sgd-wrong-gradient-key": ("wrong-operand",),
    "sigmoid-derivative": ("wrong-activation-derivative",),
    "sign-error-in-softmax-jacobian": ("softmax-derivative",),
    "sign-one-gradient": ("sign",),
    "skipped-layer": ("wrong-operand",),
    "softmax-derivative-ignored": ("wrong-variable",),
    "softmax-diagonal-only": ("softmax-derivative",),
    "softmax-extra-factor": ("extra-factor",),
    "softmax-not-normalised": ("division-missing",),
    "softmax-wrong-axis": ("wrong-axis",),
    "tanh-derivative-at-preactivation": ("activation-derivative-elsewhere",),
    "tanh-derivative-not-squared": ("power",),
    "tanh-derivative-of-tanh": ("activation-derivative-elsewhere",),
    "tanh-derivative-plus": ("sign",),
    "tanh-derivative-wrong-layer": ("activation-derivative-elsewhere",),
    "transposed-product": ("transpose",),
    "wrong-operand": ("wrong-operand", "term-missing"),
    "wrong-weights": ("wrong-operand",),
    "zeroed-before-use": ("zeroed-before-use",),
}

# kinds that a function's message names, by a word of it
TOLD: dict[str, str] = {
    "function-missing": "is not defined",
    "init-constant": "All entries of",
    "init-zeros": "All entries of",
    "left-none": "not written yet",
    "len-of-int": "len()",
    "no-grad-missing": "in-place operation",
    "no-return": "must return a dictionary",
    "non-leaf-parameter": "is not a leaf",
    "requires-grad-missing": "does not require gradients",
    "undefined-name": "is not defined",
    "wrong-key": "KeyError",
}

# what is true as well of a mistake that the manifest has one word for
ALSO_TRUE: dict[str, set[str]] = {
    "np_17.py": {"extra-size-division"},  # the mean over all entries, not their sum
    "pt_two_04.py": {"extra-size-factor"},  # the squares are summed over the classes, not averaged
}

# runs where all sizes are equal, and is judged there: the manifest has "no result at all"
JUDGED_AT_EQUAL_SIZES = {"pt_33.py"}


def manifest(which: str) -> dict[str, dict[str, Any]]:
    """Return what is true of the files of a folder, by their names."""
    found: dict[str, dict[str, Any]] = json.loads((STUDENTS / f"{which}.json").read_text("utf-8"))
    return found


def said(report: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Return the kinds of all diagnoses of a JSON report, each with whether it is certain."""
    for gradient in report["gradients"].values():
        for diagnosis in gradient["diagnosis"]:
            for kind in diagnosis["kind"].split("+"):
                yield kind, diagnosis["certain"]
