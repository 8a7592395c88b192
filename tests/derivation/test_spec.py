"""Specifications: what is read, what is refused, and in which words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derive import InputError, NetworkSpec, parse_spec
from derive.definitions import ACTIVATIONS, LOSSES
from derive.spec import LARGEST_SIZE, MOST_LAYERS, OUTPUT_OF_LOSS


@pytest.mark.parametrize(
    ("text", "sizes", "activations"),
    [
        ("2-2", (2, 2), ("softmax",)),
        ("2-10-2", (2, 10, 2), ("tanh", "softmax")),
        ("784-100:relu-50-10", (784, 100, 50, 10), ("relu", "tanh", "softmax")),
        ("nx-nh-ny", ("nx", "nh", "ny"), ("tanh", "softmax")),
        ("n-n_1:identity-n2:tanh", ("n", "n_1", "n2"), ("identity", "tanh")),
        ("3-1:sigmoid", (3, 1), ("sigmoid",)),
    ],
)
def test_reads(text: str, sizes: tuple[object, ...], activations: tuple[str, ...]) -> None:
    spec = parse_spec(text)
    assert spec.sizes == sizes
    assert spec.activations == activations
    assert spec.loss == "cross-entropy"


def test_the_output_follows_the_loss() -> None:
    assert parse_spec("2-3-1", loss="mse").activations == ("tanh", "identity")
    assert parse_spec("2-3-2:softmax", loss="mse").activations == ("tanh", "softmax")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no layer"),
        ("N", "code needs a depth"),
        ("N:relu", "gradwright derive N:relu"),
        ("2", "has no layer"),
        ("2--2", "the size of layer 1 is missing"),
        ("-2", "the input size is missing"),
        ("2-", "the size of layer 1 is missing"),
        ("2-0-2", "Expected a number from 1"),
        ("2-10:tahn-2", 'Did you mean "tanh"? Known: elu, gelu, identity'),
        ("2-10:-2", '"" is not known'),
        ("2-10:tanh:relu-2", '"tanh:relu" is not known'),
        ("2:tanh-2", "the input has no activation"),
        ("2-1", "softmax over a single unit"),
        ("2-3.5-2", "Expected a positive integer"),
        ("2- 3-2", "Expected a positive integer"),
        ("2-x-2", "or a name such as nh"),
        ("2-N-2", "or a name such as nh"),
        ("2-٣-2", "Expected a positive integer"),
        (f"2-{LARGEST_SIZE + 1}-2", "Expected a number from 1"),
        ("2-99999999999999999999-2", "Expected a number from 1 to 10000000"),
        (f"2-{'9' * 5000}-2", "Expected a number from 1 to 10000000"),
        ("-".join(["2"] * (MOST_LAYERS + 2)), "are supported"),
        ("2" * 30_000, "characters, at most"),
        ("2-\x1b[31m-2", "Expected a positive integer"),
    ],
)
def test_refuses(text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_spec(text)
    message = str(caught.value)
    assert words in message
    assert "\x1b" not in message


def test_the_caret_points_at_the_place() -> None:
    with pytest.raises(InputError) as caught:
        parse_spec("2-10:tahn-2")
    _, line, caret = str(caught.value).split("\n")
    assert line[caret.index("^") :].startswith("tahn")


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(InputError, match='Did you mean "mse"'):
        parse_spec("2-2", loss="mze")


def test_every_loss_has_a_default_output_and_a_definition() -> None:
    assert set(OUTPUT_OF_LOSS) == set(LOSSES)
    assert set(OUTPUT_OF_LOSS.values()) <= set(ACTIVATIONS)


NAMES = st.from_regex(r"n[a-z0-9_]{0,5}", fullmatch=True)
SIZES = st.lists(st.integers(2, LARGEST_SIZE) | NAMES, min_size=2, max_size=8)


@given(SIZES, st.data(), st.sampled_from(sorted(LOSSES)))
def test_what_is_written_is_read_back(
    sizes: list[int | str], data: st.DataObject, loss: str
) -> None:
    layers = st.sampled_from(sorted(ACTIVATIONS))
    chosen = tuple(data.draw(layers) for _ in sizes[1:])
    spec = NetworkSpec(sizes=tuple(sizes), activations=chosen, loss=loss)
    assert parse_spec(str(spec), loss=loss) == spec
    assert parse_spec(spec.text, loss=loss) == spec


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        spec = parse_spec(text)
    except InputError:
        return  # any other error fails the test
    assert parse_spec(str(spec)) == spec
