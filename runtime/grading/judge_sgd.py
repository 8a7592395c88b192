"""Judge `sgd`, of Part 1 and of Part 2."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.grading.answers import Round, names_by_key
from runtime.grading.bench import (
    Bench,
    call_problem,
    deciding,
    failed,
    first_failure,
    return_line,
    wrong_return,
)
from runtime.grading.comparing import coarsest
from runtime.grading.evidence import Evidence, choose, step_line
from runtime.grading.puzzle import Explanation, Observed, Puzzle
from runtime.grading.scopes import step_scopes
from runtime.grading.search import explain
from runtime.grading.tree import Evaluation, Node, tensor
from runtime.grading.values import Failure, Given, Other
from runtime.grading.verdict import Diagnosis, Judgement
from runtime.grading.wording import Names, diagnosis_of, listed

Array = NDArray[Any]


_EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def judge_sgd(bench: Bench, rounds: Sequence[Round]) -> Judgement:
    """Judge `sgd`: it returns the dictionary with each parameter less eta times its gradient."""
    problem = call_problem(bench, "sgd", "sgd", rounds)
    if problem is not None:
        return problem
    failure = first_failure(rounds, "sgd")
    if failure is not None:
        return _raising_step(bench, rounds, failure)
    decisive = deciding(rounds, "sgd")
    keys = names_by_key(decisive[0].layout)
    for round_ in decisive:
        if form := _step_form(bench, round_, keys):
            return form
    wrong = [key for key in keys if not all(_stepped(bench, r, key) for r in decisive)]
    if wrong and (kept := _right_once(bench, rounds, keys)):
        summary = f"sgd is wrong for {listed(wrong)} from the second call on."
        return Judgement(status="wrong", summary=summary, diagnosis=(kept,))
    if wrong and _returns_gradients(decisive, keys):
        summary = "sgd returns the gradients, and not the parameters."
        told = at_return(bench, "sgd", "wrong-return", "sgd", nothing=False)
        return Judgement(status="wrong", summary=summary, diagnosis=(told,))
    if wrong:
        summary = f"sgd is wrong for {listed(wrong)}"
        right = [key for key in keys if key not in wrong]
        summary += f", and right for {listed(right)}." if right else "."
        if bench.interview.is_part_2 and (early := _zeroed_early(bench, decisive, wrong)):
            diagnosis: tuple[Diagnosis, ...] = (early,)
        else:
            alone = _step_alone(bench, decisive, keys, wrong)
            diagnosis = (alone,) if alone else _explain_step(bench, decisive, keys, wrong)
        return Judgement(status="wrong", summary=summary, diagnosis=diagnosis)
    if bench.interview.is_part_2:
        return _judge_graph(bench, decisive, keys)
    return Judgement(status="right")


def _step_form(bench: Bench, round_: Round, keys: Mapping[str, str]) -> Judgement | None:
    """Return a judgement if `sgd` does not return a dictionary with an array for each key."""
    value = round_.calls["sgd"].value
    if not isinstance(value, dict):
        nothing = isinstance(value, Other) and value.type == "NoneType"
        told = "None" if nothing else "something else"
        summary = (
            f"sgd must return the dictionary of parameters; it returns {told}, and the loop's "
            "params = sgd(…) loses them."
        )
        return Judgement(
            status="wrong",
            summary=summary,
            diagnosis=(at_return(bench, "sgd", "no-return", "sgd", nothing=nothing),),
        )
    for key in keys:
        if not isinstance(value.get(key), Given):
            told = "None" if key in value else "not there"
            summary = f'sgd: params["{key}"] is {told} in what it returns.'
            return wrong_return(bench, "sgd", summary)
    return None


def _returns_gradients(rounds: Sequence[Round], keys: Mapping[str, str]) -> bool:
    """Tell whether what comes back is what was given as gradients."""
    for round_ in rounds:
        value = round_.calls["sgd"].value
        assert isinstance(value, dict)
        for key, name in keys.items():
            given = round_.layout.stored(key, round_.trial.slopes[name])
            if not np.array_equal(value[key].array, given):
                return False
    return True


def _raising_step(bench: Bench, rounds: Sequence[Round], failure: Failure) -> Judgement:
    """Judge an `sgd` that raises: at sizes that are all equal it may still show its mistake."""
    usable = [r for r in rounds if "sgd" in r.calls and isinstance(r.calls["sgd"].value, dict)]
    diagnosis: tuple[Diagnosis, ...] = ()
    if usable:
        keys = names_by_key(usable[0].layout)
        whole = all(_step_form(bench, r, keys) is None for r in usable)
        wrong = [k for k in keys if whole and not all(_stepped(bench, r, k) for r in usable)]
        if kept := _right_once(bench, rounds, keys):
            diagnosis = (kept,)
        elif wrong:
            diagnosis = _explain_step(bench, usable, keys, wrong)
    return replace(failed(bench, "sgd", failure), diagnosis=diagnosis)


def _step_alone(
    bench: Bench, rounds: Sequence[Round], keys: Mapping[str, str], wrong: Sequence[str]
) -> Diagnosis | None:
    """Return what is said if the step, or its opposite, stands where the parameter belongs."""
    told: dict[float, str] = {1.0: "eta · grads", -1.0: "−eta · grads"}
    for round_ in rounds:
        value = round_.calls["sgd"].value
        assert isinstance(value, dict)
        for key in wrong:
            slope = round_.trial.slopes[keys[key]]
            step = round_.layout.stored(key, round_.trial.rate * slope)
            told = {
                sign: text
                for sign, text in told.items()
                if value[key].array.shape == step.shape
                and np.allclose(value[key].array, sign * step, rtol=bench.tolerance)
            }
    if not told:
        return None
    line = step_line(bench.interview.selection.functions.get("sgd"))
    place = f" ({bench.place(line)})" if line else ""
    (text,) = told.values()
    return Diagnosis(
        kind="term-missing",
        look="Look at the terms of the update.",
        message=f"In the step of {listed(wrong)}, the parameter itself is missing: what is left is "
        f"{text}{place}.",
        formula="Right is params − eta · grads.",
        line=line,
    )


def _right_once(bench: Bench, rounds: Sequence[Round], keys: Mapping[str, str]) -> Diagnosis | None:
    """Return what is said of a step that is right in the first call, and in no later one."""

    def is_right(round_: Round) -> bool:
        whole = _step_form(bench, round_, keys) is None
        return whole and all(_stepped(bench, round_, key) for key in keys)

    first, *later = [r for r in rounds if "sgd" in r.calls]
    if not later or not is_right(first) or any(map(is_right, later)):
        return None
    line = step_line(bench.interview.selection.functions.get("sgd"))
    place = f" ({bench.place(line)})" if line else ""
    return Diagnosis(
        kind="keeps-state",
        look="Look at what sgd keeps from one call to the next.",
        message=f"Only the first call of sgd is right{place}: it keeps something from one call to "
        "the next, such as a velocity. The lab's step is params − eta · grads, and no more.",
        line=line,
    )


def _zeroed_early(bench: Bench, rounds: Sequence[Round], wrong: Sequence[str]) -> Diagnosis | None:
    """Return what is said if gradients are zeroed before they are used, as the lines have it."""
    function = bench.interview.selection.functions.get("sgd")
    if function is None:
        return None
    zeroed, used = [], []
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Attribute(attr="zero_" | "fill_" | "zero_grad")):
                zeroed.append(node.lineno)
            case ast.Assign(targets=[ast.Attribute(attr="grad")]):
                zeroed.append(node.lineno)
            case ast.Attribute(attr="grad", ctx=ast.Load()):
                used.append(node.lineno)
            case _:
                pass
    used = [line for line in used if line not in zeroed]
    still = all(
        np.array_equal(
            value[key].array, r.layout.stored(key, r.trial.given[names_by_key(r.layout)[key]])
        )
        for r in rounds
        if isinstance(value := r.calls["sgd"].value, dict)
        for key in wrong
    )
    if not still or not zeroed or not used or min(zeroed) >= max(used):
        return None
    line = min(zeroed)
    return Diagnosis(
        kind="zeroed-before-use",
        look="Look at the order in which things happen.",
        message=f"The gradients are set to zero before the step uses them ({bench.place(line)}), "
        f"so that {listed(wrong)} never {'moves' if len(wrong) == 1 else 'move'}.",
        line=line,
    )


def at_return(bench: Bench, name: str, kind: str, what: str, *, nothing: bool) -> Diagnosis:
    """Return what is said of what a function returns, with the line of its last return."""
    function = bench.interview.selection.functions[name]
    line = return_line(function)
    returns = any(isinstance(node, ast.Return) for node in ast.walk(function))
    told = "has no return" if nothing and not returns else "returns the wrong thing"
    return Diagnosis(
        kind=kind,
        look=f"Look at what {what} returns.",
        message=f"{name} {told} ({bench.place(line)}).",
        line=line,
    )


def _expected_step(round_: Round, name: str) -> Array:
    trial = round_.trial
    return np.asarray(trial.given[name] - trial.rate * trial.slopes[name])


def _stepped(bench: Bench, round_: Round, key: str) -> bool:
    value = round_.calls["sgd"].value
    assert isinstance(value, dict)
    entry = value[key]
    name = names_by_key(round_.layout)[key]
    right = round_.layout.stored(key, _expected_step(round_, name))
    if entry.array.shape != right.shape:
        return False
    dtype = coarsest(bench.interview.dtype, entry.dtype, "float32")
    size = float(np.abs(right).max()) + 1.0
    return bool((np.abs(entry.array - right) <= 16 * _EPS[dtype] * size).all())


def _explain_step(
    bench: Bench, rounds: Sequence[Round], keys: Mapping[str, str], wrong: Sequence[str]
) -> tuple[Diagnosis, ...]:
    # what a step adds, −η dθ, is the lab's definition; nothing is differentiated here
    eta = tensor("eta")
    statements = {
        f"new {key}": Node("neg", (Node("mul", (eta, tensor(f"d{key}"))),)) for key in keys
    }
    observed = []
    for round_ in rounds:
        trial = round_.trial
        given: dict[str, Array] = {"eta": np.array([[trial.rate]])}
        for key, name in keys.items():
            given[key] = trial.given[name]
            given[f"d{key}"] = trial.slopes[name]
        value = round_.calls["sgd"].value
        assert isinstance(value, dict)
        results = {
            f"new {key}": round_.layout.standard(key, value[key].array) - trial.given[name]
            for key, name in keys.items()
            if value[key].array.size == trial.given[name].size
        }
        observed.append(Observed(evaluation=Evaluation(given, trial.sizes), results=results))
    puzzle = Puzzle(
        statements=statements,
        wrong=[f"new {key}" for key in wrong],
        right=[f"new {key}" for key in keys if key not in wrong],
        trials=observed,
        scopes=step_scopes,
        tolerance=bench.tolerance,
    )
    found, rest = explain(puzzle)
    by_result = {f"new {key}": key for key in keys}
    evidence = Evidence(
        puzzle,
        bench.interview.selection.functions.get("sgd"),
        rounds[0].calls["sgd"].lines,
        by_result,
    )
    told: list[Diagnosis] = []
    grouped: dict[tuple[object, ...], list[Explanation]] = {}
    for explanation in found:
        best, _, _ = choose(explanation, evidence)
        pattern = (*(edit.kind for edit in best.changes), best.scale)
        grouped.setdefault(pattern, []).append(best)
    for same in grouped.values():
        first = same[0]
        words = listed([by_result[name] for e in same for name in e.explains])
        names = Names(results=dict.fromkeys(statements, f"the step of {words}"), plain={})
        line = evidence.line_of_key(by_result[first.explains[0]]) or evidence.any_line()
        told.append(
            diagnosis_of(
                first,
                names,
                line=line,
                place=bench.place(line),
                statements=statements,
            )
        )
    if rest and not told:
        told.append(
            Diagnosis(
                kind="unknown",
                look="Look at the update.",
                message="What sgd returns is no simple change of params − eta · grads.",
                formula="Right is params[k] = params[k] − eta · grads[k].",
                line=evidence.any_line(),
                certain=False,
            )
        )
    return tuple(told)


def _judge_graph(bench: Bench, rounds: Sequence[Round], keys: Mapping[str, str]) -> Judgement:
    """Judge what `sgd` leaves for the next step: leaves of the graph, with empty gradients."""
    for round_ in rounds:
        value = round_.calls["sgd"].value
        assert isinstance(value, dict)
        for key in keys:
            entry: Given = value[key]
            said = ""
            if not entry.tracked:
                said = (
                    "no longer requires gradients, so that the next backward() gives it none. "
                    "Change it in place, or set requires_grad again."
                )
            elif not entry.leaf:
                said = (
                    "is a result of autograd now, not a leaf, so that its .grad stays empty. "
                    "Update it under torch.no_grad()."
                )
            elif isinstance(entry.slope, Given) and entry.slope.array.any():
                said = (
                    "keeps its .grad, and the next backward() adds to it. Reset it with "
                    ".grad.zero_()."
                )
            if said:
                kind = "grad-not-reset" if ".grad," in said else "graph"
                line = step_line(bench.interview.selection.functions.get("sgd"))
                place = f" ({bench.place(line)})" if line else ""
                diagnosis = Diagnosis(
                    kind=kind,
                    look="Look at what is left for the next step.",
                    message=f'After sgd{place} params["{key}"] {said}',
                    line=line,
                )
                return Judgement(status="wrong", summary="sgd is wrong.", diagnosis=(diagnosis,))
    second = rounds[0].calls.get("second sgd")
    if second is not None and isinstance(second.value, Failure):
        told = f"The second sgd {second.value}."
        return replace(failed(bench, "sgd", second.value), summary=told)
    return Judgement(status="right")
