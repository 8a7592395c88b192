"""Training by several threads: what one thread does, whoever is ahead."""

import itertools
import math
import os
import re
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from emitted import BLAS, BLAS_IN_PYTHON, LAB_IN_PYTHON, Case, assert_all_near, same_bytes, source
from uncompiled import uncompiled

from codegen.compile import compile_module

N, BATCH = 70, 48  # the last batch has 22 samples: a thread of its own for those beyond 16
DEEP = Case(text="20-40:relu-30:softmax-3:sigmoid", loss="mse", dtype="float64", is_compiled=False)


def inputs(case: Case) -> tuple[np.ndarray, np.ndarray]:
    X, Y, _ = case.batch(N)
    return X * (np.random.default_rng(5).random(X.shape) < 0.3), Y


def trained(case: Case, module: ModuleType | None = None, **options: Any) -> Any:
    X, Y = inputs(case)
    params = case.params()
    given = {"epochs": 2, "batch": BATCH, "eta": 0.1, "test": (X[:40], Y[:40]), **options}
    history = (module or case.module).train(params, X, Y, **given)
    return params, history


@pytest.mark.sweep
@pytest.mark.parametrize("sparse", ["always", "never"])
@pytest.mark.parametrize("case", [BLAS_IN_PYTHON, BLAS, DEEP], ids=str)
def test_any_number_of_threads_gives_the_same(case: Case, sparse: str) -> None:
    weights = np.random.default_rng(3).uniform(0, 2, N)
    expected, history = trained(case, sparse=sparse, weights=weights, threads=1)
    for threads in (2, 3, 7):
        found, found_history = trained(case, sparse=sparse, weights=weights, threads=threads)
        assert_all_near(found, expected, 1e-12)
        np.testing.assert_allclose(found_history, history, rtol=1e-12)


@pytest.mark.parametrize("sparse", ["always", "never"])
def test_the_same_number_gives_the_same_bytes(sparse: str) -> None:
    runs = [trained(BLAS, sparse=sparse, threads=2, epochs=20) for _ in range(4)]
    for found, history in runs[1:]:
        assert same_bytes(found, runs[0][0])
        assert history.tobytes() == runs[0][1].tobytes()


class OneAtATime:
    """Let threads run from meeting to meeting one after another, in a given order."""

    def __init__(self, order: Sequence[int]) -> None:
        self.order, self.changed = order, threading.Condition()
        self.waiting = list(order)  # the first of them may run
        self.meetings = 0

    def begin(self, member: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.waiting[0] == member, timeout=60)

    def end(self) -> None:
        with self.changed:
            del self.waiting[0]
            if not self.waiting:
                self.waiting = list(self.order)
                self.meetings += 1
            self.changed.notify_all()

    def meet(self, team: tuple[int, int, Any]) -> None:
        if team[1] == 1:  # a thread that works alone, on what it evaluates
            return
        self.end()
        self.begin(team[0])


def member_of(packed: tuple[Any, ...], members: int) -> int:
    """Return which thread is given such arrays."""
    teams = [x for x in packed if isinstance(x, tuple) and len(x) == 3 and isinstance(x[1], int)]
    ((member, of, _),) = teams
    assert of == members
    return int(member)


def one_at_a_time(module: ModuleType, order: Sequence[int], monkeypatch: Any) -> OneAtATime:
    turns = OneAtATime(order)
    train = module._train

    def scheduled(packed: Any, *given: Any) -> None:
        turns.begin(member_of(packed, len(order)))
        train(packed, *given)
        turns.end()

    monkeypatch.setattr(module, "_train", scheduled)
    monkeypatch.setattr(module, "_meet", turns.meet)
    return turns


