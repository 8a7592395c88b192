"""Judge `forward`, and where autograd cannot follow it."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.grading.answers import Call, Round
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
from runtime.grading.evidence import facts
from runtime.grading.problem import lab_outputs
from runtime.grading.purity import (
    changed_inputs,
)
from runtime.grading.puzzle import Observed, Puzzle
from runtime.grading.scopes import forward_scopes
from runtime.grading.source import assigned_line
from runtime.grading.tree import Evaluation, Node, written
from runtime.grading.values import Failure, Given, Other, Value
from runtime.grading.verdict import Diagnosis, Judgement
from runtime.grading.wording import Names, listed

Array = NDArray[Any]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardCheck:
    """What is known of `forward`."""

    judgement: Judgement
    is_right: bool


def judge_forward(bench: Bench, rounds: Sequence[Round], *, explained: bool = True) -> ForwardCheck:
    """Judge `forward`: what it returns, what it keeps, and that it changes nothing.

    Parameters
    ----------
    bench, rounds
        The answers.
    explained
        Whether to search for what is wrong, if something is.
    """
    problem = call_problem(bench, "forward", "forward", rounds)
    if problem is not None:
        return ForwardCheck(judgement=problem, is_right=False)
    failure = first_failure(rounds, "forward")
    summary = ""
    if failure is not None:
        summary = failed(bench, "forward", failure).summary
    decisive = deciding(rounds, "forward")
    wrong_form = _forward_form(decisive)
    if wrong_form and not summary:
        judgement = wrong_return(bench, "forward", wrong_form)
        return ForwardCheck(judgement=judgement, is_right=False)
    if not summary:
        comparisons = [_compare_output(bench, r, r.calls["forward"]) for r in decisive]
        if all(c.ok for c in comparisons):
            if any(c.imprecise for c in comparisons):
                bench.note_imprecise("What forward returns")
            impure = changed_inputs(bench, decisive, "forward", ("params", "X"))
            if impure:
                summary = "forward changes what it is given."
                judgement = Judgement(status="wrong", summary=summary, diagnosis=(impure,))
                return ForwardCheck(judgement=judgement, is_right=True)
            wrong_key = _wrong_key(bench, decisive)
            if wrong_key is not None:
                return ForwardCheck(judgement=wrong_key, is_right=False)
            return ForwardCheck(judgement=Judgement(status="right"), is_right=True)
        first = next(c for c in comparisons if not c.ok)
        summary = f"forward is wrong: what it returns {first.problem}."
        if impure := changed_inputs(bench, decisive, "forward", ("params", "X")):
            judgement = Judgement(status="wrong", summary=summary, diagnosis=(impure,))
            return ForwardCheck(judgement=judgement, is_right=False)
    judgement = Judgement(status="wrong", summary=summary)
    if failure is not None:
        judgement = failed(bench, "forward", failure)
    diagnosis: tuple[Diagnosis, ...] = ()
    if explained:
        diagnosis = _explain_return(bench, decisive) or _explain_forward(bench, rounds)
        if not diagnosis and failure is None:
            diagnosis = _facts_of_output(bench, decisive)
    return ForwardCheck(judgement=replace(judgement, diagnosis=diagnosis), is_right=False)


def _forward_form(rounds: Sequence[Round]) -> str:
    for round_ in rounds:
        call = round_.calls.get("forward")
        if call is None or isinstance(call.value, Failure):
            continue
        value = call.value
        if not isinstance(value, list) or len(value) != 2 or not isinstance(value[1], dict):
            return (
                "forward must return two things: the output yhat, and the dictionary of what it "
                "computed on the way."
            )
    return ""


def _compare_output(bench: Bench, round_: Round, call: Call) -> Comparison:
    value = call.value
    if not isinstance(value, list):
        return Comparison(ok=False, numbers_ok=False, problem="is missing")
    expected, bound = bench.expected(round_)["yhat"]
    return compare(value[0], expected, bound, expected.shape, bench.interview.dtype)


def _wrong_key(bench: Bench, rounds: Sequence[Round]) -> Judgement | None:
    """Return a judgement if a right output comes with a wrong entry under a key of the lab."""
    names = lab_outputs(bench.right.program.parameters.__len__() // 2)
    for round_ in rounds:
        value = round_.calls["forward"].value
        assert isinstance(value, list)
        X = round_.trial.given["X"]
        rounding = np.finfo(np.float64).eps * np.abs(
            X
        )  # a file that computes in float32 keeps that
        expected = bench.expected(round_) | {"X": (X, rounding)}
        for key in names:
            if key in value[1] and key in expected:
                right, bound = expected[key]
                found = compare(value[1][key], right, bound, right.shape, bench.interview.dtype)
                if not found.ok:
                    return Judgement(
                        status="wrong",
                        summary="forward returns the right output, but "
                        f'outputs["{key}"] {found.problem}.',
                        kind="wrong-output",
                        line=assigned_line(bench.interview.selection.functions["forward"], key),
                    )
    return None


def _explain_forward(bench: Bench, rounds: Sequence[Round]) -> tuple[Diagnosis, ...]:
    statements = {n: t for n, t in bench.right.forward.items() if n != "loss"}
    seen: list[tuple[Round, dict[str, Array]]] = []
    for round_ in rounds:
        call = round_.calls.get("forward")
        if call is None or not isinstance(call.value, list) or not call.value:
            continue
        results = _forward_results(call.value, statements)
        if results:
            seen.append((round_, results))
    if not seen:
        return ()
    wrong, right = _parted(bench, seen, list(statements))
    puzzle = Puzzle(
        statements=statements,
        wrong=wrong,
        right=right,
        trials=[Observed(evaluation=_inputs(r), results=v) for r, v in seen],
        scopes=forward_scopes(bench.right),
        tolerance=bench.tolerance,
        scaled=False,
    )
    names = Names(results={n: n for n in statements}, plain={})
    keys = {name: name for name in statements}
    return explained(bench, puzzle, "forward", seen[0][0].calls["forward"], names, keys)


def _facts_of_output(bench: Bench, rounds: Sequence[Round]) -> tuple[Diagnosis, ...]:
    """Return what is known of an output that nothing explains."""
    for round_ in rounds:
        value = round_.calls["forward"].value
        given = value[0] if isinstance(value, list) and value else None
        if isinstance(given, Given):
            known = facts(given.array, bench.expected(round_)["yhat"][0])
            formula = f"yhat = {written(bench.right.forward['yhat'])}"
            return (unexplained(bench, "What forward returns", known, formula, None),)
    return ()


def _explain_return(bench: Bench, rounds: Sequence[Round]) -> tuple[Diagnosis, ...]:
    """Return what is said if ``outputs["yhat"]`` is right, but something else is returned."""
    returned: dict[str, bool] = dict.fromkeys(bench.right.forward, True)
    for round_ in rounds:
        value = round_.calls["forward"].value
        if not isinstance(value, list) or len(value) < 2 or not isinstance(value[1], dict):
            return ()
        expected = bench.expected(round_)
        right, bound = expected["yhat"]
        if not compare(
            value[1].get("yhat", Other("")), right, bound, right.shape, bench.interview.dtype
        ).ok:
            return ()
        for name in returned:
            right, bound = expected[name]
            found = compare(value[0], right, bound, right.shape, bench.interview.dtype)
            returned[name] &= found.ok
    name = next((name for name, same in returned.items() if same), "something else")
    function = bench.interview.selection.functions["forward"]
    lines = [node.lineno for node in ast.walk(function) if isinstance(node, ast.Return)]
    line = lines[-1] if lines else None
    where = f" ({bench.place(line)})" if line else ""
    return (
        Diagnosis(
            kind="wrong-return",
            look="Look at what forward returns.",
            message=f"forward returns {name} in the place of yhat{where}; "
            'outputs["yhat"] is right.',
            line=line,
        ),
    )


def _forward_results(value: Sequence[Value], statements: Mapping[str, Node]) -> dict[str, Array]:
    results: dict[str, Array] = {}
    kept = value[1] if len(value) > 1 and isinstance(value[1], dict) else {}
    for name in statements:
        entry = kept.get(name)
        if isinstance(entry, Given):
            results[name] = entry.array
    if isinstance(value[0], Given):
        results["yhat"] = value[0].array
    return results


def _parted(
    bench: Bench, seen: Sequence[tuple[Round, Mapping[str, Array]]], names: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return which results are wrong at some trial, and which are right at all."""
    wrong: list[str] = []
    right: list[str] = []
    tolerance = bench.tolerance
    for name in names:
        given = [(r, v[name]) for r, v in seen if name in v]
        if not given:
            continue
        same = all(_near(a, bench.expected(r)[name][0], tolerance) for r, a in given)
        (right if same else wrong).append(name)
    return wrong, right


