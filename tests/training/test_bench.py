"""The benchmark: same work for all, in turn, each in its own process, and ratios that add up."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_library import compilers
from click.testing import CliRunner
from numpy.typing import NDArray

from derive.spec import parse_spec
from runtime.bench import c_peer, others, peers, torch_peer, turns, worker
from runtime.bench.busy import busy_processes
from runtime.bench.floors import Floors
from runtime.bench.machine import MACHINE
from runtime.bench.memory import LEAST, input_bytes
from runtime.bench.numpy_peer import NumPyPeer
from runtime.bench.peers import contender, why_not
from runtime.bench.process import Process
from runtime.bench.products import products
from runtime.bench.result import BenchResult
from runtime.bench.spread import figure
from runtime.bench.torch_peer import TorchPeer
from runtime.bench.turns import run_bench
from runtime.bench.workload import (
    Workload,
    batches,
    one_order,
    start,
    training_set,
    workload,
)
from runtime.child_process import THREAD_VARIABLES
from runtime.commands.bench import command
from runtime.errors import InputError, InternalError, RunError
from runtime.torch_oracle import train_sgd

Order = NDArray[np.int64]


# ------------------------------------------------------------------ the work


def test_the_named_sets_are_the_labs() -> None:
    work = workload("circles")
    assert (work.spec, work.samples, work.batch, work.epochs) == ("2-10-2", 200, 10, 150)
    assert work.steps * work.epochs == 3_000
    work = workload("mnist")
    assert (work.spec, work.samples, work.batch, work.epochs) == ("784-100-10", 60_000, 100, 10)
    assert work.steps == 600
    assert workload("mnist", epochs=3).epochs == 3
    assert workload("7-5-3", epochs=3).epochs == 3


def test_a_network_gets_data_that_fit_it() -> None:
    work = workload("7-5-3", dtype="float64", batch=300)
    X, Y = training_set(work)
    assert X.shape == (2_000, 7)
    assert X.dtype == Y.dtype == np.float64
    assert abs(X.mean()) < 0.05
    assert abs(X.std() - 1) < 0.05
    assert Y.shape == (2_000, 3)
    assert (Y.sum(axis=1) == 1).all()
    assert (Y.sum(axis=0) > 500).all()
    assert work.steps == 7  # the last of 200 samples
    numbers = training_set(workload("7-5-3", loss="mse"))[1]
    assert numbers.dtype == np.float32
    assert abs(numbers.std() - 1) < 0.05


def test_start_order_and_data_are_the_same_each_time() -> None:
    work = workload("7-5-3")
    for name, value in start(work).items():
        np.testing.assert_array_equal(value, start(work)[name])
        assert value.any() == name.startswith("W")
    np.testing.assert_array_equal(training_set(work)[0], training_set(work)[0])
    np.testing.assert_array_equal(one_order(work), one_order(work))
    assert sorted(one_order(work)[0]) == list(range(2_000))
    assert abs(start(workload("circles"))["W1"].std() - 0.3) < 0.1


def test_batches_are_all_samples_once() -> None:
    parts = list(batches(np.arange(23)[::-1], 5))
    assert [len(part) for part in parts] == [5, 5, 5, 5, 3]
    assert np.concatenate(parts).tolist() == list(range(23))[::-1]


def test_a_workload_survives_the_way_to_a_worker() -> None:
    work = workload("4-5:relu-2", batch=7)
    assert Workload.from_json(json.loads(json.dumps(work.to_json()))) == work


# ------------------------------------------------------------------ the peers


def small(spec: str, loss: str = "cross-entropy", batch: int = 7) -> Workload:
    work = workload(spec, loss=loss, dtype="float64", batch=batch)
    return replace(work, samples=60, epochs=3)


def orders(work: Workload) -> Order:
    rng = np.random.default_rng(1)
    return np.stack([rng.permutation(work.samples) for _ in range(work.epochs)])


def expected(work: Workload, order: Order) -> dict[str, Any]:
    X, Y = training_set(work)
    spec = parse_spec(work.spec, loss=work.loss)
    return train_sgd(spec, start(work), X, Y, order, work.batch, work.eta)


TORCH_SPECS = [
    ("3-5-4", "cross-entropy"),
    ("3-2", "cross-entropy"),
    ("3-5:relu-4:sigmoid-6:identity-3", "cross-entropy"),
    ("3-5:softmax-4:sigmoid", "cross-entropy"),
    ("3-5:softmax-4", "mse"),
    ("3-5:relu-4:sigmoid", "mse"),
    ("3-5-1", "mse"),
]


@pytest.mark.parametrize("at_once", [True, False], ids=["epoch at once", "batch by batch"])
@pytest.mark.parametrize(("spec", "loss"), TORCH_SPECS)
def test_the_torch_peer_does_the_work(
    spec: str, loss: str, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_peer, "_SMALL", 1 << 18 if at_once else 0)
    work = small(spec, loss)
    params, order = start(work), orders(work)
    TorchPeer(work, *training_set(work), threads=1).train(params, work.epochs, order)
    assert_close(params, expected(work, order))


@pytest.mark.parametrize("spec", ["3-5-4", "3-2", "3-4-5-6-2"])
def test_the_numpy_peer_does_the_work(spec: str) -> None:
    work = small(spec)
    params, order = start(work), orders(work)
    NumPyPeer(work, *training_set(work)).train(params, work.epochs, order)
    assert_close(params, expected(work, order))


@pytest.mark.parametrize("name", ["torch", "numpy"])
def test_peers_shuffle_all_samples_anew(name: str) -> None:
    work = small("3-5-4", batch=60)  # one step an epoch: the order is of no account
    params = start(work)
    contender(name, work, *training_set(work), 1).train(params, work.epochs)
    assert_close(params, expected(work, orders(work)))
    work = small("3-5-4")  # nine steps: here it is
    runner = contender(name, work, *training_set(work), 1)
    results = [expected(work, orders(work))]
    for _ in range(2):
        params = start(work)
        runner.train(params, work.epochs)
        results.append(params)
    first, second, third = (value["W1"] for value in results)
    assert not np.allclose(first, second, rtol=1e-6)
    assert not np.allclose(second, third, rtol=1e-6)
    assert np.allclose(second, third, atol=0.05)


def assert_close(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    ("spec", "loss", "stranger"),
    [
        ("3-5:relu-2", "cross-entropy", "relu"),
        ("3-5-2:sigmoid", "cross-entropy", "sigmoid"),
        ("3-5-2", "mse", "identity"),
        ("3-5-2:softmax", "mse", "mse"),
    ],
)
def test_the_loop_by_hand_refuses_what_it_is_not_written_for(
    spec: str, loss: str, stranger: str
) -> None:
    work = workload(spec, loss=loss)
    assert stranger in str(why_not("numpy", work))
    assert why_not("torch", work) is None
    with pytest.raises(InputError, match=stranger):
        contender("numpy", work, *training_set(work), 1)
    assert why_not("numpy", workload("3-5-4-2")) is None


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("circle", {}, '"circle" is not known. Expected circles, mnist, or a network'),
        ("2-3-2", {"against": ["jacks"]}, '"jacks" is not known. Known: c, jax, jax-step'),
        ("2-3-2", {"against": []}, "no peer is named. Known: c, jax, jax-step, numpy, sklearn"),
        ("2-3:relu-2", {"against": ["numpy"]}, "has the activation relu. Leave numpy out"),
        ("nx-2", {}, 'sizes\\[0\\] is called "nx"'),
        ("2--2", {}, "the size of layer 1 is missing"),
        ("2-3-2", {"loss": "mea"}, '"mea" is not known'),
        ("circles", {"batch": 0}, "batch: 0. Expected a number from 1 to 200"),
        ("circles", {"batch": 201}, "batch: 201. Expected a number from 1 to 200"),
        ("circles", {"threads": 0}, "threads: 0. Expected a number from 1 to"),
        ("circles", {"threads": 100_000}, "threads: 100000. Expected a number from 1 to"),
        ("circles", {"epochs": 0}, "epochs: 0. Expected a number from 1 to 1000000"),
        ("circles", {"epochs": 10**20}, f"epochs: {10**20}. Expected a number from 1 to"),
        ("circles", {"repeats": 0}, "repeats: 0. Expected a number from 1"),
        ("circles", {"wait": -1}, "wait: -1. Expected seconds, 0 or more"),
        ("circles", {"wait": float("nan")}, "wait: nan. Expected seconds, 0 or more"),
    ],
)
def test_refused_before_anything_starts(
    target: str, options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "Process", None)
    with pytest.raises(InputError, match=message):
        run_bench(target, **options)


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("--against=numpy", "--against"),
        ("--busy=1", "--busy"),
        ("--wait=0", "--wait"),
        ("--sparse=never", "--sparse"),
        ("--epochs=2", "--epochs"),
        ("--no-memory", "--memory"),
        ("--plot=x.png", "--plot"),
    ],
)
def test_products_refuse_what_says_nothing_to_them(option: str, named: str) -> None:
    arguments = ["784-100-10", "--products", option]
    with pytest.raises(InputError, match=f"{named} says nothing to --products"):
        CliRunner().invoke(command, arguments, catch_exceptions=False)


# ------------------------------------------------------------------ turns


class FakeProcess:
    """Answers as a worker would, and keeps a diary."""

    diary: list[str] = []  # noqa: RUF012  # one for all of them, in order
    wrong: dict[str, float] = {}  # noqa: RUF012

    def __init__(self, contender: str, work: Workload, *, label: str = "", **options: Any) -> None:
        self.contender, self.label, self.work = contender, label or contender, work
        self.facts = {
            "versions": {"gradwright": "0"},
            "processors": options["processors"],
            "import_seconds": 0.5,
            "facts": {"generate_seconds": 0.25, "bytes_per_step": 1000},
        }
        assert options["threads"] == len(options["processors"])
        self.diary.append(f"start {self.label}")

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self.diary.append(f"{request['do']} {self.label}")
        if self.contender == MACHINE:
            names = [product.name for product in products(self.work)]
            return {
                "peak": 1e9 + len(self.diary),
                "products": dict.fromkeys(names, 1e-5),
                "gather": 1e-5,
                "together": 1e-3,
                "processor_seconds": 0.0,
            }
        if request["do"] == "memory":
            return {"bytes": 3 * len(self.diary) << 20 if self.contender != "numpy" else None}
        if request["do"] == "turn":
            seconds = {"gradwright": 1e-3, "torch": 0.1}.get(self.contender, 0.02)
            return {"seconds": seconds * len(self.diary), "runs": 3, "processor_seconds": 0.0}
        params = start(self.work)
        params["W1"][0, 0] += self.wrong.get(self.contender, 0.0)
        packed = {name: b64encode(p.tobytes()).decode() for name, p in params.items()}
        return {"params": packed, "first_seconds": 2.0}

    def __enter__(self) -> "FakeProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.diary.append(f"end {self.label}")


@pytest.fixture
def diary(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(turns, "Process", FakeProcess)
    monkeypatch.setattr(others, "_looks_until_idle", lambda: [0.0])
    monkeypatch.setattr(FakeProcess, "diary", [])
    monkeypatch.setattr(FakeProcess, "wrong", {})
    return FakeProcess.diary


def test_contenders_take_turns(diary: list[str]) -> None:
    result = run_bench("circles", against=["torch", "numpy", "torch"], repeats=3)
    three = ["gradwright", "torch", "numpy"]
    ours = "gradwright"
    assert diary == [
        *(f"{done} {name}" for name in three for done in ("start", "agree")),
        *(f"{done} {ours}" for done in ("start", "agree", "end")),  # kernels in the cache
        "start machine",
        *(f"turn {name}" for name in (*three, MACHINE) * 3),
        *(f"end {name}" for name in reversed((*three, MACHINE))),
    ]
    # seconds grow with each entry, ours 11, 15, 19 and PyTorch's 12, 16, 20
    assert result.ratios("torch") == pytest.approx([100 * 12 / 11, 100 * 16 / 15, 100 * 20 / 19])
    assert result.runs["numpy"] == (3, 3, 3)


def test_an_idle_machine_is_waited_for_before_each_start_and_turn(
    diary: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns.Patience, "wait", lambda _: diary.append("wait"))
    run_bench("circles", against=["numpy"], repeats=1)
    waited = [after for before, after in pairwise(diary) if before == "wait"]
    starts = [f"start {name}" for name in ("gradwright", "numpy", "gradwright")]
    assert waited == [*starts, *(f"turn {name}" for name in ("gradwright", "numpy", MACHINE))]


def test_memory_is_measured_in_a_process_of_its_own_where_inputs_are_many(
    diary: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LEAST", 2_000 * 700 * 4)
    assert not run_bench("699-3-2", against=["numpy"], repeats=1).memory
    assert not any(line.startswith("memory") for line in diary)
    diary.clear()
    result = run_bench("700-3-2", against=["torch", "numpy"], repeats=1)
    place = diary.index("memory gradwright")
    assert diary[place - 1 : place + 2] == ["start gradwright", diary[place], "end gradwright"]
    # numpy's system does not say
    assert dict(result.memory) == {
        name: 3 * (1 + diary.index(f"memory {name}")) << 20 for name in ("gradwright", "torch")
    }
    diary.clear()
    options = ["700-3-2", "--against=numpy", "--repeats=1", "--no-memory"]
    done = CliRunner().invoke(command, options, catch_exceptions=False)
    assert "memory" not in done.stdout
    assert not any(line.startswith("memory") for line in diary)


def test_memory_counts_the_inputs_and_what_training_takes_beside_them() -> None:
    work = workload("4000-5-4")
    assert input_bytes(work) == 2_000 * 4_000 * 4 > LEAST
    with a_process("numpy", work, memory=True) as one:
        found = one.ask({"do": "memory"})["bytes"]
    if not Path("/proc/self/clear_refs").exists():
        assert found is None
    else:
        assert 0.98 * input_bytes(work) < found < 1.3 * input_bytes(work)


def test_others_keep_processors_busy_while_contenders_take_turns(
    diary: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def noted(count: int, processors: Sequence[int]) -> Iterator[None]:
        diary.append(f"{count} busy on {list(processors)}")
        yield
        diary.append("idle")

    monkeypatch.setattr(turns, "busy_processes", noted)
    monkeypatch.setattr(turns, "_choose_processors", lambda threads: (5, 6))
    result = run_bench("circles", against=["numpy"], threads=2, repeats=1, busy=3)
    begin, end = diary.index("3 busy on [5, 6]"), diary.index("idle")
    is_turn = [entry.startswith("turn") for entry in diary]
    assert all(is_turn[begin + 1 : end])
    assert not any(is_turn[:begin] + is_turn[end:])
    (ratio,) = result.ratios("gradwright@1")
    assert ", beside 3 busy processes; median" in str(result)
    told = f"beside 3 busy processes 2 threads of gradwright take {figure(1 / ratio)} ("
    assert told in str(result)
    assert json.loads(result.to_json())["busy"] == 3
    assert result.others is None
    assert not result.disturbed, "by nobody that it did not ask for"
    with pytest.raises(InputError, match=r"busy: -1\. Expected a number from 0"):
        run_bench("circles", against=["numpy"], busy=-1)


def test_a_busy_process_uses_a_processor_and_ends() -> None:
    def used() -> float:
        times = os.times()
        return times.children_user + times.children_system

    before = used()
    with busy_processes(1, ()):
        time.sleep(0.3)
    assert used() - before > 0.05  # it is waited for, so that its time is ours


@pytest.mark.usefixtures("diary")
def test_a_peer_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {"torch": ("no_such_module", "PyTorch", "torch"), "numpy": peers.PEERS["numpy"]}
    monkeypatch.setattr(turns, "PEERS", absent)
    with pytest.raises(InputError, match=r"PyTorch is not installed. .*'gradwright\[torch\]'"):
        run_bench("circles", against=["torch"])
    result = run_bench("circles", repeats=1)  # not asked for, so no mistake
    assert list(result.seconds) == ["gradwright", "numpy"]
    assert result.left_out == {"torch": "not installed; pip install 'gradwright[torch]'"}


def test_our_own_c_is_a_peer_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    compilers()  # or skip
    work = small("3-5-4")
    params = start(work)
    runner = contender("c", work, *training_set(work), 1)
    order = one_order(work)
    runner.train(params, 1, order)
    assert_close(params, expected(work, order))
    again = start(work)
    runner.train(again, work.epochs)  # shuffled, and so another run
    assert any(np.abs(again[name] - params[name]).max() > 0 for name in params)
    monkeypatch.setattr(c_peer, "COMPILER", "no-such-compiler")
    with pytest.raises(InputError, match=r"against c: there is no C compiler .* Leave c out"):
        run_bench("2-3-2", against=["c"])


@pytest.mark.parametrize("wrong", [0.01, -3.0, float("nan"), float("inf")])
def test_who_computes_something_else_is_not_timed(diary: list[str], wrong: float) -> None:
    FakeProcess.wrong["numpy"] = wrong
    with pytest.raises(RunError, match=r"numpy and gradwright differ by .* gradwright check"):
        run_bench("circles", against=["torch", "numpy"])
    assert not [entry for entry in diary if entry.startswith("turn")]
    assert diary[-3:] == ["end numpy", "end torch", "end gradwright"]


def test_with_several_threads_everybody_runs_with_one_too(
    diary: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_choose_processors", lambda threads: tuple(range(threads)))
    monkeypatch.setattr(c_peer, "is_there", lambda: True)
    result = run_bench("circles", against=["numpy", "c"], repeats=2, threads=3)
    labels = ["gradwright", "gradwright@1", "numpy", "numpy@1", "c"]
    assert list(result.seconds) == labels
    assert diary.count("start machine") == 2
    assert [floors.threads for floors in result.floors] == [3, 1]
    assert list(json.loads(result.to_json())["ratios"]) == labels[1:]
    assert "3 threads each (@1: one)" in str(result)


@pytest.mark.usefixtures("diary")
def test_rounding_is_no_disagreement() -> None:
    FakeProcess.wrong["numpy"] = 1e-6
    found = run_bench("circles", against=["numpy"], repeats=1).disagreement["numpy"]
    assert 1e-7 < found < 1e-4
    with pytest.raises(RunError, match="expected at most 1e-09"):
        run_bench("circles", against=["numpy"], repeats=1, dtype="float64")


@pytest.mark.usefixtures("diary")
def test_a_run_that_is_not_finite_is_not_timed() -> None:
    FakeProcess.wrong["gradwright"] = float("nan")
    with pytest.raises(RunError, match="not finite"):
        run_bench("circles", against=["numpy"])


# ------------------------------------------------------------------ processes


def a_process(name: str, work: Workload, threads: int = 1, *, memory: bool = False) -> Process:
    chosen = turns._choose_processors(threads)
    cache = Path(tempfile.gettempdir(), "gradwright-test-no-compiler")  # nothing is compiled
    return Process(
        name,
        work,
        threads=threads,
        processors=chosen,
        offline=True,
        cache=cache,
        memory=memory,
    )


def test_a_worker_is_bound_and_limited_before_numpy_is_loaded() -> None:
    with a_process("numpy", small("3-5-4")) as one:
        if not Path("/proc/self/task").is_dir():
            pytest.skip("only Linux tells what a process is bound to")
        root = Path(f"/proc/{one._process.pid}")
        variables = dict(
            entry.split("=", 1) for entry in (root / "environ").read_text().split("\0") if entry
        )
        assert {variables[name] for name in THREAD_VARIABLES} == {"1"}
        assert len(one.facts["processors"]) == 1
        for thread in (root / "task").iterdir():  # BLAS's own threads too, if there are any
            status = (thread / "status").read_text()
            bound = status.split("Cpus_allowed_list:")[1].split()[0]
            assert bound == str(one.facts["processors"][0])
    assert not root.exists() or "Z" in (root / "stat").read_text()


def test_a_workers_refusal_is_ours() -> None:
    with pytest.raises(InputError, match="relu"):
        a_process("numpy", small("3-5:relu-4"))
    with pytest.raises(InternalError, match="status 1"):
        a_process("nobody", replace(small("3-5-4"), sizes=()))


def test_a_worker_that_is_killed_is_reported() -> None:
    with a_process("numpy", small("3-5-4")) as one:
        os.kill(one._process.pid, signal.SIGKILL)
        with pytest.raises(RunError, match="ended by signal 9"):
            one.ask({"do": "turn", "seconds": 0.01})


def test_a_worker_goes_when_nobody_asks_any_more() -> None:
    one = a_process("numpy", small("3-5-4"))
    assert one._process.stdin is not None
    one._process.stdin.close()
    assert one._process.wait(timeout=20) == 0
    one.end()


def test_an_answer_waits_until_the_process_is_idle() -> None:
    spinning = threading.Event()

    def spin() -> None:
        end = time.perf_counter() + 0.3
        while time.perf_counter() < end:
            pass
        spinning.set()

    threading.Thread(target=spin).start()
    worker._become_idle()
    assert spinning.is_set()


CTRL_C = """
import subprocess
class Popen(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        print("pid", self.pid, flush=True)
subprocess.Popen = Popen
import sys
from runtime.bench import turns
from runtime.bench.process import Process
class Ours(Process):
    # one quick worker will do in the place of all that compile
    def __init__(self, contender, *arguments, **options):
        super().__init__("numpy", *arguments, **options)
        self.contender = contender
        self.facts["facts"] = {"generate_seconds": 0.0, "bytes_per_step": 0}
turns.Process, turns.PEERS, turns.MACHINE = Ours, {}, "gradwright"
try:
    turns.run_bench("circles", repeats=10**6, wait=0, say=lambda m: print(m, flush=True))
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_ctrl_c_ends_the_workers_too() -> None:
    script = [sys.executable, "-P", "-c", CTRL_C]
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as ours:
        assert ours.stdout is not None
        workers = []
        for line in ours.stdout:
            if line.startswith("pid"):
                workers.append(int(line.split()[1]))
            if line.startswith("turn 2 "):
                break
        ours.send_signal(signal.SIGINT)
        assert ours.wait(timeout=20) == 130
    assert workers
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


# ------------------------------------------------------------------ the whole, for real


@pytest.fixture(scope="module")
def circles_result() -> BenchResult:
    # the machine is never idle among tests
    return run_bench("circles", against=["torch", "numpy"], repeats=2, offline=True, wait=0)


@pytest.mark.long
def test_circles_for_real(circles_result: BenchResult) -> None:
    assert list(circles_result.seconds) == ["gradwright", "torch", "numpy"]
    assert circles_result.repeats == 2
    assert all(value < 1e-4 for value in circles_result.disagreement.values())
    # even on a busy machine; what is promised is measured on an idle one
    assert min(circles_result.ratios("torch")) > 20
    assert min(circles_result.ratios("numpy")) > 4
    # short runs are repeated within a turn, so that no turn is over in a blink
    assert min(circles_result.runs["gradwright"]) > 10
    times = zip(
        circles_result.seconds["gradwright"], circles_result.runs["gradwright"], strict=True
    )
    assert all(seconds * runs >= turns.TURN * (1 - 1e-9) for seconds, runs in times)


@pytest.mark.long
def test_the_json_holds_everything(circles_result: BenchResult) -> None:
    content = json.loads(circles_result.to_json())
    assert content["work"]["steps_per_epoch"] == 20
    assert content["repeats"] == len(content["contenders"]["torch"]["seconds_per_run"]) == 2
    each = content["contenders"]["gradwright"]["seconds_per_run"]
    assert content["contenders"]["gradwright"]["us_per_step"]["min"] == pytest.approx(
        1e6 * min(each) / 3_000
    )
    assert content["ratios"]["torch"]["each"] == pytest.approx(circles_result.ratios("torch"))
    assert {"gradwright", "numpy", "python", "torch"} <= set(content["versions"])
    assert content["platform"]["cpu"]
    assert content["threads"] == 1
    compiling = content["compile"]
    assert 0 < compiling["cached_seconds"] < compiling["cold_seconds"]
    ours = content["contenders"]["gradwright"]
    assert ours["first_epoch_seconds"] > compiling["cached_first_epoch_seconds"]
    assert ours["import_seconds"] > 0
    assert content["bytes_per_step"] > 4 * 2 * (2 * 10 + 10 + 10 * 2 + 2)  # in and out
    assert list(content["floors"][0]["products"]) == [p.name for p in products(workload("circles"))]


@pytest.mark.long
def test_nobody_is_faster_than_the_machine(circles_result: BenchResult) -> None:
    (floors,) = circles_result.floors
    for name, figures in floors.products.items():
        assert min(figures) >= floors.multiply_adds[name] / floors.peak
    assert floors.peak == max(floors.peaks) >= floors.best_rate()
    assert circles_result.above_peak <= 1
    assert floors.at_peak < floors.in_blas.least
    for name in circles_result.seconds:
        assert circles_result.milliseconds_per_epoch(name).least > 1e3 * floors.at_peak


SOME_FLOORS = Floors(
    work=workload("circles"),
    threads=1,
    peaks=(9e9, 1e10),
    products={p.name: (1e-7, 2e-7) for p in products(workload("circles"))},
    gather=(4e-6, 4e-6),
    together=(2e-5, 2.2e-5),
)
RESULT = BenchResult(
    work=workload("circles"),
    threads=1,
    processors=(3,),
    seconds={"gradwright": (0.0012, 0.0015, 0.0018), "torch": (0.3, 0.15, 0.36)},
    runs={"gradwright": (160, 130, 120), "torch": (1, 1, 1)},
    imports={"gradwright": 1.0, "torch": 2.0},
    first={"gradwright": 2.5, "torch": 0.7},
    generate=(0.5, 0.4),
    cached_first=0.9,
    bytes_per_step=6_840,
    floors=(SOME_FLOORS,),
    disagreement={"torch": 9e-7},
    differs={"sklearn": "it is another"},
    left_out={},
    others=0.02,
    busy=0,
    versions={"gradwright": "0.1.0", "matplotlib": "3.9", "python": "3.12.1"},
    platform={"cpu": "A Processor", "system": "Linux", "release": "6.1"},
)


def test_the_text_is_for_people() -> None:
    result = RESULT
    assert str(result) == (
        "circles: 2-10-2, cross-entropy, batch 10, float32\n"
        "a run: 150 epochs of 20 steps, shuffles included, no evaluation, the same start each "
        "time\n"
        "3 turns each, one contender after the other; median (least – most)\n"
        "A Processor, Linux 6.1, 1 thread each, bound to processor 3\n"
        "gradwright 0.1.0, python 3.12.1\n"
        "\n"
        "            µs per step            ms per epoch               times ours       "
        "first epoch\n"
        "gradwright  0.500 (0.400 – 0.600)  0.0100 (0.00800 – 0.0120)                   2.50 s\n"
        "torch       100 (50.0 – 120)       2.00 (1.00 – 2.40)         200 (100 – 250)  0.700 s\n"
        "\n"
        "first epoch, cold: gradwright derives and generates in 0.500 s, compiles in 2.00 s, or "
        "loads from the cache in 0.500 s\n"
        "floor, 1 thread: the five products in BLAS with the gather of the batches 0.0210 (0.0200 "
        "– 0.0220) ms per epoch, 1.05 µs per step; the gather alone 0.00400 ms\n"
        "  each, per step (10⁹ multiply-adds a second and core): Z1 = X W1ᵀ 0.150 µs (1.33), "
        "Z2 = H1 W2ᵀ 0.150 µs (1.33), dW2 = dZ2ᵀ H1 0.150 µs (1.33), dH1 = dZ2 W2 0.150 µs (1.33), "
        "dW1 = dZ1ᵀ X 0.150 µs (1.33)\n"
        "peak, 1 thread: multiply-adds, 10.0 · 10⁹ a second and core, 0.00200 ms per epoch, "
        "0.100 µs per step\n"
        "moved: 6,840 bytes a step are read and written by the nodes of ours, 13.7 GB/s\n"
        "the floor is that of dense products in calls of BLAS: kernels that skip inputs that are "
        "0, or call nothing, can go below\n"
        "\n"
        "after an epoch in one order, parameters differ by: torch 9e-07 (relative)\n"
        "sklearn is not compared: it is another"
    )
    inputs = 60_000 * 784 * 4
    memory = {"gradwright": inputs, "torch": inputs * 5 // 4}
    told = replace(result, work=workload("mnist"), memory=memory)
    assert "first epoch  memory\n" in str(told)
    assert "2.50 s       179 MiB (1.00)\n" in str(told)
    assert "0.700 s      224 MiB (1.25)\n" in str(told)
    assert "in parentheses times the inputs' 179 MiB, which it includes\n" in str(told)
    content = json.loads(told.to_json())
    assert content["input_bytes"] == inputs
    assert content["contenders"]["torch"]["memory_bytes"] == inputs * 5 // 4
    assert content["contenders"]["torch"]["memory_over_inputs"] == 1.25
    assert not result.disturbed
    busy = replace(result, others=0.8)
    assert busy.disturbed
    assert str(busy).splitlines()[5].startswith("the machine was busy: other programmes used 0.80")
    assert json.loads(busy.to_json())["disturbed"] is True
    assert json.loads(result.to_json())["disturbed"] is False
    assert not replace(result, others=None).disturbed


@pytest.mark.usefixtures("diary")
def test_the_help_has_examples_and_the_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = CliRunner()
    assert "gradwright bench mnist --against torch" in runner.invoke(command, ["--help"]).output
    monkeypatch.setattr(turns, "machine_seconds", iter(range(100)).__next__)
    done = runner.invoke(command, ["3-4:relu-2", "--repeats", "1", "--format", "json"])
    left_out = json.loads(done.stdout)["left_out"]
    cannot = {name for name, reason in left_out.items() if not reason.startswith("not installed")}
    assert cannot - {"torch-compile"} == {"numpy"}  # which needs a C++ compiler
    assert "numpy is left out: the loop by hand is for tanh" in done.stderr
    assert "not to be trusted; run it again on an idle machine" in done.stderr
    done = runner.invoke(command, ["circles", "--against", "torch, numpy", "--repeats", "1"])
    assert done.stdout.startswith("circles: 2-10-2")
    assert "not to be trusted; run it again on an idle machine" in done.stdout
    assert done.stderr == ""
