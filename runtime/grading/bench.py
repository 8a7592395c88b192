"""Where a file is judged: its answers, what is right, and what every judgement needs."""

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from numpy.typing import NDArray

from runtime.grading.answers import Call, Interview, Round
from runtime.grading.comparing import coarsest, match_tolerance
from runtime.grading.evidence import Evidence, choose
from runtime.grading.puzzle import Explanation, Puzzle
from runtime.grading.reference import Reference, forward_values, right_values
from runtime.grading.search import explain
from runtime.grading.source import Function
from runtime.grading.tree import Evaluation
from runtime.grading.values import Failure
from runtime.grading.verdict import Diagnosis, Judgement
from runtime.grading.wording import Names, diagnosis_of

Array = NDArray[Any]


# what NumPy says of a matrix product that does not exist
_MISMATCH = re.compile(r"matmul: Input operand.*\(size (\d+) is different from (\d+)\)")
MUST_BE_RIGHT = ("a", "b", "lab")  # kinds of trials that decide


@final
@dataclass(kw_only=True)
class Bench:
    """Where a file is judged: its answers, and what is right for each trial, computed once.

    Attributes
    ----------
    interview
        The answers.
    right
        The network's formulas.
    asked
        Those of which `loss_accuracy`, and `backward` beside a wrong `forward`, got outputs.
    activation
        Of its hidden layers.
    warnings
        What is found on the way.
    """

    interview: Interview
    right: Reference
    asked: Reference
    activation: str
    warnings: list[str]

    def __post_init__(self) -> None:
        self._expected: dict[int, dict[str, tuple[Array, Array]]] = {}

    @property
    def tolerance(self) -> float:
        """How near, relative to the largest entry, an explanation must come to a result."""
        return match_tolerance(coarsest(self.interview.dtype, "float32"))

    def forget(self) -> None:
        """Forget what was computed for another network."""
        self._expected.clear()

    def expected(self, round_: Round) -> dict[str, tuple[Array, Array]]:
        """Return the right values at a trial, each with its rounding error bound."""
        key = id(round_)
        if key not in self._expected:
            self._expected[key] = right_values(self.right, round_.trial.given)
        return self._expected[key]

    def evaluation(self, round_: Round) -> Evaluation:
        """Return X, Y, the parameters and the right forward values of a trial."""
        trial = round_.trial
        values = forward_values(self.right, trial.given, trial.sizes)
        return Evaluation(values, trial.sizes)

    def given_outputs(self, round_: Round) -> dict[str, Array]:
        """Return X, Y, the parameters and the forward values that the file was given."""
        trial = round_.trial
        return forward_values(self.asked, trial.given, trial.sizes)

    def rounds(self, *, own_layout: bool = False) -> list[Round]:
        """Return the trials in the lab's layout, or in the file's own."""
        wanted = self.interview.own_layout if own_layout else self.interview.layout
        return [r for r in self.interview.rounds if r.layout == wanted]

    def place(self, line: int | None) -> str:
        """Return a line as it is told."""
        return "" if line is None else self.interview.source.place(line)

    def note_imprecise(self, what: str) -> None:
        """Warn once that a result has the digits of float32 only."""
        text = f"{what} is right only to about the digits of float32."
        if text not in self.warnings:
            self.warnings.append(text)


def failure_message(bench: Bench, name: str, failure: Failure) -> str:
    """Return what is said of a function that could not be called to the end."""
    text = _MISMATCH.sub(r"matmul: the inner sizes differ, \1 and \2", f"{name} {failure}")
    if failure.line is not None:
        text += f" ({bench.place(failure.line)})"
    if failure.error in ("NameError", "UnboundLocalError"):
        parts = failure.message.split("'")
        left_out = bench.interview.selection.left_out
        if len(parts) > 2 and parts[1] in left_out:
            text += (
                f". {parts[1]} is set in {bench.place(left_out[parts[1]])} by code that is not "
                "run: only imports, constants and definitions are"
            )
    return f"{text}."


