"""What a function must leave alone, and what becomes of what it does not."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.grading.answers import Round, names_by_key
from runtime.grading.bench import (
    Bench,
)
from runtime.grading.edit import OVERWRITTEN
from runtime.grading.problem import lab_outputs
from runtime.grading.source import argument_names
from runtime.grading.values import Failure, Given, Value
from runtime.grading.verdict import Diagnosis

Array = NDArray[Any]


def changed_inputs(
    bench: Bench, rounds: Sequence[Round], asked: str, words: Sequence[str]
) -> Diagnosis | None:
    """Return what is said if a function changes what it is given."""
    for round_ in rounds:
        call = round_.calls.get(asked)
        if call is None or isinstance(call.value, Failure):
            continue
        before = given_before(bench, round_, asked)
        for place, (old, new) in enumerate(zip(before, call.arguments, strict=False)):
            changed = difference(old, new)
            if changed is None:
                continue
            word = words[place]
            name = asked.partition(" ")[0]
            line = _line_of_change(bench, rounds, asked, place, changed)
            what = f'{word}["{changed}"]' if changed else word
            where = f" ({bench.place(line)})" if line else ""
            return Diagnosis(
                kind="in-place",
                look=f"Look whether {name} changes what it is given.",
                message=f"{name} changes {what}, which it is given{where}: "
                "it must leave it as it is.",
                line=line,
            )
    return None


def _line_of_change(
    bench: Bench, rounds: Sequence[Round], asked: str, place: int, key: str
) -> int | None:
    """Return the first line at which an argument of a function came to hold something else."""
    function = bench.interview.selection.functions[asked.partition(" ")[0]]
    names = argument_names(function)
    if place >= len(names):
        return None
    wanted = f'{names[place]}["{key}"]' if key else names[place]
    for round_ in rounds:
        call = round_.calls.get(asked)
        found = [line for line, name, _ in call.lines if name == wanted] if call else []
        if found:
            return found[0]
    return None


def in_place_line(diagnosis: Diagnosis, change: Diagnosis) -> Diagnosis:
    """Return a diagnosis of what was changed in place with the line that changes it."""
    if diagnosis.kind != "in-place" or change.line is None or diagnosis.line is None:
        return diagnosis
    message = diagnosis.message.rpartition(" (")[0]
    place = change.message.partition("(")[2].partition(")")[0]
    return replace(diagnosis, line=change.line, message=f"{message} ({place}).")


def overwritten(
    bench: Bench, round_: Round, asked: str, keys: Mapping[str, str]
) -> dict[str, Array]:
    """Return what the call has made of tensors that it was given, where it has changed them."""
    found: dict[str, Array] = {}
    before = given_before(bench, round_, asked)
    after = round_.calls[asked].arguments
    for old, new in zip(before, after, strict=False):
        if isinstance(old, dict) and isinstance(new, dict):
            for key, array in old.items():
                entry = new.get(key)
                if (
                    isinstance(entry, Given)
                    and entry.array.ndim == 2
                    and difference(array, entry) is not None
                ):
                    found[f"{OVERWRITTEN}{keys.get(key, key)}"] = entry.array
    return found


def given_before(bench: Bench, round_: Round, asked: str) -> list[Any]:
    """Return what a call was given, as arrays and dictionaries of them."""
    trial, layout = round_.trial, round_.layout
    parameters = {
        key: layout.stored(key, trial.given[name]) for key, name in names_by_key(layout).items()
    }
    known = bench.given_outputs(round_)
    outputs = {key: known[key] for key in lab_outputs(layout.depth)}
    match asked:
        case "forward":
            return [parameters, trial.given["X"]]
        case "loss_accuracy":
            return [outputs["yhat"], trial.given["Y"]]
        case "backward":
            forward = round_.calls["forward"].value
            kept = forward[1] if isinstance(forward, list) else {}
            arrays = {k: v.array for k, v in kept.items() if isinstance(v, Given)}
            return [parameters, arrays, trial.given["Y"]]
        case _:
            return [parameters, outputs, trial.given["Y"]]


def difference(before: Any, after: Value) -> str | None:
    """Return the key that changed, "" if it is the value itself, None if nothing did."""
    if isinstance(before, dict):
        if not isinstance(after, dict):
            return ""
        for key, old in before.items():
            if key not in after:
                return str(key)
            if difference(old, after[key]) is not None:
                return str(key)
        return None
    if not isinstance(after, Given) or after.array.shape != before.shape:
        return ""
    same = np.allclose(
        after.array,
        before,
        rtol=2e-2 if after.dtype in ("float16", "bfloat16") else 1e-6,
        atol=1e-7,
        equal_nan=True,
    )
    return None if same else ""
