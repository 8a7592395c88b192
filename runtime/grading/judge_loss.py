"""Judge `loss_accuracy`."""

import ast
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

from numpy.typing import NDArray

from runtime.grading.answers import Round
from runtime.grading.bench import (
    Bench,
    call_problem,
    deciding,
    explained,
    failed,
    first_failure,
    unexplained,
    wrong_return,
)
from runtime.grading.comparing import Comparison, compare
from runtime.grading.purity import (
    changed_inputs,
)
from runtime.grading.puzzle import Observed, Puzzle
from runtime.grading.reference import right_values
from runtime.grading.scopes import loss_scopes
from runtime.grading.source import assignments
from runtime.grading.tree import Evaluation, written
from runtime.grading.values import Given
from runtime.grading.verdict import Diagnosis, Judgement
from runtime.grading.wording import Names

Array = NDArray[Any]


def judge_loss(bench: Bench, rounds: Sequence[Round]) -> Judgement:
    """Judge `loss_accuracy`: the mean cross-entropy, and the accuracy in percent."""
    name = "loss_accuracy"
    problem = call_problem(bench, name, name, rounds)
    if problem is not None:
        return problem
    failure = first_failure(rounds, name)
    if failure is not None:
        return failed(bench, name, failure)
    decisive = deciding(rounds, name)
    for round_ in decisive:
        value = round_.calls[name].value
        if not isinstance(value, list) or len(value) < 2:
            summary = "loss_accuracy must return two things: the loss and the accuracy."
            return wrong_return(bench, name, summary)
    losses = [_compare_loss(bench, r) for r in decisive]
    said: list[str] = []
    diagnosis: tuple[Diagnosis, ...] = ()
    if not all(c.ok for c in losses):
        said.append(f"The loss {next(c for c in losses if not c.ok).problem}.")
        diagnosis = _explain_loss(bench, decisive)
    elif any(c.imprecise for c in losses):
        bench.note_imprecise("The loss")
    accuracy = _accuracy_problem(bench, decisive)
    if accuracy is not None:
        said.append("The accuracy is wrong.")
        diagnosis = (*diagnosis, accuracy)
    impure = changed_inputs(bench, decisive, name, ("Yhat", "Y"))
    if impure:
        said.append("It changes what it is given.")
        diagnosis = (*diagnosis, impure)
    status = "wrong" if said else "right"
    return Judgement(status=status, summary=" ".join(said), diagnosis=diagnosis)


def _compare_loss(bench: Bench, round_: Round) -> Comparison:
    value = round_.calls["loss_accuracy"].value
    assert isinstance(value, list)
    if bench.asked is bench.right:
        expected, bound = bench.expected(round_)["loss"]
    else:
        expected, bound = right_values(bench.asked, round_.trial.given)["loss"]
    return compare(value[0], expected, bound, (), bench.interview.dtype)


def _explain_loss(bench: Bench, rounds: Sequence[Round]) -> tuple[Diagnosis, ...]:
    statements = {"loss": bench.right.forward["loss"]}
    observed = []
    for round_ in rounds:
        value = round_.calls["loss_accuracy"].value
        if isinstance(value, list) and isinstance(value[0], Given):
            values = bench.given_outputs(round_)
            given = {"yhat": values["yhat"], "Y": values["Y"]}
            observed.append(
                Observed(
                    evaluation=Evaluation(given, round_.trial.sizes),
                    results={"loss": value[0].array},
                )
            )
    if not observed:
        return ()
    puzzle = Puzzle(
        statements=statements,
        wrong=["loss"],
        right=[],
        trials=observed,
        scopes=loss_scopes(bench.right),
        tolerance=bench.tolerance,
    )
    names = Names(results={"loss": "the loss"}, plain={})
    told = explained(bench, puzzle, "loss_accuracy", rounds[0].calls["loss_accuracy"], names, {})
    line = _line_returned(bench, 0)
    where = f" ({bench.place(line)})" if line else ""
    if not told:
        formula = f"loss = {written(statements['loss'])}"
        return (unexplained(bench, "The loss", _facts(bench, rounds), formula, line),)
    return tuple(
        d
        if d.line is not None or line is None
        else replace(d, line=line, message=f"{d.message[:-1]}{where}.")
        for d in told
    )


def _facts(bench: Bench, rounds: Sequence[Round]) -> str:
    """Return what can be said of losses that nothing explains."""
    ratios = []
    for round_ in rounds:
        value = round_.calls["loss_accuracy"].value
        if isinstance(value, list) and isinstance(value[0], Given) and value[0].array.size == 1:
            loss, _ = right_values(bench.asked, round_.trial.given)["loss"]
            ratios.append(float(value[0].array.reshape(-1)[0]) / float(loss.reshape(-1)[0]))
    if not ratios:
        return "it is not one number"
    if not all(map(isfinite, ratios)):
        return "it is not finite"
    least, most = f"{min(ratios):.3g}", f"{max(ratios):.3g}"
    times = least if least == most else f"{least} to {most}"
    return f"for {len(ratios)} sets of inputs it is {times} times the right one"


