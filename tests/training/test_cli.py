"""The edge of the command line: statuses, streams, signals, and our own mistakes."""

import io
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest
from command_line import Outcome, environment, run, run_here, script

from runtime.cli import main
from runtime.commands import cache, train
from runtime.errors import InputError, InternalError, RunError


@pytest.fixture
def doing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Let ``gradwright cache where`` do something else."""

    def put(action: Callable[[], object]) -> None:
        monkeypatch.setattr(cache.where, "callback", action)

    return put


def raising(error: BaseException) -> Callable[[], NoReturn]:
    def action() -> NoReturn:
        raise error

    return action


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["-h"], ["train", "--help"], ["cache", "--help"]]
    + [["predict", "--help"], ["evaluate", "--help"]]
    + [["cache", name, "--help"] for name in ("list", "clear", "where")],
    ids=" ".join,
)
def test_help_has_examples_and_needs_no_more_than_ascii(arguments: list[str]) -> None:
    outcome = run_here(*arguments)
    assert (outcome.status, outcome.err) == (0, "")
    assert "Example" in outcome.out
    assert "gradwright" in outcome.out
    assert outcome.out.isascii()  # it can be read in any terminal


def test_help_is_quick(tmp_path: Path) -> None:
    """In processor time, which is its own even on a busy machine."""
    times = []
    for _ in range(4):
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run("--help", cwd=tmp_path).status == 0
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime)
    assert 0 < min(times) < 0.3


def test_every_option_of_train_is_explained() -> None:
    assert not [option.name for option in train.command.params[2:] if not option.help]  # type: ignore[attr-defined]


def test_version() -> None:
    assert run_here("--version").out == f"gradwright, version {metadata.version('gradwright')}\n"


def test_the_module_is_the_command(tmp_path: Path) -> None:
    for arguments, status in ((["train", "--help"], 0), (["train", "moon"], 2), ([], 2)):
        command = run(*arguments, cwd=tmp_path)
        as_module = subprocess.run(
            [sys.executable, "-P", "-m", "runtime", *arguments],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert command.status == status
        assert command == Outcome(
            status=as_module.returncode, out=as_module.stdout, err=as_module.stderr
        )


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["trian"], ['"trian" is not known', 'Did you mean "train"?', "derive, explain, generate"]),
        (["xyzzy"], ['"xyzzy" is not known. Known: derive']),
        (["--colour"], ["No such option", "--colour"]),
        (["train"], ["Missing argument 'DATA'"]),
        (["train", "circles", "2-2", "2-2"], ["unexpected extra argument"]),
        (["train", "circles", "--epoch", "3"], ["--epoch"]),
        (["train", "circles", "--dtype", "float16"], ["float16", "'float32', 'float64'"]),
        (["cache", "fill"], ["No such command 'fill'"]),
    ],
)
def test_what_cannot_be_understood(arguments: list[str], parts: list[str]) -> None:
    run_here(*arguments).assert_refused(2, *parts, "Usage: gradwright")


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (InputError("size: 0. Expected 1."), 2, "gradwright: size: 0. Expected 1.\n"),
        (RunError("the disk is full."), 1, "gradwright: the disk is full.\n"),
        (MemoryError(), 1, "not enough memory"),
        (KeyboardInterrupt(), 130, "gradwright: interrupted\n"),
    ],
)
def test_each_error_has_its_status(
    doing: Callable[..., None], error: BaseException, status: int, message: str
) -> None:
    doing(raising(error))
    run_here("cache", "where").assert_refused(status, message)


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("division by zero"), InternalError("two loops"), OSError("odd")]
)
def test_our_mistakes_say_what_to_report(doing: Callable[..., None], error: Exception) -> None:
    doing(raising(error))
    outcome = run_here("cache", "where")
    version = f"gradwright {metadata.version('gradwright')}"
    outcome.assert_refused(70, str(error), "Please report it", version, "test_cli.py:", "--debug")
    assert sys.version.split()[0] in outcome.err


@pytest.mark.parametrize(
    "arguments",
    [["--debug", "cache", "where"], ["cache", "--debug", "where"], ["cache", "where", "--debug"]],
    ids=" ".join,
)
@pytest.mark.parametrize(
    ("error", "status"), [(InputError("no."), 2), (RunError("no."), 1), (TypeError("no."), 70)]
)
def test_debug_shows_the_traceback_and_changes_nothing_else(
    doing: Callable[..., None], arguments: list[str], error: Exception, status: int
) -> None:
    doing(raising(error))
    outcome = run_here(*arguments)
    assert (outcome.status, outcome.out) == (status, "")
    assert outcome.err.startswith("Traceback (most recent call last)")
    quiet = run_here("cache", "where")
    assert outcome.err.endswith(quiet.err)
    assert "Traceback" not in quiet.err


def test_debug_after_two_dashes_is_an_argument_like_any_other() -> None:
    run_here("train", "--", "--debug").assert_refused(2, "data: --debug is not known")


@pytest.mark.parametrize(
    ("number", "status", "message"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGHUP, 129, "hung up"),
    ],
)
def test_signals_end_a_command_and_are_as_before_after_it(
    doing: Callable[..., None], number: int, status: int, message: str
) -> None:
    doing(lambda: os.kill(os.getpid(), number))
    before = signal.getsignal(number)
    run_here("cache", "where").assert_refused(status, message)
    assert signal.getsignal(number) == before


@contextmanager
def ignored(number: int) -> Iterator[None]:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


def test_a_hang_up_that_nohup_ignores_stays_ignored(doing: Callable[..., None]) -> None:
    doing(lambda: os.kill(os.getpid(), signal.SIGHUP))
    with ignored(signal.SIGHUP):
        assert run_here("cache", "where").status == 0


def with_output(target: Any, *arguments: str, **changes: str | None) -> tuple[int, str]:
    done = subprocess.run(
        [script(), *arguments],
        env=environment(**changes),
        stdout=target,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


STARTS = {
    "gradwright": "(command,) = metadata.entry_points(group='console_scripts', name='gradwright')\n"
    "command.load()()",
    "python -m runtime": "runpy.run_module('runtime', run_name='__main__')",
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize(
    ("number", "told"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_a_signal_while_the_command_line_is_loaded(
    start: str, number: signal.Signals, told: str
) -> None:
    program = (
        "import os, runpy, sys\nfrom importlib import metadata\n"
        "class Signal:\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == 'runtime.cli': os.kill(os.getpid(), {number:d})\n"
        f"sys.meta_path.insert(0, Signal())\n{start}\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, "cache", "where"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (128 + number, "")
    assert done.stderr == f"gradwright: {told}\n"


def test_a_reader_that_has_had_enough() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert with_output(writing, "--help") == (1, "")
        assert with_output(writing, "cache", "where") == (1, "")
    finally:
        os.close(writing)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_standard_output_on_a_full_disk() -> None:
    with Path("/dev/full").open("w") as full:
        status, message = with_output(full, "cache", "where")
    assert status == 1
    assert message == "gradwright: standard output: cannot be written: No space left on device.\n"


def test_without_standard_output(tmp_path: Path) -> None:
    closed = ("sh", "-c", 'exec "$@" >&-', "sh")
    assert run("cache", "where", cwd=tmp_path, prefix=closed) == Outcome(status=0, out="", err="")


def test_messages_that_nobody_reads_stop_nothing(tmp_path: Path) -> None:
    for redirection in ("2>&-", "2>/dev/full"):
        closed = ("sh", "-c", f'exec "$@" {redirection}', "sh")
        assert run("train", "moon", cwd=tmp_path, prefix=closed) == Outcome(
            status=2, out="", err=""
        )


def test_letters_that_the_output_cannot_show(
    doing: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    doing(lambda: click.echo("a…b"))
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")  # click mends ASCII by itself
    with redirect_stdout(latin), pytest.raises(SystemExit, match="2"):
        main(["cache", "where"])
    assert capsys.readouterr().err == (
        "gradwright: standard output: its encoding, latin-1, has no '\\u2026'. "
        "Set PYTHONIOENCODING=utf-8.\n"
    )


def test_letters_that_something_else_cannot_hold(doing: Callable[..., None]) -> None:
    doing(lambda: "a…b".encode("ascii"))
    outcome = run_here("cache", "where")
    outcome.assert_refused(70, "UnicodeEncodeError", "Please report it")
    assert "standard output" not in outcome.err
