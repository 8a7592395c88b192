"""What is shown of a run: lines, bars that fit their terminal, and JSON."""

import json
import math
import sys
from types import SimpleNamespace

import pytest

from runtime import Progress
from runtime.live_progress import LiveProgress, Reading, Style, is_notebook
from runtime.messages import nothing_said, say


def progress(epoch: int = 50, epochs: int = 150, **changes: float) -> Progress:
    figures = {
        "train_loss": 0.53014,
        "train_accuracy": 0.805,
        "test_loss": 0.53172,
        "test_accuracy": 0.8,
        "seconds": 2.0,
        "samples_per_second": 1_254_000.0,
    } | changes
    return Progress(epoch=epoch, epochs=epochs, **figures)


def shown(style: Style, *reports: Progress) -> None:
    with LiveProgress(reports[0].epochs, style=style) as live:
        for report in reports:
            live.show(report)


def test_a_long_epoch_and_a_long_reading(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.live_progress._OFTEN", 0.0)
    for style, text in (("bar", "epoch 2: 50 %"), ("lines", ""), ("none", "")):
        with LiveProgress(150, style=style) as live:
            live.show_within(2, 0.5)
        told = capsys.readouterr().err
        assert text in told if text else not told
    reading = Reading("big")
    for share in range(1, 101):
        reading(share / 100)
    assert not capsys.readouterr().err  # it was quick
    monkeypatch.setattr("runtime.live_progress._LONG", 0.0)
    for share in range(1, 101):
        reading(share / 100)
    assert capsys.readouterr().err.splitlines()[0] == "big: 10 % read and checked"


def test_lines_are_a_tenth_apart(capsys: pytest.CaptureFixture[str]) -> None:
    shown("lines", *(progress(epoch) for epoch in range(1, 151)))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[-1] == (
        "epoch 150 of 150: train loss 0.5301, test loss 0.5317, test accuracy 80.00 %"
    )


def test_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    shown("none", progress())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("columns", [80, 100, 160])
def test_a_bar_has_throughput_and_time_left_and_fits(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.live_progress._columns", lambda: columns)
    shown("bar", progress(49_000, 100_000), progress(50_000, 100_000, seconds=3700.0))
    lines = capsys.readouterr().err.split("\r")
    (line,) = [line for line in lines if "50000" in line]
    assert " 50 % " in line
    assert ", 1.25 M samples/s, 1:01:40 left, " in line
    figures = (
        "loss 0.53/0.532, 80.0 %",
        "train loss 0.5301, test loss 0.5317, test accuracy 80.00 %",
    )
    assert line.rstrip().endswith(figures[columns == 160])
    assert len(line.rstrip()) < columns


def test_json_has_a_line_for_each_report(capsys: pytest.CaptureFixture[str]) -> None:
    shown("json", progress(1), progress(50, test_accuracy=math.nan, train_loss=math.inf))
    out, err = capsys.readouterr()
    first, second = map(json.loads, out.splitlines())
    assert err == ""
    assert first["epoch"] == 1
    assert second == {
        "event": "progress",
        "epoch": 50,
        "epochs": 150,
        "train_loss": None,
        "train_accuracy": 0.805,
        "test_loss": 0.53172,
        "test_accuracy": None,
        "seconds": 2.0,
        "seconds_left": 4.0,
        "samples_per_second": 1254000.0,
    }


def test_a_notebook_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not is_notebook()
    for config, expected in (({"IPKernelApp": {}}, True), ({}, False)):
        shell = SimpleNamespace(config=config)
        module = SimpleNamespace(get_ipython=lambda shell=shell: shell)
        monkeypatch.setitem(sys.modules, "IPython", module)  # type: ignore[arg-type]
        assert is_notebook() == expected


def test_quiet_ends_with_its_block(capsys: pytest.CaptureFixture[str]) -> None:
    with nothing_said(), nothing_said(quiet=False):
        say("unheard")
    say("heard")
    assert capsys.readouterr().err == "heard\n"
