"""Outcomes as lines, and the file that keeps them: what was cut short or damaged is told."""

from pathlib import Path

import numpy as np
import pytest

from runtime.errors import InputError
from runtime.sweeps.journal import Journal
from runtime.sweeps.outcome import Outcome, curve_epochs


def outcome(key: str = "abc-1", status: str = "done") -> Outcome:
    figures = np.array([0.1 + 1e-17, 2 / 3, np.nan, 1e-300])
    return Outcome(
        key=key,
        status=status,  # type: ignore[arg-type]
        figures=figures,
        curve=np.array([0.5, np.nan, 1 / 3], np.float32),
        seconds=0.0015,
    )


def same(one: Outcome, other: Outcome) -> bool:
    figures = np.array_equal(one.figures, other.figures, equal_nan=True)
    curves = np.array_equal(one.curve, other.curve, equal_nan=True)
    return figures and curves and (one.key, one.status) == (other.key, other.status)


def test_a_line_gives_back_every_bit() -> None:
    assert same(Outcome.from_line(outcome().to_line()), outcome())


def test_a_line_that_was_cut_or_changed_anywhere_is_refused() -> None:
    line = outcome().to_line()
    for place in range(len(line)):
        with pytest.raises(InputError):
            Outcome.from_line(line[:place])
        changed = chr(ord(line[place]) ^ 1)
        with pytest.raises(InputError):
            Outcome.from_line(line[:place] + changed + line[place + 1 :])


def test_a_curve_has_every_epoch_or_some_of_many() -> None:
    assert curve_epochs(3).tolist() == [1, 2, 3]
    many = curve_epochs(10_000)
    assert (many[0], many[-1], len(many)) == (1, 10_000, 200)


def keys(path: Path) -> list[str]:
    with Journal(path=path) as journal:
        return list(journal.found)


def test_what_the_end_of_the_file_cut_short_is_taken_away_before_more_is_appended(
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.jsonl"
    with Journal(path=path) as journal:
        journal.append([outcome("a-1"), outcome("a-2")])
    whole = path.read_bytes()
    second = whole.index(b"\n") + 1
    for end in range(second + 1, len(whole), 7):
        path.write_bytes(whole[:end])
        with Journal(path=path) as journal:
            assert (list(journal.found), journal.damaged) == (["a-1"], 1)
            assert "1 line was cut short or damaged" in journal.note()
            journal.append([outcome("a-3")])
        assert keys(path) == ["a-1", "a-3"]
        assert path.read_bytes()[:second] == whole[:second]


def test_a_damaged_line_costs_its_own_run_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    with Journal(path=path) as journal:
        journal.append([outcome(f"a-{number}") for number in range(3)])
    content = bytearray(path.read_bytes())
    content[content.index(b"\n") + 20] ^= 0x80  # no ASCII either
    path.write_bytes(content)
    with Journal(path=path) as journal:
        assert (list(journal.found), journal.damaged) == (["a-0", "a-2"], 1)
