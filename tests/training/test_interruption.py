"""Signals: the first asks, the second insists, and everything is put back afterwards."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from runtime.interruption import SIGNALS, Interrupted, StopRequest, signals_raise


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.01)  # the handler runs between two bytecodes


@pytest.mark.parametrize("number", SIGNALS)
def test_outside_of_training_a_signal_raises(number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as interruption, signals_raise():
        send(number)
    assert interruption.value.exit_status == 128 + number
    assert signal.getsignal(number) == before


def test_handlers_at_the_end() -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        with signals_raise(at_the_end=signal.SIG_IGN):
            pass
        assert {signal.getsignal(number) for number in SIGNALS} == {signal.SIG_IGN}
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_the_first_signal_is_a_request() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with signals_raise():
        inner = signal.getsignal(signal.SIGTERM)
        with StopRequest("stopping soon") as stop:
            assert stop.number is None
            send(signal.SIGTERM)
            assert stop.number == signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) == inner
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_second_raises_where_no_thread_runs() -> None:
    with StopRequest("") as stop:
        send(signal.SIGINT)
        with pytest.raises(Interrupted) as interruption:
            send(signal.SIGTERM)
    assert interruption.value.number == signal.SIGTERM
    assert stop.number == signal.SIGINT


def test_nothing_interrupts_what_is_shielded() -> None:
    done = []
    with StopRequest("") as stop:
        with stop.shielded():
            send(signal.SIGINT)
            send(signal.SIGINT)
            send(signal.SIGTERM)
            done.append("whole")
        assert done == ["whole"]
        with pytest.raises(Interrupted):
            send(signal.SIGINT)


def test_elsewhere_than_in_the_main_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with signals_raise(), StopRequest("") as stop:
            seen.append((signal.getsignal(signal.SIGINT), stop.number))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert seen == [(before, None)]


def test_the_second_ends_the_process_though_a_thread_runs() -> None:
    program = """
import atexit, os, signal, threading, time
from runtime.interruption import StopRequest
atexit.register(lambda: print("cleared", flush=True))
with StopRequest("stopping soon") as stop:
    with stop.running_threads(lambda: print("abandoned", flush=True), lambda: ". Bye."):
        threading.Thread(target=time.sleep, args=(60,)).start()
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
"""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert time.monotonic() - began < 20
    assert done.returncode == 143
    assert done.stdout == "abandoned\ncleared\n"
    assert done.stderr == "stopping soon\ngradwright: stopped at once. Bye.\n"


def test_the_first_ends_the_process_where_nothing_can_be_saved() -> None:
    program = """
import os, signal, threading, time
from runtime.interruption import signals_kill
with signals_kill(lambda: print("abandoned", flush=True), ". Bye."):
    threading.Thread(target=time.sleep, args=(60,)).start()
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 130
    assert (done.stdout, done.stderr) == ("abandoned\n", "gradwright: interrupted. Bye.\n")
