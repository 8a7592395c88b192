"""Waiting for an idle machine: how long, whom for, and what is said of it."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from runtime.bench import live_waiting, others
from runtime.bench.live_waiting import LiveWaiting
from runtime.bench.others import Patience, Waiting
from runtime.commands.bench import command
from runtime.errors import InputError


@dataclass
class Machine:
    """A machine with a clock of its own, of which others use so much at each moment."""

    use: Callable[[float], float]
    clock: float = 0.0
    used: float = 0.0

    def perf_counter(self) -> float:
        return self.clock

    def sleep(self, seconds: float) -> None:
        self.used += self.use(self.clock + seconds / 2) * seconds
        self.clock += seconds

    def wait(self, patience: Patience) -> float:
        """Return how long it waits."""
        before = self.clock
        patience.wait()
        return round(self.clock - before, 6)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(lambda _: 1.5)
    monkeypatch.setattr(others, "time", made)
    monkeypatch.setattr(others, "machine_seconds", lambda: made.used)
    monkeypatch.setattr(others, "_processes", dict)
    monkeypatch.setattr(others, "_processors", lambda: {3, 4})
    return made


def waiting(seconds: float, patience: float, busiest: str | None = None) -> Waiting:
    return Waiting(seconds=seconds, patience=patience, used=1.5, processors=2, busiest=busiest)


def rounded(told: Waiting | None) -> Waiting | None:
    return told and waiting(round(told.seconds, 6), told.patience) if told else None


def test_an_idle_machine_is_looked_at_once(machine: Machine) -> None:
    machine.use = lambda _: 0.05
    told: list[Waiting | None] = []
    patience = Patience(0.1, told.append)
    assert [machine.wait(patience) for _ in range(5)] == [0.1] * 5
    assert told == []


def test_waiting_ends_with_the_work_of_others_and_is_told(machine: Machine) -> None:
    machine.use = lambda clock: 1.5 if clock < 2.5 else 0.0
    told: list[Waiting | None] = []
    assert machine.wait(Patience(60, told.append)) == pytest.approx(2.6)
    assert [rounded(each) for each in told] == [waiting(1, 60), waiting(2, 60), None]
    assert told[0] is not None
    assert told[0].used == pytest.approx(1.5)
    assert told[0].processors == 2


def test_what_is_over_within_a_second_is_not_told(machine: Machine) -> None:
    machine.use = lambda clock: 2.0 if clock < 0.5 else 0.0
    told: list[Waiting | None] = []
    assert machine.wait(Patience(60, told.append)) == pytest.approx(0.6)
    assert told == []


def test_patience_ends_once_for_the_whole_run(machine: Machine) -> None:
    told: list[Waiting | None] = []
    patience = Patience(3, told.append)
    assert [machine.wait(patience) for _ in range(3)] == [pytest.approx(3), 0, 0]
    assert [rounded(each) for each in told] == [waiting(1, 3), waiting(2, 3), waiting(3, 3), None]
    # short waits add up to it, too
    machine.use = lambda clock: 2.0 if clock % 0.5 < 0.3 else 0.0
    machine.clock = 0.0
    patience = Patience(1, told.append)
    waited = 0.0
    for _ in range(20):
        waited += machine.wait(patience)
        machine.clock = round(machine.clock / 0.5 + 0.5) * 0.5
    assert 1 <= waited <= 2


def test_nobody_is_waited_for_with_no_patience(machine: Machine) -> None:
    assert machine.wait(Patience(0, lambda _: pytest.fail("told"))) == 0


def test_nobody_is_waited_for_where_no_system_tells(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(others, "machine_seconds", lambda: None)
    assert machine.wait(Patience(60, lambda _: pytest.fail("told"))) == 0


def test_the_use_of_the_machine_is_seen() -> None:
    before = others.machine_seconds()
    if before is None:
        pytest.skip("only Linux tells how busy its processors are")
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    after = others.machine_seconds()
    assert after is not None
    assert after - before > 0.25


# ------------------------------------------------------------------ whom it waits for


def write(root: Path, number: int, name: str, ticks: int, parent: int = 1, ran_on: int = 0) -> None:
    """Write down a process as Linux tells of one."""
    fields = ["0"] * 50
    fields[0], fields[1], fields[11], fields[12] = "R", str(parent), str(ticks), str(2 * ticks)
    fields[36] = str(ran_on)
    (root / str(number)).mkdir(exist_ok=True)
    (root / str(number) / "stat").write_text(f"{number} ({name}) {' '.join(fields)}\n")


def found(root: Path, least: float = 0.1) -> str | None:
    """Return the busiest process, of which each used as many ticks more as it has now."""
    before = others._processes()
    for file in root.glob("[0-9]*/stat"):
        begin, _, rest = file.read_text().rpartition(") ")
        fields = rest.split()
        fields[11] = str(2 * int(fields[11]))
        file.write_text(f"{begin}) {' '.join(fields)}")
    return others._busiest(before, others._processes(), least=least)


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if not hasattr(os, "sysconf"):
        pytest.skip("only Linux tells of its processes")
    monkeypatch.setattr(others, "_SYSTEM", tmp_path)
    monkeypatch.setattr(others, "_processors", lambda: {0, 5})
    return tmp_path


def test_the_busiest_process_is_named(system: Path) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    assert found(system) is None
    write(system, 10, "idle", 0)
    write(system, 11, "python", ticks, ran_on=5)
    write(system, 12, "a (b) c", 2 * ticks)
    (system / "13").mkdir()  # it ends while it is looked at
    assert found(system) == "a (b) c (pid 12)"
    assert found(system, least=1000) is None, "it does not stand out"


def test_it_is_none_of_ours_and_on_our_processors(system: Path) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    write(system, 11, "python", ticks)
    write(system, os.getpid(), "gradwright", 9 * ticks)
    write(system, 12, "worker", 9 * ticks, parent=os.getpid())
    write(system, 13, "far away", 9 * ticks, ran_on=1)
    assert found(system) == "python (pid 11)"


def test_what_has_just_begun_counts_from_its_beginning(system: Path) -> None:
    before = others._processes()
    write(system, 11, "cc1", os.sysconf("SC_CLK_TCK"))
    assert others._busiest(before, others._processes(), least=2.9) == "cc1 (pid 11)"
    assert others._busiest(before, others._processes(), least=3.1) is None


def test_a_name_cannot_write_on_the_terminal(system: Path) -> None:
    write(system, 11, "\x1b[2J", os.sysconf("SC_CLK_TCK"))
    assert found(system) == r"'\x1b[2J' (pid 11)"


# ------------------------------------------------------------------ what is said of it


def test_a_file_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    with LiveWaiting() as live:
        live.tell(waiting(1, 60, "python (pid 4977)"))
        live.tell(waiting(2, 60, "python (pid 4977)"))
        live.tell(None)
        live.tell(waiting(3, 60))
    assert capsys.readouterr().err == (
        "waiting for other programmes, 60 seconds in all at most: they use 1.50 of 2 processors, "
        "python (pid 4977) the most. Stop them, or measure beside them with --wait 0; several "
        "threads may then take many times as long.\n"
    )


def test_a_terminal_shows_how_it_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_waiting, "is_live", lambda: True)
    with LiveWaiting() as live:
        live.tell(waiting(1, 60, "python (pid 4977)"))
        live.tell(waiting(2, 60))
    said, _, drawn = capsys.readouterr().err.partition("\n")
    assert said.startswith("waiting for other programmes")
    lines = [line.rstrip() for line in drawn.split("\r") if line.strip()]
    assert lines == [
        "waited 1 of 60 s: they use 1.50 of 2 processors, python (pid 4977) the most",
        "waited 2 of 60 s: they use 1.50 of 2 processors",
    ]
    assert drawn.endswith("\r"), "the line is wiped"


def test_beside_busy_processes_nobody_is_waited_for() -> None:
    with pytest.raises(InputError, match="--wait says nothing to --busy"):
        CliRunner().invoke(command, ["circles", "--busy=1", "--wait=5"], catch_exceptions=False)
