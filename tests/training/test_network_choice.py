"""The network that is trained: the user's, the set's own, or one hidden layer."""

from functools import partial

import pytest

from derive.spec import parse_spec
from runtime.data.catalogue import SETS, Choice
from runtime.data.circles import circles
from runtime.errors import InputError
from runtime.network_choice import choose_network, default_network, parameter_count

UNSEEN = Choice(name="mine")
MSE = partial(parse_spec, loss="mse")


def test_the_sets_own_and_the_users() -> None:
    for name, spec in (("circles", "2-10-2"), ("mnist", "784-100-10")):
        assert str(choose_network(SETS[name], None, parse_spec)) == spec
    given = choose_network(SETS["circles"], "2-3:relu-2", MSE)
    assert given is not None
    assert (given.text, given.loss) == ("2-3:relu-2:identity", "mse")


def test_a_set_that_was_not_seen_yet() -> None:
    assert choose_network(UNSEEN, None, MSE) is None
    assert str(choose_network(UNSEEN, "7-3", MSE)) == "7-3"
    assert str(default_network(circles(), parse_spec)) == "2-32-2"


@pytest.mark.parametrize(
    ("spec", "loss", "part"),
    [
        ("", "cross-entropy", "has no layer"),
        ("2--2", "cross-entropy", "layer 1 is missing"),
        ("nx-3", "cross-entropy", "sizes that are names"),
        ("2-1", "cross-entropy", "nothing can be learnt"),
        ("9999999-9999999-9999999", "cross-entropy", "has 199,999,980,000,"),
        (None, "absolute", '"absolute" is not known'),
    ],
)
def test_refused_before_the_set_is_loaded(spec: str | None, loss: str, part: str) -> None:
    with pytest.raises(InputError) as refusal:
        choose_network(UNSEEN, spec, partial(parse_spec, loss=loss))
    assert part in str(refusal.value)


@pytest.mark.parametrize(
    ("spec", "expected"), [("3-2", "2-2"), ("2-3", "2-2"), ("2-5-1", "2-...-2")]
)
def test_a_misfit_says_what_would_fit(spec: str, expected: str) -> None:
    with pytest.raises(InputError) as refusal:
        choose_network(SETS["circles"], spec, MSE)
    assert str(refusal.value).endswith(f"circles has 2 columns and 2 classes. Expected {expected}.")


def test_parameters_are_counted() -> None:
    assert parameter_count(parse_spec("2-10-2")) == 52
    assert parameter_count(parse_spec("784-100-10")) == 79510
