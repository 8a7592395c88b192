"""Judge `init_params`: shapes, finite numbers, weights that are not all equal."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.grading.answers import Interview
from runtime.grading.bench import (
    Bench,
    call_problem,
    failed,
    wrong_return,
)
from runtime.grading.reference import size_names
from runtime.grading.source import assignments
from runtime.grading.values import Failure, Given, Other
from runtime.grading.verdict import Judgement

Array = NDArray[Any]


_SCALE = 0.3  # of the lab's initial weights


class _Problem(NamedTuple):
    """What is wrong with an initial parameter: a word for it, its line, a sentence."""

    kind: str
    line: int | None
    text: str


def judge_init(bench: Bench, *, own_layout: bool) -> Judgement:
    """Judge `init_params`: shapes, finite numbers, weights that are not all equal."""
    interview = bench.interview
    problem = call_problem(bench, "init_params", "init_params", ())
    if "init_params" not in interview.selection.functions or "init_params" in interview.dead:
        assert problem is not None
        return problem
    if not interview.initial:
        return Judgement(status="error", summary="init_params could not be run.", kind="not-run")
    found: list[_Problem] = []
    for sizes, call in interview.initial:
        if isinstance(call.value, Failure):
            return failed(bench, "init_params", call.value)
        if not isinstance(call.value, dict):
            summary = "init_params must return a dictionary of arrays."
            return wrong_return(bench, "init_params", summary)
        found = found or _initial_problems(bench, sizes, call.value, own_layout=own_layout)
    if not found:
        return Judgement(status="right")
    summary = " ".join(dict.fromkeys(problem.text for problem in found))
    first = found[0]
    return Judgement(status="wrong", summary=summary, kind=first.kind, line=first.line)


def _initial_problems(
    bench: Bench, sizes: Mapping[str, int], value: Mapping[str, Any], *, own_layout: bool
) -> list[_Problem]:
    interview = bench.interview
    layout = (interview.own_layout if own_layout else None) or interview.layout
    lines = dict(assignments(interview.selection.functions["init_params"]))

    def where(key: str) -> str:
        line = lines.get(f'"{key}"')
        return "" if line is None else f" ({bench.place(line)})"

    def tell(kind: str, key: str, text: str) -> None:
        found.append(_Problem(kind=kind, line=lines.get(f'"{key}"'), text=text))

    found: list[_Problem] = []
    fixed = interview.fixed is not None
    widths = [sizes[name] for name in size_names(layout.depth) if name in sizes]
    for key in layout.keys:
        entry = value.get(key)
        if not isinstance(entry, Given):
            kind = told = "missing"
            if isinstance(entry, Other) and entry.type == "NoneType":
                kind, told = "not-written", "None: it is not written yet"
            elif key in value:
                kind, told = "no-array", "not an array"
            tell(kind, key, f'params["{key}"] is {told}{where(key)}.')
            continue
        is_weight = key in layout.weights
        if len(widths) == layout.depth + 1 and not fixed:
            layer = layout.weights.index(key) if is_weight else layout.biases.index(key)
            lab = (widths[layer + 1], widths[layer] if is_weight else 1)
            shape = layout.stored(key, np.zeros(lab)).shape
            if entry.array.shape != shape:
                names = _shape_in_names(layout.depth, layer, is_weight=is_weight)
                called = ", ".join(f"{n} = {s}" for n, s in sizes.items() if n != "B")
                tell(
                    "shape",
                    key,
                    f'params["{key}"] has the shape {entry.array.shape} for {called}, '
                    f"expected {shape}, that is {names}{where(key)}.",
                )
        if not np.isfinite(entry.array).all():
            tell("not-finite", key, f'params["{key}"] is not finite{where(key)}.')
        elif is_weight and entry.array.size > 1 and np.ptp(entry.array) == 0:
            tell(
                "equal-weights",
                key,
                f'All entries of params["{key}"] are {entry.array.flat[0]:g}{where(key)}: the '
                "hidden units then stay equal to one another for ever. Draw them at random.",
            )
        if interview.is_part_2 and not entry.tracked:
            tell(
                "requires-grad-missing",
                key,
                f'params["{key}"] does not require gradients{where(key)}: autograd gives it none.',
            )
        elif interview.is_part_2 and not entry.leaf:
            tell(
                "no-leaf",
                key,
                f'params["{key}"] is not a leaf{where(key)}, so its .grad stays empty: '
                "set requires_grad after the arithmetic that makes it.",
            )
    return found


def without_untracked(bench: Bench, gradients: Mapping[str, Judgement]) -> dict[str, Judgement]:
    """Return Part 2's gradients with those missing that autograd does not give.

    The trials track every parameter; what `init_params` returns may not be tracked.
    """
    found = dict(gradients)
    for _, call in bench.interview.initial[:1]:
        value = call.value if isinstance(call.value, dict) else {}
        for key in gradients:
            entry = value.get(key)
            if isinstance(entry, Given) and not (entry.tracked and entry.leaf):
                told = (
                    f"{key} gets no gradient: init_params does not make it a leaf that needs one."
                )
                found[key] = Judgement(status="missing", summary=told)
    return found


def with_cause(
    functions: Mapping[str, Judgement], gradients: Mapping[str, Judgement]
) -> dict[str, Judgement]:
    """Return Part 2's gradients, the wrong ones with which functions they come from."""
    causes = [n for n in ("forward", "loss_accuracy") if functions[n].status != "right"]
    if not causes:
        return dict(gradients)
    advice = f"autograd takes it from {' and '.join(causes)}: mend that first"
    return {
        key: replace(j, summary=f"{j.summary.removesuffix('.')}: {advice}.")
        if j.status == "wrong" and not j.diagnosis
        else j
        for key, j in gradients.items()
    }


def initial_warnings(interview: Interview) -> list[str]:
    """Return what is unusual about the initial parameters, but no mistake."""
    said: list[str] = []
    if interview.own_layout is not None:
        layout = interview.own_layout
        if layout.turned:
            said.append(
                "Weights are stored with the inputs first; the lab stores (outputs, inputs)."
            )
        if layout.bias != "column":
            shape = {"row": "(1, n)", "flat": "(n,)"}[layout.bias]
            said.append(f"Biases have the shape {shape}; the lab's have (n, 1).")
    for _, call in interview.initial[:1]:
        if not isinstance(call.value, dict):
            continue
        for key in interview.layout.weights:
            entry = call.value.get(key)
            if isinstance(entry, Given) and entry.array.size >= 12 and np.ptp(entry.array) > 0:
                spread = float(entry.array.std())
                if np.isfinite(spread) and not _SCALE / 2.5 < spread < _SCALE * 2.5:
                    said.append(
                        f'params["{key}"] starts with a standard deviation of about {spread:.2g}; '
                        f"the lab's is {_SCALE:g}."
                    )
        for key in interview.layout.biases:
            entry = call.value.get(key)
            if isinstance(entry, Given) and entry.array.any():
                said.append(f'params["{key}"] does not start at 0, as it does in the lab.')
    return said


def _shape_in_names(depth: int, layer: int, *, is_weight: bool) -> str:
    names = size_names(depth)
    return f"({names[layer + 1]}, {names[layer] if is_weight else '1'})"
