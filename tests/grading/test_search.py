"""The search for a mistake: on programmes that the test itself changes."""

from collections.abc import Callable

import numpy as np
import pytest

from runtime.grading.edits import OPERATORS, edits
from runtime.grading.matching import computed_from, ratio, run
from runtime.grading.problem import make_trial, sizes_of
from runtime.grading.puzzle import Explanation, Observed, Puzzle
from runtime.grading.reference import Reference, forward_values, reference
from runtime.grading.scale import Scale, find_scale
from runtime.grading.scopes import backward_scopes
from runtime.grading.search import explain
from runtime.grading.sieve import Sieve
from runtime.grading.tree import (
    Evaluation,
    Node,
    changed,
    nodes,
    renamed,
    tensor,
    transposed,
    written,
)

TRIALS = (("a", 0), ("a", 1), ("b", 0), ("lab", 0))


def observed(right: Reference, spoilt: dict[str, Node], results: dict[str, str]) -> list[Observed]:
    """Return what a programme with spoilt statements gives, by the statement that is meant."""
    found = []
    for kind, seed in TRIALS:
        depth = len(right.parameters) // 2
        trial = make_trial(kind, sizes_of(kind, depth), seed, "float64")
        evaluation = Evaluation(forward_values(right, trial.given, trial.sizes), trial.sizes)
        values = run({**right.backward, **spoilt}, evaluation)
        found.append(
            Observed(
                evaluation=evaluation, results={name: values[of] for name, of in results.items()}
            )
        )
    return found


def searched(
    right: Reference, spoilt: dict[str, Node], **other: str
) -> tuple[list[Explanation], list[str]]:
    results = {name: other.get(name, name) for name in right.gradients.values()}
    trials = observed(right, spoilt, results)
    truth = run(right.backward, trials[0].evaluation)
    wrong = [n for n, v in trials[0].results.items() if not np.array_equal(v, truth[n])]
    assert wrong
    order = [name for name in right.backward if name in wrong]
    puzzle = Puzzle(
        statements=right.backward,
        wrong=order,
        right=[name for name in results if name not in wrong],
        trials=trials,
        scopes=backward_scopes(right, "tanh", wide=True),
        tolerance=1e-7,
    )
    return explain(puzzle)


def dropped_slope(right: Reference) -> dict[str, Node]:
    return {"dhtilde": tensor("dh")}


def doubled_batch(right: Reference) -> dict[str, Node]:
    return {"dytilde": Node("mul", (Node("size", name="B"), right.backward["dytilde"]))}


def other_side(right: Reference) -> dict[str, Node]:
    return {"dby": Node("across", (tensor("dytilde"),))}


def other_tensor(right: Reference) -> dict[str, Node]:
    return {"dWy": Node("matmul", (transposed(tensor("dytilde")), tensor("htilde")))}


def plus(right: Reference) -> dict[str, Node]:
    tree = right.backward["dhtilde"]
    path, minus = next((p, n) for p, n in nodes(tree) if n.op == "neg")
    return {"dhtilde": changed(tree, path, minus.args[0])}


def skipped_sample(right: Reference) -> dict[str, Node]:
    return {"dytilde": Node("skip", (right.backward["dytilde"],), number=-1)}


def own_choice(right: Reference) -> dict[str, Node]:
    chosen = Node("fn", (tensor("yhat"),), name="choice rows")
    return {"dytilde": renamed(right.backward["dytilde"], {"Y": chosen})}


def skipped_in_one_sum(right: Reference) -> dict[str, Node]:
    skipped = Node("skip", (tensor("dytilde"),), number=-1)
    return {"dWy": Node("matmul", (transposed(skipped), tensor("h")))}


def softmax_anew(right: Reference) -> dict[str, Node]:
    """Compute softmax once more in `backward`, over the wrong axis."""
    exponential = Node("fn", (tensor("ytilde"),), name="exp")
    anew = Node("div", (exponential, Node("down", (exponential,))))
    return {"dytilde": renamed(right.backward["dytilde"], {"yhat": anew})}


@pytest.mark.parametrize(
    ("spoil", "kinds", "explained"),
    [
        (dropped_slope, ["activation-derivative-missing"], {"dWh", "dbh"}),
        (doubled_batch, ["scale"], {"dWh", "dbh", "dWy", "dby"}),
        (other_side, ["wrong-axis"], {"dby"}),
        (other_tensor, ["wrong-operand"], {"dWy"}),
        (plus, ["sign"], {"dWh", "dbh"}),
        (skipped_sample, ["sample-missing"], {"dWh", "dbh", "dWy", "dby"}),
        (softmax_anew, ["wrong-axis"], {"dWh", "dbh", "dWy", "dby"}),
        (own_choice, ["wrong-operand"], {"dWh", "dbh", "dWy", "dby"}),
        (skipped_in_one_sum, ["sample-missing"], {"dWy"}),
    ],
)
def test_a_change_is_found_and_named_once(
    spoil: Callable[[Reference], dict[str, Node]], kinds: list[str], explained: set[str]
) -> None:
    right = reference(2)
    found, rest = searched(right, spoil(right))
    assert not rest
    assert [edit.kind for e in found for edit in e.changes] == kinds
    assert set(found[0].explains) == explained


