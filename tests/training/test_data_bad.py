"""Damaged and hostile data: one clear line, status 2, and nothing is run, written or kept."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from bad_data import BAD, GOOD_X, GOOD_Y, archive
from command_line import run_here

from runtime.data.catalogue import choose
from runtime.data.options import DataOptions
from runtime.errors import InputError

ROOM = 600 << 20  # bytes of addresses beyond what the process has
PATIENCE = 5.0  # seconds of processor time
TRIES = 100  # of damage at random, for each format


@contextmanager
def little_memory() -> Iterator[None]:
    """Let the process have `ROOM` more bytes; what asks for more gets a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_there_are_enough() -> None:
    assert len(BAD) >= 60


@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_refused_in_one_line(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bad = BAD[case]
    bad.make(Path(bad.name))
    before = set(content_of_names(tmp_path))
    began = time.process_time()
    with little_memory():
        outcome = run_here("train", f"./{bad.name}", *bad.options)
    assert time.process_time() - began < PATIENCE
    outcome.assert_refused(2, *bad.says)
    assert outcome.err.startswith("gradwright: ")
    assert outcome.err.count("\n") == 1
    assert outcome.err.endswith((".\n", ")\n"))
    assert len(outcome.err) < 500
    # the file is named, unless an option alone was wrong
    assert bad.name in outcome.err or "test_fraction" in outcome.err
    assert set(content_of_names(tmp_path)) == before  # no run, and no trace of a trap


def content_of_names(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*")]


SEEDS = {
    "set.csv": b"a,b,label\n" + b"".join(b"%d,%.1f,%d\n" % (n, n / 3, n % 2) for n in range(12)),
    "set.npz": archive(X=GOOD_X, y=GOOD_Y),
    "packed.npz": archive(8, X=GOOD_X.astype("f4"), y=GOOD_Y.astype("U3")),
}


@pytest.mark.parametrize("name", SEEDS)
def test_any_damage_is_refused_or_harmless(name: str, tmp_path: Path) -> None:
    """Bytes changed, cut and doubled at random: a data set or InputError, nothing else."""
    rng = np.random.default_rng(0)
    good = SEEDS[name]
    path = tmp_path / name
    refused = accepted = 0
    with little_memory():
        for _ in range(TRIES):
            content = bytearray(good)
            for _ in range(rng.integers(1, 4)):
                place = int(rng.integers(len(content)))
                match int(rng.integers(4)):
                    case 0:
                        content[place] = int(rng.integers(256))
                    case 1:
                        del content[place : place + int(rng.integers(1, 30))]
                    case 2:
                        content[place:place] = content[: int(rng.integers(1, 30))]
                    case _:
                        content[place] ^= 1 << int(rng.integers(8))
                if not content:
                    break
            path.write_bytes(content)
            try:
                data = choose(str(path)).load(DataOptions(dtype="float32"))
            except InputError as error:
                refused += "\n" not in str(error)
            else:
                accepted += bool(np.isfinite(data.X_train).all())
    assert refused + accepted == TRIES
    assert refused > TRIES // 4


def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtime.data import csv_file

    path = tmp_path / "a.csv"
    path.write_text("1,2,x\n3,4,y\n5,6,x\n")
    separator = csv_file._separator

    def slow(line: str) -> str:
        with path.open("a") as stream:
            stream.write("7,8,y\n")
        return separator(line)

    monkeypatch.setattr(csv_file, "_separator", slow)
    with pytest.raises(InputError, match=r"a\.csv: it was changed while it was read"):
        choose(str(path)).load()