def failed(bench: Bench, name: str, failure: Failure) -> Judgement:
    """Return the judgement of a function that could not be called to the end."""
    return Judgement(
        status="error",
        summary=failure_message(bench, name, failure),
        kind=failure.error or "unfinished",
        line=failure.line,
    )


def wrong_return(bench: Bench, name: str, summary: str) -> Judgement:
    """Return the judgement of a function that does not return what it must."""
    line = return_line(bench.interview.selection.functions[name])
    return Judgement(status="wrong", summary=summary, kind="wrong-return", line=line)


def return_line(function: Function) -> int:
    """Return the line of a function's last return, or of its head if it has none."""
    returns = [node.lineno for node in ast.walk(function) if isinstance(node, ast.Return)]
    return returns[-1] if returns else function.lineno


def call_problem(bench: Bench, name: str, asked: str, rounds: Sequence[Round]) -> Judgement | None:
    """Return a judgement if a function is missing, or never came to an end."""
    if name not in bench.interview.selection.functions:
        return Judgement(status="missing", summary=f"{name} is not defined.", kind="not-defined")
    if name in bench.interview.dead:
        return failed(bench, name, bench.interview.dead[name])
    if not deciding(rounds, asked):
        return Judgement(status="error", summary=f"{name} could not be run.", kind="not-run")
    return None


def first_failure(rounds: Sequence[Round], asked: str) -> Failure | None:
    """Return how a function failed at a trial at which it must not."""
    for round_ in rounds:
        call = round_.calls.get(asked)
        decides = round_.trial.kind in MUST_BE_RIGHT
        if call is not None and decides and isinstance(call.value, Failure):
            return call.value
    return None


def deciding(rounds: Sequence[Round], asked: str) -> list[Round]:
    """Return the trials at which a function must be right, of those at which it was called."""
    return [r for r in rounds if r.trial.kind in MUST_BE_RIGHT and asked in r.calls]


def explained(
    bench: Bench, puzzle: Puzzle, function: str, call: Call, names: Names, keys: Mapping[str, str]
) -> tuple[Diagnosis, ...]:
    """Return what explains a function's results, or nothing."""
    found, _ = explain(puzzle)
    evidence = Evidence(puzzle, bench.interview.selection.functions.get(function), call.lines, keys)
    return tuple(d for e in found for d in diagnoses(bench, e, evidence, names))


def diagnoses(
    bench: Bench, explanation: Explanation, evidence: Evidence, names: Names
) -> list[Diagnosis]:
    """Return what is said of an explanation: itself, and what fits as well."""
    best, others, certain = choose(explanation, evidence)
    told = []
    for number, one in enumerate((best, *others)):
        line = evidence.line(one)
        steps = _steps(bench, one.statement)
        told.append(
            diagnosis_of(
                one,
                names,
                line=line,
                place=bench.place(line),
                statements=evidence.puzzle.statements,
                steps=steps,
                certain=certain,
                first=number == 0,
            )
        )
    return told


def unexplained(
    bench: Bench, subject: str, known: str, formula: str, line: int | None
) -> Diagnosis:
    """Return what is said where no change of the right formula gives a file's numbers."""
    place = f" ({bench.place(line)})" if line else ""
    return Diagnosis(
        kind="unknown",
        look="No single change of the right formula gives these numbers.",
        message=f"{subject}{place} is wrong in a way that no change of the right formula "
        f"explains. All that is known: {known}.",
        formula=f"Right is {formula}.",
        certain=False,
        line=line,
    )


def _steps(bench: Bench, statement: str) -> list[str]:
    """Return the steps of the derivation that end in a statement, as they are told."""
    from derive.printing import expression_text

    steps = [s for s in bench.right.program.steps if s.target == statement]
    kept = [
        s for s in steps if s.rule in ("chain rule", "derivative", "delta", "reuse", "identity")
    ]
    return [f"{s.rule}: {expression_text(s.after, s.indices)}" for s in kept[-4:]]
