"""The record of a derivation is complete: replayed, it leads to the same statements."""

import itertools
from dataclasses import replace

import pytest
import sympy
from catalogue import ACTIVATIONS, LOSSES, UNDEFINED, network, raw_gradient, rewritten_gradient
from second_order import FORMS, second_order

from derive.board import MATRIX_FORM
from derive.errors import InternalError
from derive.gradient import gradient_program
from derive.network import loss_program
from derive.program import BATCH, SUBSTITUTE, Program, Step, Tensor, base, index
from derive.replay import contracted, replay
from derive.rewrite import rewrite_program
from derive.rules import RULES
from derive.spec import NetworkSpec
from derive.stable import stable_program

SIZES = itertools.cycle([("nx", "nh", "ny"), (3, 2), (3, 3, 4, 2), (4, 3, 2)])
HIDDEN = itertools.cycle(ACTIVATIONS)
SPECS = [
    network(next(SIZES), (next(HIDDEN), "tanh"), output, loss)
    for output in ACTIVATIONS
    for loss in LOSSES
    if (output, loss) not in UNDEFINED
]
LAB = network((2, 10, 2))
MIXED = network((2, 3, 4, 2), ("softmax", "relu"), "sigmoid")


def written(program: Program) -> list[tuple]:
    return [(s.target, s.indices, s.body) for s in program.backward]


def told(program: Program, spec: NetworkSpec) -> dict[str, tuple]:
    """Return what steps must lead to: every statement that is not as the definitions say."""
    defined = {s.name: s.body for s in loss_program(spec).statements}
    return {
        s.name: (s.target, s.indices, s.body)
        for s in program.statements
        if defined.get(s.name) != s.body
    }


def replayed(spec: NetworkSpec, steps: tuple[Step, ...]) -> list[tuple]:
    return [(s.target, s.indices, s.body) for s in replay(loss_program(spec), steps)]


@pytest.mark.long
@pytest.mark.parametrize(
    ("labels", "specs"),
    [
        ("one-hot", SPECS[::2]),
        pytest.param("one-hot", SPECS[1::2], marks=pytest.mark.slow),
        ("any", SPECS[::4]),
    ],
)
def test_the_steps_alone_lead_to_the_result(labels: str, specs: list[NetworkSpec]) -> None:
    for spec in specs:
        program = (
            rewritten_gradient(spec)  # which other tests look at too
            if labels == "one-hot"
            else rewrite_program(raw_gradient(spec), labels=labels)
        )
        assert replayed(spec, program.steps) == written(program), spec


SECOND = [
    LAB,
    MIXED,
    network((3, 2), (), "identity", "mae"),  # nothing but a kink: the Hessian is 0
    network((2, 3, 2), ("relu",), "identity", "huber"),
    network((2, 3, 2), ("softplus",), "sigmoid", "binary-cross-entropy"),
    network((2, 3, 2), ("gelu",), "log_softmax", "cross-entropy"),
]


@pytest.mark.long
def test_the_steps_of_second_order_and_of_stable_forms_lead_to_the_result() -> None:
    rules = {step.rule for spec in SPECS[::5] for step in rewritten_gradient(spec).steps}
    for spec, form in itertools.product(SECOND, FORMS):
        program = second_order(spec, form)
        found = {entry[0].name: entry for entry in replayed(spec, program.steps)}
        assert found == told(program, spec), (spec, form)
        rules |= {step.rule for step in program.steps}
    assert rules == set(RULES) - {MATRIX_FORM}  # which is read off, and not recorded


@pytest.mark.parametrize("labels", ["one-hot", "any"])
def test_the_steps_of_a_stable_gradient_lead_to_the_result(labels: str) -> None:
    for spec in SPECS[::5]:
        gradient = rewrite_program(gradient_program(loss_program(spec)), labels=labels)
        program = stable_program(gradient)
        found = {entry[0].name: entry for entry in replayed(spec, program.steps)}
        assert found == told(program, spec), spec


def test_every_rule_was_replayed() -> None:
    rules = {step.rule for spec in SPECS for step in rewritten_gradient(spec).steps}
    assert rules == {
        "chain rule",
        "derivative",
        "delta",
        "reuse",
        "factor",
        SUBSTITUTE,
        "distribute",
        "cancel",
        "identity",
    }


def test_a_gradient_that_is_zero_is_replayed() -> None:
    forward = loss_program("2-2")
    forward = replace(
        forward,
        inputs=(*forward.inputs, Tensor(name="W9", shape=(BATCH, BATCH))),
        parameters=(*forward.parameters, "W9"),
    )
    program = gradient_program(forward)
    assert [(s.target, s.indices, s.body) for s in replay(forward, program.steps)] == written(
        program
    )
    assert program.statement("dW9").body == 0