@pytest.mark.sweep
@pytest.mark.parametrize("order", [(0, 1), (1, 0), (2, 0, 1)], ids=str)
@pytest.mark.parametrize("case", [BLAS_IN_PYTHON, DEEP], ids=str)
def test_whoever_is_ahead(
    case: Case, order: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads what another one has not written yet, or no longer as it was."""
    for sparse in ("always", "never"):
        expected, history = trained(case, sparse=sparse, threads=1)
        with monkeypatch.context() as patch:
            turns = one_at_a_time(case.module, order, patch)
            found, found_history = trained(case, sparse=sparse, threads=len(order))
        assert turns.meetings > 2 * 2 * 2, "two in each step"
        assert_all_near(found, expected, 1e-12)
        np.testing.assert_allclose(found_history, history, rtol=1e-12)


def meetings(text: str) -> list[int]:
    """Return the places where a module's kernels meet."""
    places, start = [], 0
    while (start := text.find("    _meet(team)\n", start)) >= 0:
        places.append(start)
        start += 1
    return places


TEXT = source("20-40-30-3").text


# but for the last one, at the end of an epoch: it lets all know whether to stop
@pytest.mark.parametrize("left_out", range(len(meetings(TEXT)) - 1))
def test_every_meeting_is_needed(left_out: int, monkeypatch: pytest.MonkeyPatch) -> None:
    place = meetings(TEXT)[left_out]
    module = uncompiled(TEXT[:place] + "    pass\n" + TEXT[place + len("    _meet(team)\n") :])
    expected, history = trained(BLAS_IN_PYTHON, threads=1)
    differs = []
    for order, sparse in itertools.product(((0, 1), (1, 0)), ("never", "always")):
        with monkeypatch.context() as patch:
            one_at_a_time(module, order, patch)
            found, found_history = trained(BLAS_IN_PYTHON, module, sparse=sparse, threads=2)
        close = all(np.allclose(found[name], expected[name], rtol=1e-9) for name in expected)
        differs.append(not close or not np.allclose(found_history, history, rtol=1e-9))
    assert any(differs)


@pytest.mark.parametrize("which", [0, 1])
def test_a_thread_that_fails_is_not_waited_for(which: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others end, too, whether or not it is the one that tells them to."""
    module = BLAS_IN_PYTHON.module
    train = module._train

    def fails(packed: Any, *given: Any) -> None:
        if member_of(packed, 3) == which:
            raise MemoryError("no room for a thread")
        train(packed, *given)

    monkeypatch.setattr(module, "_train", fails)
    with pytest.raises(MemoryError, match="for a thread"):
        trained(BLAS_IN_PYTHON, threads=3, epochs=10**5)


def test_what_is_kept_for_the_next_run_is_found_by_its_numbers_too() -> None:
    module = BLAS_IN_PYTHON.module
    made: list[int] = []
    reuse: dict[str, Any] = {}

    def make(_: Any, size: int) -> int:
        made.append(size)
        return size

    X, other = np.zeros(3), np.zeros(3)
    for size in (int("1000"), int("1000"), int("500")):
        assert module._once(reuse, "nonzeros", make, X, size) == size
    module._once(reuse, "nonzeros", make, other, 500)
    assert made == [1000, 500, 500]


def test_nothing_can_be_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise MemoryError("no room at all")

    monkeypatch.setattr(BLAS_IN_PYTHON.module, "_shared_room", fails)
    with pytest.raises(MemoryError, match="at all"):
        trained(BLAS_IN_PYTHON, threads=3)


@pytest.mark.parametrize("case", [BLAS_IN_PYTHON, BLAS], ids=str)
def test_all_threads_stop_with_the_same_epoch(case: Case) -> None:
    _, history = trained(case, epochs=100_000, threads=2, callback=lambda _: True)
    assert 0 < len(history) < 100_000
    assert not np.isnan(history).any()


def test_how_many_threads_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    module = uncompiled(TEXT)
    monkeypatch.setattr(module, "_processors", lambda: 4)

    def many(batch: int, epochs: int, samples: int) -> int:
        return int(module.threads_used(samples, epochs=epochs, batch=batch))

    assert module._members(3, 1, 1, 1) == 3, "what is asked for"
    assert many(10, 1000, 10_000) == 1, "fewer samples than a vector has lanes"
    assert many(100, 1000, 10_000) == 1, "too little to do"
    entries = sum(math.prod(shape) for shape in module.PARAMETERS.values())
    shared = math.ceil(10**7 / 3 / entries)  # samples that make work for two
    assert many(shared, 1000, 10_000) == 2
    assert many(2 * shared, 1000, 10_000) == 4
    assert many(shared - 1, 1000, 10_000) == 1
    assert many(1000, 1000, 40) == 1, "fewer samples than a batch may have"
    assert many(1000, 1, 1000) == 1, "over before a thread is there"
    monkeypatch.setattr(module, "_can_wait", False)
    assert many(shared, 1000, 10_000) == module._members(3, 1, 1, 1) == 1


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", 6), ("250000 100000", 2), ("5000 100000", 1), ("", 6)]
)
def test_a_quota_counts(quota: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    module = uncompiled(TEXT)
    affinity = SimpleNamespace(sched_getaffinity=lambda _: range(6))
    monkeypatch.setattr(module, "os", affinity)
    monkeypatch.setattr(module, "Path", lambda _: SimpleNamespace(read_text=lambda _: quota))
    assert module._processors() == expected


def test_a_small_network_takes_the_number_and_uses_one() -> None:
    X, Y, _ = LAB_IN_PYTHON.batch(N)
    runs = [LAB_IN_PYTHON.params() for _ in range(2)]
    for params, threads in zip(runs, (1, 2), strict=True):
        LAB_IN_PYTHON.module.train(params, X, Y, epochs=1, batch=10, eta=0.1, threads=threads)
    assert same_bytes(*runs)
    assert LAB_IN_PYTHON.module.threads_used(10**6, epochs=1000, batch=1000) == 1


class Waiting:
    """A thread, number 0 of two, that meets the other one, with all calls of the system noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, its_processor: int, futex: int | None):
        self.module = module = uncompiled(TEXT)
        self.turns = np.zeros(2 * module.LINE, np.int64)
        self.first = self.turns.ctypes.data
        self.its = self.first + module.LINE * 8
        self.turns[module.LINE + module.PROCESSOR // 8] = its_processor
        self.calls: list[tuple[int, ...]] = []
        self.looks = 0
        load = module._load

        def look(address: int) -> int:
            self.looks += address == self.its
            return int(load(address))

        for name, value in {
            "FUTEX": futex,
            "LOOKS": 1000,
            "_load": look,
            "_processor": lambda: 5,
            "_call_system": self.system,
            "_yield": self.arrive,
        }.items():
            monkeypatch.setattr(module, name, value)

    def meet(self) -> None:
        self.module._meet((0, 2, self.turns))

    def system(self, *given: int) -> None:
        self.calls.append(given)
        if given[2] == self.module.SLEEP:
            assert self.turns[self.module.SLEEPERS // 8] == 1
            self.arrive()

    def arrive(self) -> None:
        self.turns[self.module.LINE] = self.turns[0]


def test_a_thread_sleeps_until_the_other_one_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = Waiting(monkeypatch, its_processor=3, futex=202)
    waiting.meet()
    number, word, what, seen, longest, *_ = waiting.calls[0]
    assert (number, word, what, seen) == (202, waiting.its, waiting.module.SLEEP, 0)
    assert waiting.turns[(longest - waiting.first) // 8 :][:2].tolist() == [0, 10**6], "s and ns"
    assert len(waiting.calls) == 1
    assert waiting.turns[waiting.module.SLEEPERS // 8] == 0
    assert waiting.looks > 1000, "not before it has looked for a while"


def test_it_gives_way_at_once_where_the_other_one_may_need_its_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = Waiting(monkeypatch, its_processor=5, futex=202)
    waiting.meet()
    assert waiting.calls == [], "to sleep and to be woken would take longer"
    assert waiting.looks < 200


def test_now_and_then_it_sleeps_even_so_to_be_woken_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = Waiting(monkeypatch, its_processor=5, futex=202)
    for turn in range(1, 65):
        waiting.meet()
        assert [call[2] for call in waiting.calls] == turn // 32 * [waiting.module.SLEEP]


def test_it_sleeps_where_giving_way_does_not_help(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = Waiting(monkeypatch, its_processor=5, futex=202)
    given_way: list[int] = []
    monkeypatch.setattr(waiting.module, "_yield", lambda: given_way.append(waiting.looks))
    waiting.meet()
    assert len(given_way) == 10, "once in a hundred looks"
    assert [call[2] for call in waiting.calls] == [waiting.module.SLEEP]


def test_who_sleeps_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = Waiting(monkeypatch, its_processor=3, futex=202)
    waiting.turns[waiting.module.LINE] = 1  # it has been there, and sleeps until we are
    waiting.meet()
    assert waiting.calls == [], "nobody sleeps"
    waiting.turns[waiting.module.LINE] = 2
    waiting.turns[waiting.module.SLEEPERS // 8] = 1
    waiting.meet()
    assert [call[:3] for call in waiting.calls] == [(202, waiting.first, waiting.module.WAKE)]


def test_a_thread_says_that_it_is_there_before_it_asks_who_sleeps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By one access that no later one overtakes: who falls asleep between the two is woken."""
    waiting = Waiting(monkeypatch, its_processor=3, futex=202)
    module, sleepers = waiting.module, waiting.module.SLEEPERS // 8
    add = module._add

    def fall_asleep(address: int, value: int) -> None:
        add(address, value)
        if address == waiting.first + module.TURN:
            waiting.arrive()
            waiting.turns[sleepers] = 1

    monkeypatch.setattr(module, "_add", fall_asleep)
    waiting.meet()
    assert [call[:3] for call in waiting.calls] == [(202, waiting.first, module.WAKE)]


_MEET_OFTEN = """
_errno = types.ExternalFunction("__errno_location", types.intp())


@_jit
def _count_missed(slept, line, its, turn):
    if slept != 0 and _load(_errno()) & 0xFFFF_FFFF == 110 and _load(its) >= turn:  # ETIMEDOUT
        _add(line + 40, 1)


@_entry
def _meet_often(team, times, memory):
    place = np.uint64(team[0])
    for time in range(times):
        for _ in range(3):  # what is written meanwhile takes long to arrive, and turns behind it
            place = _mix(place + np.uint64(1))
            memory[np.int64(place >> np.uint64(1)) % memory.size] = time
        _meet(team)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="sleeps are Linux' own")
def test_nobody_who_sleeps_is_forgotten() -> None:
    """Without an atomic turn, every other run on an idle machine misses one to three meetings."""
    text = TEXT + _MEET_OFTEN
    for old, new in (
        (r"^LOOKS = .*", "LOOKS = 0"),
        (r"_call_system(\(FUTEX, its.*\))", r"_count_missed(_call_system\1, first, its, turn)"),
        (r'^KERNELS = "', 'KERNELS = "of_meetings_'),
    ):
        text, found = re.subn(old, new, text, flags=re.MULTILINE)
        assert found == 1
    module = compile_module(replace(source("20-40-30-3"), text=text))
    module._place_waiting()
    turns, memories = module._turns(2), [np.zeros(10**7, np.int64) for _ in range(2)]
    module._meet_often((0, 1, turns), 0, memories[0])  # compiled

    def meet(member: int) -> None:
        module._meet_often((member, 2, turns), 300_000, memories[member])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(meet, range(2)))
    assert turns[0] == turns[module.LINE] == 300_000
    assert turns[5] == 0, "sleeps that ended by themselves, with the other one there"


def test_what_is_compiled_in_depends_on_the_target_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `setarch` has the system say of itself is not in the key of what Numba keeps."""
    expected = uncompiled(TEXT).FUTEX
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="i686"))
    found = uncompiled(TEXT).FUTEX
    assert found == expected


def test_each_thread_tells_the_others_on_lines_of_its_own() -> None:
    module = uncompiled(TEXT)
    for members in (1, 2, 7):
        turns = module._turns(members)
        assert turns.size == members * module.LINE
        assert turns.ctypes.data % 64 == 0


def test_where_a_thread_cannot_sleep_it_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = Waiting(monkeypatch, its_processor=5, futex=None)
    waiting.meet()
    assert waiting.calls == []
    assert waiting.looks > 1000