def test_a_second_mistake_downstream_is_found_on_top_of_the_first() -> None:
    right = reference(2)
    found, rest = searched(right, doubled_batch(right) | dropped_slope(right))
    assert not rest
    assert [e.scale for e in found] == [Scale(number=1.0, powers=(("B", 1),)), Scale(number=1.0)]
    assert found[1].changes[0].kind == "activation-derivative-missing"
    assert found[1].after == (found[0],) or found[1].after[0].explains == found[0].explains


def test_a_pair_of_edits_of_one_gradient_is_found() -> None:
    right = reference(2)
    slope = right.backward["dhtilde"].args[1]
    spoilt = {
        "dytilde": Node("mul", (right.backward["dytilde"], tensor("yhat"))),
        "dhtilde": Node("mul", (tensor("dh"), slope, slope)),
    }
    found, rest = searched(right, spoilt)
    assert not rest
    assert {edit.kind for e in found for edit in e.changes} == {"extra-factor"}


def test_a_pair_of_edits_at_once_is_found() -> None:
    right = reference(2)
    spoilt = {
        "dWy": Node("matmul", (transposed(tensor("yhat")), Node("fn", (tensor("h"),), "tanh")))
    }
    found, rest = searched(right, spoilt)
    assert not rest
    kinds = {edit.kind for edit in found[0].changes}
    # yhat for yhat − Y: another tensor, or a term that is missing
    assert kinds in ({"wrong-operand", "extra-function"}, {"term-missing", "extra-function"})


def test_no_edit_costs_less_than_its_operator_says() -> None:
    """What is left out where only cheap edits are wanted are dear ones alone."""
    right = reference(2)
    (trial,) = observed(right, {}, {})[:1]
    known = trial.evaluation.over(run(right.backward, trial.evaluation))
    scopes = backward_scopes(right, "tanh", wide=True)
    for name, tree in right.backward.items():
        for least, operator in OPERATORS:
            costs = [edit.cost for edit in operator(name, tree, scopes(name, known))]
            assert all(cost >= least for cost in costs), operator


def test_edits_up_to_a_cost_are_just_those_of_all_that_cost_so_much() -> None:
    """Operators that make no dear edits where none are wanted leave out nothing else."""
    right = reference(2)
    (trial,) = observed(right, {}, {})[:1]
    known = trial.evaluation.over(run(right.backward, trial.evaluation))
    scopes = backward_scopes(right, "tanh", wide=True)
    for name, tree in right.backward.items():
        scope = scopes(name, known)
        for most in (2.0, 2.4):
            every = [edit for edit in edits(name, tree, scope) if edit.cost <= most]
            assert list(edits(name, tree, scope, at_most=most)) == every


def test_the_sieve_lets_through_what_fits_and_little_else() -> None:
    """As good as evaluating every candidate by itself, and comparing it by `ratio`."""
    right = reference(2)
    sums = {"dby": Node("across", (tensor("dytilde"),))}
    trial = observed(right, plus(right) | sums, {n: n for n in right.gradients.values()})[0]
    values = run(right.backward, trial.evaluation)
    known = trial.evaluation.over(values)
    scopes = backward_scopes(right, "tanh", wide=True)
    below = {name: computed_from(name, right.backward) for name in right.backward}
    for scaled in (True, False):
        sieve = Sieve(
            statements=right.backward,
            below=below,
            known=known,
            results=trial.results,
            floors=dict.fromkeys(trial.results, 1e-9),
            tolerance=1e-7,
            scaled=scaled,
        )

        def fits(statements: dict[str, Node], name: str, *, scaled: bool = scaled) -> bool:
            found = run({**right.backward, **statements}, trial.evaluation)
            return any(
                ratio(trial.results[n], found[n], 1e-7, scaled=scaled, floor=1e-9) is not None
                for n in below[name] & set(trial.results) & set(found)
            )

        trees = {
            name: [e.tree for e in edits(name, tree, scopes(name, known), at_most=2.2)]
            for name, tree in right.backward.items()
        }
        through = 0
        for name, some in trees.items():
            mask = sieve.singles(name, some, trial.results)
            alone = [fits({name: tree}, name) for tree in some]
            assert all(kept or not one for kept, one in zip(mask, alone, strict=True))
            through += int(mask.sum()) - sum(alone)
        assert through <= 10
        firsts = [right.backward["dh"], *trees["dh"][:11]]
        pairs = sieve.pairs("dh", firsts, "dhtilde", trees["dhtilde"], trial.results)
        for row, first in enumerate(firsts):
            for column, second in enumerate(trees["dhtilde"]):
                if not pairs[row, column]:
                    assert not fits({"dh": first, "dhtilde": second}, "dhtilde")
        assert pairs[0].any()  # the right dh, and the changed dhtilde
        assert not pairs.all()


