"""Judge `backward`, and each gradient that it returns."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.grading.answers import Round, names_by_key
from runtime.grading.bench import (
    MUST_BE_RIGHT,
    Bench,
    call_problem,
    deciding,
    diagnoses,
    failed,
    failure_message,
    first_failure,
    unexplained,
    wrong_return,
)
from runtime.grading.comparing import Comparison, compare
from runtime.grading.evidence import Evidence, facts
from runtime.grading.purity import (
    changed_inputs,
    in_place_line,
    overwritten,
)
from runtime.grading.puzzle import Explanation, Observed, Puzzle
from runtime.grading.scopes import backward_scopes
from runtime.grading.search import explain
from runtime.grading.source import assigned_line
from runtime.grading.tree import Node, written
from runtime.grading.values import Failure, Given, Value
from runtime.grading.verdict import Diagnosis, Judgement
from runtime.grading.wording import Names, listed

Array = NDArray[Any]


def judge_backward(
    bench: Bench, rounds: Sequence[Round], asked: str
) -> tuple[Judgement, dict[str, Judgement]]:
    """Judge `backward`, and each gradient that it returns.

    Parameters
    ----------
    bench, rounds
        The answers.
    asked
        Which call counts: with the file's own outputs, or on right ones; or the slopes that
        autograd found.
    """
    name = "backward" if asked.startswith("backward") else "forward"
    keys = names_by_key(rounds[0].layout) if rounds else names_by_key(bench.interview.layout)
    problem = call_problem(bench, name, asked, rounds)
    if problem is not None:
        status = "missing" if problem.status == "missing" else "error"
        return problem, {key: replace(problem, status=status) for key in keys}
    failure = first_failure(rounds, asked)
    decisive = deciding(rounds, asked)
    usable = [
        r for r in rounds if asked in r.calls and not isinstance(r.calls[asked].value, Failure)
    ]
    if failure is None and any(not isinstance(r.calls[asked].value, dict) for r in usable):
        summary = f"{name} must return a dictionary with a gradient for each parameter."
        judgement = wrong_return(bench, name, summary)
        return judgement, {key: replace(judgement, status="missing") for key in keys}
    if failure is not None and not usable:
        judgement = failed(bench, name, failure)
        return judgement, dict.fromkeys(keys, judgement)
    gradients = _judge_gradients(bench, usable, asked, keys, raised=failure is not None)
    summary = ""
    if failure is not None:
        sizes = ", ".join(f"{n} = {s}" for n, s in decisive[0].trial.sizes.items())
        summary = failure_message(bench, name, failure)[:-1] + f", with {sizes}."
    words = ("params", "outputs", "Y")
    impure = None if failure or asked == "slopes" else changed_inputs(bench, decisive, asked, words)
    bad = [key for key, judgement in gradients.items() if judgement.status != "right"]
    if bad:
        good = [key for key in gradients if key not in bad]
        summary = f"{summary} {_gradients_summary(bad, good)}".strip()
    if impure is not None:
        gradients = {
            key: replace(j, diagnosis=tuple(in_place_line(d, impure) for d in j.diagnosis))
            for key, j in gradients.items()
        }
    if impure and not bad:
        summary = f"{name} changes what it is given."
    status = "error" if failure is not None else "wrong" if bad or impure else "right"
    diagnosis = (impure,) if impure is not None else ()
    judgement = Judgement(status=status, summary=summary, diagnosis=diagnosis)
    if failure is not None:
        judgement = replace(failed(bench, name, failure), summary=summary, diagnosis=diagnosis)
    return judgement, gradients


def _gradients_summary(bad: Sequence[str], good: Sequence[str]) -> str:
    if len(bad) == 1:
        text = f"{bad[0]}'s gradient is wrong"
    else:
        text = f"The gradients of {listed(bad)} are wrong"
    if not good:
        return f"{text}."
    rest = f"{good[0]}'s is right" if len(good) == 1 else "the others are right"
    return f"{text}, {rest}."


def _judge_gradients(
    bench: Bench, rounds: Sequence[Round], asked: str, keys: Mapping[str, str], *, raised: bool
) -> dict[str, Judgement]:
    decisive = [r for r in rounds if r.trial.kind in MUST_BE_RIGHT and not raised] or list(rounds)
    judged: dict[str, Judgement] = {}
    comparisons: dict[str, list[Comparison]] = {}
    for key, name in keys.items():
        entries = [_gradient(r, asked, key) for r in decisive]
        if any(entry is None for entry in entries):
            judged[key] = _missing_gradient(bench, decisive, asked, key)
            continue
        comparisons[key] = [_compare_gradient(bench, r, asked, key, name) for r in decisive]
    wrong = [
        key
        for key, found in comparisons.items()
        if not all(c.numbers_ok for c in found) and _is_array(decisive, asked, key)
    ]
    diagnoses = _explain_backward(
        bench, rounds, asked, keys, list(comparisons), wrong, raised=raised
    )
    for key, found in comparisons.items():
        if all(c.ok for c in found):
            if any(c.imprecise for c in found):
                bench.note_imprecise(f"{key}'s gradient")
            judged[key] = Judgement(status="right", relative_error=found[0].relative_error)
            continue
        first = next(c for c in found if not c.ok)
        said = list(diagnoses.get(key, ()))
        explained = key in wrong and not first.same_size  # what was named changes the shape, too
        if (
            first.problem.startswith("has the shape")
            and (key not in wrong or said)
            and not explained
        ):
            said.append(_shape_diagnosis(bench, key, first))
        judged[key] = Judgement(
            status="wrong",
            summary=f"{key}'s gradient {first.problem}.",
            diagnosis=tuple(said),
            relative_error=found[0].relative_error,
            line=_line_of_gradient(bench, key),
        )
    # from the output back, as they are computed: what spoils others stands first
    order = list(bench.right.backward)
    place = {key: order.index(bench.right.gradients[name]) for key, name in keys.items()}
    return {key: judged[key] for key in sorted(keys, key=place.__getitem__)}


def _gradient(round_: Round, asked: str, key: str) -> Value | None:
    value = round_.calls[asked].value
    if not isinstance(value, dict) or key not in value:
        return None
    entry: Value = value[key]
    is_none = not isinstance(entry, Given | dict | list) and entry.type == "NoneType"
    return None if is_none else entry


def _is_array(rounds: Sequence[Round], asked: str, key: str) -> bool:
    return all(isinstance(_gradient(r, asked, key), Given) for r in rounds)


def _missing_gradient(bench: Bench, rounds: Sequence[Round], asked: str, key: str) -> Judgement:
    value = rounds[0].calls[asked].value
    kind = "missing"
    if isinstance(value, dict) and key in value:
        if asked == "slopes":
            told = (
                f"{key} gets no gradient: the loss does not depend on it, or autograd was cut off."
            )
        else:
            told, kind = f"{key}'s gradient is None: it is not written yet.", "not-written"
    elif isinstance(value, dict) and f"d{key}" in value:
        told = f'{key}\'s gradient is missing: it is kept as "d{key}", and "{key}" is expected.'
    else:
        told = f"{key}'s gradient is missing."
    line = _line_of_gradient(bench, key)
    return Judgement(status="missing", summary=told, kind=kind, line=line)


def _compare_gradient(bench: Bench, round_: Round, asked: str, key: str, name: str) -> Comparison:
    entry = _gradient(round_, asked, key)
    assert entry is not None
    expected, bound = bench.expected(round_)[bench.right.gradients[name]]
    layout = round_.layout
    stored = layout.stored(key, expected)
    if key in layout.weights and layout.turned:
        bound = bound.T
    return compare(
        entry,
        np.atleast_2d(stored),
        bound.reshape(np.atleast_2d(stored).shape),
        stored.shape,
        bench.interview.dtype,
    )


def _line_of_gradient(bench: Bench, key: str) -> int | None:
    """Return the last line in which `backward` sets a gradient."""
    function = bench.interview.selection.functions.get("backward")
    return None if function is None else assigned_line(function, key)


def _shape_diagnosis(bench: Bench, key: str, comparison: Comparison) -> Diagnosis:
    line = _line_of_gradient(bench, key)
    place = f" ({bench.place(line)})" if line else ""
    return Diagnosis(
        kind="shape",
        look=f"Look at the shape of {key}'s gradient.",
        message=f"{key}'s gradient {comparison.problem}, that of {key}{place}.",
        formula="A gradient has the shape of its parameter, so that sgd can subtract it.",
        line=line,
    )


def _explain_backward(
    bench: Bench,
    rounds: Sequence[Round],
    asked: str,
    keys: Mapping[str, str],
    present: Sequence[str],
    wrong: Sequence[str],
    *,
    raised: bool,
) -> dict[str, list[Diagnosis]]:
    if not wrong or asked == "slopes":
        return {}
    names = {key: bench.right.gradients[keys[key]] for key in present}
    observed = []
    for round_ in rounds:
        if round_.trial.kind not in MUST_BE_RIGHT and not raised:
            continue
        results = {}
        for key, name in names.items():
            entry = _gradient(round_, asked, key)
            if isinstance(entry, Given) and not _is_constant(entry.array):
                results[name] = (
                    round_.layout.standard(key, entry.array)
                    if not round_.layout.is_lab
                    else entry.array
                )
        evaluation = bench.evaluation(round_)
        evaluation.values.update(overwritten(bench, round_, asked, keys))
        observed.append(Observed(evaluation=evaluation, results=results))
    by_name = {name: key for key, name in names.items()}
    order = [name for name in bench.right.backward if name in by_name]
    bad = [name for name in order if by_name[name] in wrong]
    words = Names(results={n: f"the gradient of {k}" for n, k in by_name.items()}, plain={})
    call = rounds[0].calls[asked]
    for round_ in rounds:
        if round_.trial.kind in MUST_BE_RIGHT or raised:
            call = round_.calls[asked]
            break

    def puzzle(*, wide: bool) -> Puzzle:
        return Puzzle(
            statements=bench.right.backward,
            wrong=bad,
            right=[name for name in order if name not in bad],
            trials=observed,
            scopes=backward_scopes(bench.right, bench.activation, wide=wide),
            tolerance=bench.tolerance,
            pairs=wide,
        )

    chosen = puzzle(wide=False)
    found, rest = explain(chosen)
    if rest:
        chosen = puzzle(wide=True)
        found, rest = explain(chosen)
    evidence = Evidence(
        chosen, bench.interview.selection.functions.get("backward"), call.lines, by_name
    )
    told: dict[str, list[Diagnosis]] = {}
    for explanation in _merged(found, set(names.values())):
        entries = diagnoses(bench, explanation, evidence, words)
        first = by_name[explanation.explains[0]]
        for name in explanation.explains:
            shared = "" if by_name[name] == first else first
            told[by_name[name]] = [_shared(entry, shared) for entry in entries]
    for name in rest:
        told[by_name[name]] = [
            _unexplained(bench, observed, name, by_name[name], evidence, bench.right.backward[name])
        ]
    return told


def _merged(found: Sequence[Explanation], results: set[str]) -> list[Explanation]:
    """Return explanations with those in one that scale single results by the same factor."""
    merged: list[Explanation] = []
    for explanation in found:
        twin = next(
            (n for n, other in enumerate(merged) if _alike(explanation, other, results)), None
        )
        if twin is None:
            merged.append(explanation)
            continue
        both = (*merged[twin].explains, *explanation.explains)
        merged[twin] = replace(merged[twin], explains=both)
    return merged


def _alike(one: Explanation, other: Explanation, results: set[str]) -> bool:
    pair = (one, other)
    plain = all(x.changes[0].kind == "scale" and x.statement in results for x in pair)
    return plain and one.scale == other.scale and not any(x.also_changes for x in pair)


def _is_constant(array: Array) -> bool:
    """Whether an array holds one number only, other than 0, so that much would fit by chance."""
    return array.size > 1 and np.ptp(array) == 0 and bool(array.any())


def _shared(diagnosis: Diagnosis, first: str) -> Diagnosis:
    return replace(diagnosis, shared=first)


def _unexplained(
    bench: Bench,
    observed: Sequence[Observed],
    name: str,
    key: str,
    evidence: Evidence,
    right: Node,
) -> Diagnosis:
    given = observed[0].results.get(name)
    known = "all its entries are equal" if given is None else facts(given, evidence.right[name])
    formula = f"{name} = {written(right)}"
    return unexplained(bench, f"{key}'s gradient", known, formula, evidence.line_of_key(key))
