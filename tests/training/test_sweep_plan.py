"""What a sweep is asked for, and the runs that makes: values, points, keys."""

import numpy as np
import pytest

from runtime.data.catalogue import choose
from runtime.data.circles import circles
from runtime.errors import InputError
from runtime.sweeps.plan import Plan
from runtime.sweeps.request import read_request
from runtime.sweeps.values import as_text, numbers, seeds, whole_numbers, words


def test_a_range_has_both_ends_and_numbers_that_can_be_typed_again() -> None:
    values = numbers("eta", "0.01:0.3:log:8")
    assert (values[0], values[-1], len(values)) == (0.01, 0.3, 8)
    np.testing.assert_allclose(values, np.geomspace(0.01, 0.3, 8), rtol=1e-3)
    assert all(float(f"{value:.4g}") == value for value in values)
    assert numbers("eta", "0:1:lin:3, 2") == (0.0, 0.5, 1.0, 2.0)
    assert numbers("eta", ",".join(map(repr, values))) == values


def test_whole_numbers_words_and_seeds() -> None:
    assert whole_numbers("batch", "2:64:log:6") == (2, 4, 8, 16, 32, 64)
    assert whole_numbers("epochs", "5,1:3") == (5, 1, 2, 3)
    assert words("hidden", "2, 20:relu,32-32") == ("2", "20:relu", "32-32")
    assert seeds("4") == (0, 1, 2, 3)
    assert seeds("4:4") == seeds("4,") == (4,)
    assert seeds(as_text([7, 3])) == (7, 3)
    assert as_text(np.array([0.5, 1.0])) == "0.5,1.0"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ("eta", "empty")),
        ("0.1,,0.2", ("eta", "empty")),
        ("0.1,ten", ("'ten'", "not a number", "0.01:0.3:log:8")),
        ("nan", ("'nan'",)),
        ("1e999", ("'1e999'",)),
        ("-0.1", ("'-0.1'",)),
        ("0.1:0.2", ("'0.1:0.2'", "LOW:HIGH:log:COUNT")),
        ("0.1:0.2:cubic:3", ("LOW:HIGH:log:COUNT",)),
        ("0.2:0.1:log:3", ("does not rise",)),
        ("0:1:log:3", ("logarithm", "lin")),
        ("0.1:0.2:log:1", ("at least",)),
        ("0.1:0.2:log:99999999", ("At most 10,000",)),
        ("0.1,0.10", ("twice",)),
        ("0.1:0.10001:lin:5", ("twice",)),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(text: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as refusal:
        numbers("eta", text)
    for part in parts:
        assert part in str(refusal.value)


def plan(**options: object) -> Plan:
    return read_request(choose("circles"), options).plan(circles().astype("float32"))


def test_runs_are_the_product_of_points_and_seeds() -> None:
    made = plan(hidden="2,10", eta="0.01,0.1", seeds="5:7")
    assert len(made) == 2 * 2 * 3
    assert made.axes == {"network": ("2-2-2", "2-10-2"), "eta": (0.01, 0.1)}
    point, seed = made.run(7)
    assert (dict(point.values)["network"], point.settings.eta, seed) == ("2-10-2", 0.01, 6)
    assert list(made.run_keys()) == [made.key(number) for number in range(12)]
    assert len(set(made.run_keys())) == 12


def test_a_key_is_that_of_the_run_in_any_sweep_and_of_no_other_run() -> None:
    (alone,) = plan(seeds="3:3").run_keys()
    assert alone in plan(hidden="2,10", eta="0.01,0.03", seeds="10").run_keys()
    for option, value in {
        "eta": "0.031",
        "batch": "11",
        "epochs": "149",
        "optimizer": "adam",
        "schedule": "cosine",
        "init_scale": "0.2",
        "l2": 0.1,
        "dtype": "float64",
        "labels": "any",
        "data_seed": 1,
    }.items():
        data = circles(1 if option == "data_seed" else 0)
        request = read_request(choose("circles"), {"seeds": "3:3", option: value})
        (other,) = request.plan(data.astype(request.options["dtype"])).run_keys()
        assert other != alone, option


def test_a_number_goes_to_the_optimisers_that_read_it() -> None:
    made = plan(optimizer="sgd,momentum", momentum="0.5,0.9", seeds="1")
    found = [(p.settings.optimizer, p.settings.momentum) for p in made.points]
    assert found == [("sgd", None), ("momentum", 0.5), ("momentum", 0.9)]
    assert [p.values["momentum"] for p in made.points] == ["", 0.5, 0.9]


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"optimizer": "sgd", "momentum": "0.5"}, ("momentum", "sgd", "nesterov")),
        ({"optimizer": "sdg"}, ("'sdg'", "Known: sgd")),
        ({"eta": "0.1,0"}, ("eta: 0", "positive")),
        ({"hidden": "2,x"}, ("hidden: x", "20:relu")),
        ({"hidden": "nh"}, ("hidden: nh", "integer")),
        ({"hidden": "2", "networks": "2-2-2"}, ("exclude",)),
        ({"networks": "2-5-2,2-5:relu-2:sigmoid"}, ("same inputs and",)),
        ({"networks": "3-5-2"}, ("3-5-2", "circles")),
        ({"seeds": "0"}, ("seeds: 0",)),
        ({"epochs": "1.5"}, ("epochs", "whole number")),
        ({"eta": "0.001:1:lin:10", "seeds": "200000"}, ("2,000,000 runs", "several sweeps")),
    ],
)
def test_what_cannot_be_swept_over_is_refused(
    options: dict[str, object], parts: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as refusal:
        plan(**options)
    for part in parts:
        assert part in str(refusal.value)