def test_what_differs_by_less_than_can_be_told_is_no_explanation() -> None:
    """In float32, tanh of something small is the thing itself."""
    right = reference(2)
    small = Node("mul", (Node("number", number=0.03), right.backward["dytilde"]))
    trials = observed(right, {"dytilde": small}, {n: n for n in right.gradients.values()})
    puzzle = Puzzle(
        statements=right.backward,
        wrong=[name for name in right.backward if name in right.gradients.values()],
        right=[],
        trials=[
            Observed(
                evaluation=t.evaluation,
                results={n: v.astype(np.float32).astype(float) for n, v in t.results.items()},
            )
            for t in trials
        ],
        scopes=backward_scopes(right, "tanh", wide=True),
        tolerance=3e-4,
    )
    found, rest = explain(puzzle)
    assert not rest
    assert [(e.changes[0].kind, e.scale) for e in found] == [("scale", Scale(number=0.03))]


def test_what_no_operator_makes_is_not_explained() -> None:
    right = reference(2)
    _, rest = searched(right, {"dWy": Node("fn", (right.backward["dWy"],), "sin")})
    assert rest == ["dWy"]


def test_numbers_of_chance_are_not_explained() -> None:
    right = reference(2)
    trials = observed(right, {}, {"dWh": "dWh"})
    generator = np.random.default_rng(3)
    noise = [
        Observed(
            evaluation=t.evaluation,
            results={"dWh": generator.standard_normal(t.results["dWh"].shape)},
        )
        for t in trials
    ]
    puzzle = Puzzle(
        statements=right.backward,
        wrong=["dWh"],
        right=[],
        trials=noise,
        scopes=backward_scopes(right, "tanh", wide=True),
        tolerance=1e-7,
    )
    assert explain(puzzle) == ([], ["dWh"])


def test_what_fits_one_trial_only_is_no_explanation() -> None:
    right = reference(2)
    trials = observed(right, dropped_slope(right), {"dWh": "dWh"})
    other = observed(right, {}, {"dWh": "dWh"})
    puzzle = Puzzle(
        statements=right.backward,
        wrong=["dWh"],
        right=[],
        trials=[trials[0], *other[1:]],
        scopes=backward_scopes(right, "tanh", wide=False),
        tolerance=1e-7,
        pairs=False,
    )
    assert explain(puzzle) == ([], ["dWh"])


@pytest.mark.parametrize(
    ("scale", "text"),
    [
        (Scale(number=1.0, powers=(("B", 1),)), "B"),
        (Scale(number=-1.0), "−1"),
        (Scale(number=2.0), "2"),
        (Scale(number=0.1, powers=(("B", 1),)), "0.1 B"),
        (Scale(number=0.03), "0.03"),
        (Scale(number=-1.0, powers=(("B", 1), ("ny", -1))), "−B/ny"),
    ],
)
def test_a_factor_is_read_off_several_sizes(scale: Scale, text: str) -> None:
    sizes = [sizes_of(kind, 2) for kind in ("a", "b", "lab")]
    found = find_scale([(s, scale.value(s)) for s in sizes], 1e-6)
    assert found == scale
    assert scale.text() == text


def test_a_factor_has_the_fewest_digits_that_rounding_allows() -> None:
    sizes = [sizes_of(kind, 2) for kind in ("a", "b")]
    found = find_scale(list(zip(sizes, (0.030000001, 0.0299999), strict=True)), 3e-3)
    assert found == Scale(number=0.03)


def test_a_factor_of_chance_is_none() -> None:
    sizes = [sizes_of(kind, 2) for kind in ("a", "a", "b")]
    assert find_scale(list(zip(sizes, (1.3, 0.4, 2.2), strict=True)), 1e-6) is None


def test_formulas_are_those_that_derive_prints() -> None:
    right = reference(2)
    assert written(right.backward["dytilde"]) == "(yhat − Y)/B"
    assert written(right.backward["dWh"]) == "dhtildeᵀ X"
    assert written(right.backward["dhtilde"]) == "dh ∘ (1 − (h ∘ h))"