def _line_returned(bench: Bench, place: int) -> int | None:
    """Return the line that sets what `loss_accuracy` returns there, or else returns it."""
    function = bench.interview.selection.functions["loss_accuracy"]
    returns = [node for node in ast.walk(function) if isinstance(node, ast.Return)]
    if isinstance(function, ast.Lambda):
        return function.lineno
    if not returns:
        return None
    match returns[-1].value:
        case ast.Tuple(elts=parts) if len(parts) > place:
            part = parts[place]
            while isinstance(part, ast.Call | ast.Attribute):  # acc.item()
                part = part.func if isinstance(part, ast.Call) else part.value
            if isinstance(part, ast.Name):
                lines = [line for name, line in assignments(function) if name == part.id]
                if lines:
                    return lines[0]
        case _:
            pass
    return returns[-1].lineno


def _accuracy_problem(bench: Bench, rounds: Sequence[Round]) -> Diagnosis | None:
    """Return what is wrong with the accuracy: the percentage of samples that are told right."""
    wrong = False
    fits = dict.fromkeys(_ACCURACIES, True)
    for round_ in rounds:
        value = round_.calls["loss_accuracy"].value
        assert isinstance(value, list)
        given = value[1]
        yhat, Y = bench.given_outputs(round_)["yhat"], round_.trial.given["Y"]
        right = _accuracy(yhat, Y)
        number = (
            float(given.array.reshape(-1)[0])
            if isinstance(given, Given) and given.array.size == 1
            else None
        )
        if number is None or not abs(number - right) <= 1e-3 * max(1.0, right):
            wrong = True
        for told, formula in _ACCURACIES.items():
            other = formula(yhat, Y)
            fits[told] &= number is not None and abs(number - other) <= 1e-3 * max(1.0, abs(other))
    if not wrong:
        return None
    known = next((told for told, fit in fits.items() if fit), None)
    message = known or (
        "The accuracy is not the percentage of samples whose largest entries of Yhat and Y "
        "stand in the same place."
    )
    line = _line_returned(bench, 1)
    if line is not None:
        message = f"{message[:-1]} ({bench.place(line)})."
    return Diagnosis(
        kind="accuracy",
        look="Look at the accuracy: in which unit is it, and which axis is a sample?",
        message=message,
        formula="Right is 100/B times the number of samples with argmax yhat = argmax Y.",
        certain=known is not None,
        line=line,
    )


def _accuracy(yhat: Array, Y: Array) -> float:
    return float((yhat.argmax(axis=1) == Y.argmax(axis=1)).mean() * 100)


def _down_columns(yhat: Array, Y: Array) -> float:
    return float((yhat.argmax(axis=0) == Y.argmax(axis=0)).mean() * 100)


_ACCURACIES: dict[str, Callable[[Array, Array], float]] = {
    "The accuracy is a fraction, not in percent: the factor 100 is missing.": lambda p, y: (
        _accuracy(p, y) / 100
    ),
    "The accuracy takes the largest entry of each column, not of each row.": _down_columns,
    "The accuracy counts the right samples without dividing by their number.": lambda p, y: (
        _accuracy(p, y) * len(y) / 100
    ),
    "The accuracy is the count of right samples times 100; the division by B is missing.": (
        lambda p, y: _accuracy(p, y) * len(y)
    ),
    "The accuracy is the percentage of wrong samples.": lambda p, y: 100 - _accuracy(p, y),
    "The accuracy is divided by the number of classes, not of samples.": lambda p, y: (
        _accuracy(p, y) * len(y) / y.shape[1]
    ),
    "The accuracy takes the smallest entry of Yhat, not the largest.": lambda p, y: float(
        (p.argmin(axis=1) == y.argmax(axis=1)).mean() * 100
    ),
    "The accuracy compares the places of the largest entries of Yhat with the largest entries of "
    "Y themselves.": lambda p, y: float((p.argmax(axis=1) == y.max(axis=1)).mean() * 100),
    "The accuracy compares rounded entries, not the places of the largest ones.": lambda p, y: (
        float(((p > 0.5) == (y > 0.5)).mean() * 100)
    ),
    "The accuracy takes the largest entry of each column and counts samples.": lambda p, y: float(
        (p.argmax(axis=0) == y.argmax(axis=0)).sum() * 100 / len(y)
    ),
}
