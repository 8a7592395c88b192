"""Downloads from a server on this machine, which does everything a bad mirror does."""

import errno
import fcntl
import hashlib
import io
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mirror import Mirror
from mounts import fill, full_disk, read_only

from runtime.data.download import RemoteFile, fetch, is_intact
from runtime.errors import InputError, RunError

NAME = "numbers.gz"
CONTENT = np.random.default_rng(7).bytes(150_000)
WRONG = bytes(len(CONTENT))
FILE = RemoteFile(name=NAME, size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
WAY_OUT = "Or use --data-dir."


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def serve() -> Iterator[Callable[..., Mirror]]:
    with ExitStack() as stack:

        def start(content: bytes = CONTENT, **behaviour: Any) -> Mirror:
            return stack.enter_context(Mirror(files={NAME: content}, **behaviour))

        yield start


@pytest.fixture
def dead() -> str:
    """Return the address of a server that is down."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/"


def get(folder: Path, *mirrors: Mirror | str, **options: Any) -> Path:
    addresses = [mirror if isinstance(mirror, str) else mirror.url for mirror in mirrors]
    return fetch(FILE, addresses, folder, way_out=WAY_OUT, **{"progress": False, **options})


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}


def assert_arrived(folder: Path) -> None:
    assert (folder / NAME).read_bytes() == CONTENT
    assert left_in(folder) == {NAME}


def test_whole_file(tmp_path: Path, serve: Callable[..., Mirror]) -> None:
    mirror = serve()
    folder = tmp_path / "not" / "there"
    assert get(folder, mirror) == folder / NAME
    assert_arrived(folder)
    assert mirror.ranges == [None]


def test_without_announced_length(tmp_path: Path, serve: Callable[..., Mirror]) -> None:
    get(tmp_path, serve(announce=False))
    assert_arrived(tmp_path)


def test_what_is_there_is_not_fetched(tmp_path: Path, dead: str) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    assert get(tmp_path, dead) == tmp_path / NAME


@pytest.mark.parametrize("damaged", [b"", CONTENT[:-1], WRONG], ids=["empty", "short", "wrong"])
def test_damaged_file_is_replaced(
    tmp_path: Path, serve: Callable[..., Mirror], damaged: bytes
) -> None:
    (tmp_path / NAME).write_bytes(damaged)
    assert not is_intact(tmp_path / NAME, FILE)
    get(tmp_path, serve())
    assert_arrived(tmp_path)


def test_resumes_where_the_part_ends(tmp_path: Path, serve: Callable[..., Mirror]) -> None:
    mirror = serve()
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:100_000])
    get(tmp_path, mirror)
    assert_arrived(tmp_path)
    assert mirror.ranges == ["bytes=100000-"]


@pytest.mark.parametrize(
    ("behaviour", "requests"),
    [({"ignore_range": True}, 1), ({"refuse_range": True}, 2)]
    + [({"content_range": text}, 2) for text in ("bytes 5-9/150000", "bytes 1000-9/7", "?")],
)
def test_mirrors_that_cannot_resume_send_it_all(
    tmp_path: Path, serve: Callable[..., Mirror], behaviour: dict[str, Any], requests: int
) -> None:
    mirror = serve(**behaviour)
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:1000])
    get(tmp_path, mirror)
    assert_arrived(tmp_path)
    assert len(mirror.ranges) == requests


def test_cut_short_goes_on_at_the_same_mirror(tmp_path: Path, serve: Callable[..., Mirror]) -> None:
    mirror = serve(cut_after=[70_000, 30_000])
    get(tmp_path, mirror)
    assert_arrived(tmp_path)
    assert mirror.ranges == [None, "bytes=70000-", "bytes=100000-"]


@pytest.mark.parametrize("announce", [True, False])
def test_cut_short_goes_on_at_the_next_mirror(
    tmp_path: Path, serve: Callable[..., Mirror], announce: bool
) -> None:
    first = serve(cut_after=[70_000, 0], announce=announce)
    second = serve()
    get(tmp_path, first, second)
    assert_arrived(tmp_path)
    assert second.ranges == ["bytes=70000-"]


def test_truncated_everywhere_keeps_the_part_for_the_next_run(
    tmp_path: Path, serve: Callable[..., Mirror]
) -> None:
    mirror = serve(cut_after=[50_000, 0])
    with pytest.raises(InputError, match="cut short after 50000 of 150000 bytes"):
        get(tmp_path, mirror)
    assert left_in(tmp_path) == {f"{NAME}.part"}
    good = serve()
    get(tmp_path, good)
    assert_arrived(tmp_path)
    assert good.ranges == ["bytes=50000-"]


def test_corrupt_first_mirror(tmp_path: Path, serve: Callable[..., Mirror]) -> None:
    bad, good = serve(WRONG), serve()
    get(tmp_path, bad, good)
    assert_arrived(tmp_path)
    assert bad.ranges == good.ranges == [None]  # nothing of the wrong file was kept


def test_corrupt_everywhere_leaves_nothing(tmp_path: Path, serve: Callable[..., Mirror]) -> None:
    with pytest.raises(InputError, match="SHA-256 is not the expected one"):
        get(tmp_path, serve(WRONG))
    assert left_in(tmp_path) == set()


@pytest.mark.parametrize(
    "part", [WRONG[:1000], WRONG, WRONG + b"more"], ids=["beginning", "whole", "too long"]
)
def test_wrong_part_of_an_earlier_run(
    tmp_path: Path, serve: Callable[..., Mirror], part: bytes
) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(part)
    mirror = serve()
    get(tmp_path, mirror)
    assert_arrived(tmp_path)
    assert mirror.ranges[-1] is None


def test_complete_part_of_an_earlier_run(tmp_path: Path, dead: str) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    get(tmp_path, dead)
    assert_arrived(tmp_path)


def test_longer_than_it_should_be(tmp_path: Path, serve: Callable[..., Mirror]) -> None:
    announced = serve(CONTENT + b"x")
    with pytest.raises(InputError, match="offers 150001 bytes, expected 150000"):
        get(tmp_path, announced)
    with pytest.raises(InputError, match="sends more than the expected 150000 bytes"):
        get(tmp_path, serve(CONTENT * 20, announce=False))
    assert left_in(tmp_path) == set()


def test_never_writes_more_than_expected(
    serve: Callable[..., Mirror], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    unlink = Path.unlink

    def noting(path: Path, missing_ok: bool = False) -> None:
        sizes.append(path.stat().st_size)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", noting)
    with pytest.raises(InputError):
        get(tmp_path, serve(CONTENT * 20, announce=False))
    assert sizes
    assert max(sizes) <= FILE.size


def test_coding_on_the_way_is_not_undone(tmp_path: Path, serve: Callable[..., Mirror]) -> None:
    get(tmp_path, serve(encoding="gzip"))  # as object stores label a file that *is* gzip
    assert_arrived(tmp_path)


def test_every_mirror_and_its_failure_is_named(
    tmp_path: Path, serve: Callable[..., Mirror], dead: str
) -> None:
    missing, broken = serve(status=404), serve(status=500)
    with pytest.raises(InputError) as caught:
        get(tmp_path, dead, missing, broken)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{NAME} could not be downloaded:"
    assert lines[1] == f"  {dead} Connection refused"
    assert lines[2] == f"  {missing.url} HTTP 404 Not Found"
    assert lines[3] == f"  {broken.url} HTTP 500 Internal Server Error"
    assert lines[4] == f"Check the network and try again; what came is kept. {WAY_OUT}"
    assert caught.value.exit_status == 2
    assert left_in(tmp_path) == set()


@pytest.mark.parametrize("status", [206, 416, 301])
def test_answers_that_make_no_sense(
    tmp_path: Path, serve: Callable[..., Mirror], status: int
) -> None:
    with pytest.raises(InputError, match=f"HTTP {status} "):
        get(tmp_path, serve(status=status))


def test_broken_certificates_are_not_blamed_on_the_folder(
    tmp_path: Path, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(InputError, match=r"could not be downloaded:\n  https:.* TLS CA cert"):
        get(tmp_path, dead.replace("http:", "https:"))


def test_silent_mirror_is_given_up(tmp_path: Path, serve: Callable[..., Mirror]) -> None:
    silent, good = serve(silent=True), serve()
    began = time.monotonic()
    get(tmp_path, silent, good, stall_seconds=0.2)
    assert_arrived(tmp_path)
    assert time.monotonic() - began < 5
    with pytest.raises(InputError, match=f"{silent.url} no answer in time"):
        get(tmp_path / "other", silent, stall_seconds=0.2)


def test_stall_in_the_middle(tmp_path: Path, serve: Callable[..., Mirror]) -> None:
    slow, good = serve(pause=1.0), serve()
    get(tmp_path, slow, good, stall_seconds=0.2)
    assert_arrived(tmp_path)


def test_interrupt_keeps_the_part(tmp_path: Path, serve: Callable[..., Mirror]) -> None:
    slow = serve(pause=0.1)
    process = start_process(tmp_path, slow)
    part = tmp_path / f"{NAME}.part"
    while process.poll() is None and not (part.exists() and part.stat().st_size):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert left_in(tmp_path) == {part.name}
    assert CONTENT.startswith(part.read_bytes())
    good = serve()
    get(tmp_path, good)
    assert_arrived(tmp_path)
    assert good.ranges != [None]


def test_two_processes_at_once(tmp_path: Path, serve: Callable[..., Mirror]) -> None:
    mirror = serve(pause=0.05)
    processes = [start_process(tmp_path, mirror) for _ in range(2)]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert_arrived(tmp_path)
    assert mirror.ranges == [None]  # the second waited


def test_waiting_is_announced(tmp_path: Path, serve: Callable[..., Mirror]) -> None:
    with (tmp_path / ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = start_process(tmp_path, serve())
        assert process.stderr is not None
        assert process.stderr.readline().startswith("waiting for another download into ")
        assert left_in(tmp_path) == set()
    process.communicate()
    assert process.returncode == 0
    assert_arrived(tmp_path)


def test_file_system_without_locks(
    tmp_path: Path, serve: Callable[..., Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    other = tmp_path / f"{NAME}.part"
    other.write_bytes(CONTENT[:10])  # of another process, which may be writing it now
    with pytest.raises(InputError):
        get(tmp_path, serve(cut_after=[500, 0]))
    assert left_in(tmp_path) == {other.name}
    get(tmp_path, serve())
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert other.read_bytes() == CONTENT[:10]


def test_read_only_folder(tmp_path: Path, serve: Callable[..., Mirror]) -> None:
    mirror = serve()
    with read_only(tmp_path / "cache") as folder:
        for place in (folder, folder / "below"):
            with pytest.raises(InputError, match=r"the file system is read-only.*--data-dir"):
                get(place, mirror)
    assert mirror.ranges == []  # refused before any traffic


def test_full_disk(tmp_path: Path, serve: Callable[..., Mirror]) -> None:
    with full_disk(tmp_path / "cache", "64k") as folder:
        (folder / NAME).write_bytes(b"old")
        with pytest.raises(RunError, match=r"the disk is full.*--data-dir") as caught:
            get(folder, serve())
        assert caught.value.exit_status == 1
        assert left_in(folder) == {NAME}
        assert (folder / NAME).read_bytes() == b"old"
        fill(folder)
        with pytest.raises(RunError, match="the disk is full"):
            get(folder, serve())


def test_a_file_where_the_folder_should_be(tmp_path: Path, dead: str) -> None:
    (tmp_path / "cache").write_bytes(b"")
    with pytest.raises(InputError, match=r"cache: cannot be used for downloads"):
        get(tmp_path / "cache", dead)


def test_progress(
    tmp_path: Path, serve: Callable[..., Mirror], capsys: pytest.CaptureFixture[str]
) -> None:
    mirror = serve()
    get(tmp_path / "a", mirror, progress=False)
    assert capsys.readouterr() == ("", "")
    get(tmp_path / "b", mirror, progress=None)  # not a terminal
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"downloading {NAME}, 0.1 MB, from 127.0.0.1:")
    get(tmp_path / "c", mirror, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{NAME}:   0%" in err
    assert "/150k" in err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_no_live_progress_without_colour(
    tmp_path: Path, serve: Callable[..., Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = serve()
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    get(tmp_path / "a", mirror, progress=None)
    assert "%|" in terminal.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    get(tmp_path / "b", mirror, progress=None)
    assert terminal.getvalue().startswith("downloading ")
    assert "\r" not in terminal.getvalue()


def start_process(folder: Path, mirror: Mirror) -> subprocess.Popen[str]:
    code = (
        "import sys; from pathlib import Path; from runtime.data.download import *\n"
        "name, size, sha256, folder, url = sys.argv[1:]\n"
        "file = RemoteFile(name=name, size=int(size), sha256=sha256)\n"
        "fetch(file, [url], Path(folder), way_out='')\n"
    )
    values = [FILE.name, str(FILE.size), FILE.sha256, str(folder), mirror.url]
    command = [sys.executable, "-c", code, *values]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
