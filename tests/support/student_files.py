"""The student files of ``tests/grading/students``, and by which words a mistake is named.

The files and their manifests were written by someone who had not seen the grader. `NAMED` says
which of the grader's kinds names which of the manifests'; where the grader reports a mistake
without a diagnosis, as for ``return`` forgotten, the function's message names it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.grading.verdict import Diagnosis, Verdict

STUDENTS = Path(__file__).resolve().parents[1] / "grading" / "students"

NAMED: dict[str, tuple[str, ...]] = {
    "accuracy-not-percent": ("accuracy",),
    "accuracy-wrong-axis": ("accuracy",),
    "accuracy-wrong-operand": ("accuracy",),
    "bias-after-activation": ("term-missing",),
    "bias-not-summed": ("reduction-missing",),
    "bias-over-all-entries": ("wrong-axis",),
    "bias-wrong-axis": ("wrong-axis",),
    "bias-wrong-operand": ("wrong-tensor", "wrong-operand"),
    "detached-graph": ("graph-cut",),
    "divided-by-all-entries": ("extra-size-division",),
    "divided-by-wrong-size": ("wrong-size-division",),
    "doubled-tanh-derivative": ("extra-factor",),
    "error-sign": ("sign",),
    "extra-factor": ("extra-factor",),
    "extra-tanh": ("extra-function",),
    "extra-weight-decay": ("extra-term",),
    "factor-eta": ("constant-factor",),
    "factor-of-mse": ("factor",),
    "factor-two": ("constant-factor",),
    "forgotten-transpose": ("transpose",),
    "forward-missing-activation": ("function-missing",),
    "forward-missing-bias": ("term-missing",),
    "forward-relu": ("wrong-function",),
    "forward-returns-logits": ("wrong-return",),
    "forward-sigmoid": ("wrong-function",),
    "grad-not-zeroed": ("grad-not-reset",),
    "gradient-overwritten-in-loop": ("reduction-replaced",),
    "gradients-swapped": ("wrong-tensor",),
    "in-place-outputs": ("in-place",),
    "in-place-params": ("in-place",),
    "log-base-ten": ("wrong-function",),
    "log-of-largest": ("wrong-operand",),
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
    "relu-derivative": ("wrong-activation-derivative",),
    "requires-grad-lost": ("graph",),
    "sample-left-out": ("sample-missing",),
    "sgd-divides-by-batch": ("constant-factor",),
    "sgd-local-only": ("zero",),
    "sgd-momentum-anew": ("constant-factor",),
    "sgd-no-eta": ("factor-missing",),
    "sgd-plus": ("sign",),
    "sgd-skips-parameter": ("zero", "constant-factor"),
    "sgd-wrong-gradient-key": ("wrong-operand",),
    "sigmoid-derivative": ("wrong-activation-derivative",),
    "sign-error-in-softmax-jacobian": ("softmax-derivative",),
    "sign-one-gradient": ("sign",),
    "skipped-layer": ("wrong-operand",),
    "softmax-all-entries": ("wrong-axis",),
    "softmax-derivative-ignored": ("wrong-variable",),
    "softmax-diagonal-only": ("softmax-derivative",),
    "softmax-extra-factor": ("extra-factor",),
    "softmax-keepdims": ("axis-lost",),
    "softmax-not-normalised": ("division-missing",),
    "softmax-sign": ("sign",),
    "softmax-twice": ("extra-function",),
    "softmax-wrong-axis": ("wrong-axis",),
    "tanh-derivative-at-preactivation": ("activation-derivative-elsewhere",),
    "tanh-derivative-minus-2h": ("wrong-activation-derivative",),
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
    "s2_04.py": {"constant-factor"},  # h for 1 − h², and −2 times
    "s3_07.py": {"extra-mean"},  # the mean of Y, in the place of a sum of what is divided by B
    "pt_two_04.py": {"extra-size-factor"},  # the squares are summed over the classes, not averaged
}

# runs where all sizes are equal, and is judged there: the manifest has "no result at all"
JUDGED_AT_EQUAL_SIZES = {"pt_33.py"}


def bad(judgements: Mapping[str, Any]) -> set[str]:
    """Return the names of what is not right."""
    return {name for name, judgement in judgements.items() if judgement.status != "right"}


def spoken(verdict: Verdict) -> str:
    """Return all that a report says of functions and gradients."""
    every = [*verdict.functions.values(), *verdict.gradients.values()]
    return " ".join(judgement.message(2) for judgement in every)


def diagnosed(verdict: Verdict) -> list[Diagnosis]:
    """Return every diagnosis, in the order of the report."""
    every = [*verdict.functions.values(), *verdict.gradients.values()]
    return [diagnosis for judgement in every for diagnosis in judgement.diagnosis]


def wrongly_certain(name: str, truth: Mapping[str, Any], verdict: Verdict) -> list[Diagnosis]:
    """Return what is given as certain and is not true; a shape follows from what spoils it."""
    kinds = {k for mistake in truth["mistakes"] for k in NAMED.get(mistake["kind"], ())}
    allowed = kinds | {"shape"} | ALSO_TRUE.get(name, set())
    return [d for d in diagnosed(verdict) if d.certain and not {*d.kind.split("+")} <= allowed]


def is_told_apart(name: str, truth: Mapping[str, Any], verdict: Verdict) -> bool:
    """Tell whether just those functions and gradients are called wrong that are."""
    missing = truth.get("missing", [])
    missing = [missing] if isinstance(missing, str) else missing
    functions = bad(verdict.functions) == {*truth["wrong_functions"], *missing}
    equal = name in JUDGED_AT_EQUAL_SIZES
    return functions and (equal or bad(verdict.gradients) == set(truth["wrong_gradients"]))


def is_named(kind: str, given: set[str], text: str) -> bool:
    """Tell whether a mistake is among some kinds of diagnoses, or in a message of a function."""
    return bool(given & set(NAMED.get(kind, ()))) or (kind in TOLD and TOLD[kind] in text)


@dataclass
class Score:
    """How many wrong files were understood; each count is of so many, with those that were not.

    Attributes
    ----------
    apart
        Files whose wrong functions and gradients are told from the right ones.
    first
        Single mistakes that the first diagnosis names.
    pairs
        Files of two mistakes of which both are named.
    lines
        Files whose first diagnosis stands on a line of the mistake, of those that give a line.
    certain
        Wrong diagnoses that were given as certain.
    """

    apart: dict[str, bool] = field(default_factory=dict)
    first: dict[str, bool] = field(default_factory=dict)
    pairs: dict[str, bool] = field(default_factory=dict)
    lines: dict[str, bool] = field(default_factory=dict)
    certain: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, truth: Mapping[str, Any], verdict: Verdict) -> None:
        """Count a file."""
        told, text = diagnosed(verdict), spoken(verdict)
        kinds = [mistake["kind"] for mistake in truth["mistakes"]]
        self.apart[name] = is_told_apart(name, truth, verdict)
        if len(kinds) == 1:
            given = {*told[0].kind.split("+")} if told else set()
            self.first[name] = is_named(kinds[0], given, text)
        else:
            given = {part for d in told for part in d.kind.split("+")}
            self.pairs[name] = all(is_named(kind, given, text) for kind in kinds)
        lines = {
            line["code_line"] if isinstance(line, dict) else line  # in a notebook
            for mistake in truth["mistakes"]
            for key in ("lines", "lines_as_good")
            for line in mistake.get(key, ())
        }
        if lines and told and told[0].line is not None:
            self.lines[name] = told[0].line in lines
        self.certain += [(name, d.message) for d in wrongly_certain(name, truth, verdict)]

    def __str__(self) -> str:
        """Return a line for each count, and those that failed."""
        text = ""
        for what in ("apart", "first", "pairs", "lines"):
            counted: dict[str, bool] = getattr(self, what)
            failed = ", ".join(name for name, ok in counted.items() if not ok)
            text += f"{what:6} {sum(counted.values())} of {len(counted)}  {failed}\n"
        return text + f"wrong as certain: {self.certain or 'none'}"


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