def _near(a: Array, b: Array, tolerance: float) -> bool:
    return a.squeeze().shape == b.squeeze().shape and bool(
        np.allclose(a.squeeze(), b.squeeze(), rtol=tolerance, atol=tolerance * np.abs(b).max())
    )


def _inputs(round_: Round) -> Evaluation:
    return Evaluation(round_.trial.given, round_.trial.sizes)


def cut_off(
    rounds: Sequence[Round],
    functions: Mapping[str, Judgement],
    gradients: Mapping[str, Judgement],
) -> dict[str, Judgement]:
    """Return the judgement of the function that keeps autograd from the gradients, if one does.

    In Part 2 there is no `backward` to blame: numbers may be right that autograd cannot follow.
    """
    bad = [key for key, judgement in gradients.items() if judgement.status != "right"]
    init = functions["init_params"].status == "right"
    blamed = [name for name in ("forward", "loss_accuracy") if functions[name].status != "right"]
    if not bad or blamed or not init:
        return {}
    decisive = deciding(rounds, "forward")
    value = decisive[0].calls["forward"].value
    output = value[0] if isinstance(value, list) and value else None
    follows = isinstance(output, Given) and output.tracked
    slopes = decisive[0].calls.get("slopes")
    stopped = slopes is None or isinstance(slopes.value, Failure)
    name = "loss_accuracy" if follows and stopped else "forward"
    told = (
        f"{name} has the right numbers, but autograd cannot follow it back to {listed(bad)}: look "
        "for detach(), .data, .item(), NumPy or torch.no_grad()."
    )
    diagnosis = Diagnosis(
        kind="graph-cut",
        look=f"Look at how {name} computes its numbers: autograd must be able to follow.",
        message=told,
    )
    summary = (
        f"With backward(), {listed(bad)} {'gets' if len(bad) == 1 else 'get'} no right gradient."
    )
    return {name: Judgement(status="wrong", summary=summary, diagnosis=(diagnosis,))}