def spoilt(steps: tuple[Step, ...], n: int) -> dict[str, tuple[Step, ...]]:
    """Return the ways to spoil step n of a record."""
    step, before, after = steps[n], steps[:n], steps[n + 1 :]

    def changed(**changes: object) -> tuple[Step, ...]:
        return (*before, replace(step, **changes), *after)

    ways = {
        "dropped": (*before, *after),
        "told twice": (*before, step, step, *after),
        "other result": changed(after=2 * step.after),
        "wrong sign": changed(after=-step.after),
        "other beginning": changed(before=step.before + 1),
        "other rule": changed(rule="factor" if step.rule != "factor" else "delta"),
        "unknown rule": changed(rule="magic"),
        "other target": changed(target="dW9"),
    }
    if step.rule in ("reuse", SUBSTITUTE):
        ways["rests on nothing"] = changed(uses=())
        ways["rests on another"] = changed(uses=("loss",))
    if after and after[0].target == step.target:
        ways["too late"] = (*before, after[0], step, *after[1:])
    if step.rule == "kink":
        ways["another kink"] = changed(reason=step.reason.replace("in ", "in W"))
    # twice or minus nothing is nothing
    return {way: record for way, record in ways.items() if record != steps}


def refusal_or_result(spec: NetworkSpec, steps: tuple[Step, ...]) -> str | list[tuple]:
    try:
        return replayed(spec, steps)
    except InternalError as refusal:
        return str(refusal)


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("spec", "stride"), [(network((2, 3)), 1), (LAB, 6), (MIXED, 11)], ids=["2-3", "lab", "mixed"]
)
def test_a_spoilt_record_is_refused_or_leads_elsewhere(spec: NetworkSpec, stride: int) -> None:
    program = rewritten_gradient(spec)
    tried = 0
    for n in range(0, len(program.steps), stride):
        for way, steps in spoilt(program.steps, n).items():
            tried += 1
            result = refusal_or_result(spec, steps)
            if isinstance(result, str):
                assert "does not apply" in result
            else:
                # only what comes last of a statement can be left out unnoticed by the others
                assert way == "dropped", (n, way)
                assert result != written(program), n
    assert tried > 8 * len(program.steps) // stride


RECORDS = {
    "kinks": (network((2, 3, 2), ("relu",), "identity", "huber"), "rewritten"),
    "only kinks": (network((3, 2), (), "identity", "mae"), "rewritten"),
    "stable": (network((2, 3, 2), ("softplus",), "softmax"), "stable"),
}


@pytest.mark.sweep
@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_spoilt_record_of_second_order_is_refused_or_leads_elsewhere(
    record: tuple[NetworkSpec, str],
) -> None:
    spec, form = record
    program = second_order(spec, form)
    first = len(rewritten_gradient(spec).steps)
    places = {step.rule: n for n, step in enumerate(program.steps) if n >= first}
    rules = places.keys()
    for n in places.values():
        for way, steps in spoilt(program.steps, n).items():
            result = refusal_or_result(spec, steps)
            if isinstance(result, str):
                assert "does not apply" in result
            else:
                assert way == "dropped", (n, way)
                assert {entry[0].name: entry for entry in result} != told(program, spec), n
    assert "chain rule along v" in rules
    if form == "stable":
        assert {"definition", "stable form"} <= rules
    assert ("kink" in rules) == (spec.loss in ("huber", "mae"))


def test_a_record_that_ends_early_is_refused() -> None:
    spec = network((2, 3, 2), ("relu",), "identity", "huber")
    steps = second_order(spec, "raw").steps
    (last,) = [n for n, step in enumerate(steps) if step.rule == "kink"][-1:]
    with pytest.raises(InternalError, match="does not apply"):
        replay(loss_program(spec), steps[:last])
    stable = stable_program(rewritten_gradient(LAB)).steps
    defined = [n for n, step in enumerate(stable) if step.rule == "definition"]
    with pytest.raises(InternalError, match="owes"):
        replay(loss_program(LAB), stable[: defined[-1] + 1])


def test_the_refusal_names_the_step() -> None:
    steps = list(rewritten_gradient(LAB).steps)
    steps[3] = replace(steps[3], after=sympy.Integer(3))
    with pytest.raises(InternalError, match=r"^step 4, chain rule: dZ2\[i,j\] = 3 .* it leads to"):
        replay(loss_program(LAB), steps)


def test_a_delta_that_is_no_factor_is_not_contracted() -> None:
    i, j, k = map(index, "ijk")
    v = base("v")
    with pytest.raises(Exception, match="leaves no single term"):
        contracted(sympy.Sum(v[k] + sympy.KroneckerDelta(i, j), (k, 0, 4)))
    with pytest.raises(Exception, match="leaves no single term"):
        contracted(sympy.exp(sympy.KroneckerDelta(i, j)))
