"""The history of a run, its CSV and the last line of output."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InputError
from runtime.history import History

ONE = History(figures=[[0.13, 0.94, 0.1234, 0.955]], seconds=[0.25])
TWO = ONE.then([[0.1, 0.95, math.nan, math.nan]], [0.5])
CSV = (
    "epoch,train_loss,train_accuracy,test_loss,test_accuracy,seconds\n"
    "1,0.13,0.94,0.1234,0.955,0.25\n"
    "2,0.1,0.95,,,0.75\n"
)

losses = st.floats(allow_nan=True, allow_infinity=True)
shares = st.floats(0, 1) | st.just(math.nan)
rows = st.lists(st.tuples(losses, shares, losses, shares, st.floats(0, 1e9)), max_size=8)


def test_csv_is_what_the_contract_says() -> None:
    assert TWO.to_csv() == CSV
    assert History.from_csv(CSV) == TWO
    assert History.empty().to_csv() == CSV.splitlines(keepends=True)[0]
    assert History.from_csv(History.empty().to_csv()) == History.empty()


@given(rows)
def test_every_float_comes_back_exactly(table: list[tuple[float, ...]]) -> None:
    history = History(
        figures=np.array([row[:4] for row in table]).reshape(len(table), 4),
        seconds=np.cumsum([row[4] for row in table]),
    )
    again = History.from_csv(history.to_csv())
    np.testing.assert_array_equal(again.figures, history.figures)
    np.testing.assert_array_equal(again.seconds, history.seconds)
    assert again.to_csv() == history.to_csv()


def test_float32_figures_stay_float32_numbers() -> None:
    history = History(figures=np.full((1, 4), 0.1, dtype=np.float32), seconds=[0])
    assert History.from_csv(history.to_csv()).figures.astype(np.float32)[0, 0] == np.float32(0.1)


def test_line_ends_of_another_system_are_read() -> None:
    assert History.from_csv(CSV.replace("\n", "\r\n")) == TWO


REFUSED = {
    "empty": ("", 1, "header"),
    "other header": (CSV.replace("seconds", "time"), 1, "header"),
    "cut in a number": (CSV[:-2], 3, "cut short"),
    "cut after a line": (CSV[: CSV.index("2,0.1") - 1], 2, "cut short"),
    "cell too few": (CSV.replace(",,,", ",,"), 3, "5 cells, expected 6"),
    "cell too many": (CSV.replace(",,,", ",,,,"), 3, "7 cells, expected 6"),
    "blank line": (CSV.replace("\n2", "\n\n2"), 3, "1 cells, expected 6"),
    "epoch missing": (CSV.replace("\n2,", "\n3,"), 3, 'epoch "3", expected 2'),
    "epoch from 0": (CSV.replace("\n1,", "\n0,"), 2, 'epoch "0", expected 1'),
    "epoch twice": (CSV.replace("\n2,", "\n1,"), 3, 'epoch "1", expected 2'),
    "no number": (CSV.replace("0.1234", "abc"), 2, 'test_loss: "abc" is not a number'),
    "word nan": (CSV.replace("0.1234", "nan"), 2, 'test_loss: "nan" is not a number'),
    "underscore": (CSV.replace("0.1234", "1_0"), 2, 'test_loss: "1_0" is not a number'),
    "space": (CSV.replace("0.1234", " 1"), 2, 'test_loss: " 1" is not a number'),
    "other digits": (CSV.replace("0.1234", "٣"), 2, "is not a number"),
    "percent": (CSV.replace("0.955", "95.5"), 2, "test_accuracy: 95.5 is not between 0 and 1"),
    "negative": (CSV.replace("0.955", "-0.1"), 2, "test_accuracy: -0.1 is not between 0 and 1"),
    "no time": (CSV.replace(",0.25", ","), 2, 'seconds: "" is not a time'),
    "endless": (CSV.replace(",0.25", ",inf"), 2, 'seconds: "inf" is not a time'),
    "time goes back": (CSV.replace(",0.75", ",0.2"), 3, "seconds must not go back"),
}


@pytest.mark.parametrize(("text", "line", "reason"), REFUSED.values(), ids=REFUSED)
def test_anything_else_is_refused_with_its_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(InputError) as refusal:
        History.from_csv(text, "runs/a/history.csv")
    message = str(refusal.value)
    assert message.startswith(f"runs/a/history.csv, line {line}: ")
    assert reason in message
    assert "\n" not in message


def test_last_line() -> None:
    history = History(figures=np.tile([0.13, 0.94, 0.1234, 0.955], (150, 1)), seconds=[0.3] * 150)
    assert history.last_line() == (
        "test accuracy 95.50 %  test loss 0.1234  train accuracy 94.00 %  train loss 0.1300  "
        "150 epochs in 0.3 s"
    )


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (0.0, "0.0000"),
        (0.00002, "2.000e-05"),
        (1234.5, "1234.5000"),
        (1e30, "1.000e+30"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_no_loss_is_rounded_to_nothing_or_printed_at_length(loss: float, text: str) -> None:
    history = History(figures=[[loss, 0, 0, 0]], seconds=[0])
    assert f"train loss {text}  1 epochs" in history.last_line()


@pytest.mark.parametrize(("seconds", "text"), [(0.006, "0.006"), (0.1, "0.1"), (123.45, "123.5")])
def test_short_times_are_not_printed_as_nothing(seconds: float, text: str) -> None:
    assert History(figures=[[0] * 4], seconds=[seconds]).last_line().endswith(f"in {text} s")


def test_last_line_without_an_epoch_or_a_test_set() -> None:
    assert History.empty().last_line().endswith("0 epochs in 0.0 s")
    assert TWO.last_line().startswith("test accuracy nan %  test loss nan  train accuracy 95.00 %")


def test_columns_and_their_names() -> None:
    assert ONE.train_loss[0] == 0.13
    assert ONE.train_accuracy[0] == 0.94
    assert ONE.test_loss[0] == 0.1234
    assert ONE.test_accuracy[0] == 0.955
    assert TWO.epochs == 2


def test_later_epochs_go_on_in_time() -> None:
    history = ONE.then([[1, 0, 1, 0], [1, 0, 1, 0]], [1.0, 2.0])
    np.testing.assert_array_equal(history.seconds, [0.25, 1.25, 2.25])
    assert History.empty().then(ONE.figures, ONE.seconds) == ONE
    assert ONE.epochs == 1


def test_a_history_does_not_change() -> None:
    figures = np.zeros((1, 4))
    history = History(figures=figures, seconds=[0])
    figures[:] = 1
    assert history.train_loss[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        history.figures[0, 0] = 1


def test_equality_means_the_numbers() -> None:
    assert History.from_csv(CSV) == TWO
    assert ONE != TWO
    assert History(figures=ONE.figures, seconds=[1]) != ONE
    assert ONE != "history"


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 4, 1)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="expected"):
        History(figures=np.zeros(shape), seconds=np.zeros(2))
    with pytest.raises(InputError, match=r"seconds: shape \(3,\), expected \(2,\)"):
        History(figures=np.zeros((2, 4)), seconds=np.zeros(3))
